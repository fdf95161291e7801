"""The live machines walked through the very moments that a stack saw: no sockets, no latency, no operators.

Engine, risk, order machine and paper exchange are those of a backtest; prices are quotes with bid and ask instead of
bars, and all strategies run together as in the stack. Within a moment everything that follows has followed before the
next one; an order meets the quotes of the moment in which it is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from mytrading.backtest.engine.assumptions import Models
from mytrading.backtest.engine.machines import Machines
from mytrading.backtest.engine.venue import BacktestVenue
from mytrading.backtest.parity.facts import DaySide, MarketMoment, Opening
from mytrading.backtest.run import build_order_machine
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.bars.builder import Aggregator, timeframe_minutes
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.engine.machine import STARTED, TIME, EngineMachine
from mytrading.core.exchange.model import BookOrder, BookPosition, Mark
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.oms import OrderMachine
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import SECOND
from mytrading.messages.enums import Call, Side
from mytrading.messages.instruments import Instrument, Snapshot
from mytrading.messages.journal_rows import DayOpened, FundsRecorded
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import Order, Position, TimerFired
from mytrading.messages.reports import Funds
from mytrading.messages.run_config import RateLimits, RiskLimits, StrategyRun

PROGRESS_EVERY = 2_000
UNLIMITED = 1e12
"""Rupees of a venue that refuses no order for want of cash: what the broker made of it is on record."""
Progress = Callable[[int], None]


@dataclass
class ReplayContext:
    """Inputs of a day's replay. `carried`: journal rows of each machine's state before the day.

    `capitals` are rupees by account, `funds` what the broker reported of them during the day, oldest first. In an
    account without a report entries are sized by its capital and no margin is asked for, so that no order is denied for
    what is not on record; `venue_cash` is that of each venue, None for their capital. `history` are one-minute bars of
    before the first opening; `speed` is that of the market clock, which moves the square-off.
    """

    engine: EngineMachine
    strategies: Sequence[StrategyRun]
    limits: RiskLimits
    rates: RateLimits
    calendar: Calendar
    facts: ContractFacts
    tables: RiskTables
    book: InstrumentBook
    capitals: Mapping[str, float]
    openings: Sequence[Opening]
    funds: Sequence[FundsRecorded] = ()
    venue_cash: float | None = None
    history: Sequence[Bar] = ()
    master: Snapshot | None = None
    speed: float = 1.0
    tick_ns: int = 100_000_000
    carried: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class QuotedVenue(BacktestVenue):
    """The paper exchange of one account, as at the stack; `clock` is the machine time of all of them."""

    tells_triggered = False

    def __init__(self, world: ReplayContext, account: str, clock: Callable[[], int]) -> None:
        cash = world.capitals[account] if world.venue_cash is None else world.venue_cash
        super().__init__(world.calendar, world.facts, world.book.get, cash, Models(), account)
        self._clock = clock
        self._sizes: dict[str, tuple[int, int]] = {}
        self.moving = True

    def clock(self) -> int:
        """Return machine time (ns) of the clock that all venues share: market time, but strictly increasing."""
        return self._clock()

    def load_position(self, position: Position) -> None:
        """Add a position carried over from the day before to the venue's books."""
        books = self.exchange.books
        name, product = position.instrument, position.product
        units = position.quantity + books.position(name, product).quantity
        held = BookPosition(instrument=name, product=product, quantity=units, average_price=position.average_price)
        books.positions[held.key] = held

    def apply_quotes(self, quotes: Sequence[Quote]) -> None:
        """Set last price, bid, ask and sizes from the quotes, then match resting orders against them."""
        for quote in quotes:
            self.marks[quote.instrument] = Mark(quote.ltp, quote.bid or 0.0, quote.ask or 0.0)
            self._sizes[quote.instrument] = (quote.bid_quantity or 0, quote.ask_quantity or 0)
        for quote in quotes:
            self.match_resting(quote.instrument, self.marks[quote.instrument])

    def settlement_price(self, instrument: Instrument) -> float:
        """Return the settlement price of an expired contract: its last price, 0 if it has none."""
        mark = self.marks.get(instrument.id)
        return mark.ltp if mark is not None else 0.0

    def _part_of(self, order: BookOrder) -> int:
        """Units that a fill takes now: whole lots of the quantity at the best price, if known; 0 for all."""
        request = order.request
        listed = self._instrument_of(request.instrument)
        size = self._sizes.get(request.instrument, (0, 0))[1 if request.side is Side.BUY else 0]
        if listed is None or not size or size >= order.pending_units or order.pending_units <= listed.lot_size:
            return 0
        return max(size // listed.lot_size, 1) * listed.lot_size


class Venues:
    """The venues of all accounts, on one clock, as one broker of the machines."""

    def __init__(self, world: ReplayContext) -> None:
        self.now = self._machine_ns = 0
        self.answers: list[Any] = []
        self._by_account = {account: QuotedVenue(world, account, self.clock) for account in world.capitals}
        self.all = self._by_account.values()
        for venue in self.all:
            venue.answers = self.answers

    def set_time(self, now: int) -> None:
        """Set the market time (ns) of all venues."""
        self.now = now
        for venue in self.all:
            venue.now = now

    @property
    def is_idle(self) -> bool:
        """True if no order is working at any venue."""
        return all(venue.is_idle for venue in self.all)

    def clock(self) -> int:
        """Return machine time (ns): market time, but strictly increasing."""
        self._machine_ns = max(self._machine_ns + 1, self.now)
        return self._machine_ns

    def call(self, order: Order, call: Call) -> None:
        """Send an order call (place, modify or cancel) to the venue of the order's account."""
        self._by_account[order.account].call(order, call)

    def load_positions(self, positions: Iterable[Position]) -> None:
        """Add the positions carried over from the day before to their accounts' books; other accounts' are ignored."""
        for position in positions:
            if position.quantity and position.account in self._by_account:
                self._by_account[position.account].load_position(position)

    def run_clock(self) -> None:
        """Do what is due at the venues by the clock: square-off and the end of the day."""
        for venue in self.all:
            venue.end_day(venue.settlement_price)


class Replay:
    """One day. `side` holds what came of it; it gets every row."""

    def __init__(self, world: ReplayContext, side: DaySide | None = None) -> None:
        self._world = world
        account = next(iter(world.capitals))
        self.side = side or DaySide()
        self.engine = world.engine
        self._venues = Venues(world)
        square_off = SquareOff(world.calendar, world.facts.square_off)
        square_off.speed = world.speed
        risk = RiskMachine(
            RiskEnvironment(
                world.limits, world.rates, world.strategies, account, world.calendar, world.book, square_off
            )
        )
        risk.set_contracts(world.book, world.master)
        risk.environment.tables = world.tables
        orders = build_order_machine(world.rates, world.calendar)
        self._machines = Machines(self.engine, risk, orders, self._venues, account, self.side.apply)
        for name in world.capitals:
            self._machines.confirm_books(name)
        self._minutes: list[Bar] = list(world.history)
        self._openings = sorted(world.openings)
        self._funds = self._opening_funds()
        self._opened = False
        self._aggregator = self._new_aggregator()
        self._ticked = self._second = 0

    def run(self, moments: Iterable[MarketMoment], progress: Progress = lambda _done: None) -> DaySide:
        """Replay a day's moments through engine, risk and order machines; return the signals, orders and fills they
        made. `progress` gets moments done."""
        self._carry()
        for number, moment in enumerate(moments):
            self._moment(moment)
            if not number % PROGRESS_EVERY:
                progress(number)
        self.engine.stop()
        for host in self.engine.hosts:
            host.workspace.close()
        return self.side

    def _carry(self) -> None:
        """All machines learn what was carried over into the day."""
        machines: dict[str, EngineMachine | RiskMachine | OrderMachine] = {
            "engine": self.engine, "risk": self._machines.risk, "router": self._machines.orders
        }  # fmt: skip
        for name, rows in self._world.carried.items():
            for row in rows:
                machines[name].apply(row)
                if name == "router" and isinstance(row, DayOpened):
                    self._venues.load_positions(row.positions)
        self.engine.speed = 0

    def _moment(self, moment: MarketMoment) -> None:
        now = moment.now
        self._venues.set_time(now)
        if not self._second:
            self._venues.run_clock()
        for venue in self._venues.all:
            venue.apply_quotes([quote for quote in moment.quotes if quote.ltp > 0])
        self._apply_funds(now)
        self._machines.process_answers(now)
        while self._openings and now >= self._openings[0].at_ns:
            self._open(self._openings.pop(0), now)
        for quote in (replace(quote, received_ns=now) for quote in moment.quotes):
            self._machines.apply_quote(quote, now)
            if not quote.ltp:
                continue  # of risk alone, as on the bus
            if self._opened and self.engine.wants_quotes(quote.instrument):
                self._give(quote, now)
            elif self._opened:
                self.engine.note_price(quote)
        for bar in (replace(bar, received_ns=now) for bar in moment.bars):
            self._minutes.append(bar)
            self._machines.risk.apply(bar)
            if self._opened:
                for longer in self._aggregator.add(bar):
                    self._give(longer, now)
                self._give(bar, now)
        self._pass_time(now)

    def _opening_funds(self) -> deque[FundsRecorded]:
        """Apply the first funds of every account; return the later reports of the day, oldest first."""
        later = deque(self._world.funds)
        first = {row.account: row for row in reversed(later)}
        for row in first.values():
            self._machines.risk.apply(self._reported(row))
        assumed = {account: rupees for account, rupees in self._world.capitals.items() if account not in first}
        self._machines.risk.environment.assumed_capital = assumed
        return later

    def _apply_funds(self, now: int) -> None:
        """Apply the funds reported before this moment: those of the moment itself came after its decisions."""
        while self._funds and self._funds[0].at_ns < now:
            self._machines.risk.apply(self._reported(self._funds.popleft()))

    def _reported(self, row: FundsRecorded) -> Funds:
        """A funds report as the reconciler sends it, read now."""
        at = self._venues.clock()
        return Funds(
            account=row.account,
            available=row.available,
            used=row.used,
            collateral=row.collateral,
            machine_ns=at,
            began_machine_ns=at,
        )

    def _give(self, data: Bar | Quote | TimerFired, now: int) -> None:
        """The strategies get it, and their signals are decided on."""
        self.engine.apply(data)
        self._machines.decide_signals(data, now)

    def _pass_time(self, now: int) -> None:
        if self._opened:
            for longer in self._aggregator.advance(now, 0, now):
                self._give(longer, now)
            timer_ns = self.engine.next_timer_ns()
            if timer_ns and now >= timer_ns:
                self._give(TimerFired(name=TIME, machine_ns=now, market_ns=now), now)
        if now - self._ticked >= self._world.tick_ns:
            self._ticked = now
            self._machines.advance_time(now)
        if now // SECOND != self._second:
            self._second = now // SECOND
            self._venues.run_clock()
            self._machines.process_answers(now)

    def _open(self, opening: Opening, now: int) -> None:
        """Give the strategies the bars so far as history; those that are still in time are given as live ones.

        A strategy that opens again for the same instruments (a restart) goes on here undisturbed.
        """
        watched = {host.run.name: host.run.symbols for host in self.engine.hosts}
        changed = {name: symbols for name, symbols in opening.watches.items() if watched.get(name) != symbols}
        if self._opened and not changed:
            return
        if changed:
            self.engine.watch(changed)
        self.engine.book = self._world.book
        self._aggregator = self._new_aggregator()
        bars = self._bars_until(now)
        late = [bar for bar in bars if self.engine.is_late(bar, now)]
        self.engine.open(late)
        self._opened = True
        started = TimerFired(name=STARTED, machine_ns=now, market_ns=now)
        self.engine.apply(started)
        for row in self.engine.decide(started, now):
            self.engine.apply(row)
            self.side.apply(row)
        for bar in bars[len(late) :]:
            self._give(bar, now)

    def _bars_until(self, now: int) -> list[Bar]:
        """Minutes of what is watched and longer bars of them, in the order of their ends."""
        watched = {symbol for host in self.engine.hosts for symbol in host.run.symbols}
        bars: list[Bar] = []
        for minute in self._minutes:
            if minute.instrument in watched and minute.end_ns <= now:
                bars += [*self._aggregator.add(minute), minute]
        return sorted(bars, key=lambda bar: (bar.end_ns, bar.start_ns))

    def _new_aggregator(self) -> Aggregator:
        frames = {frame for host in self.engine.hosts for frame in host.run.timeframes}
        return Aggregator(self._world.calendar, sorted(frames, key=timeframe_minutes, reverse=True))
