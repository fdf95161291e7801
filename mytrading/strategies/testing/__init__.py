"""Try a strategy in a test: feed it bars, look at its signals. No sockets, no clock, no file but the strategy's own.

    tester = StrategyTester(SmaCrossover, fast_period=2, slow_period=3)
    tester.feed(10, 10, 10, 11, 12)
    assert tester.actions == [(3, "BUY")]

The same host calls the strategy as in paper and live trading. A signal for the market is filled at the close of its
bar, a resting one once a later bar touches its price, unless `fills` is off. Longer bars are made of those that are
fed. A strategy that raises fails the test, with the author's file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.engine.machine import STARTED, TIME, EngineMachine
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.symbology import split_id
from mytrading.core.orders.leg_levels import priced_leg
from mytrading.core.text.spelling import name_key
from mytrading.core.time import DAY, IST_OFFSET
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Bar
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.run_config import Direction, StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import Leg, Signal, StrategyFaulted
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.testing.longer_bars import LongerBars, span_of
from mytrading.strategies.testing.strategy_file import settings_of

OPEN_NS = 1_767_584_700_000_000_000
"""2026-01-05 09:15 in India, where the first bar starts by default."""


class SentSignal(NamedTuple):
    """The number of the bar (from 0), and the signal as risk would get it."""

    bar: int
    action: str
    confidence: float
    reason: str
    signal: Signal


Wished = SentSignal
"""Name of `SentSignal` in version 0.1, for one release."""


class StrategyTester:
    """One strategy on instruments that it watches and trades itself: shares in lots of one, or `contracts` as given.

    `symbols`, `timeframes`, `direction` and `parameters` that are not given are those of its file in
    `config/strategies`; without a file NSE:SBIN, 1m, both directions and the class's own.
    Numbers are fed as bars of `timeframe`, by default the first of given `timeframes`, else the shortest of the file's;
    all longer ones are made of them, anchored to the time of day of `start_ns`. Raises `StrategyError` for a wrong
    parameter, and whenever the strategy faults.
    """

    def __init__(
        self,
        strategy: type[BaseStrategy],
        symbols: Sequence[str] = (),
        timeframe: str = "",
        direction: str = "",
        start_ns: int = OPEN_NS,
        fills: bool = True,
        timeframes: Sequence[str] = (),
        contracts: Iterable[Instrument] = (),
        **parameters: Any,
    ) -> None:
        file = settings_of(strategy)
        symbols = tuple(symbols) or file.symbols or ("NSE:SBIN",)
        given = tuple(timeframes)
        timeframes = given or ((timeframe,) if timeframe else file.timeframes) or ("1m",)
        self._timeframe = timeframe or (given[0] if given else min(timeframes, key=span_of))
        self._run = StrategyRun(
            name=strategy_name(strategy), file=f"{strategy.__module__}.py", symbols=symbols,
            timeframes=timeframes, direction=Direction(direction or file.direction or "both"),
            long=TradeRule(kind=TradeKind.SAME, side=Side.BUY), short=TradeRule(kind=TradeKind.SAME, side=Side.SELL),
            parameters={name: str(value) for name, value in _merged(file.parameters, parameters).items()},
        )  # fmt: skip
        self._machine = EngineMachine([self._run], {self._run.name: strategy}, _book(symbols, contracts))
        self._longer = LongerBars(timeframes, (start_ns + IST_OFFSET) % DAY)
        self._shown: dict[tuple[str, str], int] = {}
        """Ends of the newest bars shown, by instrument and timeframe: one fed by hand is not made once more."""
        self._next_ns = start_ns
        self._fills = fills
        self._fed = 0
        self.signals: list[SentSignal] = []
        self.positions: dict[str, int] = {}
        self.resting: dict[str, Leg] = {}
        """Entries that wait for their price, by instrument."""
        self._orders: dict[str, Order] = {}
        self._machine.open([])
        self._step(TimerFired(name=STARTED, machine_ns=0), start_ns)

    @property
    def actions(self) -> list[tuple[int, str]]:
        """(number of the bar, BUY, SELL or EXIT) of every signal so far."""
        return [(item.bar, item.action) for item in self.signals]

    @property
    def wished(self) -> list[SentSignal]:
        """Deprecated name of `signals` (version 0.1)."""
        return self.signals

    def feed(self, *bars: float | Sequence[float] | Bar, symbol: str = "") -> list[SentSignal]:
        """Feed completed bars in order and return the signals made on them: a bar is a close, (open, high, low, close)
        with or without volume, or a `Bar`. `symbol`: by default the first."""
        before = len(self.signals)
        for bar in bars:
            made = bar if isinstance(bar, Bar) else self._bar(bar, symbol or self._run.symbols[0])
            self._fill_resting(made)
            for one in (*self._longer.add(made), made):
                self._show(one)
            self._fed += 1
        return self.signals[before:]

    def _show(self, bar: Bar) -> None:
        key = (bar.instrument, bar.timeframe)
        if bar.timeframe in self._run.timeframes and bar.end_ns > self._shown.get(key, 0):
            self._shown[key] = bar.end_ns
            self._step(bar, bar.end_ns)

    def pass_time(self, seconds: float) -> list[SentSignal]:
        """Let market time pass since the newest bar, so that due timers fire; returns the signals made."""
        before, now = len(self.signals), self._next_ns + round(seconds * 1e9)
        self._step(TimerFired(name=TIME, machine_ns=now, market_ns=now), now)
        return self.signals[before:]

    @property
    def memory(self) -> dict[str, Any]:
        """The strategy's `memory`, as it would find it after a restart."""
        return self._machine.hosts[0].strategy.memory

    def hold(self, quantity: int, symbol: str = "", price: float = 100.0) -> None:
        """Give the strategy a position of `quantity` signed units at `price`, as if filled by orders; 0 closes it."""
        instrument = symbol or self._run.symbols[0]
        fill = quantity - self.positions.get(instrument, 0)
        position = Position(
            account="main", instrument=instrument, product=Product.MIS, strategy=self._run.name, run="tested",
            quantity=quantity, quantity_seen=quantity, average_price=price,
        )  # fmt: skip
        self.positions[instrument] = quantity
        moved = PositionChanged(
            position=position, client_order_id="tested", fill_quantity=fill, fill_price=price, at_ns=self._next_ns
        )
        self._step(moved, self._next_ns)

    def value(self, indicator: str, back: int = 0, symbol: str = "") -> float:
        """The value of one of the strategy's indicators at the newest bar, or `back` bars before; NaN for none."""
        return self._machine.hosts[0].strategy.get_indicator_value(indicator, back, symbol or self._run.symbols[0])

    def _bar(self, prices: float | Sequence[float], symbol: str) -> Bar:
        values = [float(value) for value in prices] if isinstance(prices, Sequence) else [float(prices)] * 4
        if len(values) not in (4, 5):
            raise ValueError(
                f"expected a close, or (open, high, low, close) with or without volume; found {len(values)} numbers"
            )
        start, self._next_ns = self._next_ns, self._next_ns + span_of(self._timeframe)
        volume = int(values[4]) if len(values) == 5 else 100
        return Bar(
            symbol, self._timeframe, start, self._next_ns,
            open=values[0], high=values[1], low=values[2], close=values[3], volume=volume, received_ns=0,
        )  # fmt: skip

    def _step(self, message: Any, now: int) -> None:
        self._machine.apply(message)
        rows = self._machine.decide(message, now)
        for row in rows:
            self._machine.apply(row)
        for row in rows:
            if isinstance(row, StrategyFaulted):
                raise StrategyError(f"{row.where}: {row.error}")
            if isinstance(row, Signal):
                self._take(row, message)

    def _take(self, signal: Signal, bar: Any) -> None:
        self.signals.append(SentSignal(self._fed, signal.action.value, signal.confidence, signal.reason, signal))
        if not self._fills:
            return
        mine = {name for name in (*self.positions, *self._orders) if name in self._run.symbols}
        wanted = {leg.instrument: leg for leg in signal.entry_legs}
        for name in sorted(signal.closed_instruments):
            self.hold(0, name)
        for instrument in sorted(mine | set(wanted)):
            leg = self._priced(wanted.get(instrument))
            if leg is None and signal.watch != instrument:
                continue
            self._cancel(instrument)
            if leg is not None and leg.order_type is not OrderType.MARKET:
                self._rest(signal, leg)
            elif not signal.keeps and self.positions.get(instrument, 0) != (leg.lots if leg else 0):
                self.hold(leg.lots if leg else 0, instrument, getattr(bar, "close", 100.0))

    def _priced(self, leg: Leg | None) -> Leg | None:
        """A leg with its levels as risk would count them: from the last price."""
        if leg is None:
            return None
        listed = self._machine.book.get(leg.instrument)
        price = self._machine.prices.fresh(leg.instrument, self._next_ns)
        return priced_leg(leg, price, listed.tick_size if listed is not None else 0.0)

    def _rest(self, signal: Signal, leg: Leg) -> None:
        self.resting[leg.instrument] = leg
        made = Order(
            client_order_id=signal.id, account="main", instrument=leg.instrument, product=signal.product_of(leg),
            strategy=signal.strategy, run="tested", cause=signal.id, purpose=Purpose.ENTRY,
            side=Side.BUY if leg.lots > 0 else Side.SELL, quantity=abs(leg.lots), order_type=leg.order_type,
            state=OrderState.ACCEPTED, created_ns=self._next_ns, updated_ns=self._next_ns, price=leg.limit_price,
            trigger_price=leg.trigger_price,
        )  # fmt: skip
        self._orders[leg.instrument] = made
        self._step(OrderChanged(event="accepted", order=made, machine_ns=0), self._next_ns)

    def _cancel(self, instrument: str, state: OrderState = OrderState.CANCELLED) -> None:
        self.resting.pop(instrument, None)
        order = self._orders.pop(instrument, None)
        if order is not None:
            self._step(OrderChanged(event="ended", order=replace(order, state=state), machine_ns=0), self._next_ns)

    def _fill_resting(self, bar: Bar) -> None:
        """Fill a resting entry that a bar touches at its price, before the strategy sees the bar."""
        leg = self.resting.get(bar.instrument)
        if leg is None:
            return
        at, falls = leg.trigger_price or leg.limit_price, (leg.lots > 0) == (leg.order_type is OrderType.LIMIT)
        if bar.low <= at if falls else bar.high >= at:
            self._cancel(bar.instrument, OrderState.FILLED)
            self.hold(leg.lots, bar.instrument, at)


def _merged(written: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the file, and those that the test gives instead, in whatever spelling."""
    own = {name_key(name) for name in given}
    return {**{name: value for name, value in written.items() if name_key(name) not in own}, **given}


def _book(symbols: Iterable[str], contracts: Iterable[Instrument]) -> InstrumentBook:
    """The contracts, and the other watched instruments as shares of their exchange."""
    listed = {item.id: item for item in contracts}
    for name in symbols:
        exchange, symbol = split_id(name)
        share = Instrument(id=name, exchange=exchange, symbol=symbol, kind=InstrumentKind.EQ, underlying=symbol)
        listed.setdefault(name, share)
    return InstrumentBook(listed.values())
