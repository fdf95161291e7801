"""The paper exchange: order matching on bid and ask, positions, cash, square-off and expiry.

Simulator and backtest share it. Time, marks and settlement prices are arguments. Each call returns an `ExchangeChanges`
with everything it changed, which the caller stores before it publishes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, time

from msgspec.structs import replace

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.calendar import Calendar
from mytrading.core.exchange.books import ExchangeBooks, opening_units, required_cash, shortage_text
from mytrading.core.exchange.model import BookOrder, BooksSnapshot, ExchangeChanges, ExchangeRefusal, Mark, OrderRequest
from mytrading.core.exchange.order_rules import EXCHANGE, FillRules, band_problem, is_triggered, order_problem
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import to_ns
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.messages.instruments import Instrument

MarkOf = Callable[[str], Mark | None]
InstrumentOf = Callable[[str], Instrument | None]
SettlementOf = Callable[[Instrument], float]
PartOf = Callable[[BookOrder], int]
MarkAt = Callable[[str, int], Mark | None]

SQUARE_OFF_OWNER = "AUTO_SQUARE_OFF"
_MIS_FROM = time(9)
_STOPS = (OrderType.SL, OrderType.SL_M)


class Exchange:
    """Matching engine, books and clockwork of one account. `on_mark` without live orders costs one look-up.

    `part_of` gives the units of an order that a fill takes now, 0 for all of them. `spot_of` gives the price of an
    option's underlying in rupees, 0 where it is not known. `outlives_day` says of an order that is live at the close
    whether it stays, and `settles_after` how long after the close (ns) expired contracts are settled.
    """

    def __init__(
        self,
        calendar: Calendar,
        facts: ContractFacts,
        instrument_of: InstrumentOf,
        books: BooksSnapshot,
        part_of: PartOf = lambda _order: 0,
        rules: FillRules = EXCHANGE,
        spot_of: Callable[[Instrument], float] = lambda _option: 0.0,
        outlives_day: Callable[[BookOrder], bool] = lambda _order: False,
        settles_after: Callable[[], int] = lambda: 0,
    ) -> None:
        self._calendar = calendar
        self._facts = facts
        self._instrument_of = instrument_of
        self._part_of = part_of
        self._rules = rules
        self._outlives_day, self._settles_after = outlives_day, settles_after
        self.books = ExchangeBooks(books, instrument_of, facts, spot_of)

    def instruments_with_live_orders(self) -> Iterable[str]:
        """Return the instruments with live orders, of which `on_mark` needs every tick."""
        return self.books.resting.keys()

    def place(
        self, request: OrderRequest, mark: Mark | None, now: int, late_rejection: str = ""
    ) -> tuple[BookOrder | ExchangeRefusal, ExchangeChanges]:
        """Accept an order, filled if `mark` allows, or refuse it; returns order or refusal, and the books' changes.

        A refusal books nothing, except for selling shares for delivery that are not held: a rejected order. With
        `late_rejection` (its text) the order is accepted and then rejected, as a broker's risk desk does.
        """
        books = self.books
        if problem := self._problem(request, mark, now):
            return ExchangeRefusal(problem), books.take_changes()
        assert mark is not None
        signed = request.side.sign * request.quantity
        if problem := self._delivery_problem(request):
            order = books.open_order(request, BrokerStatus.REJECTED, now, mark.ltp, 0.0, problem)
            return ExchangeRefusal(problem, order.order_id), books.take_changes()
        required = self._required(request, signed, mark)
        if problem := shortage_text(required, books.available_cash()):
            return ExchangeRefusal(problem), books.take_changes()
        status = BrokerStatus.TRIGGER_PENDING if request.order_type in _STOPS else BrokerStatus.OPEN
        order = books.open_order(request, status, now, mark.ltp, required)
        if late_rejection:
            order = books.end_order(order, BrokerStatus.REJECTED, now, late_rejection)
        elif self._works(request.instrument, now):
            order = self._work(order, mark, now, fresh=True)
        return order, books.take_changes()

    def modify(
        self, order_id: str, quantity: int, price: float, trigger_price: float, mark: Mark | None, now: int
    ) -> tuple[BookOrder | ExchangeRefusal, ExchangeChanges]:
        """Change an order's quantity, and its price or trigger (0: as it was); returns it or a refusal, and changes."""
        books = self.books
        order = books.orders.get(order_id)
        if order is None:
            return ExchangeRefusal(f"Order {order_id} not found", not_found=True), books.take_changes()
        if not order.is_live:
            return ExchangeRefusal(f"Cannot modify order in {order.status} status"), books.take_changes()
        old = order.request
        request = replace(
            old, quantity=quantity, price=price or old.price, trigger_price=trigger_price or old.trigger_price
        )
        if self._rules.strict and mark is not None and (problem := band_problem(request, mark)):
            return ExchangeRefusal(problem), books.take_changes()
        instrument = self._instrument_of(request.instrument)
        if instrument is None or mark is None:
            return ExchangeRefusal(f"{request.instrument} is no longer listed"), books.take_changes()
        if price and old.order_type is OrderType.SL_M:
            problem = f"price cannot be modified for {old.order_type} orders; send 0"
        elif trigger_price and old.order_type is OrderType.LIMIT:
            problem = f"trigger_price cannot be modified for {old.order_type} orders; send 0"
        else:
            problem = order_problem(request, instrument, self._rules.strict)
        if not problem and quantity <= order.filled:
            problem = f"quantity must be above the {order.filled} that are filled, found {quantity}; cancel the rest"
        if problem:
            return ExchangeRefusal(problem), books.take_changes()
        required = self._required(request, request.side.sign * (quantity - order.filled), mark, order_id)
        if problem := shortage_text(required, books.available_cash() + order.blocked):
            return ExchangeRefusal(problem), books.take_changes()
        order = books.store_order(replace(order, request=request, blocked=required, updated_ns=now))
        if self._works(instrument.id, now):
            order = self._work(order, mark, now, fresh=self._rules.strict)
        return order, books.take_changes()

    def cancel(self, order_id: str, now: int) -> tuple[BookOrder | ExchangeRefusal, ExchangeChanges]:
        """Cancel a live order; returns it, or a refusal if it is not live, and the changes of the books."""
        books = self.books
        order = books.orders.get(order_id)
        if order is None:
            return ExchangeRefusal(f"Order {order_id} not found", not_found=True), books.take_changes()
        if not order.is_live:
            return ExchangeRefusal(f"Cannot cancel order in {order.status} status"), books.take_changes()
        return books.end_order(order, BrokerStatus.CANCELLED, now), books.take_changes()

    def on_mark(self, instrument: str, mark: Mark, now: int) -> ExchangeChanges | None:
        """Match an instrument's live orders at a new mark, oldest first; None if none is live or trading is closed."""
        resting = self.books.resting.get(instrument)
        if not resting or not self._works(instrument, now):
            return None
        for order_id in list(resting):
            order = self.books.orders[order_id]
            if order.is_live:
                self._work(order, mark, now, fresh=False)
        return self.books.take_changes()

    def advance(
        self, now: int, mark_of: MarkOf, settlement_of: SettlementOf, mark_at: MarkAt | None = None
    ) -> ExchangeChanges | None:
        """Do what is due at `now` (market ns): new day, square-off, settlement of expired contracts, end of day orders.

        Call it about once a market minute or more; each thing happens once a day. None if nothing was due. `mark_of`
        and `settlement_of` look up an instrument's mark and settlement price, `mark_at` its mark at a past moment
        (market ns): with it a square-off that fell due while nobody called happens now, at the prices of its time.
        """
        books = self.books
        today = self._calendar.trading_day(now).isoformat()
        if books.account.day != today:
            if books.account.day:
                self._end_day(date.fromisoformat(books.account.day), now, settlement_of, mark_at)
            books.begin_day(today)
        day = date.fromisoformat(today)
        if not books.account.squared_off and self._square_off_due(day, now):
            self._square_off(now, mark_of)
        if not books.account.settled:
            self._close_if_due(day, now, settlement_of)
        changes = books.take_changes()
        return None if changes.is_empty and not books.take_day_change() else changes

    def _problem(self, request: OrderRequest, mark: Mark | None, now: int) -> str:
        instrument = self._instrument_of(request.instrument)
        if instrument is None:
            exchange, _, symbol = request.instrument.partition(":")
            return f"Symbol {symbol} not found on {exchange}"
        if problem := order_problem(request, instrument, self._rules.strict):
            return problem
        if mark is None or mark.ltp <= 0:
            return (
                f"Cannot place {request.order_type} order for {instrument.symbol} - unable to fetch current price. "
                "Please try again later or use LIMIT order with a specific price."
            )
        outside = band_problem(request, mark) if self._rules.strict else ""
        return outside or self._session_problem(request, instrument.exchange, now)

    def _session_problem(self, request: OrderRequest, exchange: str, now: int) -> str:
        day = self._calendar.trading_day(now)
        session = self._calendar.session(exchange, day)
        if session is None and self._rules.strict:
            return f"{exchange} does not trade on {day}: send the order on a trading day"
        too_early = not self._rules.strict and now < to_ns(day, _MIS_FROM)  # the analyzer's hour for intraday orders
        if request.product is Product.MIS and (self._square_off_due(day, now) or too_early):
            at = self._facts.square_off.get(exchange) or self._facts.square_off.get("NFO")  # an index has none
            hour = f" ({at:%H:%M} IST)" if at else ""
            return f"MIS orders cannot be placed after square-off time{hour}. Trading resumes at 09:00 AM IST."
        if session is None or not self._rules.strict:
            return ""
        if now >= session.close_ns:
            return f"{exchange} is closed: orders are taken until the close; send it in the next session"
        if now < session.open_ns and request.order_type is OrderType.MARKET:
            return f"{exchange} has not opened: expected a LIMIT, SL or SL-M order before the open, found MARKET"
        return ""

    def _delivery_problem(self, request: OrderRequest) -> str:
        if request.product is not Product.CNC or request.side is not Side.SELL:
            return ""
        symbol = request.instrument.partition(":")[2]
        held = max(self.books.position(request.instrument, Product.CNC).quantity, 0)
        stored = self.books.held_shares(request.instrument)
        if held + stored == 0:
            return (
                f"Cannot sell {symbol} in CNC. No positions or holdings available. "
                "CNC (delivery) requires existing shares. Use MIS for intraday short selling."
            )
        if request.quantity > held + stored:
            return (
                f"Cannot sell {request.quantity} shares of {symbol} in CNC. "
                f"Only {held + stored} shares available (Position: {held}, Holdings: {stored})"
            )
        return ""

    def _required(self, request: OrderRequest, signed: int, mark: Mark, order_id: str = "") -> float:
        """Rupees that an order blocks; `order_id` is its own, once it has one."""
        instrument = self._instrument_of(request.instrument)
        assert instrument is not None
        if request.product is Product.CNC and request.side is Side.SELL:
            return 0.0
        books = self.books
        opening = opening_units(books.position(request.instrument, request.product).quantity, signed)
        price = request.price or request.trigger_price or mark.execution_price(request.side)
        required = required_cash(instrument, request.product, opening, price, self._facts.margin)
        if signed >= 0 or not instrument.kind.is_option:
            return required
        # a sold option may use a hedge, or be one: then what it hedged is charged, less what the sale brings
        others = self._options_on_sale(order_id)
        whole = books.option_leg(instrument, signed, price, request.product)
        lost = round(books.hedge_benefit(others) - books.hedge_benefit([*others, whole]), 2)
        return max(required + lost - (opening - signed) * price, 0.0)

    def _options_on_sale(self, but: str) -> list[MarginLeg]:
        """Live orders that sell options, which use hedges that are held or are these, without the one of this id."""
        books, found = self.books, []
        for name in (key for row in books.resting.values() for key in row if key != but):
            order = books.orders[name]
            listed = self._instrument_of(order.request.instrument)
            if order.request.side is Side.SELL and listed is not None and listed.kind.is_option:
                price = order.request.price or order.reference_price
                found.append(books.option_leg(listed, -order.pending_units, price, order.request.product))
        return found

    def _work(self, order: BookOrder, mark: Mark, now: int, *, fresh: bool) -> BookOrder:
        """Match an order with a mark: trigger it, and fill it if its price is there."""
        request = order.request
        if order.status is BrokerStatus.TRIGGER_PENDING:
            if not is_triggered(request, mark.ltp):
                return order
            order = self.books.store_order(replace(order, status=BrokerStatus.OPEN, triggered=True, updated_ns=now))
            fresh = True
        price = self._rules.price(request, mark, fresh)
        return order if price is None else self.books.fill_order(order, price, now, self._part_of(order))

    def _works(self, instrument: str, now: int) -> bool:
        """True if orders of an instrument can fill now."""
        return not self._rules.strict or self._calendar.is_open(instrument.partition(":")[0], now)

    def _square_off_due(self, day: date, now: int) -> bool:
        """True if the square-off of MIS is due or over; the analyzer goes by the hour alone.

        An exchange does nothing of the kind before an evening session: its hour has no meaning on that day.
        """
        at = self._facts.square_off.get("NFO")
        if at is None or now < to_ns(day, at):
            return False
        session = self._calendar.session("NFO", day) if self._rules.strict else None
        return session is None or session.open_ns < to_ns(day, at)

    def _end_day(self, day: date, now: int, settlement_of: SettlementOf, mark_at: MarkAt | None) -> None:
        """Do what a day that is over still lacks."""
        due = self._facts.square_off.get("NFO")
        if mark_at is not None and due is not None and not self.books.account.squared_off:
            at = to_ns(day, due)
            if self._square_off_due(day, at):
                self._square_off(at, lambda instrument: mark_at(instrument, at))
        if not self.books.account.closed:
            self._close_day(now)
        if not self.books.account.settled:
            self._settle(day, now, settlement_of)

    def _square_off(self, now: int, mark_of: MarkOf) -> None:
        books = self.books
        self._cancel_live(now, "cancelled by the venue's square-off", Product.MIS)
        for position in books.open_positions():
            if position.product is Product.MIS:
                books.flatten(position, mark_of(position.instrument), now, SQUARE_OFF_OWNER)
        books.account = replace(books.account, squared_off=True)

    def _close_if_due(self, day: date, now: int, settlement_of: SettlementOf) -> None:
        closes = [s.close_ns for name in ("NSE", "NFO") if (s := self._calendar.session(name, day)) is not None]
        if not closes or now < max(closes):
            return
        if not self.books.account.closed:
            self._close_day(now)
        if now >= max(closes) + self._settles_after():
            self._settle(day, now, settlement_of)

    def _close_day(self, now: int) -> None:
        for order in [order for order in self.books.orders.values() if order.is_live]:
            if not self._outlives_day(order):
                self.books.end_order(order, BrokerStatus.CANCELLED, now, "day order expired at the close")
        self.books.account = replace(self.books.account, closed=True)

    def _settle(self, day: date, now: int, settlement_of: SettlementOf) -> None:
        """Settle contracts that have expired by `day`, and end what orders they still have."""
        books = self.books
        for order in [order for order in books.orders.values() if order.is_live]:
            if self._expired(order.request.instrument, day) is not None:
                books.end_order(order, BrokerStatus.CANCELLED, now, "the contract has expired")
        for position in books.open_positions():
            if (instrument := self._expired(position.instrument, day)) is not None:
                books.settle(position, settlement_of(instrument))
        books.account = replace(books.account, settled=True)

    def _expired(self, name: str, day: date) -> Instrument | None:
        instrument = self._instrument_of(name)
        return (
            instrument
            if instrument is not None and instrument.expiry and instrument.expiry <= day.isoformat()
            else None
        )

    def _cancel_live(self, now: int, reason: str, product: Product | None = None) -> None:
        """Cancel all live orders, or those of one product."""
        for order in [order for order in self.books.orders.values() if order.is_live]:
            if product in (None, order.request.product):
                self.books.end_order(order, BrokerStatus.CANCELLED, now, reason)
