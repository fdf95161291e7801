"""The table of brokers against the recorded facts about orders and books, which do not come from it.

The facts are the files of `tests/data` from which the simulator's profiles are made, too. What a key must be is worked
out here from their values, so that a row that was copied wrong, or a fact that came later, is seen. Where a row of the
table is more careful than the facts, `MORE_CAREFUL` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mytrading.adapters.openalgo.rest.broker_quirks import status_of
from mytrading.config.brokers import load_brokers
from mytrading.messages.brokers import (
    SANDBOX,
    UNLISTED,
    BrokerRules,
    MarketForm,
    PositionScope,
    StopMoving,
    TradeOrderId,
    TradeQuantity,
)
from mytrading.messages.enums import BrokerStatus, OrderType
from tests.kit.broker_profiles import Facts, read_facts

FAILURES = ("auth", "429", "502html", "timeout")
BOOKS = {"orders": "orderbook", "trades": "tradebook", "positions": "positionbook"}
CALLS = {"place": "placeorder", "cancel": "cancelorder", "modify": "modifyorder"}
TABLE = {name: row for name, row in load_brokers().items() if name != SANDBOX}
FACTS = read_facts()
MORE_CAREFUL = {
    ("indmoney", "waiting_stop_updates"): "its updates bear codes, of which three are known: none of a waiting stop",
}


def _plain(word: str) -> str:
    return " ".join(word.lower().replace("_", " ").split())


def _waiting(facts: Facts) -> Any:
    """The word of the broker's usual form of a waiting stop, and of its other ones that OpenAlgo knows."""
    unknown = facts.get("status word not known")
    raw = {raw: value for raw, value in facts.raw_words().items() if raw not in unknown}
    other = (value for raw, value in raw.items() if _plain(raw) == "trigger pending")
    return tuple(dict.fromkeys(_plain(word) for word in (facts.word("waiting"), *other)))


def _updates(facts: Facts) -> bool:
    return facts.get("order-update stream") != "none"


def _waiting_updates(facts: Facts) -> Any:
    said = facts.get("order-update stream")
    return (said.partition("waiting stop: ")[2],) if said != "none" else ()


def _live_ends(facts: Facts) -> Any:
    if facts.get("status word not in its five"):
        return UNLISTED.live_ends
    refused = facts.get("refused modify or cancel of a live order")
    return (BrokerStatus(refused),) if refused else ()


def _quantities(facts: Facts) -> TradeQuantity:
    if "every order" in facts.get("trade book"):
        return TradeQuantity.NOTHING
    if "filledQty" in facts.get("trade book"):
        return TradeQuantity.FILL
    told = facts.get("trade rows of an order of 100 filled 30 and 20: quantities").replace("'", "")
    rows = {"[30, 20]": TradeQuantity.FILL, "[30]": TradeQuantity.FILL, "[100, 100]": TradeQuantity.ORDER}
    return rows.get(told, TradeQuantity.UNKNOWN)


def _trade_ids(facts: Facts) -> TradeOrderId:
    told = {"yes": TradeOrderId.ORDER, "no: exchange order id": TradeOrderId.EXCHANGE}
    return told.get(facts.get("trade.orderid is the order book id"), TradeOrderId.UNKNOWN)


def _empty(facts: Facts) -> Any:
    return tuple(
        book for book, route in BOOKS.items()
        if any(facts.failed(route, how).startswith("200 success") for how in FAILURES)
    )  # fmt: skip


def _calls(facts: Facts, *starts: str) -> Any:
    return tuple(call for call, route in CALLS.items() if facts.refusal(route).startswith(starts))


def _zeros(facts: Facts) -> bool:
    return any("0.00" in facts.failed("funds", how) for how in ("auth", "timeout"))


def _positions(facts: Facts) -> PositionScope:
    if "DAY only" in facts.get("position book"):
        return PositionScope.DAY
    if "left out silently" in facts.get("positions"):
        return PositionScope.PARTIAL
    return PositionScope.UNKNOWN if "never BSE in positions" in facts.get("exchange of a symbol") else PositionScope.NET


def _market(facts: Facts) -> MarketForm:
    shown = facts.get("market and stop-market orders as the order book shows them")
    if shown.startswith("LIMIT"):
        return MarketForm.LIMIT
    if "cancelled at once" in shown:
        return MarketForm.IOC
    return MarketForm.MARKET if shown else MarketForm.UNKNOWN


def _moving(facts: Facts) -> StopMoving:
    keys = [facts.get(f"modify of a stop: key of the new {what}") for what in ("trigger", "limit price")]
    if "NOT SENT" in keys or "no triggerprice" in facts.get("modify of SL"):
        return StopMoving.REPLACE
    return StopMoving.CHANGE if all(keys) else StopMoving.UNKNOWN


KEYS: dict[str, tuple[Callable[[BrokerRules], Any], Callable[[Facts], Any]]] = {
    "waiting_stop": (lambda row: row.waiting_stop, _waiting),
    "waiting_stop_updates": (lambda row: row.waiting_stop_updates, _waiting_updates),
    "updates": (lambda row: row.updates, _updates),
    "live_ends": (lambda row: row.live_ends, _live_ends),
    "trade_quantity": (lambda row: row.trade_quantity, _quantities),
    "trade_order_id": (lambda row: row.trade_order_id, _trade_ids),
    "trade_prices": (lambda row: row.trade_prices, lambda facts: not facts.get("trade price")),
    "orders_joined": (lambda row: row.orders_joined, lambda facts: "left out silently" in facts.get("order book")),
    "positions": (lambda row: row.positions, _positions),
    "stop_move": (lambda row: row.stop_move, _moving),
    "market_form": (lambda row: row.market_form, _market),
    "empty_when_failed": (lambda row: row.empty_when_failed, _empty),
    "refusal_is_success": (lambda row: row.refusal_is_success, lambda facts: _calls(facts, "200 success")),
    "refusal_unclear": (lambda row: row.refusal_unclear, lambda facts: _calls(facts, "500", "EXC")),
    "zero_funds_when_failed": (lambda row: row.zero_funds_when_failed, _zeros),
    "stop types": (lambda row: OrderType.SL in row.order_types,
                   lambda facts: "SL is MARKET" not in facts.get(
                       "market and stop-market orders as the order book shows them")),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_key_of_the_table_is_what_the_facts_say_of_each_broker(key: str) -> None:
    of_table, of_facts = KEYS[key]
    wrong = {
        name: f"table {of_table(row)!r}, facts {of_facts(FACTS[name])!r}"
        for name, row in TABLE.items()
        if (of_table(row) != of_facts(FACTS[name])) is not ((name, key) in MORE_CAREFUL)
    }
    assert not wrong


@pytest.mark.parametrize("name", sorted(TABLE))
def test_word_of_each_state_is_read_as_that_state(name: str) -> None:
    """A waiting stop may bear the word of an open order; `stop_type_kept` and its prices tell it apart elsewhere."""
    expected = {
        "waiting": {BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING}, "open": {BrokerStatus.OPEN},
        "partly": {BrokerStatus.OPEN, BrokerStatus.OTHER}, "complete": {BrokerStatus.COMPLETE},
        "cancelled": {BrokerStatus.CANCELLED}, "rejected": {BrokerStatus.REJECTED},
    }  # fmt: skip
    for state, statuses in expected.items():
        if word := FACTS[name].word(state):
            assert status_of(word, TABLE[name]) in statuses, (state, word)


def test_facts_and_table_are_about_the_same_brokers() -> None:
    assert set(FACTS) == set(TABLE)
