"""Pages of lists that only grow: what has not ended is on the first however old, the rest by its last change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from mytrading.core.orders.parent_orders import group_slices
from mytrading.core.orders.state_machine import LIVE, PROVEN
from mytrading.core.time import day_number, iso_day_of
from mytrading.daemons.gateway.book_queries import order_group_row, signal_rows
from mytrading.daemons.gateway.request_context import RequestContext, RequestRefused
from mytrading.messages import ops
from mytrading.messages.orders import TradeClosed
from mytrading.messages.signals import Signal, SignalVetoed


class _Entry(NamedTuple):
    """A row of a list that is not made yet: its last change and its id, when it began, and whether it has ended.

    `refused`: a signal that a rule denied, in one account or all.
    """

    at: tuple[int, str]
    began_ns: int
    strategy: str
    ended: bool
    subject: Any
    refused: bool = False


def list_page(ctx: RequestContext, request: ops.ListQuery) -> dict[str, Any]:
    """Return `rows` of a list, oldest first, with `total`, `forgotten`, `days`, and `older`, the next page's `before`.

    Without `before` the first page: the `limit` newest rows that have ended, and all that have not. `total` counts what
    is kept (of the `day` and the `strategy`), `forgotten` what is kept no longer. Of trades: how many `won`, and rupees
    `realised`; of signals: how many were `refused`.
    """
    before = _position(request.before)
    kept = _ENTRIES[request.name](ctx)
    days = sorted({day_number(entry.began_ns) for entry in kept}, reverse=True)
    if request.strategy:
        kept = [entry for entry in kept if entry.strategy == request.strategy]
    if request.day:
        kept = [entry for entry in kept if iso_day_of(day_number(entry.began_ns)) == request.day]
    ended = [entry for entry in kept if entry.ended and (before is None or entry.at < before)]
    ended.sort(key=lambda entry: entry.at)
    page = ended[-request.limit :] if request.limit else ended
    rows = page if before is not None else page + [entry for entry in kept if not entry.ended]
    rows.sort(key=lambda entry: entry.began_ns)
    made = _ROWS[request.name](ctx)
    trades = [entry.subject.realised for entry in kept if isinstance(entry.subject, TradeClosed)]
    return {
        "rows": [made(entry.subject) for entry in rows],
        "total": len(kept),
        "forgotten": ctx.view.forgotten[request.name],
        "older": f"{page[0].at[0]}/{page[0].at[1]}" if len(page) < len(ended) else "",
        "days": [iso_day_of(day) for day in days],
        "won": sum(rupees > 0 for rupees in trades),
        "realised": round(sum(trades), 2),
        "refused": sum(entry.refused for entry in kept),
    }


def _position(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    at, _, name = text.partition("/")
    if not (at.isascii() and at.isdigit() and name):
        raise RequestRefused(f"before: expected the `older` of an answer, found {text[:40]!r}; ask without it first")
    return int(at), name


def _orders(ctx: RequestContext) -> list[_Entry]:
    groups = group_slices(sorted(ctx.view.orders.values(), key=lambda order: order.created_ns))
    return [
        _Entry(
            (parent.updated_ns, parent.client_order_id),
            parent.created_ns,
            parent.strategy,
            all(order.state in PROVEN for order in slices or (parent,)),
            (parent, slices),
        )
        for parent, slices in groups
    ]


def _trades(ctx: RequestContext) -> list[_Entry]:
    return [
        _Entry((row.closed_ns, f"{row.run} {row.account} {row.instrument}"), row.closed_ns, row.strategy, True, row)
        for row in ctx.view.trades
    ]


def _signals(ctx: RequestContext) -> list[_Entry]:
    """Not ended: signals with a live order, and the newest with orders of each strategy and instrument, whose legs may
    be held."""
    causes = {order.cause for order in ctx.view.orders.values()}
    living = {order.cause for order in ctx.view.orders.values() if order.state in LIVE}
    newest = {(row.strategy, row.watch): row.id for row in ctx.view.signals if row.id in causes}
    stays = living.union(newest.values())
    rows: list[Signal | SignalVetoed] = [*ctx.view.signals, *ctx.view.held_back]
    denied = {row.signal for row in ctx.view.denials}
    named = [
        (row.at_ns, row.signal, row) if isinstance(row, SignalVetoed) else (row.created_ns, row.id, row) for row in rows
    ]
    return [
        _Entry((at, name), at, row.strategy, name not in stays, row, isinstance(row, SignalVetoed) or name in denied)
        for at, name, row in named
    ]


_ENTRIES: dict[str, Callable[[RequestContext], list[_Entry]]] = {
    "orders": _orders,
    "trades": _trades,
    "signals": _signals,
}
_ROWS: dict[str, Callable[[RequestContext], Callable[[Any], dict[str, Any]]]] = {
    "orders": lambda ctx: lambda group: order_group_row(ctx, *group),
    "trades": lambda _: msgspec.to_builtins,
    "signals": signal_rows,
}
