"""Pages of lists that only grow: nothing that has not ended is ever left out, and every row is on some page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.core.gateway.read_model import KEPT, StackView
from mytrading.core.time import DAY, iso_day
from mytrading.daemons.gateway.request_context import RequestRefused
from mytrading.messages.commands import SignalDenied
from mytrading.messages.enums import Action, OrderState, Product, Purpose, Side
from mytrading.messages.ops import ListQuery
from mytrading.messages.orders import Order, OrderChanged, TradeClosed
from mytrading.messages.signals import Signal
from tests.kit.gateway_queries import ask
from tests.kit.order_samples import order

OPEN = {
    "doubtful": OrderState.UNKNOWN,
    "parked": OrderState.PARKED,
    "lost": OrderState.LOST,
    "ghost": OrderState.GHOST,
    "resting": OrderState.ACCEPTED,
    "half": OrderState.PARTIALLY_FILLED,
    "sent": OrderState.SUBMITTED,
}


def ended(number: int, **fields: Any) -> Order:
    return order(
        client_order_id=f"o{number:04}", state=OrderState.FILLED, created_ns=number, updated_ns=number, **fields
    )


def seen(*orders: Order) -> StackView:
    view = StackView()
    for one in orders:
        view.apply(OrderChanged(order=one, event=one.state.value.lower(), machine_ns=1))
    return view


def names(page: dict[str, Any]) -> list[str]:
    return [row["client_order_id"] for row in page["rows"]]


def test_every_order_that_has_not_ended_is_on_the_first_page_however_old(tmp_path: Path) -> None:
    first = [order(client_order_id=name, state=state, purpose=Purpose.STOP) for name, state in OPEN.items()]
    view = seen(*first, *(ended(number) for number in range(1, 701)))
    page = ask(view, tmp_path, ListQuery(name="orders", limit=500))
    assert names(page) == [*OPEN, *(f"o{number:04}" for number in range(201, 701))]
    assert (page["total"], page["forgotten"]) == (707, 0)
    after = ask(view, tmp_path, ListQuery(name="orders", limit=500, before=page["older"]))
    assert names(after) == [f"o{number:04}" for number in range(1, 201)] and (after["total"], after["older"]) == (
        707,
        "",
    )


def test_old_stop_that_fills_now_is_among_the_newest(tmp_path: Path) -> None:
    stop = order(client_order_id="stop", state=OrderState.FILLED, created_ns=0, updated_ns=99)
    page = ask(seen(stop, *(ended(number) for number in range(1, 11))), tmp_path, ListQuery(name="orders", limit=3))
    assert names(page) == ["stop", "o0009", "o0010"]


def test_pages_lose_and_repeat_no_order_of_the_same_moment_while_newer_ones_come(tmp_path: Path) -> None:
    view = seen(*(order(client_order_id=f"a{n}", state=OrderState.FILLED, updated_ns=7) for n in range(5)))
    page = ask(view, tmp_path, ListQuery(name="orders", limit=2))
    found = names(page)
    while page["older"]:
        view.apply(OrderChanged(order=ended(100 + len(found)), event="filled", machine_ns=1))
        page = ask(view, tmp_path, ListQuery(name="orders", limit=2, before=page["older"]))
        found += names(page)
    assert sorted(found) == [f"a{n}" for n in range(5)]


def test_sliced_order_stays_while_one_slice_is_of_unknown_fate(tmp_path: Path) -> None:
    parts = [
        order(client_order_id=f"p.{n}", parent="p", slice=n, state=state)
        for n, state in ((1, OrderState.FILLED), (2, OrderState.LOST))
    ]
    page = ask(seen(*parts, *(ended(number) for number in range(1, 9))), tmp_path, ListQuery(name="orders", limit=2))
    assert names(page) == ["p", "o0007", "o0008"] and len(page["rows"][0]["slices"]) == 2


def test_page_of_a_day_and_the_days_there_are(tmp_path: Path) -> None:
    view = seen(ended(1), ended(2), ended(DAY))
    page = ask(view, tmp_path, ListQuery(name="orders", day=iso_day(1), limit=1))
    assert (names(page), page["total"]) == (["o0002"], 2) and page["days"] == [iso_day(DAY), iso_day(1)]


def test_trades_are_counted_whole_whatever_a_page_holds(tmp_path: Path) -> None:
    view = StackView()
    for number in range(1, 6):
        view.apply(
            TradeClosed(
                account="main", strategy="S", run=f"r{number}", instrument="NSE:SBIN", product=Product.MIS,
                side=Side.BUY, quantity=1, entry_price=100.0, exit_price=101.0, realised=10.0 if number % 2 else -4.0,
                opened_ns=number, closed_ns=number,
            )
        )  # fmt: skip
    page = ask(view, tmp_path, ListQuery(name="trades", limit=2))
    assert [row["run"] for row in page["rows"]] == ["r4", "r5"]
    assert (page["total"], page["won"], page["realised"]) == (5, 3, 22.0)


def signal(number: int, strategy: str = "Busy") -> Signal:
    return Signal(
        id=f"s{number}", strategy=strategy, watch="NSE:SBIN", action=Action.BUY, created_ns=number, expires_ns=9,
        expires_machine_ns=9,
    )  # fmt: skip


def test_signals_with_live_orders_and_the_newest_of_each_strategy_stay(tmp_path: Path) -> None:
    working = order(client_order_id="w", cause="s1", state=OrderState.ACCEPTED)
    view = seen(working, order(client_order_id="f", cause="s2", state=OrderState.FILLED))
    for one in (signal(1, "Slow"), signal(2, "Held"), *map(signal, range(3, 13))):
        view.apply(one)
    denial = SignalDenied(signal="s4", strategy="Busy", code="LATE", codes=("LATE",), message="", at_ns=1, account="m")
    view.apply(denial)
    page = ask(view, tmp_path, ListQuery(name="signals", limit=2))
    assert [row["id"] for row in page["rows"]] == ["s1", "s2", "s11", "s12"]
    assert (page["total"], page["refused"]) == (12, 1)
    own = ask(view, tmp_path, ListQuery(name="signals", strategy="Slow", limit=2))
    assert ([row["id"] for row in own["rows"]], own["total"], own["refused"]) == (["s1"], 1, 0)


def test_what_is_kept_no_longer_is_counted(tmp_path: Path) -> None:
    view = StackView()
    for number in range(KEPT + 3):
        view.apply(signal(number))
    page = ask(view, tmp_path, ListQuery(name="signals", limit=1))
    assert (page["total"], page["forgotten"]) == (KEPT, 3)


def test_place_that_no_page_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="expected the `older` of an answer, found 'yesterday'"):
        ask(StackView(), tmp_path, ListQuery(name="orders", before="yesterday"))
