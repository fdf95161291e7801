"""Rebuilds the ledger of an account from one read of its books: what an operator does about a broken ledger.

Which keys differ and what becomes of each is planned first; what the read cannot tell of stays as it is, and is named.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import held_bounds, missing_units, net_positions
from mytrading.core.oms.reconcile import position_corrections
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.account_events import NetAgreed
from mytrading.messages.enums import Confidence
from mytrading.messages.keys import NetKey
from mytrading.messages.reports import BooksRead
from mytrading.messages.settlements import PlannedUnits


def compare_keys(oms: OrderDecision, read: BooksRead) -> list[PlannedUnits]:
    """Return a row for each key of the account of which broker or ledger holds units, by key."""
    state, account = oms.state, read.account
    shown = {NetKey(account, row.instrument, row.product) for row in read.positions or () if row.quantity}
    ours = {
        key for table in (state.owners, state.unmanaged, state.mismatches) for key in table if key.account == account
    }
    return [_compare(oms, key, read) for key in sorted(shown | ours)]


def _compare(oms: OrderDecision, key: NetKey, read: BooksRead) -> PlannedUnits:
    ledger = net_positions.ledger_net(oms.state, key)
    row = PlannedUnits(**key._asdict(), broker=None, ledger=ledger, after=ledger)
    if net_positions.is_net_hidden(oms, key, read):
        return replace(row, does="stays: a row of the position book that may be of it cannot be read")
    shown = net_positions.broker_net(key, read)
    net = net_positions.net_with_unlisted(oms, key, shown)
    row = replace(row, broker=net, after=net)
    if net == ledger and not _is_misowned(oms, key, net):
        return replace(row, does="agrees" if net == shown else "agrees: what was carried is not listed by rights")
    if missing_units.takes_from_owners(oms, key, net) and not missing_units.tells_net(oms, key, read):
        why = (
            "the position book of this broker may lack what was carried; `mytrading positions settle` books it as gone"
        )
        return replace(row, broker=None, after=ledger, does=f"stays: {why}")
    return replace(row, does=_describe(oms, key, net), changes=True)


def _is_misowned(oms: OrderDecision, key: NetKey, net: int) -> bool:
    """True if units without owner balance those of owners: they agree with the broker together, and apart do not."""
    owned = missing_units.owned_units(oms, key)
    return owned != _covered(owned, net)


def _covered(owned: int, net: int) -> int:
    """Units of `owned` that a broker's `net` (both signed) holds."""
    return min(owned, max(net, 0)) if owned >= 0 else max(owned, min(net, 0))


def _describe(oms: OrderDecision, key: NetKey, net: int) -> str:
    owned = missing_units.owned_units(oms, key)
    left, unmanaged = abs(owned) - abs(_covered(owned, net)), net - _covered(owned, net)
    words: list[str] = []
    for position in held_bounds.newest_first(oms, key):
        if cut := min(left, abs(position.quantity)):
            left -= cut
            words.append(f"{position.strategy} loses {cut} of {abs(position.quantity)}")
    known = oms.state.unmanaged.get(key)
    if unmanaged != (known.quantity if known is not None else 0):
        words.append(f"{unmanaged:+d} without an owner" if unmanaged else "nothing without an owner")
    return ", ".join(words)


def rebuild_key(oms: OrderDecision, row: PlannedUnits, read: BooksRead) -> None:
    """Make the ledger of a key what its row of the plan says, and end its dispute."""
    key = row.net
    position_corrections.correct_positions(oms, key, row.after, read)
    if (mismatch := oms.state.mismatches.get(key)) is not None:
        oms.emit(replace(mismatch, cleared=True, contradicted=False, unproven=False))
    for position in oms.state.owner_positions(key):
        if position.confidence is not Confidence.CONFIRMED:
            oms.emit_position(replace(position, confidence=Confidence.CONFIRMED, updated_ns=oms.now))
    owned = missing_units.owned_units(oms, key)
    if owned != (oms.state.agreed.get(key) or 0):
        oms.emit(NetAgreed(**key._asdict(), quantity=owned, at_ns=oms.now))
