"""Units that were claimed with a stop, until it rests: the claim is answered then, or taken back where it cannot rest.

Units that were bare before are no worse off so, while closing them could not be undone.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mytrading.core.oms.placing import entries
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import RESTING
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import Severity
from mytrading.messages.orders import ClaimedUnits, Order, Position, Protection


def settle_claim(oms: OrderDecision, level: Protection, stops: Sequence[Order]) -> Protection:
    """Answer the claim behind a protection once its `stops` rest, or something else guards or ends the position."""
    if level.claimed is None:
        return level
    position = oms.position(level)
    there = (order for order in stops if order.state in RESTING and not order.evidence.cancel.wanted)
    resting = sum(order.quantity - order.filled_seen for order in there)
    if position.quantity == position.quantity_seen == 0:
        return _given(oms, level, "it is closed since")
    if entries.is_closing(oms, level.net, level.strategy):
        return _given(oms, level, "an exit is closing it")
    if level.state != "open":
        return _given(oms, level, f"its stop is {level.state}")
    if not oms.is_trading(level.instrument) or oms.is_venue_square_off(level):
        return _given(oms, level, f"its stop at {level.trigger:g} is placed when the exchange opens")
    if resting >= abs(position.quantity_seen):
        return _given(oms, level, f"its stop rests at {level.trigger:g}")
    return level


def describe_claimed(oms: OrderDecision, position: Position) -> str:
    """Return what an owner holds after a claim, and what is left without an owner."""
    left = oms.state.unmanaged.get(position.net)
    unmanaged = abs(left.quantity) if left is not None else 0
    return f"{position.strategy} owns {position.quantity} of {position.instrument}; {unmanaged} unmanaged"


def _given(oms: OrderDecision, level: Protection, how: str) -> Protection:
    oms.answer(level.cause, "", f"{describe_claimed(oms, oms.position(level))}; {how}")
    return oms.change_protection(level, claimed=None)


def fail_claim(oms: OrderDecision, level: Protection, stops: Sequence[Order], why: str) -> Protection:
    """End the claim behind a protection whose first stop cannot be kept at the broker, with an alert that stays.

    The units are unmanaged again, and the protection is done, if nothing has become of them and none of its `stops` is
    live; else the protection, without the claim, is returned as it was, to be handed over to an exit.
    """
    if (claimed := level.claimed) is None:
        return level
    position = oms.position(level)
    units = f"{abs(claimed.units)} of {level.instrument} {level.product} in {level.account}"
    what = f"the claim of {units} for {level.strategy} with a stop at {level.trigger:g} (limit {level.limit:g}) failed"
    if stops or not _is_untouched(oms, level, position, claimed):
        text = f"{what}: {why}; other orders of {level.strategy} moved there meanwhile, so it is being closed"
        _answer(oms, level, text)
        return oms.change_protection(level, claimed=None)
    _give_back(oms, level, position, claimed)
    text = f"{what}: {why}; the units are unmanaged and without a stop, as they were; claim them with another stop"
    text = f"{text}, or close them: `mytrading positions close {level.instrument} --unmanaged`"
    _answer(oms, level, text)
    return oms.change_protection(level, state="done", claimed=None)


def _answer(oms: OrderDecision, level: Protection, text: str) -> None:
    oms.alert(EventAlert.CLAIM_FAILED, Severity.CRITICAL, f"{level.strategy} {level.instrument}", text)
    oms.answer(level.cause, text, "")


def _is_untouched(oms: OrderDecision, level: Protection, position: Position, claimed: ClaimedUnits) -> bool:
    """True if the position is what the claim made of it."""
    before, units = claimed.before, claimed.units
    bought, sold = before.bought + max(units, 0), before.sold + max(-units, 0)
    same = (position.quantity, position.bought, position.sold) == (before.quantity + units, bought, sold)
    unconfirmed = position.quantity_seen - position.quantity != before.quantity_seen - before.quantity
    return same and not unconfirmed and not entries.is_closing(oms, level.net, level.strategy)


def _give_back(oms: OrderDecision, level: Protection, position: Position, claimed: ClaimedUnits) -> None:
    before = replace(claimed.before, run=claimed.before.run or position.run)
    oms.record_adjustment(before, "claim", -claimed.units)
    known = oms.state.unmanaged.get(level.net)
    row = UnmanagedChanged(
        **level.net._asdict(), quantity=(known.quantity if known else 0) + claimed.units, at_ns=oms.now,
        since_ns=claimed.since_ns or oms.now, average_price=claimed.average_price,
    )  # fmt: skip
    oms.emit(row)
