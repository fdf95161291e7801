"""The live machines walked through the very moments that a stack saw: no sockets, no latency, no people.

Engine, risk, order machine and paper exchange are those of a backtest; prices are quotes instead of bars, and all
strategies run together as in the stack. Time moves from moment to moment, and within one everything that follows has
followed before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mytrading.backtest.engine.machines import Machines
from mytrading.backtest.parity.market_events import MarketMoment, stamped
from mytrading.backtest.parity.quote_venue import Venues
from mytrading.backtest.parity.side import DaySide
from mytrading.backtest.run import order_machine
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.bars.builder import Aggregator, timeframe_minutes
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.engine.machine import STARTED, TIME, EngineMachine
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.time import SECOND
from mytrading.messages.instruments import Snapshot
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import TimerFired
from mytrading.messages.run_config import RateLimits, RiskLimits, StrategyRun

TOLD_EVERY = 2_000
Progress = Callable[[int], None]


class Opening(NamedTuple):
    """The strategies open at a market time, watching these instruments (by strategy)."""

    at_ns: int
    watches: Mapping[str, tuple[str, ...]]


@dataclass
class ReplayContext:
    """What a day's replay runs on. `carried` are the rows by which each machine learns what stood before the day.

    `capitals` are rupees by account; `history` one-minute bars of before the first opening; `speed` that of the stack's
    market clock, which moves the square-off.
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
    history: Sequence[Bar] = ()
    master: Snapshot | None = None
    speed: float = 1.0
    tick_ns: int = 100_000_000
    carried: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class Replay:
    """One day. `side` holds what came of it; `heard` gets every row as well."""

    def __init__(self, world: ReplayContext, heard: Callable[[Any], None] = lambda _row: None) -> None:
        self._world = world
        self._account = next(iter(world.capitals))
        self.side = DaySide()
        self._heard = heard
        self.engine = world.engine
        self._venues = Venues(world.calendar, world.facts, world.book.get, world.capitals)
        self._machines = Machines(
            self.engine, self._risk(), order_machine(world.rates, world.calendar), self._venues, self._account,
            self._hear,
        )  # fmt: skip
        for account in world.capitals:
            self._machines.trust(account)
        self._minutes: list[Bar] = list(world.history)
        self._openings = sorted(world.openings)
        self._opened = False
        self._aggregator = self._new_aggregator()
        self._ticked = self._second = 0

    @property
    def now(self) -> int:
        """Market time."""
        return self._venues.now

    def _hear(self, row: Any) -> None:
        self.side.hear(row)
        self._heard(row)

    def _risk(self) -> RiskMachine:
        world = self._world
        square_off = SquareOff(world.calendar, world.facts.square_off)
        square_off.speed = world.speed
        risk = RiskMachine(
            world.limits, world.rates, world.strategies, self._account, world.calendar, world.book, square_off
        )
        risk.environment.master, risk.environment.tables = world.master, world.tables
        return risk

    def run(self, moments: Iterable[MarketMoment], progress: Progress = lambda _done: None) -> DaySide:
        """Walk through a day's moments."""
        self._carry()
        for number, moment in enumerate(moments):
            self._moment(moment)
            if not number % TOLD_EVERY:
                progress(number)
        self.engine.stop()
        for host in self.engine.hosts:
            host.workspace.close()
        return self.side

    def _carry(self) -> None:
        """Everybody learns what was carried over into the day."""
        learn: dict[str, Callable[[Any], None]] = {
            "engine": self.engine.apply, "risk": self._machines.risk.apply, "router": self._machines.orders.apply
        }  # fmt: skip
        for name, rows in self._world.carried.items():
            for row in rows:
                learn[name](row)
                if name == "router" and isinstance(row, DayOpened):
                    self._venues.carry(row.positions)
        self.engine.run_at(0)

    # a moment

    def _moment(self, moment: MarketMoment) -> None:
        now = moment.now
        self._venues.now = now
        if not self._second:
            self._venues.pass_time()
        self._venues.take(moment.quotes)
        self._machines.settle(now)
        self._open_if_due(now)
        for quote in moment.quotes:
            self._quoted(quote, now)
        for bar in moment.bars:
            self._minute(stamped(bar, now), now)
        self._pass_time(now)

    def _quoted(self, quote: Quote, now: int) -> None:
        quote = _restamped(quote, now)
        self._machines.hear(quote, now)
        if not self._opened:
            return
        if self.engine.wants_quotes(quote.instrument):
            self._give(quote, now)
        else:
            self.engine.note_price(quote)

    def _minute(self, bar: Bar, now: int) -> None:
        self._minutes.append(bar)
        self._machines.risk.apply(bar)
        if self._opened:
            for longer in self._aggregator.add(bar):
                self._give(longer, now)
            self._give(bar, now)

    def _give(self, data: Bar | Quote | TimerFired, now: int) -> None:
        """The strategies see it, and what they want goes its way."""
        self.engine.apply(data)
        self._machines.signal(data, now)

    def _pass_time(self, now: int) -> None:
        if self._opened:
            for longer in self._aggregator.advance(now, 0, now):
                self._give(longer, now)
            waits = self.engine.next_timer_ns()
            if waits and now >= waits:
                self._give(TimerFired(name=TIME, machine_ns=now, market_ns=now), now)
        if now - self._ticked >= self._world.tick_ns:
            self._ticked = now
            self._machines.tick(now)
        if now // SECOND != self._second:
            self._second = now // SECOND
            self._venues.pass_time()
            self._machines.settle(now)

    # opening

    def _open_if_due(self, now: int) -> None:
        while self._openings and now >= self._openings[0].at_ns:
            self._open(self._openings.pop(0), now)

    def _open(self, opening: Opening, now: int) -> None:
        """Walk the strategies through what was there before; bars that are still in time are given as live ones.

        One that opens again for the same instruments (a restart) goes on here as if nothing had been.
        """
        watched = {host.run.name: host.run.symbols for host in self.engine.hosts}
        changed = {name: symbols for name, symbols in opening.watches.items() if watched.get(name) != symbols}
        if self._opened and not changed:
            return
        if changed:
            self.engine.watch(changed)
        self.engine.book = self._world.book
        self._aggregator = self._new_aggregator()
        bars = self._known(now)
        late = [bar for bar in bars if self.engine.is_late(bar, now)]
        self.engine.open(late)
        self._opened = True
        self._give_started(now)
        for bar in bars[len(late) :]:
            self._give(bar, now)

    def _give_started(self, now: int) -> None:
        row = TimerFired(name=STARTED, machine_ns=now, market_ns=now)
        self.engine.apply(row)
        for found in self.engine.decide(row, now):
            self.engine.apply(found)
            self._hear(found)

    def _known(self, now: int) -> list[Bar]:
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


def _restamped(quote: Quote, now: int) -> Quote:
    """A quote that came at this moment, where machine time is market time."""
    fields = {name: getattr(quote, name) for name in quote.__struct_fields__}
    return Quote(**{**fields, "received_ns": now})
