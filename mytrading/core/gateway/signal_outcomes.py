"""Outcome of a signal in each account (filled, working, denied by risk, rejected by the broker), and in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from mytrading.core.orders.state_machine import LIVE
from mytrading.messages.commands import FORMER_CODES, SignalDenied, SignalExpired
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.orders import Order
from mytrading.messages.signals import Signal


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
    """Outcomes in those of the strategy's accounts that have an order or a denial; () if none has yet.

    `orders` and `denials` may be those of any signal.
    """
    mine = [order for order in orders if order.cause == signal.id and order.purpose is Purpose.ENTRY]
    said = [denial for denial in denials if denial.signal == signal.id]
    names = dict.fromkeys([*accounts, *(order.account for order in mine)])
    found = []
    for name in names:
        of_it = [order for order in mine if order.account == name]
        against = [denial for denial in said if getattr(denial, "account", "") in ("", name)]
        if of_it or against:
            found.append(_of_account(name, of_it, against))
    return tuple(found)


def outcome_of_all(results: Sequence[AccountResult]) -> str:
    """One word for all accounts: their common outcome, or partial if they differ; empty without any."""
    kinds = {row.result for row in results}
    if not kinds:
        return ""
    if SignalResult.WORKING in kinds:
        return SignalResult.WORKING.value
    return kinds.pop().value if len(kinds) == 1 else _mixed(kinds).value


def _mixed(kinds: set[SignalResult]) -> SignalResult:
    return (
        SignalResult.PARTIAL
        if kinds & {SignalResult.FILLED, SignalResult.PARTIAL, SignalResult.RECORDED}
        else SignalResult.ENDED
    )


def _of_account(name: str, orders: Sequence[Order], denials: Sequence[SignalDenied | SignalExpired]) -> AccountResult:
    replaced = {order.links.replaces for order in orders}
    current = [order for order in orders if order.client_order_id not in replaced]
    filled = sum(order.filled for order in orders)
    reasons = [*(denial_text(denial) for denial in denials), *(order.message for order in current if _failed(order))]
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
    if denied:
        return SignalResult.DENIED
    return SignalResult.REJECTED if OrderState.REJECTED in states else SignalResult.ENDED


def _failed(order: Order) -> bool:
    return order.state not in LIVE and order.state not in (OrderState.FILLED, OrderState.RECORDED)


def denial_text(denial: SignalDenied | SignalExpired) -> str:
    """The codes, former names included, and the reason of a denial."""
    codes = getattr(denial, "codes", ()) or (getattr(denial, "code", "EXPIRED"),)
    names = [name for code in codes for name in (code, FORMER_CODES.get(code)) if name]
    return f"{', '.join(names)}: {getattr(denial, 'message', 'too late')}"
