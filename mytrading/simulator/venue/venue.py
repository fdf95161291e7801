"""The running exchange: today's market, the books, and the clients that follow them.

A change of the books is on disk before it is published.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import date, time, timedelta
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from mytrading.core.exchange.exchange import Exchange
from mytrading.core.exchange.gtt import Trigger, TriggerBook, TriggerStatus
from mytrading.core.exchange.model import BookOrder, ExchangeChanges, ExchangeRefusal, Mark, OrderRequest
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import MINUTE, SECOND, ist_date, to_ns
from mytrading.messages.enums import OrderType, Product, Side
from mytrading.messages.instruments import Instrument
from mytrading.runtime.host.clock import MarketClock
from mytrading.simulator.faults.effects import OrderSender, QuoteSender
from mytrading.simulator.faults.registry import Faults
from mytrading.simulator.formats.broker_frames import BrokerFrames
from mytrading.simulator.formats.frames import BROKER, Body, depth_levels, order_frame
from mytrading.simulator.formats.live_rows import LiveRows, live_order_frame
from mytrading.simulator.formats.rows import AnalyzerRows
from mytrading.simulator.market.day import MarketDay, SimulatedQuote, price_band
from mytrading.simulator.market.history import MarketHistory
from mytrading.simulator.market.world import SimulatedWorld, settlement_value
from mytrading.simulator.settings import personality as personalities
from mytrading.simulator.settings.broker_profile import PLAIN, BrokerProfile, broker_profiles
from mytrading.simulator.venue.broker_feed import SegmentTokens, TrueQuotes
from mytrading.simulator.venue.store import BookStore
from mytrading.simulator.ws.hub import Hub


class CallCounter:
    """Counts of one class of calls: all of them, and the most within any rolling and any calendar second."""

    def __init__(self) -> None:
        self.calls = self.most_rolling = self.most_calendar = 0
        self._recent: deque[int] = deque()

    def count(self, now: int) -> None:
        """Count one call at `now` (ns, ascending), and update the most within a second."""
        recent = self._recent
        recent.append(now)
        while now - recent[0] >= SECOND:
            recent.popleft()
        self.calls += 1
        self.most_rolling = max(self.most_rolling, len(recent))
        self.most_calendar = max(self.most_calendar, sum(at // SECOND == now // SECOND for at in recent))

    def row(self) -> dict[str, int]:
        """Return the counts, for `/sim/state`."""
        return {"calls": self.calls, "most_rolling": self.most_rolling, "most_calendar": self.most_calendar}


class BrokerSession:
    """One broker login; `now` gives market ns."""

    def __init__(self, faults: Faults, now: Callable[[], int]) -> None:
        self._faults, self._now = faults, now
        self._login_ns = now()

    def refuses(self, route: str) -> bool:
        """Return whether a call to this route is refused for lack of a broker session; a fault's action is counted."""
        if self._faults.fire("session_lost", route=route) is not None:
            return True
        return self.rolled_over and self._faults.fire("token_rollover") is not None

    def is_missing(self) -> bool:
        """Return whether the broker waits for the day's login and its books are empty; a fault's action is counted."""
        return self._has_ended("login_missing") and self._faults.fire("login_missing") is not None

    @property
    def refuses_sockets(self) -> bool:
        """True if a socket that authenticates now is refused (counted as a fault's action); those before stay."""
        return self._faults.fire("session_lost", route="websocket") is not None

    @property
    def rolled_over(self) -> bool:
        """True if the token has expired since the last login: then calls fail and the feed is mute."""
        return self._has_ended("token_rollover")

    def _has_ended(self, name: str) -> bool:
        """True if a fault that ends the session from its time `at` on has done so since the last login."""
        if (fault := self._faults.get(name)) is None:
            return False
        at = fault.text("at")
        if not at:
            return True
        now, moment = self._now(), time.fromisoformat(at)
        ended = to_ns(ist_date(now), moment)
        if ended > now:
            ended = to_ns(ist_date(now) - timedelta(days=1), moment)
        return self._login_ns < ended

    def login(self) -> None:
        """Begin a new broker session: ends `session_lost`; a fault with a time of day recurs the next day."""
        self._login_ns = self._now()
        self._faults.end("session_lost")
        for name in ("token_rollover", "login_missing"):
            if (fault := self._faults.get(name)) is not None and not fault.text("at"):
                self._faults.end(name)


_STALE_NS, _OPTION_STALE_NS = 30 * SECOND, MINUTE
"""Market time after which a followed price is none to fill at; options trade less often."""


class QuoteAges:
    """Times of the last quote by instrument, and of any, in market ns."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._last = 0

    def record(self, instrument: str, now: int) -> None:
        """Record a quote of the instrument at `now` (market ns)."""
        self._at[instrument] = self._last = now

    def is_fresh(self, instrument: str, now: int) -> bool:
        """Return whether at `now` (market ns) the instrument's last quote is young enough and the stream alive."""
        exchange, symbol = split_id(instrument)
        limit = _OPTION_STALE_NS if parse_symbol(symbol, exchange).kind.is_option else _STALE_NS
        return now - self._last <= _STALE_NS and now - self._at.get(instrument, 0) <= limit


_RECEIVED_KEPT = 100_000
HIDDEN_FROM = time(3)
"""From this hour on the order book of the sandbox begins with the orders placed since."""


class SimulatedVenue:
    """Market, matching, books and listeners of one account."""

    def __init__(
        self,
        clock: MarketClock,
        world: SimulatedWorld,
        store: BookStore,
        capital: float,
        personality: personalities.Personality = personalities.Personality(),  # noqa: B008
    ) -> None:
        self.clock = clock
        self.world = world
        self.history = MarketHistory(world)
        self.personality = personality
        self.tokens = SegmentTokens(lambda: self.listing)
        self.hub = Hub(
            self.broker,
            as_served=personality.role is not personalities.Role.PAPER,
            frames=BrokerFrames(personality.feed.socket, self.broker) if personality.feed is not None else None,
            token_of=self.tokens.of,
        )
        self.sent = TrueQuotes() if personality.feed is not None else None
        """The true quotes behind the frames of a broker."""
        self.faults = Faults()
        self.session = BrokerSession(self.faults, clock.now)
        self.updates = OrderSender(self.hub, self.faults)
        self.quotes = QuoteSender(self.hub, self.faults)
        self.analyze = personality.broker is None
        self._analyzer_rows = AnalyzerRows()
        self.changed_orders: set[str] = set()
        """Ids of orders that were changed since the start, which some brokers show."""
        self._change_refused: set[str] = set()
        self.paused = False
        self.stop_at_ns = 0
        """In lock-step: market time after which no further step is made, 0 for none."""
        self.waits_for = ""
        """In lock-step: what of the last step is still under way."""
        self.routes: tuple[str, ...] = ()
        self.requests: Counter[str] = Counter()
        self.call_counts = {name: CallCounter() for name in ("orders", "smart_orders", "data")}
        """By the class that a limit applies to."""
        self.connections = 0
        self.chart: dict[str, Any] = {}
        """The settings of charts, as clients stored them."""
        self.received: deque[dict[str, Any]] = deque(maxlen=_RECEIVED_KEPT)
        self.held: dict[str, SimulatedQuote] = {}
        self.depths: dict[str, tuple[int, int]] = {}
        self.quote_ages = QuoteAges()
        self._silent_until = 0
        """Market time until which no quotes are sent."""
        self.listing = InstrumentBook(())
        self.market: MarketDay | None = None
        self.index = -1
        self._store = store
        self.checkpoint, self.close = store.checkpoint, store.close
        self.event_log = store.event_log
        if self.event_log is not None:
            self.faults.on_act = self.event_log.log_fault
        self.triggers = TriggerBook(store.triggers())
        self.exchange = Exchange(
            world.calendar,
            world.facts,
            self.instrument,
            store.load(capital),
            self._part_of,
            personality.rules,
            self.spot_price,
            self._outlives_day,
            self._settles_after,
        )

    @property
    def mode(self) -> str:
        """Return the mode's name in replies: analyze or live."""
        return "analyze" if self.analyze else "live"

    @property
    def broker(self) -> str:
        """Return the broker's name in replies."""
        return self.personality.broker.name if self.personality.broker is not None else BROKER

    @cached_property
    def behind(self) -> BrokerProfile:
        """The broker behind the server while it is live: a plain one if the personality has none."""
        return self.personality.broker or broker_profiles()[PLAIN]

    @cached_property
    def _live_rows(self) -> LiveRows:
        return LiveRows(self.behind)

    @property
    def rows(self) -> AnalyzerRows:
        """Return the builder of book rows: a live server's, or the analyzer's in analyze mode."""
        return self._analyzer_rows if self.analyze else self._live_rows

    def order_row(self, order: BookOrder) -> Body:
        """Return an order's row in the order book."""
        if self.analyze:
            return self._analyzer_rows.order(order)
        changed, refused = (order.order_id in ids for ids in (self.changed_orders, self._change_refused))
        return self._live_rows.order(order, changed=changed, change_refused=refused)

    def record_refused_change(self, order_id: str) -> None:
        """Record that the broker refused to change or cancel an order: at some brokers its row shows that from now."""
        self._change_refused.add(order_id)

    def open_day(self, day: date) -> None:
        """List a day's instruments and those with positions, make its market the present one, drop held quotes."""
        self._list(day)
        self.market = self.world.day(day)
        self.index = self.market.index_at(self.clock.now())
        self.held.clear()

    def _list(self, day: date, besides: Iterable[str] = ()) -> None:
        listed = list(self.world.listing(day))
        known = {instrument.id for instrument in listed}
        held = {position.instrument for position in self.exchange.books.open_positions()}
        listed += [self._relist(instrument, day) for instrument in sorted({*held, *besides} - known)]
        self.listing = InstrumentBook(listed)

    def relist_instruments(self) -> None:
        """Read a changed listing; instruments with a held price or a resting order stay listed."""
        if self.market is None:
            return
        self._list(self.market.day, (*self.held, *self.exchange.instruments_with_live_orders()))
        self.held = {name: replace(quote, instrument=self.listing.get(name)) for name, quote in self.held.items()}

    def list_instrument(self, instrument: Instrument) -> None:
        """List one more instrument for the rest of the day."""
        self.listing = InstrumentBook((*self.listing, instrument))

    def _relist(self, instrument: str, day: date) -> Instrument:
        found = self.world.find_instrument(instrument, day) or self.listing.get(instrument)
        if found is None or not (found.kind.is_derivative or self.world.silent):
            raise ValueError(
                f"{instrument} is held: expected it in config/instruments.toml or among --instruments, found it in "
                "neither; add it there"
            )
        return found

    def instrument(self, instrument: str) -> Instrument | None:
        """Return a listed instrument by id, options of recently added strikes included."""
        if (found := self.listing.get(instrument)) is not None:
            return found
        exchange, symbol = split_id(instrument)
        parsed = parse_symbol(symbol, exchange)
        return self.current_listing(parsed.underlying).get(instrument) if parsed.kind.is_option else None

    def current_listing(self, underlying: str = "") -> InstrumentBook:
        """Return the present listing, first adding strikes for the day's price range of one underlying ("": of all)."""
        market, facts = self.market, self.world.facts.underlyings
        if market is None or self.world.silent:
            return self.listing
        more: list[Instrument] = []
        for name in (underlying,) if underlying else facts:
            span = market.price_range(name, self.index) if name in facts and facts[name].strike_step else None
            if span is None:
                continue
            if (pushed := self.held.get(self.listing.spot(name).id)) is not None:
                span = min(span[0], pushed.ltp), max(span[1], pushed.ltp)
            more += self.world.more_options(self.listing, name, market.day, span)
        if more:
            self.listing = InstrumentBook((*self.listing, *more))
        return self.listing

    def quote(self, instrument: Instrument) -> SimulatedQuote | None:
        """Return the present quote of an instrument; None before the first market day."""
        held = self.held.get(instrument.id)
        return held if held is not None or self.market is None else self.market.quote(instrument, self.index)

    def mark(self, instrument: str) -> Mark | None:
        """Return an instrument's present prices and price band for matching; None without a fresh quote."""
        if self.world.silent and not self.quote_ages.is_fresh(instrument, self.clock.now()):
            return None
        listed = self.instrument(instrument)
        quote = self.quote(listed) if listed is not None else None
        if quote is None:
            return None
        spot = self._spot(quote.instrument) if quote.instrument.kind.is_derivative else None
        band = price_band(quote.instrument, quote.prev_close, spot.prev_close if spot is not None else 0.0)
        return Mark(quote.ltp, quote.bid, quote.ask, *band)

    def spot_price(self, contract: Instrument) -> float:
        """Return the present price of a contract's underlying in rupees; 0 if it has none."""
        return spot.ltp if (spot := self._spot(contract)) is not None else 0.0

    def _spot(self, contract: Instrument) -> SimulatedQuote | None:
        try:
            return self.quote(self.listing.spot(contract.underlying))
        except NoSuchContract:
            return None

    def place(self, request: OrderRequest, late_rejection: str = "") -> BookOrder | ExchangeRefusal:
        """Place an order with its live broker's market protection, or return the refusal; `late_rejection`: the reason
        for which it is rejected after acceptance."""
        mark, listed = self.mark(request.instrument), self.instrument(request.instrument)
        broker = self.personality.broker if not self.analyze else None
        if broker is not None:
            request = personalities.as_sent(request, listed, mark, broker.sent)
        if not self.analyze and mark is not None and (problem := personalities.trigger_problem(request, mark)):
            return ExchangeRefusal(problem)
        result, changes = self.exchange.place(request, mark, self.clock.now(), late_rejection)
        self._commit(changes)
        if broker is None or not broker.sent.cancels_rest or request.order_type is not OrderType.MARKET:
            return result
        if isinstance(result, ExchangeRefusal) or not result.is_live:
            return result
        return self.cancel(result.order_id)

    def modify(self, order_id: str, quantity: int, price: float, trigger_price: float) -> BookOrder | ExchangeRefusal:
        """Modify an order, or return the refusal; as on real servers no order update is sent unless it fills."""
        found = self.exchange.books.orders.get(order_id)
        mark = self.mark(found.request.instrument) if found is not None else None
        if found is not None and found.request.order_type in (OrderType.SL, OrderType.SL_M) and not self.analyze:
            moves = self.behind.sent.change_moves
            price, trigger_price = price * ("price" in moves), trigger_price * ("trigger_price" in moves)
        result, changes = self.exchange.modify(order_id, quantity, price, trigger_price, mark, self.clock.now())
        self._commit(changes, publish_live=False)
        if not isinstance(result, ExchangeRefusal):
            self.changed_orders.add(order_id)
        return result

    def cancel(self, order_id: str) -> BookOrder | ExchangeRefusal:
        """Cancel a resting order; the refusal says why it could not be."""
        result, changes = self.exchange.cancel(order_id, self.clock.now())
        self._commit(changes)
        return result

    def _commit(self, changes: ExchangeChanges, *, publish_live: bool = True) -> None:
        """Store a change, then publish its orders, live ones only if wanted."""
        if not changes.is_empty:
            self._save(changes, publish_live=publish_live)

    def _save(self, changes: ExchangeChanges, *, publish_live: bool = True) -> None:
        self._store.save(changes)
        self._pause_quotes(changes)
        for order in changes.orders:
            if publish_live or not order.is_live:
                self._send_update(order)

    def _pause_quotes(self, changes: ExchangeChanges) -> None:
        """Begin a silence of all quotes if a change closes a position, or ends an order, and the fault says so."""
        if (known := self.faults.get("quotes_pause")) is None:
            return
        ended = known.flag("ended") and any(not order.is_live for order in changes.orders)
        closed = any(not position.quantity for position in changes.positions)
        if (ended or closed) and (pause := self.faults.fire("quotes_pause")) is not None:
            self._silent_until = self.clock.now() + int(pause.number("seconds") * SECOND)

    def is_hidden(self, order: BookOrder) -> bool:
        """Return whether the order book hides an order, as one of an earlier day from `HIDDEN_FROM` on."""
        today = self.exchange.books.account.day
        return order.day != today and self.clock.now() >= to_ns(date.fromisoformat(today), HIDDEN_FROM)

    def _outlives_day(self, order: BookOrder) -> bool:
        request = order.request
        kept = self.analyze and request.product is Product.NRML
        return kept and self.faults.fire("orders_kept", instrument=request.instrument) is not None

    def _settles_after(self) -> int:
        late = self.faults.get("settled_late")
        return int(late.number("seconds") * SECOND) if late is not None else 0

    def _send_update(self, order: BookOrder) -> None:
        if self.analyze:
            self.updates.send(order_frame(order, self.mode))
        elif self.behind.updates.on:
            self.updates.send(live_order_frame(order, self.behind))

    def tick(self, index: int, *, last: bool, send: Callable[[SimulatedQuote], None]) -> None:
        """Advance to tick `index`: match resting orders, `send` quotes (indices' alone unless it is the `last` due)."""
        market = self.market
        assert market is not None
        self.index = index
        watched = self.hub.watched_instruments
        resting = {
            **dict.fromkeys(self.exchange.instruments_with_live_orders()),
            **dict.fromkeys(self.triggers.instruments()),
        }
        for instrument_id in dict.fromkeys((*resting, *watched)):
            instrument = self.listing.get(instrument_id)
            if instrument is None or instrument_id in self.held or not market.trades_at(instrument, index):
                continue
            is_index = instrument.exchange.endswith("_INDEX")
            if not last and not is_index and instrument_id not in resting:
                continue
            quote = market.quote(instrument, index)
            if last or is_index:
                send(quote)
            self.match(quote)

    def publish_pushed_quote(self, quote: SimulatedQuote, *, hold: bool) -> None:
        """Publish a quote set by request, kept until released if `hold`. To match orders with it call `match`."""
        if hold:
            self.held[quote.instrument.id] = quote
        self.publish(quote)

    def publish(self, quote: SimulatedQuote) -> None:
        """Send a quote to its subscribers, as the active faults of the feed alter it."""
        if quote.instrument.id not in self.hub.watched_instruments or self.session.rolled_over:
            return
        if self._silent_until and quote.at_ns < self._silent_until:
            return
        if self.sent is not None:
            self.sent.record(quote)
        self.quotes.send(quote)
        self.disconnect_if_faulty()

    def disconnect_if_faulty(self) -> None:
        """Close all WebSocket connections if the fault `ws_drop` acts."""
        if self.faults.fire("ws_drop") is not None:
            self.hub.disconnect_all()

    def match(self, quote: SimulatedQuote) -> None:
        """Match resting orders at a quote, and place the orders of GTT triggers whose price it reaches."""
        changes = self.exchange.on_mark(quote.instrument.id, Mark(quote.ltp, quote.bid, quote.ask), self.clock.now())
        if changes is not None:
            self._commit(changes)
        now = self.clock.now()
        due = self.triggers.due_triggers(quote.instrument.id, quote.ltp, now)
        if not due or not self.world.calendar.is_open(quote.instrument.exchange, now):
            return
        for trigger, request in due:
            self.save_trigger(trigger)
            placed = self.place(request) if request is not None else None
            if isinstance(placed, ExchangeRefusal):
                self.save_trigger(replace(trigger, status=TriggerStatus.REJECTED, reason=placed.reason))

    def save_trigger(self, trigger: Trigger) -> None:
        """Store a new GTT trigger, or a new state of one, on disk too."""
        self._store.save_trigger(trigger)
        self.triggers.store(trigger)

    def advance(self) -> None:
        """Apply to the books what is due by the clock: square-off, close, new day."""
        now, settled = self.clock.now(), self.exchange.books.account.settled
        if (changes := self.exchange.advance(now, self.mark, self._settlement, self._mark_at)) is not None:
            if changes.account.settled and not settled:
                self.faults.fire("settled_late")
            self._save(changes)

    def _mark_at(self, instrument: str, at: int) -> Mark | None:
        """An instrument's prices at a past moment (market ns); None where the market keeps no past."""
        listed = self.instrument(instrument)
        if listed is None or self.world.silent:
            return None
        market = self.world.day(ist_date(at))
        quote = market.quote(listed, market.index_at(at))
        return Mark(quote.ltp, quote.bid, quote.ask)

    def _part_of(self, order: BookOrder) -> int:
        """The units of an order that a fill takes: whole lots of those on offer or of a fault's part, 0 for all."""
        listed = self.instrument(order.request.instrument)
        quote = self.quote(listed) if listed is not None else None
        if listed is None or quote is None or order.pending_units <= listed.lot_size:
            return 0
        if (fault := self.faults.fire("partial_fill", instrument=listed.id)) is not None:
            units = int(order.pending_units * fault.number("fraction"))
        elif self.personality.rules.strict:
            best = self.depths.get(listed.id) or [side[0]["quantity"] for side in depth_levels(quote)]
            # enough for any order where the depth is unknown
            units = best[1 if order.request.side is Side.BUY else 0] or sys.maxsize
        else:
            return 0
        return max(units // listed.lot_size, 1) * listed.lot_size if 0 <= units < order.pending_units else 0

    def _settlement(self, instrument: Instrument) -> float:
        if self.world.silent:
            spot, own = self._spot(instrument), self.quote(instrument)
            assert own is not None
            return settlement_value(instrument, spot.ltp) if spot is not None and spot.ltp else own.ltp
        ended = self.world.closing_price(instrument.underlying, date.fromisoformat(instrument.expiry))
        return settlement_value(instrument, ended)
