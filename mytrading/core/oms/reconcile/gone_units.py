"""Units of ours that went without an order of ours: what they went for, and the day's profit with it.

Trades of strangers that no earlier correction was explained by tell the price. Where they do not, risk tells the last
price that it judged the units by, which the ledger marks as a guess; a trade book that comes late corrects it. Used by
corrections and the venue's square-off: the loss of units that are gone is never left out of the day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.ids import content_id
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.time import SECOND
from mytrading.messages.commands import PriceUnits
from mytrading.messages.enums import BrokerStatus, Product
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import GoneUnits, Position, PositionAdjusted
from mytrading.messages.reports import BooksRead, BrokerTrades

VALUATION = "valuation"
"""Cause of an adjustment that moves profit and no units."""


class Explained(NamedTuple):
    """The price (rupees) that trades tell, with the broker's ids of their orders; 0.0 and none where they tell none."""

    price: float = 0.0
    trades: tuple[str, ...] = ()


_UNEXPLAINED = Explained()
RECENT_NS = 300 * SECOND
"""Machine time within which a correction follows the order of a stranger that led to it."""


def explain(oms: OrderDecision, key: NetKey, units: int, read: BooksRead) -> Explained:
    """Return the average price of the newest trades of strangers that together make up signed `units` of a key.

    A row that explained something before explains nothing again, nor do rows of another product, where the order book
    names one, and of orders that were done long before: had they closed units of ours, that were known since."""
    found: list[BrokerTrades] = []
    missing, value, counted = abs(units), 0.0, 0
    for row in _strangers(oms, key, units, read):
        if missing <= 0:
            break
        found.append(row)
        taken = min(missing, row.quantity)
        missing -= taken
        counted += taken
        value += taken * row.value / row.quantity
    if missing > 0 or not counted:
        return _UNEXPLAINED
    return Explained(round(value / counted, 4), tuple(row.broker_order_id for row in found))


def _strangers(oms: OrderDecision, key: NetKey, units: int, read: BooksRead) -> list[BrokerTrades]:
    """Trades of strangers on the side of `units` that explained nothing yet, the newest first."""
    account, state = key.account, oms.state
    products: dict[str, Product | None] = {row.broker_order_id: row.product for row in read.orders or ()}
    rows = [
        row
        for row in read.trades or ()
        if row.instrument == key.instrument and row.side.sign * units > 0 and row.quantity > 0 and row.value > 0
        if (account, row.broker_order_id) not in state.by_broker
        if (account, row.broker_order_id) not in state.explaining
        if products.get(row.broker_order_id) in (None, key.product) and _is_recent(oms, account, row)
    ]
    return sorted(
        rows, key=lambda row: (-(state.foreign.get((account, row.broker_order_id)) or 0), row.broker_order_id)
    )


def _is_recent(oms: OrderDecision, account: str, trade: BrokerTrades) -> bool:
    first = oms.state.foreign_orders.get((account, trade.broker_order_id))
    seen = oms.state.foreign.get((account, trade.broker_order_id), oms.machine)
    return first is None or first.status is not BrokerStatus.COMPLETE or oms.machine - seen < RECENT_NS


def take_off(
    oms: OrderDecision, position: Position, units: int, found: Explained, cause: str, untraded: int = 0,
    reason: str = "",
) -> Position:  # fmt: skip
    """Book signed `units` off a position: at the price that trades told, else at one that risk is to tell. `untraded`
    of them (signed) were carried into the day and went without a trade of it; `reason` is an operator's.

    Returns the position. Fields that the cause decides (sighted units, confidence) are the caller's in `position`."""
    if found.price > 0:
        booked = position_ledger.book_fill(position, units, found.price, oms.now)
        if booked.trade:
            oms.emit(booked.trade)
        _emit(oms, booked.position, cause, units, found, untraded=untraded, reason=reason)
        return booked.position
    gone = GoneUnits(id=content_id("gone", *position.owner, oms.machine, units), units=units, before=position)
    level = position_ledger.correct_quantity(position, position.quantity + units, oms.now)
    level = replace(level, realised_estimated=True)
    _emit(oms, level, cause, units, found, gone, untraded=untraded, reason=reason)
    return level


def _emit(
    oms: OrderDecision, level: Position, cause: str, units: int, found: Explained, gone: GoneUnits | None = None, *,
    untraded: int, reason: str,
) -> None:  # fmt: skip
    held = replace(level, quantity_seen=level.quantity, updated_ns=oms.now)
    held = replace(held, confidence=oms.confidence_of(held))
    oms.emit(
        PositionAdjusted(
            position=held, cause=cause, quantity=units, price=found.price, at_ns=oms.now, gone=gone,
            trades=found.trades, untraded=untraded, reason=reason,
        )
    )  # fmt: skip


def on_price_units(oms: OrderDecision, command: PriceUnits) -> None:
    """Take risk's price for units that went at a price unknown; one that is known by now stands."""
    waiting = oms.state.gone.get(command.gone)
    if waiting is None or waiting.price > 0 or command.price <= 0:
        return
    _value(oms, waiting, Explained(command.price), guessed=True)


def explain_late(oms: OrderDecision, read: BooksRead) -> None:
    """Value units again that risk's price, or none, was booked for, once trades of the read tell what they went for."""
    if read.trades is None:
        return
    for row in oms.state.gone.sorted_values():
        gone = row.gone
        if gone is None or row.trades or row.position.account != read.account:
            continue
        found = explain(oms, gone.before.net, gone.units, read)
        if found.price > 0:
            _value(oms, row, found, guessed=False)


def _value(oms: OrderDecision, row: PositionAdjusted, found: Explained, *, guessed: bool) -> None:
    """Move the day's profit of units from what was booked for them (nothing, or a guess) to a price."""
    gone = row.gone
    if gone is None:
        return
    now = position_ledger.profit_of_gone(gone.before, gone.units, found.price)
    booked = position_ledger.profit_of_gone(gone.before, gone.units, row.price) if row.price > 0 else 0.0
    position = oms.position(gone.before)
    others = (one for one in oms.state.gone.values() if one.gone is not None and one.gone.id != gone.id)
    unsure = guessed or _is_guessed(others, position)
    level = replace(position, realised=position.realised + now - booked, realised_estimated=unsure, updated_ns=oms.now)
    if not row.price and gone.units == -gone.before.quantity:
        trade = position_ledger.book_fill(gone.before, gone.units, found.price, oms.now).trade
        if trade is not None:
            oms.emit(trade)
    oms.emit(
        PositionAdjusted(
            position=level, cause=VALUATION, quantity=0, price=found.price, at_ns=oms.now, gone=gone,
            trades=found.trades,
        )
    )  # fmt: skip


def _is_guessed(rows: Iterable[PositionAdjusted], position: Position) -> bool:
    return any(not row.trades and row.position.owner == position.owner for row in rows)
