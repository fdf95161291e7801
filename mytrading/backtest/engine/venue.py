"""The broker of a backtest: calls of the order machine in, answers and reads of single orders out.

`core/exchange` keeps the books. A call reaches the exchange at a price that was there after the call was made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.backtest.engine.assumptions import Models
from mytrading.core.calendar import Calendar
from mytrading.core.exchange.exchange import Exchange
from mytrading.core.exchange.model import Account, BookOrder, BooksSnapshot, ExchangeRefusal, Mark, OrderRequest
from mytrading.core.exchange.order_rules import FillRules, exchange_fill_price
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.instruments.symbology import instrument_id
from mytrading.core.orders.state_machine import with_wanted_terms
from mytrading.messages.enums import BrokerStatus, Call, OrderType, Outcome, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerPosition, BrokerTrades, Funds

_FAR = float("inf")
_STOPS = (OrderType.SL, OrderType.SL_M)
_PROVING = 3
"""Reads of the books after which the order machine believes an end that nobody asked for."""


class WaitingOrder(NamedTuple):
    """A call on its way, and when it arrives."""

    due_ns: int
    order: Order
    call: Call


class BacktestVenue:
    """One account at one exchange. `answers` fills up with messages for the order machine.

    With `plain` every answer comes as from a live server, one by one and in whole books; else in as few messages as
    the order machine needs.
    """

    tells_triggered = True
    """It has a word for stops that have triggered and rest beyond their limit."""

    def __init__(
        self, calendar: Calendar, facts: ContractFacts, instrument_of: Callable[[str], Instrument | None],
        capital: float, models: Models, account: str, *, plain: bool = False,
    ) -> None:  # fmt: skip
        self._models = models
        self._instrument_of = instrument_of
        self._account = account
        self._plain = plain
        self._room: dict[str, int | None] = {}
        self.waiting: list[WaitingOrder] = []
        self._names: dict[str, str] = {}
        self.marks: dict[str, Mark] = {}
        self.touch: dict[str, tuple[float, float]] = {}
        """By instrument, at or below which price and at or above which price some order acts."""
        self.moving = False
        """True while a bar's prices are walked through: calls then meet the present price."""
        self.sides: Callable[[str, float], tuple[float, float] | None] = lambda _instrument, _price: None
        """Bid and ask of an instrument that trades at a price now, rupees; None where both are that price."""
        self.now = 0
        self.machine_ns = 0
        self.answers: list[Any] = []
        books, rules = BooksSnapshot(account=Account(capital=capital)), FillRules(self._price, strict=True)
        self.exchange = Exchange(
            calendar, facts, instrument_of, books, part_of=self._part_of, rules=rules, spot_of=self._spot_of
        )
        self._facts = facts

    def _price(self, request: OrderRequest, mark: Mark, fresh: bool) -> float | None:
        return None if self._room.get(request.instrument) == 0 else exchange_fill_price(request, mark, fresh)

    def _spot_of(self, option: Instrument) -> float:
        underlying = self._facts.underlyings.get(option.underlying)
        name = instrument_id(underlying.exchange, option.underlying) if underlying is not None else ""
        return mark.ltp if (mark := self.marks.get(name)) is not None else 0.0

    def _part_of(self, order: BookOrder) -> int:
        room = self._room.get(order.request.instrument)
        if room is None:
            return 0
        part = min(room, order.pending_units)
        self._room[order.request.instrument] = room - part
        return part

    def set_volume(self, instrument: str, volume: float) -> None:
        """Set the volume of the bar that begins, which limits how many of the instrument's units may fill in it."""
        found = self._instrument_of(instrument)
        self._room[instrument] = self._models.volume.fillable_units(volume, found.lot_size if found is not None else 1)

    def set_price(self, instrument: str, price: float, *, slips: bool = True) -> Mark:
        """Set an instrument's price (rupees) and return its mark (last, bid, ask), with bid and ask widened by slippage
        unless `slips` is false."""
        found = self._instrument_of(instrument)
        made = self.mark_of(found, price, self.sides(instrument, price)) if slips and found is not None else Mark(price)
        self.marks[instrument] = made
        return made

    def mark_of(self, contract: Instrument, price: float, sides: tuple[float, float] | None) -> Mark:
        """Return the mark of a contract at a price (rupees): its bid and ask (`sides`; None: the price), widened by
        slippage."""
        slip = self._models.slippage.per_unit(price, contract.tick_size)
        if sides is not None:
            bid = max(sides[0] - slip, min(sides[0], contract.tick_size))
            return Mark(price, round(bid, 6), round(sides[1] + slip, 6))
        return Mark(price, price - slip, price + slip) if slip else Mark(price)

    def book_profit(self, rupees: float) -> None:
        """Add a profit (a loss is below 0) that was realised elsewhere to the account's cash."""
        books = self.exchange.books
        books.account = replace(books.account, realised=books.account.realised + rupees)

    @property
    def fills_at_close(self) -> bool:
        """True if orders that a bar's close leads to are filled at that close."""
        return self._models.at_close and not self._models.latency_ns

    @property
    def caps_volume(self) -> bool:
        """True if a bar fills no more than a share of its volume."""
        return bool(self._models.volume.share)

    @property
    def is_idle(self) -> bool:
        """True while no order rests."""
        return not any(self.exchange.instruments_with_live_orders())

    def call(self, order: Order, call: Call) -> None:
        """Take a call of the order machine: executed at once within a bar or where orders fill at the close, else after
        the configured latency."""
        if self.moving or self.fills_at_close:
            self._do(order, call)
        else:
            self.waiting.append(WaitingOrder(self.now + self._models.latency_ns, order, call))

    def execute_due_calls(self, until_ns: int, price_at: Callable[[str, int], float | None]) -> bool:
        """Execute waiting calls due before `until_ns` at `price_at(instrument, due_ns)`; where that is None the call
        waits on. True if one was executed."""
        due, self.waiting = self.waiting, []
        done = False
        for item in due:
            price = price_at(item.order.instrument, item.due_ns) if item.due_ns < until_ns else None
            if price is None:
                self.waiting.append(item)
                continue
            self.set_price(item.order.instrument, price)
            self._do(item.order, item.call)
            done = True
        return done

    def end_day(self, settlement_of: Callable[[Instrument], float]) -> None:
        """Let the exchange do what is due by the clock: square-off, end of day orders, settlement of expired contracts
        at `settlement_of` (rupees). Ended orders go to `answers`."""
        changes = self.exchange.advance(self.now, self.marks.get, settlement_of)
        newest = {order.order_id: order for order in changes.orders} if changes is not None else {}
        for order in newest.values():
            if order.order_id in self._names:
                for _ in range(_PROVING):
                    self._show(order)
        self.touch.clear()

    def refuse_waiting(self, why: str) -> None:
        """Refuse all calls still waiting for the latency, for reason `why`: the session is over."""
        due, self.waiting = self.waiting, []
        for item in due:
            self._answer(item.order, item.call, Outcome.REFUSED, message=why)

    def show_books_of_new_day(self) -> None:
        """Put the books of a day that begins into `answers` if positions were carried into it: they may leave once its
        position book told of them."""
        held = self.exchange.books.open_positions()
        rows = [BrokerPosition(instrument=p.instrument, product=p.product, quantity=p.quantity) for p in held]
        if rows:
            self._answer_books(tuple(self.exchange.books.orders.values()), tuple(rows))

    def _do(self, order: Order, call: Call) -> None:
        if call is Call.PLACE:
            self._place(order)
        else:
            self._change(order, call)
        self._set_touch(order.instrument)

    def _place(self, order: Order) -> None:
        request = OrderRequest(
            instrument=order.instrument, side=order.side, quantity=order.quantity, order_type=order.order_type,
            product=order.product, price=order.price, trigger_price=order.trigger_price, strategy=order.strategy,
        )  # fmt: skip
        found, _ = self.exchange.place(request, self.marks.get(order.instrument), self.now)
        if isinstance(found, ExchangeRefusal):
            self._answer(order, Call.PLACE, Outcome.REFUSED, found.order_id, found.reason)
            return
        self._names[found.order_id] = order.client_order_id
        if self._plain or not found.filled:
            self._answer(order, Call.PLACE, Outcome.ACCEPTED, found.order_id)
        if found.filled or not found.is_live or found.triggered:
            self._show(found)

    def _change(self, order: Order, call: Call) -> None:
        name, broker_id = order.broker_order_id, ""
        if call is Call.CANCEL:
            found, _ = self.exchange.cancel(name, self.now)
        else:
            broker_id, wanted, mark = name, with_wanted_terms(order), self.marks.get(order.instrument)
            found, _ = self.exchange.modify(name, wanted.quantity, wanted.price, wanted.trigger_price, mark, self.now)
        if not isinstance(found, ExchangeRefusal):
            self._answer(order, call, Outcome.ACCEPTED, broker_id)
            self._show(found)
            return
        self._answer(order, call, Outcome.REFUSED, message=found.reason)
        known = self.exchange.books.orders.get(name)  # one of a day before is in no book, its end was shown
        if known is not None:
            self._show(known)

    def funds(self) -> Funds:
        """Return the account's available funds, as the reconciler reports them."""
        at = self.clock()
        available = self.exchange.books.available_cash()
        return Funds(account=self._account, available=available, used=0.0, machine_ns=at, began_machine_ns=at)

    def clock(self) -> int:
        """Return machine time (ns): market time, but strictly increasing."""
        self.machine_ns = max(self.machine_ns + 1, self.now)
        return self.machine_ns

    def _answer(self, order: Order, call: Call, outcome: Outcome, broker_id: str = "", message: str = "") -> None:
        began = max(order.call.began_machine_ns, self.clock())
        self.answers.append(CallOutcome(
            client_order_id=order.client_order_id, account=self._account, call=call, outcome=outcome,
            began_machine_ns=began, ended_machine_ns=self.clock(), broker_order_id=broker_id, message=message,
        ))  # fmt: skip

    def _show(self, order: BookOrder) -> None:
        """A read of the books with the order; `plain`: all orders, and this one if a new day has emptied the book."""
        book = self.exchange.books.orders
        shown = tuple({**book, order.order_id: order}.values()) if self._plain else (order,)
        self._answer_books(shown, None, single=not self._plain)

    def _answer_books(
        self, shown: tuple[BookOrder, ...], positions: tuple[BrokerPosition, ...] | None, *, single: bool = False
    ) -> None:
        trades = tuple(_trades(one) for one in shown if one.filled)
        self.answers.append(BooksRead(
            account=self._account, id="backtest", began_machine_ns=self.clock(), ended_machine_ns=self.clock(),
            orders=tuple(self._row(one) for one in shown), trades=trades, positions=positions, single=single,
        ))  # fmt: skip

    def _row(self, order: BookOrder) -> BrokerOrder:
        request = order.request
        return BrokerOrder(
            broker_order_id=order.order_id, instrument=request.instrument, side=request.side,
            quantity=request.quantity, status=self._word(order), product=request.product, filled=order.filled,
            average_price=order.average_price or None, order_type=request.order_type, price=request.price,
            trigger_price=request.trigger_price, message=order.reason, tag=self._names[order.order_id],
        )  # fmt: skip

    def _word(self, order: BookOrder) -> BrokerStatus:
        told = self.tells_triggered and order.triggered and order.status is BrokerStatus.OPEN
        return BrokerStatus.TRIGGERED if told else order.status

    def set_price_and_match(self, instrument: str, price: float, *, slips: bool = True) -> bool:
        """Set the price (`slips` as in `set_price`) and match the resting orders there; True if an order changed."""
        return self.match_resting(instrument, self.set_price(instrument, price, slips=slips))

    def match_resting(self, instrument: str, mark: Mark) -> bool:
        """Match an instrument's resting orders at a mark (last, bid, ask); True if an order changed."""
        changes = self.exchange.on_mark(instrument, mark, self.now)
        if changes is None or changes.is_empty:
            return False
        newest = {order.order_id: order for order in changes.orders}
        for order in newest.values():
            self._show(order)
        self._set_touch(instrument)
        return bool(newest)

    def _set_touch(self, instrument: str) -> None:
        """Keep the prices between which nothing happens."""
        low, high = -_FAR, _FAR
        for name in self.exchange.books.resting.get(instrument, ()):
            price, falls = self.fill_or_trigger_price(self.exchange.books.orders[name])
            low, high = (max(low, price), high) if falls else (low, min(high, price))
        if low == -_FAR and high == _FAR:
            self.touch.pop(instrument, None)
        else:
            self.touch[instrument] = (low, high)

    def fill_or_trigger_price(self, order: BookOrder) -> tuple[float, bool]:
        """Return the price at which a resting order fills or triggers; True if the market must fall to it."""
        request = order.request
        buys = request.side is Side.BUY
        if order.status is BrokerStatus.TRIGGER_PENDING:
            return request.trigger_price, not buys
        if request.order_type in (OrderType.MARKET, OrderType.SL_M):
            return _FAR, True
        found = self._instrument_of(request.instrument)
        through = self._models.limits.through_ticks * (found.tick_size if found is not None else 0.0)
        return (request.price - through, True) if buys else (request.price + through, False)

    def levels_between(self, instrument: str, begin: float, end: float) -> list[tuple[float, bool]]:
        """Return the prices from `begin` to `end` at which resting orders fill or trigger, nearest first, each with
        True if a stop order is there, whose fill slips."""
        falls = end < begin
        found: dict[float, bool] = {}
        for name in self.exchange.books.resting.get(instrument, ()):
            order = self.exchange.books.orders[name]
            price, down = self.fill_or_trigger_price(order)
            if down == falls and (end <= price < begin if falls else begin < price <= end):
                found[price] = found.get(price, False) or order.request.order_type in _STOPS
        return sorted(found.items(), reverse=falls)

    def held_units(self, instrument: str) -> int:
        """Return the net signed units of an instrument, delivered shares included."""
        books = self.exchange.books
        today = sum(p.quantity for p in books.open_positions() if p.instrument == instrument)
        return today + books.held_shares(instrument)


def _trades(order: BookOrder) -> BrokerTrades:
    request = order.request
    return BrokerTrades(
        broker_order_id=order.order_id, instrument=request.instrument, side=request.side, quantity=order.filled,
        value=order.filled * order.average_price,
    )  # fmt: skip
