"""What became of a wish in each account: filled, working, denied by risk, rejected by the broker; and in all together.

Used by the gateway for `mytrading signals`. The one rule: an account answers for itself, so that one account's refusal
hides nothing of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from mytrading.core.order import LIVE
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.orders import Order
from mytrading.messages.signals import Signal


class Result(StrEnum):
    """Of one account, or of a wish; PARTIAL where some of it was filled and the rest has ended."""

    FILLED = "filled"
    WORKING = "working"
    PARTIAL = "partial"
    DENIED = "denied"
    REJECTED = "rejected"
    RECORDED = "recorded"
    ENDED = "ended"


class AccountResult(NamedTuple):
    """What a wish came to in one account; `reason` is risk's or the broker's, empty where there is none to give."""

    account: str
    result: Result
    orders: int
    filled: int
    reason: str


def results_of(
    signal: Signal, orders: Iterable[Order], denials: Iterable[SignalDenied | SignalExpired], accounts: Sequence[str]
) -> tuple[AccountResult, ...]:
    """What an entry came to in each of the strategy's accounts that has something to tell; () if none has yet.

    `orders` and `denials` may be those of any wish.
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


def together(results: Sequence[AccountResult]) -> str:
    """One word for all accounts: what each of them came to, or partial if they differ; empty without any."""
    kinds = {row.result for row in results}
    if not kinds:
        return ""
    if Result.WORKING in kinds:
        return Result.WORKING.value
    return kinds.pop().value if len(kinds) == 1 else _mixed(kinds).value


def _mixed(kinds: set[Result]) -> Result:
    return Result.PARTIAL if kinds & {Result.FILLED, Result.PARTIAL, Result.RECORDED} else Result.ENDED


def _of_account(name: str, orders: Sequence[Order], denials: Sequence[SignalDenied | SignalExpired]) -> AccountResult:
    replaced = {order.replaces for order in orders}
    standing = [order for order in orders if order.client_order_id not in replaced]
    filled = sum(order.filled for order in orders)
    reasons = [*(words_of(denial) for denial in denials), *(order.message for order in standing if _failed(order))]
    reason = "; ".join(dict.fromkeys(text for text in reasons if text))
    return AccountResult(name, _result(standing, bool(denials), filled), len(standing), filled, reason)


def _result(orders: Sequence[Order], denied: bool, filled: int) -> Result:
    states = {order.state for order in orders}
    if states & LIVE:
        return Result.WORKING
    if states == {OrderState.FILLED} and not denied:
        return Result.FILLED
    if states == {OrderState.RECORDED} and not denied:
        return Result.RECORDED
    if filled:
        return Result.PARTIAL
    if denied:
        return Result.DENIED
    return Result.REJECTED if OrderState.REJECTED in states else Result.ENDED


def _failed(order: Order) -> bool:
    return order.state not in LIVE and order.state not in (OrderState.FILLED, OrderState.RECORDED)


def words_of(denial: SignalDenied | SignalExpired) -> str:
    """The codes and the reason of a denial."""
    codes = ", ".join(getattr(denial, "codes", ())) or getattr(denial, "code", "EXPIRED")
    return f"{codes}: {getattr(denial, 'message', 'too late')}"
