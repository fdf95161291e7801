"""Units that the day began with, once the books of today have shown them: from then on they count as traded.

Only a read that agrees with us throughout, while the exchange trades, tells what is there of an earlier day; until one
did, its position book alone is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import State
from mytrading.messages.account_events import CarriedShown
from mytrading.messages.enums import Product
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Order, Protection
from mytrading.messages.reports import BooksRead


def note(oms: OrderDecision, read: BooksRead, agrees: Callable[[NetKey], bool]) -> None:
    """Record what books of today show of carried units; `agrees`: a key rests, and the trade book has its fills."""
    for (account, instrument), begun in oms.state.begun.sorted_items():
        if account != read.account or not begun or not oms.trades(instrument):
            continue
        if (units := _of_earlier(oms, account, instrument, read, agrees)) is None:
            continue
        units = min(max(units, 0), begun) if begun > 0 else max(min(units, 0), begun)
        if units != still(oms, account, instrument):
            oms.emit(CarriedShown(account=account, instrument=instrument, quantity=units, at_ns=oms.now))


def may_be_filled(key: NetKey, state: State, read: BooksRead) -> bool:
    """True where the positions of a read are not ours, as where they lack the key, and where the read has none."""
    return read.positions is None or net_with_holdings(state, key, net_of(key, read)) != known_units(state, key)


def net_of(key: NetKey, read: BooksRead) -> int:
    """Signed units that the position book of a read has of a key."""
    rows = (row for row in read.positions or () if row.instrument == key.instrument and row.product is key.product)
    return sum(row.quantity for row in rows)


def expiry_of(instrument: str) -> date | None:
    """The day on which a contract expires; None of an instrument without expiry."""
    try:
        exchange, symbol = split_id(instrument)
        return parse_symbol(symbol, exchange).expiry
    except ValueError:
        return None


def average(key: NetKey, read: BooksRead) -> float:
    """The price at which the position book has a key, in rupees; 0 if it does not tell one."""
    rows = [row for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product)]
    return rows[0].average_price if len(rows) == 1 else 0.0


def hold_back(oms: OrderDecision, order: Order) -> None:
    """What would follow an exit or stop of an earlier day, of unknown fate, waits for two reads of the books."""
    now = max(oms.machine, 1)
    for goal in oms.state.unfinished_goals():
        if goal.owner == order.owner:
            oms.goal(goal, waits_machine_ns=now, proofs=0)
    for level in oms.state.open_protections():
        if level.owner == order.owner:
            oms.protection(level, waits_machine_ns=now)


def waits(oms: OrderDecision, level: Protection) -> bool:
    """True while a stop out of our sight may rest, or have been filled; a book tells, or it is not waited for."""
    return bool(level.waits_machine_ns) and oms.machine - level.waits_machine_ns < oms.limits.ghost_gap


def still(oms: OrderDecision, account: str, instrument: str) -> int:
    """Signed units of those that the day began with that books of today have shown; 0 if none did."""
    return oms.state.begun_shown.get((account, instrument)) or 0


def _of_earlier(
    oms: OrderDecision, account: str, instrument: str, read: BooksRead, agrees: Callable[[NetKey], bool]
) -> int | None:
    """What positions show without the trades of today; None where they differ from ours, or shares may be delivered."""
    rows = [row for row in read.positions or () if row.instrument == instrument]
    known = (key for table in (oms.state.owners, oms.state.unmanaged) for key in table)
    keys = {key for key in known if (key.account, key.instrument) == (account, instrument)}
    keys |= {NetKey(account, instrument, row.product) for row in rows}
    for key in sorted(keys):
        net = sum(row.quantity for row in rows if row.product is key.product)
        if key.product is Product.CNC or net != known_units(oms.state, key):
            return None
        if key in oms.state.mismatches or not agrees(key):
            return None
    traded = sum(row.quantity * row.side.sign for row in read.trades or () if row.instrument == instrument)
    return sum(row.quantity for row in rows) - traded


def net_with_holdings(state: State, key: NetKey, net: int) -> int:
    """The net of a position book, with what may have gone into the holdings: signed units, at most what is ours."""
    delivered = state.delivered.get(key) or 0
    return net + min(delivered, max(known_units(state, key) - net, 0))


def known_units(state: State, key: NetKey) -> int:
    """What strategies own of a key, and what is there unmanaged."""
    unmanaged = state.unmanaged.get(key)
    return sum(position.quantity for position in state.holders(key)) + (unmanaged.quantity if unmanaged else 0)


def is_untouched_delivery(state: State, key: NetKey) -> bool:
    """True of shares delivered overnight of which nothing moved today by our books; a sale would be a row."""
    delivered = state.delivered.get(key) or 0
    return 0 < delivered == known_units(state, key)
