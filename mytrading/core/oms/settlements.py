"""Requests that settle the ledger by hand: planned at a read of the books made for them, shown, and done as shown.

A request waits for a read that begins after it; of an account that is not in this run none can come, and there the
word of an operator alone says what is gone. Its plan is made by the same function whether it is to be shown or
done, and all rows of what is done belong to one decision: a router that is killed has journaled all of them or none.
Nothing is done while an order of the key is under way, twice for one id, or by another plan than its author saw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mytrading.core.ids import content_id
from mytrading.core.oms.evidence import missing_units, net_positions
from mytrading.core.oms.reconcile import (
    corporate_action,
    ledger_rebuild,
    moved_products,
    position_corrections,
    settled_by_hand,
)
from mytrading.core.oms.reconcile.corporate_action import Ratio
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import ABSENT, describe_order, is_untriggered_stop
from mytrading.core.time import SECOND, ist_date
from mytrading.messages.enums import Product, TradingLevel
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Order, Position
from mytrading.messages.reports import BooksRead
from mytrading.messages.settlements import (
    AdjustRequested,
    PlannedUnits,
    RebuildRequested,
    SettlementOpened,
    SettlementPlan,
    SettlementRequest,
    SettleRequested,
    UnitsAwaited,
)

PATIENCE = 12 * SECOND
"""Machine time after which a request is refused for want of a read: before its author stops waiting."""
_SHARES = ("NSE:", "BSE:")


class Planned(NamedTuple):
    """What a request would do: why it cannot (empty: it can), the plan, and how to do it, which returns what was done
    in words."""

    problem: str
    plan: SettlementPlan | None = None
    book: Callable[[], str] = str


def make_plan(rows: tuple[PlannedUnits, ...], steps: tuple[str, ...]) -> SettlementPlan:
    """Return a plan whose mark follows from its content."""
    return SettlementPlan(mark=content_id(*map(repr, rows), *steps), rows=rows, steps=steps)


def is_repeated(oms: OrderDecision, request: str) -> bool:
    """True if a request of this id was taken up before: it is answered as it was then, and not executed again."""
    if request in oms.state.settlements:
        return True
    if (known := oms.state.answered.get(request)) is not None:
        oms.emit(known)
        return True
    if (day := oms.state.used.get(request)) is not None:
        oms.answer(request, f"request {request} was executed on {day}; nothing was done again", "")
        return True
    return False


def why_under_way(oms: OrderDecision, key: NetKey) -> str:
    """Return which order of a key may still change what is held of it; empty if there is none.

    A stop that waits for its trigger does not count, nor does an order that was given up as never placed."""
    for order in oms.open_orders(key):
        if order.state not in ABSENT and not _only_guards(oms, order):
            name = order.client_order_id
            cure = (
                f"wait until it has ended, or end it (`mytrading orders cancel {name}`, `resolve` if nobody knows its"
            )
            return f"order {name} is under way: {describe_order(order)}; {cure} fate), then repeat"
    return ""


def _only_guards(oms: OrderDecision, order: Order) -> bool:
    known = order.evidence
    changing = known.cancel.wanted or known.cancel.out or known.modify.wanted is not None or known.modify.out
    ending = bool(known.end) and order.client_order_id not in oms.state.carried
    return is_untriggered_stop(order) and not order.filled_seen and not changing and not ending


def on_request(oms: OrderDecision, request: SettlementRequest) -> None:
    """Take up a request: it is planned at the next read of all books."""
    if is_repeated(oms, request.id):
        return
    if why := oms.why_absent(request.account):
        if isinstance(request, SettleRequested):
            _answer_planned(oms, request, _plan_absent(oms, request))
        else:
            oms.answer(request.id, f"{why}; its books cannot be read, nothing was done", "")
        return
    if request.account in oms.state.wrong_mode:
        oms.answer(request.id, f"the server of {request.account} is in the wrong mode: its books say nothing", "")
        return
    oms.emit(SettlementOpened(request=request, opened_machine_ns=oms.machine))
    oms.request_read(request.account, "settlement", positions=True, at_once=True)


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Answer the requests that a read of all books of their account, begun after them, can answer."""
    if read.single or None in (read.orders, read.trades, read.positions) or read.account in oms.state.wrong_mode:
        return
    mine = [level for level in oms.state.settlements.sorted_values() if level.request.account == read.account]
    for level in mine:
        if read.began_machine_ns > level.opened_machine_ns and not _is_outdated(oms, level.request, read):
            _conclude(oms, level.request, moved_products.with_our_products(oms, read))


def _is_outdated(oms: OrderDecision, request: SettlementRequest, read: BooksRead) -> bool:
    """True if an order of what the request is about has changed since the read began: the next read tells."""
    return any(
        key.account == request.account and touched >= read.began_machine_ns
        for key, touched in oms.state.touched.items()
        if isinstance(request, RebuildRequested) or key == request.net
    )


def _conclude(oms: OrderDecision, request: SettlementRequest, read: BooksRead) -> None:
    _answer_planned(oms, request, _PLANNERS[type(request)](oms, request, read))


def _answer_planned(oms: OrderDecision, request: SettlementRequest, planned: Planned) -> None:
    problem, plan, book = planned
    if problem or plan is None or request.preview:
        oms.answer(request.id, problem, "nothing was done yet", plan)
    elif why := why_moved(request.plan, plan):
        oms.answer(request.id, why, "", plan)
    else:
        oms.answer(request.id, "", book(), plan)


def why_moved(seen: str, plan: SettlementPlan) -> str:
    """Return why a request is refused whose author saw the plan of mark `seen`; empty if it still holds, or for any."""
    if seen in ("", plan.mark):
        return ""
    return "MOVED: the books or the ledger changed since the plan was shown, nothing was done; look again, then repeat"


def expire(oms: OrderDecision) -> None:
    """Refuse the requests that no read came for in time."""
    for name, level in oms.state.settlements.sorted_items():
        if oms.machine - level.opened_machine_ns >= PATIENCE:
            what = f"no read of order, trade and position book of {level.request.account} came within "
            what += f"{PATIENCE // SECOND} s, nothing was done; log the server in at the broker, then repeat"
            oms.answer(name, what, "")


def resume(oms: OrderDecision) -> None:
    """Take up again, after a start, the requests that were open when the router stopped: the time to wait for a read
    begins anew."""
    for level in oms.state.settlements.sorted_values():
        oms.emit(SettlementOpened(request=level.request, opened_machine_ns=oms.machine))


def end_all(oms: OrderDecision, why: str) -> None:
    """Refuse all requests that are open."""
    for name in sorted(oms.state.settlements):
        oms.answer(name, f"{why}, nothing was done; look again, then repeat", "")


def _held(oms: OrderDecision, request: SettleRequested | AdjustRequested) -> tuple[str, Position | None]:
    """The position that a request is about, and why nothing can be done about it, empty if something can."""
    position = oms.state.positions.get(request.owner)
    if position is None or not position.quantity:
        return _holds_nothing(request), None
    if why := why_under_way(oms, request.net):
        return why, position
    if ist_date(position.opened_ns) == ist_date(oms.now):
        return f"{request.instrument} of {request.strategy} was opened today: the books of today tell of it", position
    return "", position


def _holds_nothing(request: SettleRequested | AdjustRequested) -> str:
    what = f"{request.strategy} holds nothing of {request.instrument} {request.product} in {request.account}"
    return f"{what}; see `mytrading positions`"


def _plan_absent(oms: OrderDecision, request: SettleRequested) -> Planned:
    """The plan of a settlement in an account that is not in this run: no read can come, nor a book of today."""
    position, account = oms.state.positions.get(request.owner), request.account
    if position is None or not position.open_units:
        return Planned(_holds_nothing(request))
    if (order := settled_by_hand.order_of_today(oms, position)) is not None:
        what = f"order {order.client_order_id} was sent today and may fill yet: {describe_order(order)}"
        cure = f"it ends with its day: repeat this tomorrow, or name {account} again and start, then its books are read"
        return Planned(f"{what}; {cure}")
    ledger = net_positions.ledger_net(oms.state, request.net)
    row = PlannedUnits(**request.net._asdict(), broker=None, ledger=ledger, after=ledger - position.quantity,
                       changes=True, does=f"{position.strategy} loses all: {position.open_units:+d}")  # fmt: skip
    look = f"account {account} is not in this run: no book was looked at, and your word alone says that these are gone"
    steps = [look, *_settle_steps(oms, request, position)]
    for order in settled_by_hand.orders_of(oms, position):
        name, what = order.client_order_id, f"{order.purpose} {order.side} {order.quantity} {order.state}"
        ends = settled_by_hand.is_over(oms, order)
        steps.append(
            f"order {name} ({what}) ends, nothing is sent for it"
            if ends
            else f"order {name} ({what}) may rest at the broker to the end of the day: cancel it there"
        )
    steps.append(f"if {account} comes back, its books are compared as on any morning")
    return Planned("", make_plan((row,), tuple(steps)), lambda: _book_absent(oms, request, position))


def _book_absent(oms: OrderDecision, request: SettleRequested, position: Position) -> str:
    settled_by_hand.end_orders(oms, position, f"settled by {request.by or 'an operator'}: {request.reason}")
    left = oms.state.positions[position.owner]
    if not left.quantity:
        return f"{left.strategy} holds nothing of {left.instrument}: what one source had reported of it is dropped"
    return _book_gone(oms, request, left)


def _plan_settle(oms: OrderDecision, request: SettleRequested, read: BooksRead) -> Planned:
    problem, position = _held(oms, request)
    if problem or position is None:
        return Planned(problem)
    key, units = request.net, position.quantity
    shown, ledger = net_positions.broker_net(key, read), net_positions.ledger_net(oms.state, key)
    row = PlannedUnits(**key._asdict(), broker=shown, ledger=ledger, after=ledger - units, changes=True,
                       does=f"{position.strategy} loses {abs(units)} of {abs(units)}")  # fmt: skip
    plan = make_plan((row,), _settle_steps(oms, request, position))
    problem = _why_still_held(oms, key, units, read)
    return Planned(problem, plan, lambda: _book_gone(oms, request, position))


def _why_still_held(oms: OrderDecision, key: NetKey, units: int, read: BooksRead) -> str:
    """Return why a read speaks against it that `units` of a key are gone; empty if it does not."""
    if net_positions.is_net_hidden(oms, key, read):
        return f"a row of the position book that may be of {key.instrument} cannot be read: look at the broker"
    shown, others = net_positions.broker_net(key, read), net_positions.ledger_net(oms.state, key) - units
    if shown not in (0, others):
        cure = "what is held is closed (`mytrading positions close`), and what differs is corrected by the books"
        return f"the position book shows {shown:+d} of {key.instrument} {key.product}: {cure}"
    for row in read.positions or ():
        other = NetKey(key.account, row.instrument, row.product)
        beyond = row.quantity - net_positions.ledger_net(oms.state, other)
        if row.instrument == key.instrument and other != key and beyond * units > 0:
            return (
                f"the position book shows {row.quantity:+d} of {row.instrument} under {row.product}: was it converted?"
            )
    return ""


def _settle_steps(oms: OrderDecision, request: SettleRequested, position: Position) -> tuple[str, ...]:
    price = f"at {request.price:g}" if request.price else "at no known price, so that their profit is not counted"
    what = f"{position.quantity:+d} {position.instrument} {position.product} of {position.strategy}"
    steps = [f"{what} are booked as gone {price}"]
    level = oms.state.protections.get(position.owner)
    if level is not None and level.state != "done":
        steps.append(f"its stop at {level.trigger:g} ends; one that rests at the broker is cancelled")
    if position.product is Product.CNC:
        steps.append("delivered shares leave the position book by rights: look at `mytrading broker holdings` first")
    return tuple(steps)


def _book_gone(oms: OrderDecision, request: SettleRequested, position: Position) -> str:
    why = f"settled by {request.by or 'an operator'}: {request.reason or 'no reason given'}"
    settled_by_hand.book_as_gone(oms, position, request.price, why)
    return f"{position.strategy} holds nothing of {position.instrument} any more: {position.quantity:+d} booked as gone"


def _plan_adjust(oms: OrderDecision, request: AdjustRequested, read: BooksRead) -> Planned:
    problem, position = _held(oms, request)
    problem = problem or _why_no_action(oms, request)
    if problem or position is None:
        return Planned(problem)
    awaited = oms.state.awaited.get(request.owner)
    if awaited is not None and position.opened_ns > awaited.at_ns:
        awaited = None  # what the action was booked on was closed since
    sign = 1 if position.quantity > 0 else -1
    net = net_positions.net_with_unlisted(oms, request.net, net_positions.broker_net(request.net, read))
    spare = max(0, (net - missing_units.owned_units(oms, request.net)) * sign)
    if awaited is not None and awaited.units:
        return _plan_arrival(oms, request, position, awaited, net, spare)
    if awaited is not None and ist_date(awaited.at_ns) == ist_date(oms.now):
        what = (
            f"{awaited.new} for {awaited.old} shares of {request.instrument} were booked for {request.strategy} today"
        )
        return Planned(f"{what}: a second action on one day is none")
    return _plan_action(oms, request, position, net, spare)


def _why_no_action(oms: OrderDecision, request: AdjustRequested) -> str:
    if not request.instrument.startswith(_SHARES):
        what = "futures and options are adjusted by new lots and strikes under new names"
        return f"{what}: settle the old contract (`positions settle`) and claim the new one (`positions claim`)"
    if request.new == request.old >= 1 and request.owner in oms.state.held_stops:
        return ""  # nothing happened: the price fell, and the stop that was held counts again
    if min(request.new, request.old) < 1 or request.new == request.old:
        return f"expected a ratio such as 2 or 3/2, new shares for old ones, found {request.new}/{request.old}"
    return ""


def _plan_action(oms: OrderDecision, request: AdjustRequested, position: Position, net: int, spare: int) -> Planned:
    ratio, sign, held = Ratio(request.new, request.old), 1 if position.quantity > 0 else -1, abs(position.quantity)
    full = abs(ratio.units(position.quantity))
    there = request.units or (min(full, held + spare) if full > held else full)
    if not min(held, full) <= there <= max(held, full) or not full:
        what = f"expected {min(held, full)} to {max(held, full)} units by {request.new} for {request.old} shares"
        return Planned(f"{what}, found {there}")
    level = corporate_action.adjusted_position(position, ratio, sign * there, request.tick, oms.now)
    does = f"{position.strategy} has {there} instead of {held}"
    steps = [
        f"average price {position.average_price:g} becomes {level.average_price:g}",
        *_level_steps(oms, position, level, ratio, request.tick),
    ]
    if full > there:
        steps.append(f"{full - there} units are still to come: repeat the command when they are there")
    took = min(there - held, spare)
    book = lambda: _book_action(oms, request, position, ratio, sign * there, took)  # noqa: E731
    return Planned(
        "", make_plan((_adjusted_row(oms, request, net, sign * (there - held - took), does),), tuple(steps)), book
    )


def _level_steps(oms: OrderDecision, before: Position, after: Position, ratio: Ratio, tick: float) -> list[str]:
    steps: list[str] = []
    guard = oms.state.protections.get(before.owner)
    if guard is not None and guard.state != "done":
        trigger, limit = ratio.price(guard.trigger, tick), ratio.price(guard.limit, tick)
        steps.append(f"stop {guard.trigger:g} (limit {guard.limit:g}) becomes {trigger:g} (limit {limit:g})")
    if before.held_stop:
        steps.append(f"the stop that risk holds, {before.held_stop:g}, becomes {after.held_stop:g}")
    if before.held_target:
        steps.append(f"the target, {before.held_target:g}, becomes {after.held_target:g}")
    return steps


def _adjusted_row(oms: OrderDecision, request: AdjustRequested, net: int, more: int, does: str) -> PlannedUnits:
    ledger = net_positions.ledger_net(oms.state, request.net)
    return PlannedUnits(
        **request.net._asdict(), broker=net, ledger=ledger, after=ledger + more, changes=True, does=does
    )


def _book_action(
    oms: OrderDecision, request: AdjustRequested, position: Position, ratio: Ratio, units: int, took: int
) -> str:
    _take_unmanaged(oms, request.net, took)
    corporate_action.book_action(oms, position, ratio, units, request.tick)
    level = oms.state.positions[position.owner]
    return f"{level.strategy} owns {level.quantity} of {level.instrument} at {level.average_price:g}"


def _plan_arrival(
    oms: OrderDecision, request: AdjustRequested, position: Position, awaited: UnitsAwaited, net: int, spare: int
) -> Planned:
    held, most, sign = abs(position.quantity), abs(awaited.units), 1 if awaited.units > 0 else -1
    if (request.new, request.old) != (awaited.new, awaited.old):
        return Planned(f"{most} units of {awaited.new} for {awaited.old} shares are still to come: name that ratio")
    come = request.units - held if request.units else min(spare, most)
    if not 0 < come <= most:
        cure = f"name what is held now with --units, {held + 1} to {held + most}"
        return Planned(f"none of the {most} units that are to come is shown by the position book; {cure}")
    does = f"{position.strategy} has {held + come} instead of {held}"
    took = min(come, spare)
    rest = (f"{most - come} units are still to come",) if come < most else ()
    plan = make_plan(
        (_adjusted_row(oms, request, net, sign * (come - took), does),),
        (f"{come} units that came are booked at {awaited.price:g}", *rest),
    )
    return Planned("", plan, lambda: _book_arrival(oms, request, position, awaited, sign * come, took))


def _book_arrival(
    oms: OrderDecision, request: AdjustRequested, position: Position, awaited: UnitsAwaited, units: int, took: int
) -> str:
    _take_unmanaged(oms, request.net, took)
    corporate_action.book_arrival(oms, position, awaited, units)
    level = oms.state.positions[position.owner]
    return f"{level.strategy} owns {level.quantity} of {level.instrument} at {level.average_price:g}"


def _take_unmanaged(oms: OrderDecision, key: NetKey, units: int) -> None:
    """Take units (unsigned) from those that nobody owns, as far as they are known as such."""
    if (known := oms.state.unmanaged.get(key)) is not None and units:
        sign = 1 if known.quantity > 0 else -1
        left = known.quantity - sign * min(units, abs(known.quantity))
        position_corrections.record_unmanaged(oms, key, left, known.average_price)


def _plan_rebuild(oms: OrderDecision, request: RebuildRequested, read: BooksRead) -> Planned:
    rows = tuple(ledger_rebuild.compare_keys(oms, read))
    steps = (f"entries of {request.account} are halted until `mytrading resume`", "stops follow what is held then")
    result = (
        (*row.net, row.broker, row.after) for row in rows
    )  # what is corrected meanwhile as it was shown is no news
    plan = SettlementPlan(mark=content_id(*map(repr, result)), rows=rows, steps=steps)
    changed = [row for row in rows if row.changes]
    if not (read.positions or read.funds_live):
        cure = "log the server in at the broker; what was carried and is gone is booked by `mytrading positions settle`"
        return Planned(
            f"the position book is empty, and no live funds show that the server has a session: {cure}", plan
        )
    for row in changed:
        if why := why_under_way(oms, row.net):
            return Planned(f"{row.instrument} {row.product}: {why}", plan)
    if not request.preview and oms.state.trading_level(request.account) is TradingLevel.NORMAL:
        return Planned(f"entries of {request.account} were resumed meanwhile: expected them to be halted", plan)
    return Planned("", plan, lambda: _rebuild(oms, request, changed, read))


def _rebuild(oms: OrderDecision, request: RebuildRequested, changed: list[PlannedUnits], read: BooksRead) -> str:
    for row in changed:
        ledger_rebuild.rebuild_key(oms, row, read)
    names = ", ".join(f"{row.instrument} {row.product}" for row in changed) or "nothing, they agreed"
    return (
        f"the ledger of {request.account} is what the books show; changed: {names}; entries wait for `mytrading resume`"
    )


_PLANNERS: dict[type, Callable[[OrderDecision, Any, BooksRead], Planned]] = {
    SettleRequested: _plan_settle,
    AdjustRequested: _plan_adjust,
    RebuildRequested: _plan_rebuild,
}
