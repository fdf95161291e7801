"""The exchange's books: orders, trades, positions, holdings and cash, and the bookings that keep them consistent.

What is written is also collected as a change, until `take_changes` hands it out. Cash and quantities come from fills
and settlements alone, so that realised P&L of all positions equals the cash they moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from mytrading.core.accounting.margin import HedgedOptions, MarginLeg, hedge_benefit
from mytrading.core.exchange.model import (
    BookOrder,
    BookPosition,
    BooksSnapshot,
    BookTrade,
    ExchangeChanges,
    Holding,
    Mark,
    OrderRequest,
)
from mytrading.core.instruments.contract_specs import ContractFacts, MarginRates
from mytrading.messages.enums import BrokerStatus, Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind


class ExchangeBooks:
    """Today's orders and trades, all positions and holdings, and the account."""

    def __init__(
        self,
        books: BooksSnapshot,
        instrument_of: Callable[[str], Instrument | None],
        facts: ContractFacts,
        spot_of: Callable[[Instrument], float],
    ) -> None:
        self._instrument_of = instrument_of
        self._facts = facts
        self._rates = facts.margin
        self._spot_of = spot_of
        self.account = books.account
        self.orders = {order.order_id: order for order in books.orders}
        self.trades = list(books.trades)
        self.positions = {position.key: position for position in books.positions}
        self.holdings = {holding.instrument: holding for holding in books.holdings}
        self.resting: dict[str, dict[str, None]] = {}
        for order in books.orders:
            self._index(order)
        self._orders: list[BookOrder] = []
        self._trades: list[BookTrade] = []
        self._positions: list[BookPosition] = []
        self._gone: list[tuple[str, Product]] = []
        self._holdings: list[Holding] = []
        self._day_changed = False

    def snapshot(self) -> BooksSnapshot:
        """Return a copy of all books, to persist or compare them."""
        return BooksSnapshot(
            account=self.account,
            orders=tuple(self.orders.values()),
            trades=tuple(self.trades),
            positions=tuple(self.positions.values()),
            holdings=tuple(self.holdings.values()),
        )

    def take_changes(self) -> ExchangeChanges:
        """Return and clear all changes of the books since the last call."""
        changes = ExchangeChanges(
            orders=tuple(self._orders),
            trades=tuple(self._trades),
            positions=tuple(self._positions),
            gone=tuple(self._gone),
            holdings=tuple(self._holdings),
            account=self.account,
        )
        for written in (self._orders, self._trades, self._positions, self._gone, self._holdings):
            written.clear()
        return changes

    def take_day_change(self) -> bool:
        """Return True if a new day began since the last call; asking resets it."""
        changed, self._day_changed = self._day_changed, False
        return changed

    def blocked_cash(self) -> float:
        """Return the rupees blocked by positions, less what hedges save, and by live orders."""
        held = sum(position.blocked for position in self.positions.values()) - self.hedge_benefit()
        return held + sum(self.orders[key].blocked for row in self.resting.values() for key in row)

    def hedge_benefit(self, selling: Sequence[MarginLeg] = ()) -> float:
        """Return the rupees that bought options save on sold ones once options that are for sale have been sold.

        What is held and sold of one contract and product is netted: a bought option that goes hedges nothing more.
        """
        legs = [leg for position in self.positions.values() if (leg := self._option_leg(position)) is not None]
        if not any(leg.units > 0 for leg in legs):
            return 0.0
        net: dict[tuple[str, Product], MarginLeg] = {}
        for leg in (*legs, *selling):
            before = net.get(key := (leg.instrument.id, leg.product))
            net[key] = leg if before is None else before._replace(units=before.units + leg.units)
        return hedge_benefit([leg for leg in net.values() if leg.units], self._alone, self._exposure)

    def option_leg(self, instrument: Instrument, units: int, price: float, product: Product) -> MarginLeg:
        """Return signed units of an option at a price (rupees) as a leg, with the price of its underlying."""
        return MarginLeg(instrument, units, price, product, self._spot_of(instrument))

    def _option_leg(self, position: BookPosition) -> MarginLeg | None:
        listed = self._instrument_of(position.instrument) if position.quantity else None
        if listed is None or not listed.kind.is_option:
            return None
        return self.option_leg(listed, position.quantity, position.average_price, position.product)

    def _exposure(self, group: HedgedOptions) -> float:
        return self._facts.exposure_of(group.underlying, group.expiry, self.account.day)

    def _alone(self, leg: MarginLeg) -> float:
        return required_cash(leg.instrument, leg.product, leg.units, leg.price, self._rates)

    def available_cash(self) -> float:
        """Return the rupees free for new orders."""
        invested = sum(holding.quantity * holding.average_price for holding in self.holdings.values())
        return self.account.capital + self.account.realised - self.blocked_cash() - invested

    def position(self, instrument: str, product: Product) -> BookPosition:
        """Return the position of an instrument and product, flat if there is none."""
        found = self.positions.get((instrument, product))
        return found if found is not None else BookPosition(instrument=instrument, product=product)

    def open_positions(self) -> list[BookPosition]:
        """Return the positions that are not flat."""
        return [position for position in self.positions.values() if position.quantity]

    def held_shares(self, instrument: str) -> int:
        """Return the delivered units held of a share; 0 if none."""
        return holding.quantity if (holding := self.holdings.get(instrument)) is not None else 0

    def open_order(
        self, request: OrderRequest, status: BrokerStatus, now: int, ltp: float, blocked: float, reason: str = ""
    ) -> BookOrder:
        """Book a new order under a new id and return it; `now` is market ns, `ltp` and `blocked` are rupees."""
        number = self.account.next_order
        self.account = replace(self.account, next_order=number + 1)
        day = self.account.day
        return self.store_order(
            BookOrder(
                order_id=f"{day[2:4]}{day[5:7]}{day[8:10]}{number:08d}",
                request=request,
                status=status,
                day=day,
                placed_ns=now,
                updated_ns=now,
                reference_price=ltp,
                blocked=blocked,
                reason=reason,
            )
        )

    def store_order(self, order: BookOrder) -> BookOrder:
        """Store an order's new state in the books and return it."""
        self.orders[order.order_id] = order
        self._orders.append(order)
        self._index(order)
        return order

    def _index(self, order: BookOrder) -> None:
        instrument = order.request.instrument
        if order.is_live:
            self.resting.setdefault(instrument, {})[order.order_id] = None
        elif instrument in self.resting:
            self.resting[instrument].pop(order.order_id, None)
            if not self.resting[instrument]:
                del self.resting[instrument]

    def end_order(self, order: BookOrder, status: BrokerStatus, now: int, reason: str = "") -> BookOrder:
        """Book and return an order's end without a fill, cancelled or rejected; its blocked rupees are freed."""
        return self.store_order(replace(order, status=status, updated_ns=now, blocked=0.0, reason=reason))

    def fill_order(self, order: BookOrder, price: float, now: int, quantity: int = 0) -> BookOrder:
        """Book a fill of `quantity` units (0: all pending) at `price`, its trade and position; returns the order."""
        request = order.request
        quantity = quantity or order.pending_units
        filled = order.filled + quantity
        average = (order.filled * order.average_price + quantity * price) / filled if order.filled else price
        done = self.store_order(
            replace(
                order,
                status=BrokerStatus.COMPLETE if filled == request.quantity else order.status,
                filled=filled,
                average_price=average,
                blocked=order.blocked * (request.quantity - filled) / order.pending_units,
                updated_ns=now,
            )
        )
        number, day = self.account.next_trade, self.account.day
        self.account = replace(self.account, next_trade=number + 1)
        trade = BookTrade(
            trade_id=f"TRADE-{day.replace('-', '')}-{number:08d}",
            order_id=order.order_id,
            instrument=request.instrument,
            side=request.side,
            product=request.product,
            quantity=quantity,
            price=price,
            day=day,
            at_ns=now,
            strategy=request.strategy,
        )
        self.trades.append(trade)
        self._trades.append(trade)
        self._book(request.instrument, request.product, request.side.sign * quantity, price)
        return done

    def flatten(self, position: BookPosition, mark: Mark | None, now: int, strategy: str) -> None:
        """Book a filled market order of `strategy` closing a position, at its average price if `mark` is None."""
        side = Side.SELL if position.quantity > 0 else Side.BUY
        request = OrderRequest(
            instrument=position.instrument,
            side=side,
            quantity=abs(position.quantity),
            product=position.product,
            strategy=strategy,
        )
        mark = mark if mark is not None else Mark(position.average_price)
        self.fill_order(
            self.open_order(request, BrokerStatus.OPEN, now, mark.ltp, 0.0), mark.execution_price(side), now
        )

    def settle(self, position: BookPosition, price: float) -> None:
        """Close the position of an expired contract at its settlement price, without an order or a trade."""
        self._book(position.instrument, position.product, -position.quantity, price)
        del self.positions[position.key]
        self._positions = [item for item in self._positions if item.key != position.key]
        self._gone.append(position.key)

    def begin_day(self, day: str) -> None:
        """Begin `day` (ISO date): drop flat positions, turn delivered shares into holdings, reset day figures.

        Orders that are still live are kept.
        """
        self.orders = {key: order for key, order in self.orders.items() if order.is_live}
        kept = tuple(self.orders)
        self.trades = []
        for key, position in list(self.positions.items()):
            if position.product is Product.CNC:
                self._deliver(position)
            if position.quantity == 0 or position.product is Product.CNC:
                del self.positions[key]
                self._gone.append(key)
            else:
                self._write(replace(position, realised_today=0.0))
        self.account = replace(
            self.account, day=day, realised_today=0.0, squared_off=False, closed=False, settled=False, kept=kept
        )
        self._day_changed = True

    def _deliver(self, position: BookPosition) -> None:
        name, traded = position.instrument, position.quantity
        old = self.holdings.get(name, Holding(instrument=name, quantity=0, average_price=0.0))
        quantity, average = old.quantity + traded, old.average_price
        if traded > 0:
            average = (old.quantity * old.average_price + traded * position.average_price) / quantity
        else:
            gained = -traded * (position.average_price - old.average_price)
            self.account = replace(self.account, realised=self.account.realised + gained)
        self.holdings[name] = Holding(instrument=name, quantity=quantity, average_price=average)
        self._holdings.append(self.holdings[name])

    def _book(self, instrument: str, product: Product, signed: int, price: float) -> None:
        position, realised = apply_fill(self.position(instrument, product), signed, price)
        listed = self._instrument_of(instrument)
        blocked = 0.0
        if listed is not None and not (product is Product.CNC and position.quantity < 0):
            blocked = required_cash(listed, product, position.quantity, position.average_price, self._rates)
        self._write(replace(position, blocked=blocked))
        self.account = replace(
            self.account,
            realised=self.account.realised + realised,
            realised_today=self.account.realised_today + realised,
        )

    def _write(self, position: BookPosition) -> None:
        self.positions[position.key] = position
        self._positions.append(position)


def apply_fill(position: BookPosition, signed: int, price: float) -> tuple[BookPosition, float]:
    """Return the position after `signed` units traded at `price`, and the rupees of profit realised by that: adding
    averages the price, reducing realises, crossing zero starts again at `price`."""
    old = position.quantity
    new = old + signed
    closed = min(abs(old), abs(signed)) if old * signed < 0 else 0
    realised = closed * (price - position.average_price) * (1 if old > 0 else -1)
    if new == 0:
        average = 0.0
    elif closed == 0:
        average = (position.average_price * abs(old) + price * abs(signed)) / abs(new)
    else:
        average = price if closed < abs(signed) else position.average_price
    changed = replace(position, quantity=new, average_price=average, realised_today=position.realised_today + realised)
    return changed, realised


def opening_units(held: int, signed: int) -> int:
    """Return how many of an order's `signed` units open or enlarge a position of `held` units; 0 if it only reduces."""
    if held * signed >= 0:
        return signed
    beyond = abs(signed) - abs(held)
    return (beyond if signed > 0 else -beyond) if beyond > 0 else 0


def required_cash(instrument: Instrument, product: Product, quantity: int, price: float, rates: MarginRates) -> float:
    """Rupees blocked for a signed quantity at a price: premium of bought options, a share of strike times quantity of
    sold ones, a share of value of futures and shares. What hedges save is not taken off."""
    units = abs(quantity)
    if instrument.kind is InstrumentKind.FUT:
        return rates.future * units * price
    if instrument.kind.is_option:
        return units * price if quantity > 0 else rates.option_sold * units * instrument.strike
    return units * price * (rates.equity_delivery if product is Product.CNC else rates.equity_intraday)


def shortage_text(required: float, available: float) -> str:
    """Return the refusal text for insufficient cash (rupees); empty if there is enough, or nothing is needed."""
    if required <= max(available, 0.0):
        return ""
    return (
        f"Insufficient funds. Required: ₹{round(required, 2)}, Available: ₹{round(available, 2)}, "
        f"Shortage: ₹{round(required - available, 2)}"
    )
