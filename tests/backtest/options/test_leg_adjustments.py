"""Backtests of classes that look at their legs and change them, on generated bars and modelled premiums."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from msgspec.structs import replace

from mytrading.backtest.options.loop import OptionLoop
from mytrading.backtest.run import RunResult, Spec, run
from mytrading.backtest.setup.prepare import prepare
from mytrading.core.time import DAY
from mytrading.messages.run_config import Direction
from mytrading.strategies import BaseStrategy, option
from tests.kit.option_runs import asked, write_legs
from tests.kit.project import copy_project

CONDOR = (("BUY", "OTM 8", "CE"), ("BUY", "OTM 8", "PE"), ("SELL", "OTM 3", "CE"), ("SELL", "OTM 3", "PE"))
LEGS = (
    option("OTM 8 CE", lots=1), option("OTM 8 PE", lots=1), option("OTM 3 CE", lots=-1), option("OTM 3 PE", lots=-1),
)  # fmt: skip


@pytest.fixture(scope="module")
def condor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spec]:
    """A condor of two days whose strategy a test puts in place of the file's; nothing but the strategy closes legs."""
    folder: Path = tmp_path_factory.mktemp("project")
    copy_project(folder)
    write_legs(folder, "Adjusted", CONDOR, "15:05", stop="none")
    spec = prepare(folder, asked("Adjusted", last=date(2024, 1, 31))).spec
    data = spec.data[0].between(int(spec.data[0].start_ns[0]), int(spec.data[0].start_ns[375 * 2 - 1]) + 1)
    yield dataclasses.replace(spec, data=(data,), run=replace(spec.run, plan=None, direction=Direction.BOTH), legs=None)


def run_of(spec: Spec, strategy: type[BaseStrategy]) -> RunResult:
    result = run(dataclasses.replace(spec, strategy=strategy))
    assert result.fault is None
    return result


class Condor(BaseStrategy):
    """A condor from 09:30 to 15:00 that does something with its legs at one time of each day."""

    at: ClassVar[str] = "11:00"

    def on_data(self, data: Any) -> Any:
        if self.time_of_day >= "15:00":
            return self.create_signal("EXIT")
        if not self.traded_today and self.time_of_day >= "09:30":
            return self.create_signal("SELL", legs=LEGS)
        return self.changes() if self.legs and self.time_of_day == self.at else None

    def changes(self) -> Any:
        return None


def test_prices_that_a_strategy_sees_of_its_legs_are_those_of_their_bars(condor: Spec) -> None:
    seen: list[tuple[int, str, float]] = []

    class Watching(Condor):
        def on_data(self, data: Any) -> Any:
            seen.extend((data.end_ns, leg.instrument, leg.last_price or 0.0) for leg in self.legs)
            return super().on_data(data)

    result = run_of(condor, Watching)
    assert len(seen) > 2 * 300 * 4
    assert result.priced is not None
    closes = {
        (columns.instrument, int(start) + columns.span_ns): float(close)
        for columns in result.priced.columns
        for start, close in zip(columns.start_ns, columns.close, strict=True)
    }
    assert [closes[name, end] for end, name, _ in seen] == [price for _, _, price in seen]
    assert run_of(condor, Condor).ledger.trades == result.ledger.trades, "looking changes nothing"


def test_signal_for_other_legs_is_counted_and_changes_nothing(condor: Spec) -> None:
    class Rolling(Condor):
        def changes(self) -> Any:
            return self.create_signal("SELL", legs=(*LEGS[:3], option("OTM 1 PE", lots=-1)))

    result, plain = run_of(condor, Rolling), run_of(condor, Condor)
    assert result.ledger.counts["OTHER_LEGS"] == 2
    texts = [event.text for event in result.ledger.events if event.code == "OTHER_LEGS"]
    assert all("self.replace(leg, ...)" in text for text in texts)
    assert result.ledger.trades == plain.ledger.trades
    assert np.array_equal(result.curve.equity, plain.curve.equity)


def fills_of_day(result: RunResult, day: int) -> list[tuple[str, int]]:
    """Contracts and signed units in the order of fills, of the first or second day."""
    days = sorted({fill.at_ns // DAY for fill in result.ledger.fills})
    return [(fill.instrument, fill.units) for fill in result.ledger.fills if fill.at_ns // DAY == days[day]]


def both_ways(spec: Spec, strategy: type[BaseStrategy]) -> RunResult:
    """The run, which is equal to one that walks every contract at every bar."""
    passing = run_of(spec, strategy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OptionLoop, "_first_act", lambda _loop, _feed, start: start)
        walking = run_of(spec, strategy)
    assert passing.ledger.fills == walking.ledger.fills
    assert passing.ledger.counts == walking.ledger.counts
    assert passing.curve.equity.tolist() == walking.curve.equity.tolist()
    return passing


def sold(strategy: BaseStrategy, right: str) -> Any:
    return next(leg for leg in strategy.legs if leg.is_sold and leg.instrument.endswith(right))


class Rolling(Condor):
    """Rolls the sold call once a day."""

    def changes(self) -> Any:
        return self.replace(sold(self, "CE"), "OTM 5", reason="tested")


def test_rolled_leg_is_closed_and_sold_anew_and_the_others_run_on(condor: Spec) -> None:
    result, plain = both_ways(condor, Rolling), run_of(condor, Condor)
    for day in (0, 1):
        fills, before = fills_of_day(result, day), fills_of_day(plain, day)
        assert fills[:4] == before[:4]
        (old, units), (new, sale) = fills[4:6]
        assert (old, units) == (fills[2][0], -fills[2][1])
        assert (sale, new.endswith("CE"), new in {name for name, _ in fills[:4]}) == (-units, True, False)
        assert sorted(fills[6:]) == sorted([(fills[0][0], -units), (fills[1][0], -units), (fills[3][0], units),
                                            (new, units)])  # fmt: skip
    assert (len(result.ledger.trades), len(plain.ledger.trades)) == (10, 8)
    assert sum(result.ledger.counts.values()) == sum(plain.ledger.counts.values()), "no denial and no alert"
    calls = [trade for trade in result.ledger.trades if trade.instrument.endswith("CE") and trade.side == "SELL"]
    assert [trade.leg for trade in calls] == [3, 3, 3, 3]


def test_spread_is_rolled_with_its_new_hedge_first(condor: Spec) -> None:
    class Spread(Condor):
        def changes(self) -> Any:
            hedge = next(leg for leg in self.legs if not leg.is_sold and leg.instrument.endswith("CE"))
            return self.adjust(self.replace(sold(self, "CE"), "OTM 5"), self.replace(hedge, "OTM 10"))

    fills = fills_of_day(both_ways(condor, Spread), 0)
    hedge, short, lot = fills[0][0], fills[2][0], fills[0][1]
    (bought, plus), closed, gone, (sale, minus) = fills[4:8]
    assert (plus, closed, gone, minus) == (lot, (short, lot), (hedge, -lot), -lot)
    assert bought not in (hedge, short)
    assert sale not in (hedge, short, bought)


def test_closed_leg_is_gone_and_the_others_stay_to_the_end(condor: Spec) -> None:
    class Closing(Condor):
        def changes(self) -> Any:
            return self.close(sold(self, "PE"))

    fills = fills_of_day(both_ways(condor, Closing), 0)
    assert fills[4] == (fills[3][0], -fills[3][1])
    assert len(fills) == 8


def test_change_that_the_capital_does_not_allow_closes_nothing(condor: Spec) -> None:
    class Large(Condor):
        def changes(self) -> Any:
            return self.replace(sold(self, "CE"), option("OTM 5 CE", lots=-20))

    result, plain = run_of(dataclasses.replace(condor, capital=500_000.0), Large), run_of(condor, Condor)
    assert result.ledger.counts["INSUFFICIENT_MARGIN"] == 2
    assert result.ledger.fills == plain.ledger.fills


def test_profit_of_the_legs_is_that_of_the_run(condor: Spec) -> None:
    seen: dict[int, float] = {}

    class Watching(Rolling):
        def on_data(self, data: Any) -> Any:
            seen[data.end_ns] = sum(leg.pnl or 0.0 for leg in self.legs)
            return super().on_data(data)

    spec = dataclasses.replace(condor, fees=None)
    result = run_of(spec, Watching)
    ends = (result.curve.start_ns + result.curve.span_ns).tolist()
    equity = dict(zip(ends, result.curve.equity.tolist(), strict=True))
    for end, profit in seen.items():
        realised = sum(trade.gross for trade in result.ledger.trades if trade.exit_ns < end)
        assert equity[end] - spec.capital == pytest.approx(realised + profit, abs=0.01), end
    assert len({round(profit, 2) for profit in seen.values()}) > 300
