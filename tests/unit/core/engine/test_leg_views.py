"""Legs as a strategy sees them, and the loud end of a signal that names other legs than those that are held."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from mytrading.core.engine.contract_selection import RATE
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.signal_gate import OTHER_LEGS
from mytrading.core.options import black76
from mytrading.messages.enums import Side
from mytrading.messages.market import Quote
from mytrading.messages.signals import Leg, Signal, SignalVetoed
from mytrading.strategies import BaseStrategy, LegView, StrategyError, option
from tests.kit.engine_bench import MINUTE, NIFTY, OPEN, SBIN, make_bar, make_book, make_machine, make_run, moved, step

CALL, PUT = "NFO:NIFTY02DEC2526000CE", "NFO:NIFTY02DEC2526000PE"
STRADDLE = (option("ATM CE", lots=-2), option("ATM PE", lots=-2))
SPOT = 26_010.0


class Seller(BaseStrategy):
    """Sells `wanted` at every bar and notes the legs that it sees."""

    wanted: ClassVar[tuple[Any, ...]] = STRADDLE
    seen: ClassVar[list[tuple[LegView, ...]]] = []

    def on_data(self, data):
        self.seen.append(self.legs)
        return self.create_signal("SELL", legs=self.wanted)


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    Seller.wanted, Seller.seen = STRADDLE, []


def seller() -> EngineMachine:
    return make_machine(Seller, make_run(symbols=(NIFTY,), long=None, short=None))


def sold(machine: EngineMachine, minute: int = 0) -> Signal:
    (signal,) = (row for row in step(machine, make_bar(minute, SPOT, NIFTY)) if isinstance(row, Signal))
    for leg in signal.legs:
        step(machine, moved("Sample", leg.instrument, leg.lots * 75))
    return signal


def at(minute: int) -> int:
    return OPEN + (minute + 1) * MINUTE


def quote(machine: EngineMachine, instrument: str, price: float, minute: int) -> None:
    step(machine, Quote(instrument, at(minute), at(minute), price), at(minute))


def vetoes(rows: tuple[Any, ...]) -> list[SignalVetoed]:
    return [row for row in rows if isinstance(row, SignalVetoed)]


def test_strategy_sees_each_leg_that_it_holds_with_its_profit() -> None:
    machine = seller()
    sold(machine)
    quote(machine, CALL, 80.0, 1)
    step(machine, make_bar(1, SPOT, NIFTY))
    assert Seller.seen[0] == ()
    call, put = Seller.seen[1]
    assert (call.instrument, call.quantity, call.lots, call.side, call.is_sold) == (CALL, -150, -2, Side.SELL, True)
    assert (call.entry_price, call.last_price, call.pnl) == (100.0, 80.0, 3_000.0)
    assert call.contract is not None
    assert (call.contract.strike, call.contract.expiry) == (26_000.0, "2025-12-02")
    assert (put.instrument, put.last_price, put.pnl, put.greeks) == (PUT, None, None, None)


def test_greeks_of_a_leg_are_those_of_its_last_price() -> None:
    machine = seller()
    sold(machine)
    ends = make_book().expires_at_ns("NFO", "2025-12-02")
    years = (ends - at(1)) / (365 * 24 * 3600 * 1_000_000_000)
    forward = float(black76.carried_forward(SPOT, years, RATE))
    quote(machine, CALL, black76.price_one(forward, 26_000.0, years, 0.14, RATE, True), 1)
    step(machine, make_bar(1, SPOT, NIFTY))
    found = Seller.seen[1][0].greeks
    assert found is not None
    assert found.iv == pytest.approx(0.14, abs=1e-9)
    delta, gamma, theta, vega, _ = black76.greeks_one(forward, 26_000.0, years, 0.14, RATE, True)
    assert found[1:] == pytest.approx((delta, gamma, theta / 365, vega / 100), rel=1e-7)


def test_leg_that_was_closed_is_gone_and_accounts_are_added_up() -> None:
    machine = seller()
    sold(machine)
    step(machine, moved("Sample", CALL, 0))
    other = moved("Sample", PUT, -75)
    step(machine, type(other)(**{**_fields(other), "position": type(other.position)(
        **{**_fields(other.position), "account": "second", "average_price": 40.0})}))  # fmt: skip
    step(machine, make_bar(1, SPOT, NIFTY))
    (put,) = Seller.seen[1]
    assert (put.instrument, put.quantity, put.lots, put.entry_price) == (PUT, -225, -3, 80.0)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_bars_of_history_show_no_legs() -> None:
    machine = seller()
    signal = sold(machine)
    again = seller()
    again.rebuild()
    for row in (signal, moved("Sample", CALL, -150)):
        again.apply(row)
    Seller.seen.clear()
    again.open([make_bar(0, SPOT, NIFTY)])
    step(again, make_bar(1, SPOT, NIFTY))
    assert [len(legs) for legs in Seller.seen] == [0, 1]


def test_legs_of_what_is_not_watched_are_refused() -> None:
    strategy = seller().hosts[0].strategy
    with pytest.raises(StrategyError, match="legs_of: NSE:SBIN is not watched"):
        strategy.legs_of(SBIN)


@pytest.mark.parametrize(
    "other",
    [
        (option("ATM CE", lots=-2), option("OTM 2 PE", lots=-2)),
        (option("ATM CE", lots=-2),),
        (option("ATM CE", lots=-3), option("ATM PE", lots=-3)),
        (Leg(instrument=CALL, lots=-2), Leg(instrument="NFO:NIFTY02DEC2525900PE", lots=-2)),
    ],
)
def test_signal_for_other_legs_than_those_held_is_vetoed_aloud(other: tuple[Any, ...]) -> None:
    machine = seller()
    sold(machine)
    Seller.wanted = other
    rows = step(machine, make_bar(1, SPOT, NIFTY))
    (veto,) = vetoes(rows)
    assert len(rows) == 1
    assert (veto.code, veto.strategy, veto.watch) == (OTHER_LEGS, "Sample", NIFTY)
    assert f"({', '.join(f'-2 {name}' for name in (CALL, PUT))})" in veto.message
    assert "self.replace(leg, ...)" in veto.message


def test_veto_of_other_legs_is_journaled_once_a_minute_and_after_a_restart_too() -> None:
    machine = seller()
    signal = sold(machine)
    Seller.wanted = (option("OTM 1 CE", lots=-2), option("OTM 1 PE", lots=-2))
    assert len(vetoes(step(machine, make_bar(1, SPOT, NIFTY)))) == 1
    assert vetoes(step(machine, make_bar(2, SPOT, NIFTY), at(1) + 1)) == []
    again = seller()
    again.rebuild()
    for row in (signal, *(moved("Sample", leg.instrument, -150) for leg in signal.legs)):
        again.apply(row)
    again.open([])
    assert len(vetoes(step(again, make_bar(3, SPOT, NIFTY)))) == 1


def test_same_rules_at_another_price_are_a_repeat_and_not_other_legs() -> None:
    machine = seller()
    sold(machine)
    assert step(machine, make_bar(1, SPOT + 100, NIFTY)) == ()
    Seller.wanted = (option("ATM CE", lots=-2, stop_pct=40), option("ATM PE", lots=-2, stop_pct=40))
    assert step(machine, make_bar(2, SPOT + 100, NIFTY)) == (), "another stop names the same legs"


def test_other_legs_once_flat_are_a_signal() -> None:
    machine = seller()
    sold(machine)
    Seller.wanted = (option("ATM CE", lots=-2), option("OTM 2 PE", lots=-2))
    for name in (CALL, PUT):
        step(machine, moved("Sample", name, 0))
    (signal,) = (row for row in step(machine, make_bar(2, SPOT, NIFTY)) if isinstance(row, Signal))
    assert [leg.instrument for leg in signal.legs] == [CALL, "NFO:NIFTY02DEC2525900PE"]
