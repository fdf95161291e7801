"""A difference that is put in by hand is found, and gets the cause that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.backtest.parity.explain import Cause, Explainer, ParityDifference, pair_orders
from mytrading.backtest.parity.facts import Absence, DayFacts, DaySide, Interference, Quotes
from mytrading.core.time import MINUTE
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted, PositionChanged
from mytrading.messages.signals import Leg, Signal, SignalVetoed, StrategyFaulted
from tests.kit.order_samples import order_of

MS = 1_000_000
SBIN = "NSE:SBIN"
TEN = 600 * MINUTE


def signal(name: str = "s1", at: int = TEN, action: Action = Action.BUY, **given: Any) -> Signal:
    legs = () if action is Action.EXIT else (Leg(instrument=SBIN, lots=10),)
    fields = {
        "id": name, "strategy": "S", "watch": SBIN, "action": action, "created_ns": at, "expires_ns": at + MINUTE,
        "expires_machine_ns": 0, "legs": legs, "price": 100.0, "bar_ns": at,
    }  # fmt: skip
    return Signal(**{**fields, **given})


def order(name: str = "o1", cause: str = "s1", at: int = TEN, **given: Any) -> Order:
    fields = {
        "client_order_id": name, "account": "main", "instrument": SBIN, "product": Product.MIS, "strategy": "S",
        "run": "r", "cause": cause, "purpose": Purpose.ENTRY, "side": Side.BUY, "quantity": 10,
        "order_type": OrderType.MARKET, "state": OrderState.FILLED, "created_ns": at, "updated_ns": at,
    }  # fmt: skip
    return order_of(**{**fields, **given})


def changed(level: Order) -> OrderChanged:
    return OrderChanged(event="accepted", order=level, machine_ns=0)


def fill(name: str = "o1", units: int = 10, price: float = 100.05, at: int = TEN) -> PositionChanged:
    position = Position(account="main", instrument=SBIN, product=Product.MIS, strategy="S", run="r", quantity=units)
    return PositionChanged(position=position, client_order_id=name, fill_quantity=units, fill_price=price, at_ns=at)


def trip() -> list[Any]:
    """A round trip: bought at ten, sold a minute later."""
    later = TEN + MINUTE
    sell = order("o2", "s2", later, purpose=Purpose.EXIT, side=Side.SELL)
    return [
        signal(), changed(order()), fill(),
        signal("s2", later, Action.EXIT), changed(sell), fill("o2", -10, 100.95, later),
    ]  # fmt: skip


def quote(at: int, bid: float, ask: float) -> Quote:
    return Quote(SBIN, at, 0, round((bid + ask) / 2, 2), bid, ask)


QUOTES = [
    quote(TEN - MINUTE, 99.90, 100.00), quote(TEN, 99.95, 100.05), quote(TEN + 200 * MS, 100.00, 100.10),
    quote(TEN + MINUTE, 100.95, 101.05), quote(TEN + MINUTE + 300 * MS, 100.80, 100.90),
]  # fmt: skip


def side(rows: list[Any]) -> DaySide:
    found = DaySide()
    for row in rows:
        found.apply(row)
    return found


def explain(stack: list[Any], backtest: list[Any], **facts: Any) -> list[ParityDifference]:
    facts.setdefault("quotes", Quotes(QUOTES))
    return Explainer(side(stack), side(backtest), DayFacts(**facts)).explain_day()


def causes(found: list[ParityDifference]) -> list[tuple[str, str]]:
    return [(one.kind, one.cause.value) for one in found]


def with_order(rows: list[Any], name: str, **given: Any) -> list[Any]:
    """The same rows, with one order's level changed."""
    return [
        changed(replace(row.order, **given))
        if isinstance(row, OrderChanged) and row.order.client_order_id == name
        else row
        for row in rows
    ]


def without(rows: list[Any], *names: str) -> list[Any]:
    return [row for row in rows if name_of(row) not in names]


def name_of(row: Any) -> str:
    if isinstance(row, OrderChanged):
        return row.order.client_order_id
    return str(getattr(row, "client_order_id", "") or getattr(row, "id", ""))


def denied(code: str, text: str = "too much") -> SignalDenied:
    return SignalDenied(signal="s1", strategy="S", code=code, message=text, at_ns=TEN, account="main")


def test_two_sides_that_did_the_same_have_no_difference() -> None:
    explainer = Explainer(side(trip()), side(trip()), DayFacts())
    assert explainer.explain_day() == []
    assert Counter(one.kind for one in explainer.agreed) == {"signal": 2, "order": 2, "fill": 2}


def test_orders_without_a_namesake_are_matched_by_what_they_are_for() -> None:
    other = [changed(order("x1", "other", TEN + MS))]
    pairs = pair_orders(side([changed(order())]), side(other))
    assert [(one.client_order_id, other.client_order_id) for one, other in pairs if one and other] == [("o1", "x1")]


def test_orders_of_another_hour_are_not_the_same() -> None:
    pairs = pair_orders(side([changed(order())]), side([changed(order("x1", "other", TEN + 60 * MINUTE))]))
    assert [(one is None, other is None) for one, other in pairs] == [(False, True), (True, False)]


# fills

FILLS: list[tuple[str, Callable[[list[Any]], list[Any]], dict[str, Any], Cause]] = [
    ("a price that was quoted by the time it came", lambda rows: with_fill(rows, 100.10, 200), {}, Cause.LATENCY),
    ("the same price, later", lambda rows: with_fill(rows, 100.05, 200), {}, Cause.LATENCY),
    ("no quote shows the price at our own venue", lambda rows: with_fill(rows, 101.50, 0), {}, Cause.UNEXPLAINED),
    ("beyond the best quote at a broker", lambda rows: with_fill(rows, 101.50, 0), {"our_venue": False}, Cause.MODEL),
    ("inside the spread of one moment", lambda rows: with_fill(rows, 100.00, 0), {}, Cause.MODEL),
    ("no quotes are recorded", lambda rows: with_fill(rows, 100.10, 0), {"quotes": Quotes()}, Cause.DATA),
    ("before the backtest", lambda rows: with_fill(rows, 100.05, -200), {}, Cause.UNEXPLAINED),
]  # fmt: skip


def with_fill(rows: list[Any], price: float, later_ms: int, units: int = 10) -> list[Any]:
    """The first order's fill, at another price or time."""
    other = fill(price=price, at=TEN + later_ms * MS, units=units)
    return [other if isinstance(row, PositionChanged) and row.client_order_id == "o1" else row for row in rows]


@pytest.mark.parametrize(("what", "change", "facts", "cause"), FILLS, ids=[row[0] for row in FILLS])
def test_fill_that_differs_has_the_cause(
    what: str, change: Callable[[list[Any]], list[Any]], facts: dict[str, Any], cause: Cause
) -> None:
    found = explain(change(trip()), trip(), **facts)
    assert causes(found) == [("fill", cause.value)], (what, found)


def test_fill_in_parts_of_another_size_is_the_venues_doing() -> None:
    found = explain(with_fill(trip(), 100.05, 0, units=5), trip())
    assert causes(found)[0] == ("fill", "model")
    assert "5 units" in found[0].why


def test_fill_within_the_time_that_counts_as_one_is_equal() -> None:
    assert explain(with_fill(trip(), 100.05, 200), trip(), within_ns=MINUTE) == []


def test_limit_that_only_the_backtest_fills_at_a_touch_is_the_model() -> None:
    limit = {"order_type": OrderType.LIMIT, "price": 99.95}
    stack = with_order(without(trip(), "o2", "s2"), "o1", state=OrderState.ACCEPTED, **limit)
    stack = [row for row in stack if not isinstance(row, PositionChanged)]
    backtest = with_fill(with_order(without(trip(), "o2", "s2"), "o1", **limit), 99.95, 0)
    found = explain(stack, backtest)
    assert causes(found) == [("fill", "model")]
    assert "touched" in found[0].why


def test_limit_that_the_venue_filled_where_no_quote_came_is_data() -> None:
    limit = {"order_type": OrderType.LIMIT, "price": 98.0}
    stack = with_fill(with_order(without(trip(), "o2", "s2"), "o1", **limit), 98.0, 100)
    backtest = with_order(without(trip(), "o2", "s2"), "o1", state=OrderState.ACCEPTED, **limit)
    backtest = [row for row in backtest if not isinstance(row, PositionChanged)]
    assert causes(explain(stack, backtest)) == [("fill", "data")]


def test_order_that_the_venue_refused_is_the_model_and_what_follows_is_too() -> None:
    stack = with_order(without(trip(), "o2", "s2"), "o1", state=OrderState.REJECTED, message="RMS: margin")
    stack = [row for row in stack if not isinstance(row, PositionChanged)]
    found = explain(stack, trip())
    assert {cause for _, cause in causes(found)} == {"model"}
    assert "RMS: margin" in found[0].why
    assert all(one.follows == found[0].id for one in found[1:])


# orders

DENIALS = [
    ("MAX_ORDER_SIZE", Cause.DENIAL),
    ("INSUFFICIENT_MARGIN", Cause.DENIAL),
    ("HALTED", Cause.OPERATOR),
    ("STRATEGY_DISABLED", Cause.OPERATOR),
    ("NO_QUOTE", Cause.DATA),
]


@pytest.mark.parametrize(("code", "cause"), DENIALS, ids=[code for code, _ in DENIALS])
def test_denial_of_one_side_is_reported_with_its_code(code: str, cause: Cause) -> None:
    found = explain([signal(), denied(code)], without(trip(), "s2", "o2"))
    assert causes(found) == [("order", cause.value), ("fill", cause.value)]
    assert code in found[0].why


def test_denial_of_one_leg_explains_the_missing_orders_of_all_legs_of_its_signal() -> None:
    sold = replace(denied("MARGIN_UNKNOWN", "the broker has not reported its funds"), instrument="NFO:SOLD")
    found = explain(without(trip(), "s2", "o2"), [signal(), sold])
    assert causes(found) == [("order", "denial"), ("fill", "denial")]
    assert found[0].why.startswith("MARGIN_UNKNOWN (of NFO:SOLD, the same signal): ")


def test_denial_in_the_backtest_alone_counts_as_well() -> None:
    found = explain(without(trip(), "s2", "o2"), [signal(), denied("MAX_ORDER_SIZE")])
    assert causes(found) == [("order", "denial"), ("fill", "denial")]


def test_denial_of_another_account_explains_nothing() -> None:
    other = replace(denied("MAX_ORDER_SIZE"), account="second")
    assert causes(explain([signal(), other], without(trip(), "s2", "o2")))[0] == ("order", "unexplained")


def test_signal_that_came_too_late_is_latency() -> None:
    late = SignalExpired(signal="s1", strategy="S", at_ns=TEN + 2 * MINUTE, expired_ns=TEN + MINUTE)
    assert causes(explain([signal(), late], without(trip(), "s2", "o2")))[0] == ("order", "latency")


def test_what_follows_from_a_denied_entry_has_its_cause() -> None:
    found = explain([signal(), denied("MAX_ORDER_SIZE")], trip())
    assert causes(found) == [
        ("order", "denial"), ("fill", "denial"), ("signal", "denial"), ("order", "denial"), ("fill", "denial"),
    ]  # fmt: skip


def test_exit_of_what_the_backtest_alone_held_follows_from_its_entry_also_where_it_fills_at_once() -> None:
    away = Absence("engine", TEN - MINUTE, TEN + MS)
    late = TEN + 30 * MINUTE
    own = order("o9", "goal", late, purpose=Purpose.EXIT, side=Side.SELL)
    rows = [*without(trip(), "s2", "o2"), changed(own), fill("o9", -10, 100.8, late)]
    found = explain([], rows, absences=[away])
    assert causes(found)[-2:] == [("order", "person"), ("fill", "person")]
    assert {one.follows for one in found[1:]} == {found[0].id}


def test_exit_of_what_both_sides_held_is_unexplained_where_one_alone_made_it() -> None:
    late = TEN + 30 * MINUTE
    own = order("o9", "goal", late, purpose=Purpose.EXIT, side=Side.SELL)
    rows = without(trip(), "s2", "o2")
    found = explain(rows, [*rows, changed(own), fill("o9", -10, 100.8, late)])
    assert causes(found) == [("order", "unexplained"), ("fill", "unexplained")]


def test_order_of_an_operator_is_an_operators() -> None:
    sell = order("o9", "f1", TEN + 2 * MINUTE, purpose=Purpose.EXIT, side=Side.SELL)
    rows = without(trip(), "s2", "o2")
    act = Interference("flatten: end of test", TEN + 2 * MINUTE, id="f1")
    found = explain([*rows, changed(sell), fill("o9", -10, 100.8, TEN + 2 * MINUTE)], rows, interferences=[act])
    assert causes(found) == [("order", "person"), ("fill", "person")]
    assert "end of test" in found[0].why


def test_entry_that_a_halt_kept_back_is_an_operators() -> None:
    act = Interference("halt: lunch", TEN - MINUTE, TEN + MINUTE, entries=True)
    found = explain([signal()], without(trip(), "s2", "o2"), interferences=[act])
    assert causes(found)[0] == ("order", "person")


def test_order_that_was_not_made_while_risk_was_away_is_the_restarts() -> None:
    away = Absence("risk", TEN - MINUTE, TEN + MINUTE)
    assert causes(explain([signal()], without(trip(), "s2", "o2"), absences=[away]))[0] == ("order", "person")


def test_order_that_was_not_made_while_risk_was_behind_is_latency() -> None:
    frozen = Absence("risk", TEN - MS, TEN + MINUTE)
    assert causes(explain([signal()], without(trip(), "s2", "o2"), behind=[frozen]))[0] == ("order", "latency")


def test_order_that_expired_before_it_was_sent_is_latency() -> None:
    rows = without(trip(), "o2", "s2")
    stack = [row for row in with_order(rows, "o1", state=OrderState.EXPIRED) if not isinstance(row, PositionChanged)]
    assert causes(explain(stack, rows)) == [("fill", "latency")]
    at_the_venue = with_order(stack, "o1", broker_order_id="17")
    assert causes(explain(at_the_venue, rows)) == [("fill", "unexplained")]


def test_order_that_nothing_explains_is_left_unexplained() -> None:
    assert causes(explain([signal()], without(trip(), "s2", "o2"))) == [
        ("order", "unexplained"),
        ("fill", "unexplained"),
    ]


def test_other_quantity_is_unexplained_and_its_fill_with_it() -> None:
    stack = with_fill(with_order(without(trip(), "s2", "o2"), "o1", quantity=20), 100.05, 0, units=20)
    found = explain(stack, without(trip(), "s2", "o2"))
    assert causes(found) == [("order", "unexplained"), ("fill", "unexplained")]
    assert "quantity 20 there, 10 here" in found[0].why


def test_other_trigger_after_the_price_moved_is_latency() -> None:
    stop = {"order_type": OrderType.SL, "price": 98.0, "trigger_price": 98.5}
    stack = with_order([changed(order(at=TEN + 200 * MS))], "o1", state=OrderState.ACCEPTED, **stop)
    backtest = with_order([changed(order())], "o1", state=OrderState.ACCEPTED, **{**stop, "trigger_price": 98.45})
    assert causes(explain(stack, backtest)) == [("order", "latency")]


# signals


def test_signal_of_a_bar_that_came_late_is_data() -> None:
    bars = {(SBIN, TEN): "the bar of 10:00 came from the history, after its time"}
    found = explain([], [signal()], bars=bars)
    assert causes(found) == [("signal", "data")]
    assert "history" in found[0].why


def test_signal_at_another_price_is_data() -> None:
    assert causes(explain([signal(price=100.5)], [signal()])) == [("signal", "data")]


def test_signal_with_other_legs_of_a_later_moment_is_latency() -> None:
    other = signal(at=TEN + MS, bar_ns=TEN, legs=(Leg(instrument="NSE:INFY", lots=10),))
    assert causes(explain([other], [signal()])) == [("signal", "latency")]


def test_signal_that_a_rule_of_the_user_kept_back_is_a_denial() -> None:
    rule = SignalVetoed(signal="s1", strategy="S", watch=SBIN, rule="NoMondays", message="it is Monday", at_ns=TEN)
    found = explain([rule], [signal()])
    assert causes(found) == [("signal", "denial")]
    assert "NoMondays" in found[0].why


def test_signal_that_the_engine_dropped_as_its_bar_came_late_is_latency() -> None:
    late = SignalVetoed(
        signal="another contract", strategy="S", watch=SBIN, rule="", message="it came 102 s after its bar",
        at_ns=TEN + 102_000 * MS, action=Action.BUY, bar_ns=TEN,
    )  # fmt: skip
    found = explain([late], [signal()])
    assert causes(found) == [("signal", "latency")]
    assert "102 s after" in found[0].why
    assert causes(explain([replace(late, bar_ns=TEN - MINUTE)], [signal()])) == [("signal", "unexplained")]


def test_signal_that_a_switched_off_strategy_did_not_make_is_an_operators() -> None:
    act = Interference("S was switched off", TEN - MINUTE, strategy="S", entries=True, signals=True)
    assert causes(explain([], [signal()], interferences=[act])) == [("signal", "person")]


def test_signal_that_was_not_made_while_the_engine_was_away_is_the_restarts() -> None:
    away = Absence("engine", TEN - MINUTE, TEN + MINUTE)
    assert causes(explain([], [signal()], absences=[away])) == [("signal", "person")]


def test_signal_that_was_not_made_while_the_engine_was_behind_is_latency() -> None:
    frozen = Absence("engine", TEN - MS, TEN + 2 * MINUTE)
    found = explain([], [signal()], behind=[frozen])
    assert causes(found) == [("signal", "latency")]
    assert "engine was behind" in found[0].why


@pytest.mark.parametrize(
    "lag",
    [Absence("router", TEN - MS, TEN + MINUTE), Absence("engine", TEN - MINUTE, TEN - MS)],
    ids=["of a daemon that makes no signals", "that was over by then"],
)
def test_lag_does_not_explain_a_signal(lag: Absence) -> None:
    assert causes(explain([], [signal()], behind=[lag])) == [("signal", "unexplained")]


def test_signal_that_the_stack_alone_made_is_not_explained_by_a_lag() -> None:
    frozen = Absence("engine", TEN - MS, TEN + 2 * MINUTE)
    assert causes(explain([signal()], [], behind=[frozen])) == [("signal", "unexplained")]


def test_signal_after_one_that_differed_has_its_cause() -> None:
    bars = {(SBIN, TEN): "the bar of 10:00 came from the history, after its time"}
    later = signal("s2", TEN + MINUTE, Action.EXIT)
    found = explain([], [signal(), later], bars=bars)
    assert causes(found) == [("signal", "data"), ("signal", "data")]
    assert found[1].follows == "s1"


def test_signal_after_equal_ones_is_unexplained_whatever_differed_before_them() -> None:
    bars = {(SBIN, TEN): "the bar of 10:00 came from the history, after its time"}
    equal = signal("s2", TEN + MINUTE, Action.EXIT)
    found = explain([equal], [signal(), equal, signal("s3", TEN + 2 * MINUTE)], bars=bars)
    assert causes(found) == [("signal", "data"), ("signal", "unexplained")]


def test_signal_that_is_repeated_while_it_still_stands_on_the_stack_is_latency() -> None:
    first = signal(at=TEN)
    late = signal(at=TEN + 2_000 * MS, bar_ns=TEN)
    again = signal("s2", TEN + MINUTE)
    found = explain([late], [first, again], signal_ns=MINUTE)
    assert causes(found) == [("signal", "latency")]
    assert causes(explain([first], [first, again], signal_ns=MINUTE)) == [("signal", "unexplained")]


def test_signal_from_outside_is_an_operators() -> None:
    stack = DaySide()
    stack.apply(signal(), from_outside=True)
    assert causes(Explainer(stack, DaySide(), DayFacts()).explain_day()) == [("signal", "person")]


def test_signal_that_one_side_alone_made_of_the_same_bar_is_unexplained() -> None:
    assert causes(explain([signal()], [])) == [("signal", "unexplained")]


def test_signal_of_a_strategy_that_faulted_on_one_side_is_unexplained_and_says_so() -> None:
    fault = StrategyFaulted(strategy="S", error="division by zero", where="s.py:9", at_ns=TEN - MINUTE)
    found = explain([fault], [signal()])
    assert causes(found) == [("signal", "unexplained")]
    assert "division by zero" in found[0].why


# adjustments

ADJUSTMENTS = [
    ("claim", Cause.OPERATOR),
    ("correction", Cause.OPERATOR),
    ("settled", Cause.OPERATOR),
    ("venue_square_off", Cause.MODEL),
]


@pytest.mark.parametrize(("what", "cause"), ADJUSTMENTS, ids=[what for what, _ in ADJUSTMENTS])
def test_adjustment_of_the_stack_is_reported(what: str, cause: Cause) -> None:
    position = Position(account="main", instrument=SBIN, product=Product.MIS, strategy="S", run="r")
    row = PositionAdjusted(position=position, cause=what, quantity=-10, price=100.0, at_ns=TEN + 5 * MINUTE)
    rows = without(trip(), "s2", "o2")
    assert causes(explain([*rows, row], rows)) == [("adjustment", cause.value)]
