"""Outcomes for screens: of an operator's request about one order, and of a signal in each account.

A request without proof of its end is waiting, never done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from mytrading.core.oms.operator_requests import REFUSED, pending_terms
from mytrading.core.oms.placing.modify import current_terms, describe_change, is_modify_pending
from mytrading.core.orders.state_machine import LIVE, UNRESOLVED, is_live
from mytrading.messages.commands import FORMER_CODES, SignalDenied, SignalExpired
from mytrading.messages.enums import Action, OrderState, Purpose
from mytrading.messages.orders import Order, Protection, RequestAnswered
from mytrading.messages.signals import Signal

WAITING, SCHEDULED = "waiting", "scheduled"
_ON_ITS_WAY = UNRESOLVED | {OrderState.INITIALIZED, OrderState.SUBMITTED}
_NEVER_RESTED = frozenset({OrderState.REJECTED, OrderState.DENIED, OrderState.GHOST, OrderState.LOST})


class RequestResult(NamedTuple):
    """State (waiting, scheduled, refused, cancelled, modified, replaced, filled, ended), a sentence, and the order id.

    A change is scheduled if it was accepted and is made when its exchange opens."""

    word: str
    text: str
    order: str


def result_of(
    order: Order, orders: Iterable[Order], request: str, *, cancel: bool, answer: RequestAnswered | None = None,
    level: Protection | None = None, held: str = "",
) -> RequestResult:  # fmt: skip
    """Return the result so far of operator request `request` (id) to cancel or modify `order`, with any replacement
    found in `orders`. `answer`: the router's own to the request, if it gave one. `level`: the protection of its owner;
    `held`: why nothing is sent for it now; of a change, until its exchange opens."""
    name = order.client_order_id
    refusal = answer.message if answer is not None and not answer.ok else ""
    if order.links.request == request and order.message.startswith(REFUSED):
        refusal = refusal or order.message.removeprefix(REFUSED)
    if refusal:
        since = "" if is_live(order) else f"; the order has ended {order.state} since"
        return RequestResult("refused", refusal + since, name)
    cancelling = is_live(order) and order.evidence.cancel.wanted and not _is_replaced(order)
    if order.links.request != request and is_live(order) and not cancelling:
        return RequestResult(WAITING, "the router has not taken it up yet", name)
    if cancelling and not cancel:
        return RequestResult(WAITING, f"it is being cancelled: {order.message}", name)
    if not cancel:
        return _modified(order, orders, level, held)
    sums = f"{order.filled_seen} of {order.quantity} filled"
    if is_live(order):
        text = f"the cancel is requested and its end not proven; {sums} so far"
        return RequestResult(WAITING, f"{text}; {held}" if held else text, name)
    if order.state is OrderState.FILLED:
        return RequestResult("filled", f"it filled before the cancel: {sums}", name)
    if order.state is OrderState.CANCELLED:
        return RequestResult("cancelled", f"cancelled, {sums}", name)
    return RequestResult("ended", f"it ended {order.state}, {sums}", name)


def why_change_waits(order: Order, level: Protection | None, held: str) -> str:
    """Return what an order's pending change is to and waits for, empty without one; arguments as of `result_of`."""
    cancelled = is_live(order) and order.evidence.cancel.wanted
    if (wanted := pending_terms(order, level)) is None or (cancelled and not _is_replaced(order)):
        return ""
    known, now = order.evidence.modify, current_terms(order)
    if cancelled:
        why = "the order is taken away first, another one follows for it"
    elif known.out:
        why = "the broker has not answered yet"
    elif known.unproven:
        why = "the order book does not show it yet"
    elif held:
        why = held
    elif known.wanted is not None:
        why = "it is not sent yet"
    elif is_live(order) and wanted == now:
        return "the change is made here, but another stop of the position does not rest there yet"
    elif level is not None and level.state != "open":
        why = "an exit of the position has taken over"
    else:
        why = "the next stop of the position is placed there"
    return f"the change to {describe_change(wanted, now)} waits: {why}"


def _modified(order: Order, orders: Iterable[Order], level: Protection | None, held: str) -> RequestResult:
    name, waits = order.client_order_id, why_change_waits(order, level, held)
    word = SCHEDULED if held and not is_modify_pending(order) else WAITING
    if is_live(order):
        if waits:
            return RequestResult(word, waits, name)
        return RequestResult("modified", f"the order book shows {_terms(order)}", name)
    if (after := _successor(order, orders)) is not None:
        found = _replaced(after)
        if waits and found.word == "replaced":  # another stop of the position does not rest there yet
            return found._replace(word=WAITING, text=f"{found.text}; {waits}")
        return found
    if waits and order.purpose is Purpose.STOP and not _is_replaced(order):
        return RequestResult(word, f"the stop ended {order.state}; {waits}", name)
    if order.evidence.modify.wanted or _is_replaced(order):
        return RequestResult(WAITING, "the old order has ended, the new one is not placed yet", name)
    sums = f"{order.filled_seen} of {order.quantity}"
    if order.state is OrderState.FILLED:
        return RequestResult("filled", f"it filled: {sums}, requested {_terms(order)}", name)
    if order.state is OrderState.CANCELLED:
        why = order.message or "not at the router's request"
        return RequestResult("ended", f"it was cancelled and not changed: {why}; {sums} filled", name)
    return RequestResult("ended", f"it ended {order.state} meanwhile, {sums} filled", name)


def _replaced(after: Order) -> RequestResult:
    """The result of a change for which the order was taken away, by the order `after` it."""
    name = after.client_order_id
    if after.state in _ON_ITS_WAY:
        return RequestResult(WAITING, f"the old order has ended, order {name} for it is {after.state}", name)
    if after.state in _NEVER_RESTED:
        why = f": {after.message}" if after.message else ""
        return RequestResult(
            "refused", f"order {name} for it ended {after.state}{why}; the old order is cancelled", name
        )
    return RequestResult("replaced", f"replaced by order {name}: {_terms(after)}", name)


def _is_replaced(order: Order) -> bool:
    """True if an order is, or was, cancelled for another one with the requested terms."""
    return order.evidence.modify.by_replacement or order.message.startswith("withdrawn: replaced")


def _successor(order: Order, orders: Iterable[Order]) -> Order | None:
    if order.purpose is not Purpose.STOP:
        return next((other for other in orders if other.links.replaces == order.client_order_id), None)
    if order.message.startswith("withdrawn") and not _is_replaced(order):
        return None
    stops = (other for other in orders if other.purpose is Purpose.STOP and other.owner == order.owner)
    later = [other for other in stops if other.created_ns > order.created_ns]
    return max(later, key=lambda other: other.created_ns, default=None)


def _terms(order: Order) -> str:
    text = f"{order.side} {order.quantity} {order.instrument} {order.order_type}"
    text += f" at {order.price:g}" if order.price else ""
    text += f" trigger {order.trigger_price:g}" if order.trigger_price else ""
    return f"{text}, {order.state}"


class SignalResult(StrEnum):
    """Of one account, or of a signal; PARTIAL where some of it was filled and the rest has ended."""

    FILLED = "filled"
    WORKING = "working"
    PARTIAL = "partial"
    DENIED = "denied"
    REJECTED = "rejected"
    RECORDED = "recorded"
    ENDED = "ended"


class AccountResult(NamedTuple):
    """Outcome of a signal in one account; `reason` is risk's or the broker's, empty where there is none."""

    account: str
    result: SignalResult
    orders: int
    filled: int
    reason: str


def outcomes(
    signal: Signal, orders: Iterable[Order], denials: Iterable[SignalDenied | SignalExpired], accounts: Sequence[str]
) -> tuple[AccountResult, ...]:
    """Return a signal's outcome in each account with an order or a denial of it, those of `accounts` first: an entry
    order, or an exit order of a signal that only closes."""
    purpose = Purpose.EXIT if signal.action is Action.EXIT else Purpose.ENTRY
    mine = [order for order in orders if order.cause == signal.id and order.purpose is purpose]
    denied = [denial for denial in denials if denial.signal == signal.id]
    names = dict.fromkeys([*accounts, *(order.account for order in mine)])
    found = []
    for name in names:
        of_it = [order for order in mine if order.account == name]
        against = [denial for denial in denied if getattr(denial, "account", "") in ("", name)]
        if of_it or against:
            found.append(_of_account(name, of_it, against))
    return tuple(found)


def outcome_of_all(results: Sequence[AccountResult]) -> str:
    """Merge all accounts' outcomes into one `SignalResult` word: "working" while any is, the common word if all agree,
    else "partial" if any filled or was recorded, else "ended"; "" without results."""
    kinds = {row.result for row in results}
    if not kinds:
        return ""
    if SignalResult.WORKING in kinds:
        return SignalResult.WORKING.value
    if len(kinds) == 1:
        return kinds.pop().value
    some = kinds & {SignalResult.FILLED, SignalResult.PARTIAL, SignalResult.RECORDED}
    return (SignalResult.PARTIAL if some else SignalResult.ENDED).value


def _of_account(name: str, orders: Sequence[Order], denials: Sequence[SignalDenied | SignalExpired]) -> AccountResult:
    replaced = {order.links.replaces for order in orders}
    current = [order for order in orders if order.client_order_id not in replaced]
    filled = sum(order.filled for order in orders)
    ended = (order for order in current if order.state not in LIVE | {OrderState.FILLED, OrderState.RECORDED})
    reasons = [*(denial_text(denial) for denial in denials), *(order.message for order in ended)]
    reason = "; ".join(dict.fromkeys(text for text in reasons if text))
    return AccountResult(name, _result(current, bool(denials), filled), len(current), filled, reason)


def _result(orders: Sequence[Order], denied: bool, filled: int) -> SignalResult:
    states = {order.state for order in orders}
    if states & LIVE:
        return SignalResult.WORKING
    if states == {OrderState.FILLED} and not denied:
        return SignalResult.FILLED
    if states == {OrderState.RECORDED} and not denied:
        return SignalResult.RECORDED
    if filled:
        return SignalResult.PARTIAL
    if denied or states == {OrderState.DENIED}:
        return SignalResult.DENIED
    return SignalResult.REJECTED if OrderState.REJECTED in states else SignalResult.ENDED


def denial_text(denial: SignalDenied | SignalExpired) -> str:
    """Return a denial's codes, former names included, and its reason as one text."""
    codes = getattr(denial, "codes", ()) or (getattr(denial, "code", "EXPIRED"),)
    names = [name for code in codes for name in (code, FORMER_CODES.get(code)) if name]
    return f"{', '.join(names)}: {getattr(denial, 'message', 'too late')}"
