"""Units of a position that are no whole lots of today: tried once at the broker, then they are an operator's.

A lot that changes over night leaves them. An exchange refuses each order for them, so that tries without end would
bring refusals alone. Whole lots keep their stop and their exits; `mytrading resume` has the remainder tried once more.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import State
from mytrading.messages.account_events import OddUnitsRefused
from mytrading.messages.enums import Severity
from mytrading.messages.orders import MARKET_REFUSED, NOT_NOW, TRIGGER_CROSSED, Goal, Order, Protection

_NAMES_LOT = re.compile(r"\blots?\b|lot ?size|multiple", re.IGNORECASE)
_NAMES_OTHER = re.compile(r"\b(prices?|circuit|bands?|margins?|funds?|balance)\b", re.IGNORECASE)
"""Words of refusals for a price or for money: whole lots are refused alike."""
_OTHER_CAUSES = (MARKET_REFUSED, NOT_NOW, TRIGGER_CROSSED)


def placeable_units(oms: OrderDecision, of: Goal | Protection, units: int) -> int:
    """Return how many of `units` an exit or stop may be placed for: all but a remainder that was refused."""
    row = oms.state.odd_lots.get(of.owner)
    return max(0, units - row.remainder) if row is not None and is_refused(oms.state, row) else units


def is_refused(state: State, row: OddUnitsRefused) -> bool:
    """True if the broker refused a remainder, and units and lot are those of then."""
    if not row.final or (sizes := state.sizes.get(row.instrument)) is None:
        return False
    position = state.positions.get(row.owner)
    return position is not None and (sizes.lot, abs(position.quantity_seen) % sizes.lot) == (row.lot, row.remainder)


def on_refusal(oms: OrderDecision, order: Order) -> bool:
    """Note the refusal of an exit or stop for units that are no whole lots; True if none is to follow for them.

    That is so at once where the broker's words name the lot, else after the second: it may have had another reason. One
    that they name is none of these."""
    sizes = oms.state.sizes.get(order.instrument)
    if sizes is None or sizes.lot <= 1 or not order.quantity % sizes.lot or _has_other_cause(order.message):
        return False
    held = abs(oms.position(order).quantity_seen)
    known, remainder = oms.state.odd_lots.get(order.owner), held % sizes.lot
    again = known is not None and (known.lot, known.remainder) == (sizes.lot, remainder)
    if not remainder or (again and known is not None and known.final):
        return bool(remainder)
    tries = known.tries + 1 if again and known is not None else 1
    row = OddUnitsRefused(
        **order.net._asdict(), strategy=order.strategy, units=held, lot=sizes.lot, remainder=remainder, tries=tries,
        final=tries > 1 or bool(_NAMES_LOT.search(order.message)), at_ns=oms.now,
    )  # fmt: skip
    oms.emit(row)
    if row.final:
        oms.alert(StateAlert.ODD_LOT, Severity.CRITICAL, alert_subject(row), _text(row, order.message))
    return row.final


def on_resting(oms: OrderDecision, stop: Order) -> None:
    """A book shows a stop live for units that are no whole lots: the broker takes them, and what it refused before had
    another reason. The tries begin anew."""
    sizes, known = oms.state.sizes.get(stop.instrument), oms.state.odd_lots.get(stop.owner)
    if known is not None and known.tries and sizes is not None and stop.quantity % max(1, sizes.lot):
        oms.emit(replace(known, tries=0, final=False, at_ns=oms.now))


def _has_other_cause(said: str) -> bool:
    return said.startswith(_OTHER_CAUSES) or (not _NAMES_LOT.search(said) and bool(_NAMES_OTHER.search(said)))


def alert_subject(row: OddUnitsRefused) -> str:
    """Return the subject of the alert on a remainder: account, owner, contract and product."""
    return f"{row.account} {row.strategy} {row.instrument} {row.product}"


def _text(row: OddUnitsRefused, said: str) -> str:
    whole = row.units - row.remainder
    kept = f"the other {whole} keep stop and exits" if whole else "no stop guards them"
    what = f"{row.strategy} holds {row.units} {row.instrument} {row.product} in {row.account}, and a lot is {row.lot}"
    what = f"{what} now: {row.remainder} of them are no whole lot, and the broker refused an order for them ({said})"
    cure = "have the broker close them, then `mytrading positions settle`; `mytrading resume` tries once more"
    return f"{what}; {kept}; nothing more is placed for the {row.remainder}: {cure}"
