"""Proof that units carried from an earlier day are gone, by what the books of a morning lack of them.

Used by the comparison of positions and by stops. A morning has no orders of today yet to judge an empty book by: before
the day's login most brokers answer three empty books with success, and only live funds tell that from a flat account.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import missing_units, net_positions
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.account_events import MismatchSeen
from mytrading.messages.enums import Product
from mytrading.messages.keys import NetKey
from mytrading.messages.reports import BooksRead

EMPTY_READS = 3
"""Reads of three books beside live funds, the position book empty, that prove carried units gone."""


def carried_units(oms: OrderDecision, key: NetKey) -> int:
    """Return the signed units of a key that the day began with, of those which strategies hold: what was nobody's at
    the beginning is none of theirs."""
    if (key.account, key.instrument) not in oms.state.begun:
        return 0
    begun, owned = oms.state.unexplained.get(key) or 0, missing_units.owned_units(oms, key)
    if (nobodys := oms.state.unmanaged.get(key)) is not None:
        begun -= nobodys.carried
    return (min(abs(begun), abs(owned)) * (1 if owned > 0 else -1)) if begun * owned > 0 else 0


def is_carried(oms: OrderDecision, key: NetKey) -> bool:
    """True if strategies hold units of the key that the day began with."""
    return carried_units(oms, key) != 0


def is_answer(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if what a read lacks of a key may count: its position book has rows or stands beside live funds; of carried
    units all three books were read while the exchange trades, or after the last session of the contract."""
    if not read.positions and not read.funds_live:
        return False
    in_session = oms.is_trading(key.instrument) or net_positions.is_settled_by_now(oms, key.instrument)
    whole = None not in (read.orders, read.trades, read.positions) and in_session
    return whole or not is_carried(oms, key)


def proves_gone(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, read: BooksRead) -> bool:
    """True if this read, the second at least that shows the same, proves that what it lacks of a key is gone.

    MIS of an earlier day has ended with it at every venue, so that live funds are asked for beside an empty book alone.
    """
    if not mismatch.read or not missing_units.is_complete(oms, key.account, read):
        return False
    if not is_carried(oms, key):
        return read.funds_live
    if not is_answer(oms, key, read):
        return False
    if key.product is Product.MIS:
        return True
    return read.funds_live and (bool(read.positions) or _was_empty_for_long(oms, mismatch, read))


def _was_empty_for_long(oms: OrderDecision, mismatch: MismatchSeen, read: BooksRead) -> bool:
    span = read.began_machine_ns - mismatch.empty_machine_ns
    return mismatch.empty_reads >= EMPTY_READS - 1 and span >= oms.limits.empty_span


def with_empty_read(oms: OrderDecision, mismatch: MismatchSeen, read: BooksRead) -> MismatchSeen:
    """Return the mismatch with this read counted, if it is one of an empty position book that proves carried units gone
    together with later ones. No more are counted than the proof needs before its last."""
    key, count = mismatch.net, mismatch.empty_reads
    counts = is_carried(oms, key) and is_answer(oms, key, read) and not read.positions
    if not counts or not missing_units.is_complete(oms, key.account, read) or count >= EMPTY_READS - 1:
        return mismatch
    first = mismatch.empty_machine_ns if count else read.ended_machine_ns
    return replace(mismatch, empty_reads=count + 1, empty_machine_ns=first)


def is_being_proven(oms: OrderDecision, mismatch: MismatchSeen, read: BooksRead) -> bool:
    """True while reads of an empty position book are counted: the proof comes by itself, and no operator is asked."""
    late = mismatch.empty_machine_ns + oms.limits.empty_span + oms.limits.slow
    return mismatch.empty_reads > 0 and read.began_machine_ns < late
