"""Try a strategy in a test: feed it bars, look at what it wishes. No sockets, no files, no clock.

    from mytrading.strategies.testing import StrategyTester

    def test_buys_the_crossing():
        tester = StrategyTester(SmaCrossover, fast_period=2, slow_period=3)
        tester.feed(10, 10, 10, 11, 12)
        assert tester.actions == [(3, "BUY")]

The same host calls the strategy as in paper and live trading. Every wish is filled at the close of its bar unless
`fills` is off. The one rule: a strategy that raises fails the test, with the author's file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mytrading.core.instruments import InstrumentBook
from mytrading.messages.enums import Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Bar
from mytrading.messages.orders import Position, PositionChanged, TimerFired
from mytrading.messages.runconfig import Direction, StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import Signal, StrategyFaulted
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.engine_machine import STARTED, EngineMachine
from mytrading.strategies.errors import StrategyError

OPEN_NS = 1_767_584_700_000_000_000
"""2026-01-05 09:15 in India, where the first bar starts unless told otherwise."""
_MINUTE_NS = 60_000_000_000
_UNITS = {"m": 1, "h": 60, "d": 1440}


class Wished(NamedTuple):
    """What the strategy wished: the number of the bar (from 0), and the signal as risk would get it."""

    bar: int
    action: str
    confidence: float
    reason: str
    signal: Signal


class StrategyTester:
    """One strategy on instruments that it watches and trades itself, one lot of one share each.

    `parameters` are the strategy's own. Raises `StrategyError` for a wrong one, and whenever the strategy faults.
    """

    def __init__(
        self,
        strategy: type[BaseStrategy],
        symbols: Sequence[str] = ("NSE:SBIN",),
        timeframe: str = "1m",
        direction: str = "both",
        start_ns: int = OPEN_NS,
        fills: bool = True,
        **parameters: Any,
    ) -> None:
        self._run = StrategyRun(
            name=strategy.name or strategy.__name__,
            file=f"{strategy.__module__}.py",
            symbols=tuple(symbols),
            timeframes=(timeframe,),
            direction=Direction(direction),
            long=TradeRule(kind=TradeKind.SAME, side=Side.BUY),
            short=TradeRule(kind=TradeKind.SAME, side=Side.SELL),
            parameters={name: str(value) for name, value in parameters.items()},
        )
        self._machine = EngineMachine([self._run], {self._run.name: strategy}, _book(symbols))
        self._span = int(timeframe[:-1]) * _UNITS[timeframe[-1]] * _MINUTE_NS
        self._next_ns = start_ns
        self._fills = fills
        self._fed = 0
        self.wished: list[Wished] = []
        self.positions: dict[str, int] = {}
        self._machine.open([])
        self._step(TimerFired(name=STARTED, machine_ns=0), start_ns)

    @property
    def actions(self) -> list[tuple[int, str]]:
        """(number of the bar, BUY, SELL or EXIT) of every wish so far."""
        return [(item.bar, item.action) for item in self.wished]

    def feed(self, *bars: float | Sequence[float] | Bar, symbol: str = "") -> list[Wished]:
        """Completed bars in order: a close, (open, high, low, close) with or without volume, or a `Bar`.

        Returns what the strategy wished on these.
        """
        before = len(self.wished)
        for bar in bars:
            made = bar if isinstance(bar, Bar) else self._bar(bar, symbol or self._run.symbols[0])
            self._step(made, made.end_ns)
            self._fed += 1
        return self.wished[before:]

    def hold(self, quantity: int, symbol: str = "", price: float = 100.0) -> None:
        """Give the strategy a position, as if orders of its had been filled; 0 closes it."""
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
        """The value of one of the strategy's indicators at the newest bar, or `back` bars before."""
        (hosted,) = self._machine.hosted
        return hosted.strategy.get_indicator_value(indicator, back, symbol or self._run.symbols[0])

    def _bar(self, given: float | Sequence[float], symbol: str) -> Bar:
        values = [float(value) for value in given] if isinstance(given, Sequence) else [float(given)] * 4
        if len(values) not in (4, 5):
            raise ValueError(
                f"expected a close, or (open, high, low, close) with or without volume; found {len(values)} numbers"
            )
        start, self._next_ns = self._next_ns, self._next_ns + self._span
        volume = int(values[4]) if len(values) == 5 else 100
        return Bar(
            symbol, self._run.timeframes[0], start, start + self._span,
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
        self.wished.append(Wished(self._fed, signal.action.value, signal.confidence, signal.reason, signal))
        if not self._fills:
            return
        wanted = {leg.instrument: leg.lots for leg in signal.legs}
        mine = {name for name, held in self.positions.items() if held and name in self._run.symbols}
        for instrument in sorted(mine | set(wanted)):
            if self.positions.get(instrument, 0) != wanted.get(instrument, 0):
                self.hold(wanted.get(instrument, 0), instrument, getattr(bar, "close", 100.0))


def _book(symbols: Iterable[str]) -> InstrumentBook:
    """The watched instruments as shares of their exchange."""
    return InstrumentBook(
        Instrument(id=name, exchange=name.partition(":")[0], symbol=name.partition(":")[2], kind=InstrumentKind.EQ,
                   underlying=name.partition(":")[2])
        for name in symbols
    )  # fmt: skip
