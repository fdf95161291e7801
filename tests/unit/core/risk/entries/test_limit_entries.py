"""Entries that rest: LIMIT and stop-limit ones go with their prices, are replaced and withdrawn with their intent."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.commands import PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.enums import Action, OrderState, OrderType
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, SECOND, SHARE, RiskBench


def limit(price: float, lots: int = 1, **fields: Any) -> Leg:
    return Leg(instrument=CALL, lots=lots, order_type=OrderType.LIMIT, limit_price=price, **fields)


def entries(rows: Any) -> list[PlaceEntry]:
    return [row for row in rows if isinstance(row, PlaceEntry)]


def rest(bench: RiskBench, entry: PlaceEntry) -> None:
    bench.order(entry, OrderState.ACCEPTED)


@pytest.fixture
def bench() -> RiskBench:
    made = RiskBench()
    made.quote()
    return made


def test_limit_entry_goes_at_its_price_and_is_valued_at_it(bench: RiskBench) -> None:
    (entry,) = entries(bench.intent("a", limit(90.0, valid_seconds=30)))
    assert (entry.order_type, entry.price, entry.trigger_price) == (OrderType.LIMIT, 90.0, 0.0)
    assert entry.reference_price == 90.0 and entry.stop_trigger == 63.0
    assert entry.rests_until_ns == bench.now + 30 * SECOND


def test_limit_entry_beyond_the_market_is_valued_at_the_market(bench: RiskBench) -> None:
    (entry,) = entries(bench.intent("a", limit(110.0)))
    assert (entry.reference_price, entry.price, entry.rests_until_ns) == (100.05, 110.0, 0)


def short(trigger: float, price: float) -> Leg:
    return Leg(
        instrument=SHARE, lots=-10, order_type=OrderType.SL, trigger_price=trigger, limit_price=price, stop_price=131.0
    )


def test_stop_limit_entry_goes_with_trigger_and_limit(bench: RiskBench) -> None:
    """Under a swing low of 130.00: the trigger a tick below it, the limit three rupees below that."""
    bench.quote(SHARE, 135.0)
    (entry,) = entries(bench.intent("a", short(129.95, 126.95), action=Action.SELL))
    assert (entry.order_type, entry.trigger_price, entry.price) == (OrderType.SL, 129.95, 126.95)
    assert entry.stop_trigger == 131.0


@pytest.mark.parametrize(
    ("leg", "words"),
    [
        (limit(0.0), "needs a limit_price above 0"),
        (limit(90.03), "tick of 0.05"),
        (limit(90.0, valid_seconds=-1), "valid_seconds"),
        (Leg(instrument=CALL, lots=1, order_type=OrderType.SL_M, trigger_price=110.0), "found SL-M"),
        (Leg(instrument=CALL, lots=1, order_type=OrderType.SL, limit_price=110.0), "needs a trigger_price"),
        (replace(limit(108.0), order_type=OrderType.SL, trigger_price=110.0), "must not be below its trigger"),
        (replace(limit(99.0), order_type=OrderType.SL, trigger_price=98.0), "must lie above the price"),
    ],
)
def test_entry_with_prices_that_no_exchange_takes_is_denied(bench: RiskBench, leg: Leg, words: str) -> None:
    rows = [row for row in bench.intent("a", leg) if isinstance(row, SignalDenied)]
    assert rows and rows[0].code == "ORDER_TYPE" and words in rows[0].message


def test_intent_at_another_price_withdraws_the_entry_and_places_one_anew(bench: RiskBench) -> None:
    (first,) = entries(bench.intent("a", limit(90.0)))
    rest(bench, first)
    rows = bench.intent("b", limit(92.0))
    assert [row.instrument for row in rows if isinstance(row, WithdrawEntries)] == [CALL] and not entries(rows)
    after = bench.order(first, OrderState.CANCELLED)
    assert [(entry.price, entry.quantity) for entry in entries(after)] == [(92.0, 65)]


def test_intent_for_the_market_turns_an_entry_that_rests_into_one(bench: RiskBench) -> None:
    (first,) = entries(bench.intent("a", limit(90.0)))
    rest(bench, first)
    bench.intent("b", Leg(instrument=CALL, lots=1))
    (second,) = entries(bench.order(first, OrderState.CANCELLED))
    assert second.order_type is OrderType.MARKET


def test_same_intent_again_leaves_the_entry_that_rests(bench: RiskBench) -> None:
    (first,) = entries(bench.intent("a", limit(90.0)))
    rest(bench, first)
    for name in ("b", "c"):
        assert bench.intent(name, limit(90.0)) == ()
    changed = bench.intent("d", limit(91.0))
    assert [row for row in changed if isinstance(row, WithdrawEntries)]


def test_entry_that_filled_while_it_was_to_be_replaced_is_not_placed_anew(bench: RiskBench) -> None:
    (first,) = entries(bench.intent("a", limit(90.0)))
    rest(bench, first)
    bench.intent("b", limit(92.0))
    bench.hold(CALL, 65, order=first.id)
    assert not entries(bench.order(first, OrderState.FILLED, 65)) and not entries(bench.pass_time(5))


def test_exit_withdraws_an_entry_that_rests(bench: RiskBench) -> None:
    (first,) = entries(bench.intent("a", limit(90.0)))
    rest(bench, first)
    assert [row for row in bench.intent("b", action=Action.EXIT) if isinstance(row, WithdrawEntries)]
