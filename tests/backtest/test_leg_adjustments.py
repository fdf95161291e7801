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

from mytrading.backtest.run import RunResult, Spec, run
from mytrading.backtest.setup.prepare import prepare
from mytrading.strategies import BaseStrategy, option
from tests.backtest.test_options import asked, write_legs
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
    spec = prepare(folder, asked("Adjusted", last=date(2024, 1, 25))).spec
    data = spec.data[0].between(int(spec.data[0].start_ns[0]), int(spec.data[0].start_ns[375 * 2 - 1]) + 1)
    yield dataclasses.replace(spec, data=(data,), run=replace(spec.run, plan=None), legs=None)


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
    (text,) = {event.text for event in result.ledger.events if event.code == "OTHER_LEGS"}
    assert "self.replace(leg, ...)" in text
    assert result.ledger.trades == plain.ledger.trades
    assert np.array_equal(result.curve.equity, plain.curve.equity)
