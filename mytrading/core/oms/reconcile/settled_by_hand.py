"""Units that an operator books as gone on their word, where no book proves it: squared off or moved out of sight.

Used by the requests of operators, for one key (account, instrument, product) at a time. Nothing is sent by it: a stop
that is left is withdrawn because nothing is left to guard. What the broker shows to be held is never booked as gone.
"""

from __future__ import annotations

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.evidence import carried_units, missing_units
from mytrading.core.oms.reconcile import position_corrections, startup
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import LIVE, describe_order, is_untriggered_stop
from mytrading.messages.enums import Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Order, Position

CAUSE = "settled"


def cuts_to_settle(oms: OrderDecision, key: NetKey) -> list[tuple[Position, int]]:
    """Return the positions of a key that a settlement takes units from, each with how many (unsigned): what the
    position book lacks of them, or all where no read of it disagrees."""
    mismatch = oms.state.mismatches.get(key)
    return position_corrections.cuts_of_owners(oms, key, mismatch.broker if mismatch is not None else 0)


def why_not_settle(oms: OrderDecision, key: NetKey) -> str:
    """Return why nothing of a key can be booked as gone; empty if it can."""
    if not missing_units.owned_units(oms, key):
        return f"no strategy holds anything of {key.instrument} {key.product}"
    for order in oms.open_orders(key):
        if _is_under_way(order):
            return f"an order is under way there ({describe_order(order)}): wait for its end, or settle that first"
    if not cuts_to_settle(oms, key):
        return "the position book shows it; `mytrading positions close` closes it"
    listed = key not in oms.state.mismatches and key in oms.state.agreed_today
    if listed and oms.broker(key.account).positions_whole and not oms.state.delivered.get(key):
        return "the position book of today has shown it, and lacks nothing; `mytrading positions close` closes it"
    return ""


def _is_under_way(order: Order) -> bool:
    """True of an order that may be changing the position now; a stop that waits at the broker is not."""
    if order.filled_seen > order.filled or order.evidence.cancel.wanted or order.evidence.cancel.out:
        return True
    return order.state in LIVE and not (is_untriggered_stop(order) and not order.evidence.end)


def describe_settlement(oms: OrderDecision, key: NetKey) -> list[str]:
    """Describe, before it is done, what `settle` takes of a key: a line for each position."""
    return [
        f"{position.strategy}: {position.quantity:+d} {key.instrument} {key.product} becomes "
        f"{position.quantity - _signed(position, cut):+d}; {cut} units are booked as gone, without a price"
        for position, cut in cuts_to_settle(oms, key)
    ]


def settle(oms: OrderDecision, key: NetKey, reason: str) -> str:
    """Book units of a key as gone, for an operator's `reason`, and end the dispute; returns what was done in words.

    The caller has asked `why_not_settle`. The newest position loses its units first."""
    cuts = cuts_to_settle(oms, key)
    if (mismatch := oms.state.mismatches.get(key)) is not None:
        position_corrections.end_mismatch(oms, mismatch)
    done, carried = [], abs(carried_units.carried_units(oms, key))
    for position, cut in cuts:
        units = -_signed(position, cut)
        untraded, carried = -_signed(position, min(cut, carried)), max(0, carried - cut)
        level = position_ledger.correct_quantity(position, position.quantity + units, oms.now)
        oms.record_adjustment(level, CAUSE, units, untraded=untraded, reason=reason)
        what = f"{cut} of {position.quantity} {key.instrument} {key.product} of {position.strategy}"
        what = f"{what} are booked as gone at an operator's word: {reason}"
        oms.alert(EventAlert.POSITION_CORRECTED, Severity.WARNING, position.strategy, what)
        startup.record_difference(oms, key.account, "corrected", what)
        done.append(what)
    return "; ".join(done)


def _signed(position: Position, units: int) -> int:
    return units if position.quantity > 0 else -units
