"""Expiry of contracts: what is left of them is booked at the settlement price, or at the last price as an estimate.

Used by the comparison of positions on the day of the expiry, at the turn of the day and at a start. A settlement writes
neither an order nor a trade, and no broker's book names its price for certain.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.reconcile import startup
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import is_live, with_cancel
from mytrading.core.time import SECOND, ist_date
from mytrading.messages.account_events import LastPriceSeen
from mytrading.messages.enums import Confidence, OrderState, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Position, PositionAdjusted
from mytrading.messages.reports import BooksRead

CAUSE = "expiry"
NEAR_CLOSE = 600 * SECOND
"""Time before the close from which the last price of an expiring contract is kept: positions are read once a minute."""


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Keep the last prices of held contracts that expire today; replace estimates by what the broker's row says."""
    for row in read.positions or ():
        key = NetKey(read.account, row.instrument, row.product)
        if row.last_price > 0 and key in oms.state.owners and _is_near_close(oms, row.instrument):
            known = oms.state.last_prices.get((read.account, row.instrument))
            if known != row.last_price:
                oms.emit(
                    LastPriceSeen(
                        account=read.account, instrument=row.instrument, price=row.last_price, at_ns=oms.now
                    )
                )  # fmt: skip
    for _, booked in oms.state.estimated_expiries.sorted_items():
        if booked.position.account == read.account:
            _settle_estimate(oms, booked, read)


def _is_near_close(oms: OrderDecision, instrument: str) -> bool:
    expires = net_positions.expiry_of(instrument) == ist_date(oms.now)
    return expires and not oms.is_trading_at(instrument, oms.now + NEAR_CLOSE)


def _settle_estimate(oms: OrderDecision, booked: PositionAdjusted, read: BooksRead) -> None:
    position = oms.state.positions.get(booked.position.owner, booked.position)
    if (price := _price_by_row(oms, position.net, booked.quantity, booked.cost, read)) <= 0:
        return
    level = position_ledger.reprice(position, booked.quantity, booked.quantity * (price - booked.price), oms.now)
    oms.emit(PositionAdjusted(position=level, cause=CAUSE, quantity=0, price=price, at_ns=oms.now))


def _price_by_row(oms: OrderDecision, key: NetKey, units: int, cost: float, read: BooksRead) -> float:
    """The settlement price by the profit of the broker's closed row, 0 without one: `units` (signed) closed what had
    cost `cost` rupees each. A profit that may count other units of the key says nothing."""
    rows = [row for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product)]
    alone = len(rows) == 1 and rows[0].quantity == 0 and key not in oms.state.unmanaged
    if not alone or not rows[0].pnl or not oms.broker(key.account).carried_average:
        return 0.0
    if net_positions.filled_today(oms, key) or len(_owners_today(oms, key)) != 1:
        return 0.0
    return max(0.0, round(cost - rows[0].pnl / units, 4))


def _owners_today(oms: OrderDecision, key: NetKey) -> list[Position]:
    return [position for position in oms.state.positions.values() if position.net == key]


def book(oms: OrderDecision, position: Position, units: int, untraded: int, read: BooksRead | None = None) -> None:
    """Book that a position in an expired contract was settled for `units` (signed), with an alert.

    The price is that of the broker's row, else the last one known, as an estimate, else none: no profit is counted."""
    price = _price_by_row(oms, position.net, units, position.average_price, read) if read is not None else 0.0
    last = oms.state.last_prices.get((position.account, position.instrument)) or 0.0
    paid, is_estimate = price or last, not price and last > 0
    if paid:
        booked = position_ledger.book_fill(position, units, paid, oms.now)
        if booked.trade:
            oms.emit(booked.trade)
        level = booked.position
    else:
        level = position_ledger.correct_quantity(position, position.quantity + units, oms.now)
    level = replace(level, quantity_seen=level.quantity, confidence=Confidence.CONFIRMED)
    oms.emit(
        PositionAdjusted(
            position=level, cause=CAUSE, quantity=units, price=paid, at_ns=oms.now, untraded=untraded,
            estimated=is_estimate, cost=position.average_price,
        )
    )  # fmt: skip
    _alert(oms, position, paid, is_estimate)


def _alert(oms: OrderDecision, position: Position, price: float, is_estimate: bool) -> None:
    text = f"{position.strategy} held {position.quantity} of {position.instrument}, which expired"
    unconfirmed = [  # fills of this owner that one source alone reported may explain what is left
        f"{order.side} {order.filled_seen - order.filled} by broker order {order.broker_order_id or 'unknown'}"
        for order in oms.state.orders.sorted_values()
        if order.filled_seen > order.filled and order.owner == position.owner
    ]
    text += f" (reported by one source, confirmed by none: {', '.join(unconfirmed)})" if unconfirmed else ""
    startup.record_difference(oms, position.account, "expired", text)
    if is_estimate:
        text = f"{text}; its profit is estimated by the last price, {price:g}; compare the contract note"
    elif price:
        text = f"{text}; it was settled at {price:g} by the broker's row"
    else:
        cure = "its settlement price is not known here, so its profit is not counted; compare the contract note"
        text = f"{text}: {cure}"
    severity = Severity.WARNING if price else Severity.CRITICAL
    oms.alert(EventAlert.POSITION_EXPIRED, severity, f"{position.strategy} {position.instrument}", text)


def drop_expired_contracts(oms: OrderDecision) -> None:
    """End orders and positions in contracts that expired before today, with an alert for each."""
    for order in oms.state.orders.sorted_values():
        if is_live(order) and _is_past(order.instrument, oms.now):
            text = f"{startup.order_words(order)}: the contract expired"
            evidence = with_cancel(order.evidence, wanted=False)
            oms.change(order, "expired", state=OrderState.EXPIRED, evidence=evidence, message=text)
            startup.record_difference(oms, order.account, "expired", text)
    for position in oms.state.positions.sorted_values():
        if (position.quantity or position.quantity_seen) and _is_past(position.instrument, oms.now):
            _drop(oms, position)


def _drop(oms: OrderDecision, position: Position) -> None:
    book(oms, position, -position.quantity, 0)
    for goal in oms.state.unfinished_goals():
        if goal.owner == position.owner:
            oms.change_goal(goal, state="done", message="the contract expired")
    for level in oms.state.open_protections():
        if level.owner == position.owner:
            oms.change_protection(level, state="done")


def _is_past(instrument: str, now: int) -> bool:
    expiry = net_positions.expiry_of(instrument)
    return expiry is not None and expiry < ist_date(now)
