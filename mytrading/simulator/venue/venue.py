"""The running exchange: today's market, the books, and everybody who is told about them.

Used by the REST handlers (orders, books, quotes), the driver (ticks, the venue's clockwork) and the WebSocket server
(first quotes). The one rule: a change of the books is on disk before anybody hears of it.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable
from datetime import date
from typing import Any

from msgspec.structs import replace

from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.core.matching import BookOrder, Changes, Exchange, Mark, OrderRequest, Refusal, Trigger
from mytrading.core.matching.triggers import TriggerBook, TriggerStatus
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.enums import Side
from mytrading.messages.instruments import Instrument
from mytrading.runtime.clock import MarketClock
from mytrading.simulator.brokers import BROKERS, PLAIN, Broker
from mytrading.simulator.faults import Faults
from mytrading.simulator.frames import BROKER, live_order_frame, order_frame
from mytrading.simulator.hub import Hub
from mytrading.simulator.live_rows import LiveRows
from mytrading.simulator.market.day import MarketDay, Quote
from mytrading.simulator.market.depth import price_band, standing
from mytrading.simulator.market.heard import Heard
from mytrading.simulator.market.history import History
from mytrading.simulator.market.world import World, worth
from mytrading.simulator.order_updates import OrderUpdates
from mytrading.simulator.personality import Personality, Role, protected, trigger_problem
from mytrading.simulator.quote_faults import QuoteFaults
from mytrading.simulator.quote_frames import QuoteFrames
from mytrading.simulator.rates import CallRates
from mytrading.simulator.rows import AnalyzerRows, Rows
from mytrading.simulator.session import BrokerSession
from mytrading.simulator.store import BookStore

_RECEIVED_KEPT = 100_000


class Venue:
    """Market, matching, books and listeners of one account."""

    def __init__(
        self,
        clock: MarketClock,
        world: World,
        store: BookStore,
        capital: float,
        personality: Personality = Personality(),  # noqa: B008
    ) -> None:
        self.clock = clock
        self.world = world
        self.history = History(world)
        self.personality = personality
        self.hub = Hub(self.broker, as_served=personality.role is not Role.PAPER)
        self.faults = Faults()
        self.session = BrokerSession(self.faults, clock.now)
        self.updates = OrderUpdates(self.hub, self.faults)
        self.feed = QuoteFaults(self.faults)
        self.frames = QuoteFrames(self.hub, self.faults)
        self.analyze = personality.broker is None
        self._analyzer_rows = AnalyzerRows()
        self._live_rows = LiveRows(self._behind)
        self.paused = False
        self.stop_at_ns = 0
        """In lock-step: market time after which no further step is made, 0 for none."""
        self.waits_for = ""
        """In lock-step: what of the last step is still under way."""
        self.routes: tuple[str, ...] = ()
        self.requests: Counter[str] = Counter()
        self.rates = CallRates()
        self.connections = 0
        self.chart: dict[str, Any] = {}
        """The settings of charts, as clients stored them."""
        self.received: deque[dict[str, Any]] = deque(maxlen=_RECEIVED_KEPT)
        self.held: dict[str, Quote] = {}
        self.depths: dict[str, tuple[int, int]] = {}
        self.heard = Heard()
        self.listing = InstrumentBook(())
        self.market: MarketDay | None = None
        self.index = -1
        self._store = store
        self.chronicle = store.chronicle
        if self.chronicle is not None:
            self.faults.on_act = self.chronicle.fault
        self.triggers = TriggerBook(store.triggers())
        self.exchange = Exchange(
            world.calendar, world.facts, self.instrument, store.load(capital), self._part_of, personality.rules
        )

    @property
    def mode(self) -> str:
        """What replies call the mode."""
        return "analyze" if self.analyze else "live"

    @property
    def broker(self) -> str:
        """The broker's name, as replies have it."""
        return self.personality.broker.name if self.personality.broker is not None else BROKER

    @property
    def _behind(self) -> Broker:
        """The broker whose shapes a live answer has: for who only plays an analyzer, the one that adds nothing."""
        return self.personality.broker or BROKERS[PLAIN]

    @property
    def rows(self) -> Rows:
        """The shapes of the books: a live server's while it does not analyze."""
        return self._analyzer_rows if self.analyze else self._live_rows

    @property
    def live(self) -> bool:
        """Whether it answers as a live server does."""
        return self.rows is self._live_rows

    def open_day(self, day: date) -> None:
        """List a day's instruments, those still held included, and make its market the present one."""
        self._list(day)
        self.market = self.world.day(day)
        self.index = self.market.index_at(self.clock.now())
        self.held.clear()

    def _list(self, day: date, besides: Iterable[str] = ()) -> None:
        listed = list(self.world.listing(day))
        known = {instrument.id for instrument in listed}
        held = {position.instrument for position in self.exchange.desk.open_positions()}
        listed += [self._relist(instrument, day) for instrument in sorted({*held, *besides} - known)]
        self.listing = InstrumentBook(listed)

    def list_anew(self) -> None:
        """The day's listing is another than it was: what has a price or rests stays listed besides."""
        if self.market is None:
            return
        self._list(self.market.day, (*self.held, *self.exchange.instruments_at_work()))
        self.held = {name: replace(quote, instrument=self.listing.get(name)) for name, quote in self.held.items()}

    def list_also(self, instrument: Instrument) -> None:
        """List one more instrument for the rest of the day."""
        self.listing = InstrumentBook((*self.listing, instrument))

    def _relist(self, instrument: str, day: date) -> Instrument:
        found = self.world.named(instrument, day) or self.listing.get(instrument)
        if found is None or not (found.kind.is_derivative or self.world.silent):
            raise ValueError(
                f"{instrument} is held: expected it in config/instruments.toml or among --instruments, found it in "
                "neither; add it there"
            )
        return found

    def instrument(self, instrument: str) -> Instrument | None:
        """A listed instrument by id; of an option that may have been listed since, the strikes are looked at again."""
        found = self.listing.get(instrument)
        if found is not None:
            return found
        exchange, symbol = split_id(instrument)
        parsed = parse_symbol(symbol, exchange)
        return self.listed(parsed.underlying).get(instrument) if parsed.kind.is_option else None

    def listed(self, underlying: str = "") -> InstrumentBook:
        """What is listed now: strikes follow the lowest and highest price of the day, of one underlying or of all."""
        market, facts = self.market, self.world.facts.underlyings
        if market is None or self.world.silent:
            return self.listing
        more: list[Instrument] = []
        for name in (underlying,) if underlying else facts:
            if name in facts and facts[name].strike_step and (span := self._span(name)) is not None:
                more += self.world.more_options(self.listing, name, market.day, span)
        if more:
            self.listing = InstrumentBook((*self.listing, *more))
        return self.listing

    def _span(self, underlying: str) -> tuple[float, float] | None:
        """Between which prices an underlying was on this day, that of a push included."""
        assert self.market is not None
        span = self.market.span(underlying, self.index)
        pushed = self.held.get(self.listing.spot(underlying).id)
        if span is None or pushed is None:
            return span
        return min(span[0], pushed.ltp), max(span[1], pushed.ltp)

    def quote(self, instrument: Instrument) -> Quote | None:
        """The present market of an instrument; None before the first market day."""
        held = self.held.get(instrument.id)
        if held is not None or self.market is None:
            return held
        return self.market.quote(instrument, self.index)

    def mark(self, instrument: str) -> Mark | None:
        """The present prices of an instrument, as matching wants them; none if a followed market tells them no more."""
        if self.world.silent and not self.heard.is_fresh(instrument, self.clock.now()):
            return None
        listed = self.instrument(instrument)
        quote = self.quote(listed) if listed is not None else None
        return Mark(quote.ltp, quote.bid, quote.ask, *self._band(quote)) if quote is not None else None

    def _band(self, quote: Quote) -> tuple[float, float]:
        """The day's price band of an instrument, 0 and 0 without one."""
        spot = None
        if quote.instrument.kind.is_derivative:
            spot = self._spot(quote.instrument)
        return price_band(quote.instrument, quote.prev_close, spot.prev_close if spot is not None else 0.0)

    def _spot(self, contract: Instrument) -> Quote | None:
        """The present market of what a contract is written on; None where that is not listed, as with goods."""
        try:
            return self.quote(self.listing.spot(contract.underlying))
        except NoSuchContract:
            return None

    def place(self, request: OrderRequest, late_rejection: str = "") -> BookOrder | Refusal:
        """Place an order; with `late_rejection` it is accepted, then rejected in the book.

        A live broker that protects market orders makes limits of them.
        """
        mark, listed = self.mark(request.instrument), self.instrument(request.instrument)
        broker = self.personality.broker
        if self.live and broker is not None and broker.protects and mark is not None and listed is not None:
            request = protected(request, listed, mark)
        if self.live and mark is not None and (problem := trigger_problem(request, mark)):
            return Refusal(problem)
        result, changes = self.exchange.place(request, mark, self.clock.now(), late_rejection)
        self.commit(changes)
        return result

    def modify(self, order_id: str, quantity: int, price: float, trigger_price: float) -> BookOrder | Refusal:
        """Modify an order; as on the real server no update is sent for it unless it fills."""
        found = self.exchange.desk.orders.get(order_id)
        mark = self.mark(found.request.instrument) if found is not None else None
        result, changes = self.exchange.modify(order_id, quantity, price, trigger_price, mark, self.clock.now())
        self.commit(changes, tell_open=False)
        return result

    def cancel(self, order_id: str) -> BookOrder | Refusal:
        """Cancel an order."""
        result, changes = self.exchange.cancel(order_id, self.clock.now())
        self.commit(changes)
        return result

    def commit(self, changes: Changes, *, tell_open: bool = True) -> None:
        """Store a change, then tell the order listeners."""
        if not changes.empty:
            self._store.save(changes)
            self._tell(changes, tell_open=tell_open)

    def _tell(self, changes: Changes, *, tell_open: bool) -> None:
        for order in changes.orders:
            if tell_open or not order.live:
                self.updates.send(self._order_frame(order))

    def _order_frame(self, order: BookOrder) -> dict[str, Any]:
        return live_order_frame(order, self._behind) if self.live else order_frame(order, self.mode)

    def tick(self, index: int, *, last: bool) -> None:
        """Make tick `index` the present one: match resting orders, send quotes (between ticks only the index's)."""
        market = self.market
        assert market is not None
        self.index = index
        watched = self.hub.watched
        resting = {**dict.fromkeys(self.exchange.instruments_at_work()), **dict.fromkeys(self.triggers.instruments())}
        for instrument_id in dict.fromkeys((*resting, *watched)):
            instrument = self.listing.get(instrument_id)
            if instrument is None or instrument_id in self.held or not market.trades_at(instrument, index):
                continue
            is_index = instrument.exchange.endswith("_INDEX")
            if not last and not is_index and instrument_id not in resting:
                continue
            quote = market.quote(instrument, index)
            if last or is_index:
                self.publish(quote)
            self.match(quote)

    def push(self, quote: Quote, *, hold: bool) -> None:
        """Make a quote the market at once; with `hold` it stays until released, else until the next tick."""
        self.show(quote, hold=hold)
        self.match(quote)

    def show(self, quote: Quote, *, hold: bool) -> None:
        """The first half of `push`: the price is there, and on its way to who listens. `match` has to follow."""
        if hold:
            self.held[quote.instrument.id] = quote
        self.publish(quote)

    def publish(self, quote: Quote) -> None:
        """Send a quote to its listeners, as faults of the feed would have it."""
        if quote.instrument.id not in self.hub.watched or self.session.rolled_over:
            return
        shown = self.feed.shown(quote)
        if shown is not None:
            self.frames.send(shown)
        self.drop_if_asked()

    def drop_if_asked(self) -> None:
        """Close all WebSocket connections if a fault wants it."""
        if self.faults.take("ws_drop") is not None:
            self.hub.drop_all()

    def match(self, quote: Quote) -> None:
        """Fill what rests at a price, and fire the triggers that it reaches."""
        mark = Mark(quote.ltp, quote.bid, quote.ask)
        changes = self.exchange.on_mark(quote.instrument.id, mark, self.clock.now())
        if changes is not None:
            self.commit(changes)
        self._fire(quote)

    def keep_trigger(self, trigger: Trigger) -> None:
        """Store a new trigger, or a new state of one."""
        self._store.save_trigger(trigger)
        self.triggers.keep(trigger)

    def _fire(self, quote: Quote) -> None:
        """End the triggers that a price reaches, and place their orders."""
        now, exchange = self.clock.now(), quote.instrument.exchange
        due = self.triggers.due(quote.instrument.id, quote.ltp, now)
        if not due or not self.world.calendar.is_open(exchange, now):
            return
        for trigger, request in due:
            self.keep_trigger(trigger)
            placed = self.place(request) if request is not None else None
            if isinstance(placed, Refusal):
                self.keep_trigger(replace(trigger, status=TriggerStatus.REJECTED, reason=placed.reason))

    def advance(self) -> None:
        """Let the venue do what its clock says is due."""
        changes = self.exchange.advance(self.clock.now(), self.mark, self._settlement)
        if changes is not None:
            self._store.save(changes)
            self._tell(changes, tell_open=True)

    def _part_of(self, order: BookOrder) -> int:
        """The units of an order that a fill takes: whole lots of what stands there or of a fault's part, 0 for all."""
        listed = self.instrument(order.request.instrument)
        quote = self.quote(listed) if listed is not None else None
        if listed is None or quote is None or order.pending <= listed.lot_size:
            return 0
        fault = self.faults.take("partial_fill", instrument=listed.id)
        if fault is not None:
            units = int(order.pending * fault.number("fraction"))
        elif self.personality.rules.strict:
            units = self._standing(quote, Side.SELL if order.request.side is Side.BUY else Side.BUY)
        else:
            return 0
        return max(units // listed.lot_size, 1) * listed.lot_size if 0 <= units < order.pending else 0

    def _standing(self, quote: Quote, side: Side) -> int:
        """Units that stand at the best price of a side; where that is not told, enough for any order."""
        shown = self.depths.get(quote.instrument.id)
        there = standing(quote, side) if shown is None else shown[0 if side is Side.BUY else 1]
        return there or sys.maxsize

    def _settlement(self, instrument: Instrument) -> float:
        if self.world.silent:
            spot, own = self._spot(instrument), self.quote(instrument)
            assert own is not None
            return worth(instrument, spot.ltp) if spot is not None and spot.ltp else own.ltp
        return self.world.settlement(instrument, date.fromisoformat(instrument.expiry))

    def checkpoint(self) -> None:
        """Tidy the store; may run in a thread."""
        self._store.checkpoint()

    def close(self) -> None:
        """Close the store."""
        self._store.close()
