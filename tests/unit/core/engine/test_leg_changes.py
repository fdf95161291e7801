"""Changes of legs in the engine's machine: what close, add and replace become, and why a change is held back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.signal_gate import NOT_ADJUSTED, OTHER_LEGS, LoadedRule
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.leg_plan import LegStop
from mytrading.messages.orders import OrderChanged
from mytrading.messages.signals import Leg, LegChange, Signal, SignalVetoed
from mytrading.strategies import BaseStrategy, Outgoing, SignalRule, StrategyError, option
from mytrading.strategies.testing import StrategyTester
from tests.kit.engine_bench import MINUTE, NIFTY, OPEN, make_bar, make_book, make_machine, make_run, moved, step
from tests.kit.order_samples import order_of

SPOT = 26_010.0
HEDGE, SOLD, PUT = "NFO:NIFTY02DEC2526150CE", "NFO:NIFTY02DEC2526050CE", "NFO:NIFTY02DEC2525950PE"
FAR, NEAR = "NFO:NIFTY02DEC2526100CE", "NFO:NIFTY02DEC2526000CE"
LEGS = (option("OTM 3 CE", lots=2), option("OTM 1 CE", lots=-2), option("OTM 1 PE", lots=-2, stop_pct=0))
Changes = Callable[[BaseStrategy], Any]


class Adjusting(BaseStrategy):
    """Sells a call spread and a put, and then does what `wants` says at each bar."""

    wants: ClassVar[Changes | None] = None

    def on_data(self, data):
        if self.position.is_flat:
            return self.create_signal("SELL", legs=LEGS)
        return type(self).wants(self) if type(self).wants is not None else None


@pytest.fixture(autouse=True)
def _wants_nothing() -> None:
    Adjusting.wants = None


def holding(**options: Any) -> EngineMachine:
    machine = make_machine(Adjusting, make_run(symbols=(NIFTY,), long=None, short=None), **options)
    (signal,) = (row for row in step(machine, make_bar(0, SPOT, NIFTY)) if isinstance(row, Signal))
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [(HEDGE, 2), (SOLD, -2), (PUT, -2)]
    for leg in signal.legs:
        step(machine, moved("Sample", leg.instrument, leg.lots * 75))
    return machine


def wanting(machine: EngineMachine, changes: Changes, minute: int = 1, price: float = SPOT) -> tuple[Any, ...]:
    Adjusting.wants = staticmethod(changes)  # type: ignore[assignment]
    return step(machine, make_bar(minute, price, NIFTY))


def signal_of(rows: tuple[Any, ...]) -> Signal:
    (signal,) = rows
    assert isinstance(signal, Signal), signal
    return signal


def veto_of(rows: tuple[Any, ...]) -> SignalVetoed:
    (veto,) = rows
    assert isinstance(veto, SignalVetoed), veto
    return veto


def leg(strategy: BaseStrategy, name: str) -> Any:
    return next(one for one in strategy.legs if one.instrument == name)


def test_replaced_leg_keeps_side_right_expiry_and_size_and_the_whole_its_order() -> None:
    signal = signal_of(wanting(holding(), lambda s: s.replace(leg(s, SOLD), "OTM 2", reason="tested")))
    assert [(one.instrument, one.lots) for one in signal.legs] == [(HEDGE, 2), (FAR, -2), (PUT, -2)]
    assert signal.changes == (LegChange(closes=SOLD, opens=FAR, same_size=True),)
    assert (signal.action, signal.reason, signal.bar_ns) == (Action.SELL, "tested", OPEN + 2 * MINUTE)
    assert signal.expires_ns == signal.bar_ns + MINUTE
    assert [one.instrument for one in signal.entry_legs] == [FAR]


def test_replaced_leg_may_have_another_right_expiry_and_size() -> None:
    machine = holding()
    signal = signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "ATM PE", expiry="monthly")))
    assert [(one.instrument, one.lots) for one in signal.legs][1] == ("NFO:NIFTY30DEC2526000PE", -2)
    machine = holding()
    signal = signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), option("OTM 2 CE", lots=-1))))
    assert ([(one.instrument, one.lots) for one in signal.legs][1], signal.changes[0].same_size) == ((FAR, -1), False)
    machine = holding()
    signal = signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), Leg(instrument=FAR, lots=-3, stop_price=9))))
    assert [one for one in signal.legs if one.instrument == FAR] == [Leg(instrument=FAR, lots=-3, stop_price=9)]


def test_closed_leg_leaves_the_others_as_they_are() -> None:
    signal = signal_of(wanting(holding(), lambda s: s.close(leg(s, PUT))))
    assert [(one.instrument, one.lots) for one in signal.legs] == [(HEDGE, 2), (SOLD, -2)]
    assert (signal.changes, signal.entry_legs) == ((LegChange(closes=PUT),), ())


def test_added_leg_stands_last() -> None:
    signal = signal_of(wanting(holding(), lambda s: s.add(option("OTM 2 PE", lots=1))))
    assert [one.instrument for one in signal.legs] == [HEDGE, SOLD, PUT, "NFO:NIFTY02DEC2525900PE"]
    assert signal.changes == (LegChange(opens="NFO:NIFTY02DEC2525900PE"),)


def test_several_changes_are_one_signal() -> None:
    signal = signal_of(
        wanting(holding(), lambda s: s.adjust(s.replace(leg(s, SOLD), "ATM", reason="a"), s.close(PUT, reason="b")))
    )
    assert [(one.instrument, one.lots) for one in signal.legs] == [(HEDGE, 2), (NEAR, -2)]
    assert (len(signal.changes), signal.reason) == (2, "a; b")


def test_closing_every_leg_is_an_exit() -> None:
    signal = signal_of(wanting(holding(), lambda s: s.close(*s.legs)))
    assert (signal.action, signal.legs, signal.changes) == (Action.EXIT, (), ())


def test_leg_that_was_closed_since_does_not_come_back_with_a_change() -> None:
    machine = holding()
    step(machine, moved("Sample", PUT, 0))
    signal = signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 2")))
    assert [one.instrument for one in signal.legs] == [HEDGE, FAR]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (lambda s: s.close("NFO:NIFTY02DEC2525800PE"), "NFO:NIFTY02DEC2525800PE is not held any more; held are"),
        (lambda s: s.replace(leg(s, SOLD), "OTM 3"), f"{HEDGE}, which it would open, is held already"),
        (lambda s: s.add(option("OTM 1 PE", lots=-1)), f"{PUT}, which it would open, is held already"),
        (lambda s: s.add(option("OTM 2 PE", lots=1), option("OTM 2 PE", lots=1)), "is named twice"),
    ],
)
def test_change_that_cannot_be_is_vetoed_aloud(changes: Changes, why: str) -> None:
    veto = veto_of(wanting(holding(), changes))
    assert (veto.code, veto.watch) == (NOT_ADJUSTED, NIFTY)
    assert "the legs stay as they are: " in veto.message
    assert why in veto.message


def test_change_of_nothing_is_vetoed() -> None:
    class Early(BaseStrategy):
        def on_data(self, data):
            return self.add(option("ATM CE", lots=1))

    machine = make_machine(Early, make_run(symbols=(NIFTY,), long=None, short=None))
    assert "nothing is held" in veto_of(step(machine, make_bar(0, SPOT, NIFTY))).message


def test_switched_off_strategy_closes_legs_and_opens_none() -> None:
    machine = holding()
    step(machine, StrategySwitch(strategy="Sample", enabled=False, generation=1, at_ns=OPEN))
    veto = veto_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 2")))
    assert "entries of the strategy are switched off" in veto.message
    assert signal_of(wanting(machine, lambda s: s.close(PUT), 2)).changes == (LegChange(closes=PUT),)


def entry_of(signal: Signal, state: OrderState) -> OrderChanged:
    order = order_of(
        client_order_id=f"o{signal.id}", account="main", instrument=FAR, product=Product.MIS, strategy="Sample",
        run="r1", cause=signal.id, purpose=Purpose.ENTRY, side=Side.SELL, quantity=150, order_type=OrderType.MARKET,
        created_ns=OPEN, updated_ns=OPEN, state=state,
    )  # fmt: skip
    return OrderChanged(event="accepted", order=order, machine_ns=0)


def test_change_is_sent_once_while_it_is_carried_out() -> None:
    machine = holding()
    signal = signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 2")))
    step(machine, entry_of(signal, OrderState.ACCEPTED))
    assert wanting(machine, lambda s: s.replace(leg(s, SOLD), "ATM"), 2) == (), "the same leg, moved by the price"
    again = holding()
    again.rebuild()
    for row in (signal, entry_of(signal, OrderState.ACCEPTED), moved("Sample", SOLD, -150)):
        again.apply(row)
    again.open([])
    assert wanting(again, lambda s: s.replace(leg(s, SOLD), "OTM 2"), 3) == (), "a restart does not send it again"


def test_entry_signal_repeated_after_a_change_does_not_undo_it() -> None:
    machine = holding()
    signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 2")))
    step(machine, moved("Sample", SOLD, 0))
    step(machine, moved("Sample", FAR, -150))
    assert wanting(machine, lambda s: s.create_signal("SELL", legs=LEGS), 5) == ()
    other = wanting(machine, lambda s: s.create_signal("SELL", legs=LEGS[:2]), 6)
    assert veto_of(other).code == OTHER_LEGS
    named = (Leg(instrument=HEDGE, lots=2), Leg(instrument=SOLD, lots=-2), Leg(instrument=PUT, lots=-2))
    assert veto_of(wanting(machine, lambda s: s.create_signal("SELL", legs=named), 8)).code == OTHER_LEGS


class Never(SignalRule):
    """Holds everything back."""

    def deny(self, signal: Outgoing) -> str:
        return f"no {len(signal.legs)}"


def test_rule_of_the_user_is_asked_for_what_is_opened_and_not_for_what_is_closed() -> None:
    machine = holding()
    machine.rules.rules = (LoadedRule("Never", Never()),)
    assert veto_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 2"))).message == "no 3"
    assert signal_of(wanting(machine, lambda s: s.close(PUT), 2)).changes == (LegChange(closes=PUT),)


def test_contract_that_is_not_listed_is_a_problem_and_no_signal() -> None:
    machine = holding()
    assert wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 20")) == ()
    assert "26050" not in machine.problems["Sample", NIFTY]
    assert machine.problems["Sample", NIFTY]
    signal_of(wanting(machine, lambda s: s.replace(leg(s, SOLD), "OTM 2"), 2))
    assert machine.problems == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (lambda s: s.close(), "close: expected one or more legs"),
        (lambda s: s.close(7), "close: expected a leg of self.legs or its instrument, found 7"),
        (lambda s: s.add(), "add: expected one or more legs"),
        (lambda s: s.replace(s.legs[0], "FAR 3"), "replace: expected ATM, ITM n"),
        (lambda s: s.replace(s.legs[0], 26_000), "replace: expected a strike such as 'OTM 3'"),
        (lambda s: s.replace(s.legs[0], "ATM", expiry="tomorrow"), "expiry: found 'tomorrow'"),
        (lambda s: s.replace(s.legs[0], LEGS[0], stop_pct=30), "give expiry and stop in it"),
        (lambda s: s.adjust(), "adjust: expected what self.close"),
        (lambda s: s.adjust(s.create_signal("EXIT")), "adjust: expected what self.close"),
        (lambda s: s.adjust(s.close(PUT), s.close(PUT)), f"{PUT} is named twice"),
        (lambda s: s.close(PUT, instrument="NSE:SBIN"), "close: NSE:SBIN is not watched"),
    ],
)
def test_change_that_means_nothing_is_refused_where_it_is_written(changes: Changes, why: str) -> None:
    machine = holding()
    strategy = machine.hosts[0].strategy
    with pytest.raises(StrategyError, match=why):
        changes(strategy)


def test_replacement_has_the_stop_that_it_names() -> None:
    signal = holding().hosts[0].strategy
    made = signal.replace(signal.legs[1], "OTM 2", stop_pct=40)
    assert made.changes[0].opens.stop == LegStop(value=40.0)


def test_tester_carries_changes_out() -> None:
    Adjusting.wants = staticmethod(lambda s: s.close(PUT) if leg_count(s) == 3 else None)  # type: ignore[assignment]
    tester = StrategyTester(Adjusting, (NIFTY,), start_ns=OPEN, contracts=list(make_book()))
    tester.feed(SPOT, SPOT, SPOT)
    assert [tester.positions[name] for name in (HEDGE, SOLD, PUT)] == [2, -2, 0]


def leg_count(strategy: BaseStrategy) -> int:
    return len(strategy.legs)
