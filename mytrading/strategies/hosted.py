"""One strategy at work: its instance, its desk, and the wall around it.

Whatever the author's code raises or returns stays in here as a value: a wish or a fault with file and line. The one
rule: a faulted strategy is never called again, and nothing that goes wrong for one reaches the others.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import PositionChanged, TradeClosed
from mytrading.messages.runconfig import StrategyRun
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.desk import Desk
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.remembered import EMPTY, decode_memory, encode_memory
from mytrading.strategies.surroundings import Surroundings
from mytrading.strategies.timers import due_ns
from mytrading.strategies.views import PositionView
from mytrading.strategies.wishes import Wish, check_action, check_confidence

_Result = TypeVar("_Result")
_Else = TypeVar("_Else")

WARM_FACTOR = 10
"""History of ten times the slowest look-back: an exponential average has then forgotten its seed to 2e-9."""

BARS_A_DAY = 375


class Fault(NamedTuple):
    """Why a strategy stands still, and where in the author's file; `gone`: a person removed that file."""

    error: str
    where: str
    gone: bool = False


class Guard(Protocol):
    """Times calls of author code; the engine's writes down which call runs, in case it never returns."""

    def begin(self, strategy: str) -> None:
        """A call begins."""

    def end(self, strategy: str, failed: bool) -> str:
        """It ended; a text is a fault (it took too long)."""


class NoGuard:
    """Lets calls take as long as they want."""

    def begin(self, strategy: str) -> None:
        """Nothing to note."""

    def end(self, strategy: str, failed: bool) -> str:  # noqa: ARG002
        """Nothing to say."""
        return ""


class Hosted:
    """A strategy of a run. `feed` and `quote` return wishes; after a fault they return nothing, for ever."""

    def __init__(
        self,
        run: StrategyRun,
        strategy: type[BaseStrategy] | Fault,
        guard: Guard,
        around: Surroundings | None = None,
    ) -> None:
        self.run = run
        self._around = around
        self.kept = EMPTY
        """The memory that was journaled last."""
        self.fault: Fault | None = strategy if isinstance(strategy, Fault) else None
        self.wants_quotes = False
        self.warm_bars = 0
        self._guard = guard
        self._pending: set[str] = set()
        self._warm: set[str] = set()
        self._slice_ns = 0
        self.desk = Desk((), (), ())
        self.strategy = BaseStrategy(self.desk)
        if not isinstance(strategy, Fault):
            self._walled(None, self._open, strategy)

    @property
    def timeframe(self) -> str:
        """The timeframe whose bars drive `on_data`."""
        return self.run.timeframes[0]

    @property
    def calls_per_bar_only(self) -> bool:
        """True if `on_data` for completed bars is all that the author wrote to be called with the market."""
        kind = type(self.strategy)
        plain = kind.generate_signals is BaseStrategy.generate_signals and kind.on_timer is BaseStrategy.on_timer
        return plain and not self.wants_quotes

    @property
    def days(self) -> int:
        """Trading days of history before the newest one that the indicators are computed from; 1 after a fault."""
        if self.fault is not None:
            return 1
        minutes = {"m": 1, "h": 60, "d": BARS_A_DAY}
        span = max(int(name[:-1]) * minutes[name[-1]] for name in self.run.timeframes)
        return max(1, math.ceil(self.warm_bars * span / BARS_A_DAY))

    @property
    def is_warm(self) -> bool:
        """True once every indicator of every watched instrument has a value; a faulted strategy lacks nothing."""
        return self.fault is not None or self._warm.issuperset(self.desk.instruments)

    def _open(self, strategy: type[BaseStrategy]) -> None:
        self.desk = Desk(self.run.symbols, self.run.timeframes, strategy.indicators, self.run.name, self._around)
        try:
            self.strategy = strategy(self.desk, self.run.parameters)
        except StrategyError as error:
            self.fault = Fault(str(error), f"parameters of {self.run.name}")
            return
        self.wants_quotes = strategy.subscribe_quotes
        self._call(self.strategy.initialize)
        if self.fault is None:
            self.warm_bars = WARM_FACTOR * self.desk.lookback
            self.desk.open_series(self.days)

    def warm_up(self) -> None:
        """Call each kernel on a few made-up bars; what one of them does there is no fault."""
        for kernel in self.desk.kernels():
            try:
                kernel()
            except Exception:  # noqa: BLE001  (an author's kernel may need more bars than these)
                continue

    def load(self, bars: Iterable[Bar]) -> None:
        """Fill the series with history, not yet shown, so that indicators are computed once for all of it."""
        self._walled(None, self._load, bars)

    def _load(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            if bar.instrument in self.desk.instruments and bar.timeframe in self.desk.timeframes:
                self.desk.series(bar.instrument, bar.timeframe).fill(bar)

    def walk(self, bars: Iterable[Bar]) -> None:
        """Show loaded history to the strategy bar by bar, in the order given; its wishes are dropped."""
        for bar in bars:
            self._walled(None, self._take, bar, True)

    def show(self, bar: Bar) -> list[Wish]:
        """Show the next loaded bar to the strategy as a live one; returns what it wishes now."""
        return self._walled([], self._take, bar, True)

    def answered(self, result: Any) -> list[Wish]:
        """What `on_data` returned, for who called it: the wish in it, or a fault."""
        return self._wishes([result], "on_data")

    def raised(self, error: BaseException) -> None:
        """`on_data` raised, for who called it: the strategy stands still from now on."""
        self.fault = Fault(_describe(error), self._where(error.__traceback__))

    def feed(self, bar: Bar) -> list[Wish]:
        """Give the strategy a completed bar; returns what it wishes now. Older bars than the newest do nothing."""
        return self._walled([], self._take, bar, False)

    def _take(self, bar: Bar, loaded: bool) -> list[Wish]:
        if self.fault or bar.instrument not in self.desk.instruments or bar.timeframe not in self.desk.timeframes:
            return []
        series = self.desk.series(bar.instrument, bar.timeframe)
        if loaded and series.next_start_ns != bar.start_ns:
            return []
        if not loaded and not series.fill(bar):
            return []
        if self.desk.early_timers:
            self._set_early_timers(bar.start_ns)
        early = self._fire(bar.end_ns) if self.desk.timers else []
        series.show_next()
        if bar.timeframe != self.timeframe:
            return early
        wishes = early + self._end_slice(bar.end_ns)
        return wishes + self._on_data(bar, bar.end_ns) + self._note_in_slice(bar)

    def _set_early_timers(self, now: int) -> None:
        desk = self.desk
        desk.timers |= {name: due_ns(now, name, seconds, at) for name, (seconds, at) in desk.early_timers.items()}
        desk.early_timers.clear()

    def waits_until(self) -> int:
        """Market time of the first timer, or of a slice that lacks bars; 0 if nothing waits for time."""
        ends = [self._slice_ns] if self._pending else []
        return min([*self.desk.timers.values(), *ends], default=0) if self.fault is None else 0

    def pass_time(self, now: int, slices_to: int) -> list[Wish]:
        """Market time is `now`: timers that are due, and slices that ended by `slices_to` whatever bars they lack."""
        return self._walled([], self._pass_time, now, slices_to)

    def _pass_time(self, now: int, slices_to: int) -> list[Wish]:
        wishes = self._fire(now) if self.desk.timers else []
        return wishes + (self._end_slice(slices_to + 1) if self._pending else [])

    def _fire(self, now: int) -> list[Wish]:
        """Call what is due, in the order of time; a timer that sets itself again runs again if that is due too."""
        wishes: list[Wish] = []
        timers, desk = self.desk.timers, self.desk
        while timers and self.fault is None:
            due, name = min((due, name) for name, due in timers.items())
            if due > now:
                break
            del timers[name]
            desk.now, desk.current = max(desk.now, due), desk.instruments[0]
            result = self._call(self.strategy.on_timer, name)
            wishes += [] if result is None else self._wishes([result], "on_timer")
        return wishes

    def quote(self, quote: Quote) -> list[Wish]:
        """Give a strategy that asked for quotes the newest one of a watched instrument."""
        if self.fault or not self.wants_quotes or quote.instrument not in self.desk.instruments:
            return []
        try:
            return self._on_data(quote, quote.market_ns)
        except Exception as error:  # noqa: BLE001  (as behind `_walled`, on the way of each quote)
            self.raised(error)
            return []

    def _on_data(self, data: Bar | Quote, now: int) -> list[Wish]:
        self.desk.current, self.desk.now = data.instrument, now
        self.desk.data[data.instrument] = data
        result = self._call(self._on_data_if_warm, data)
        return [] if result is None else self._wishes([result], "on_data")

    def _on_data_if_warm(self, data: Bar | Quote) -> Any:
        if not self.desk.is_warm(data.instrument):
            return None
        self._warm.add(data.instrument)
        return self.strategy.on_data(data)

    def _note_in_slice(self, bar: Bar) -> list[Wish]:
        """`generate_signals` runs when all watched instruments have had their bar of this time."""
        if type(self.strategy).generate_signals is BaseStrategy.generate_signals:
            return []
        if not self._pending:
            self._pending, self._slice_ns = set(self.desk.instruments), bar.end_ns
        self._pending.discard(bar.instrument)
        return [] if self._pending else self._generate()

    def _end_slice(self, end_ns: int) -> list[Wish]:
        """A bar of a later time ends a slice in which some instrument did not trade."""
        if not self._pending or end_ns <= self._slice_ns:
            return []
        self._pending = set()
        return self._generate()

    def _generate(self) -> list[Wish]:
        found = self._call(self._generate_if_warm)
        return self._wishes(found, "generate_signals") if found else []

    def _generate_if_warm(self) -> list[Any]:
        if not all(self.desk.is_warm(instrument) for instrument in self.desk.instruments):
            return []
        result = self.strategy.generate_signals()
        many = isinstance(result, Iterable) and not isinstance(result, str)
        return [item for item in (result if many else [result]) if item is not None]  # type: ignore[union-attr]

    def _wishes(self, results: list[Any], method: str) -> list[Wish]:
        """The results if all are wishes; anything else is a fault at the method that returned it."""
        wishes: list[Wish] = []
        for result in results:
            try:
                action = self._check(result, method)
            except StrategyError as error:
                self.fault = Fault(str(error), self._place(_first_line(getattr(self.strategy, method))))
                return []
            if action != "HOLD":
                wishes.append(result)
        return wishes

    def _check(self, result: Any, method: str) -> str:
        """What is wished, in capitals; `StrategyError` if it is no wish."""
        if not isinstance(result, Wish):
            raise StrategyError(f"{method} returned {result!r}: expected what self.create_signal(...) returns, or None")
        action = check_action(result.action)
        check_confidence(result.confidence)
        if result.instrument not in self.desk.instruments:
            raise StrategyError(f"{method} returned a signal for {result.instrument}, which is not watched")
        return action

    # what the router's stream brings

    def move_position(self, watch: str, view: PositionView) -> None:
        """The strategy's own position for a watched instrument is this now."""
        self.desk.positions[watch] = view

    def start(self) -> None:
        """The history is through: the next bar is live."""
        self._call(self.strategy.on_start)

    def stop(self) -> None:
        """The engine stops in good order."""
        self._call(self.strategy.on_stop)

    def filled(self, change: PositionChanged) -> None:
        """A fill moved the position."""
        self._call(self.strategy.on_fill, change)

    def traded(self, trade: TradeClosed) -> None:
        """A round trip ended."""
        self._call(self.strategy.on_trade, trade)

    # what survives a restart

    def remember(self, text: str) -> None:
        """The strategy's memory is this: what was journaled last."""
        self.kept = text
        self.desk.memory = decode_memory(text)

    def changed_memory(self) -> str | None:
        """The memory as it is to be journaled, None if it is what it was; one that cannot be is a fault."""
        if self.fault is not None or (not self.desk.memory and self.kept == EMPTY):
            return None
        text = self._walled(None, encode_memory, self.desk.memory)
        return None if text == self.kept else text

    # the wall

    def _walled(self, otherwise: _Else, work: Callable[..., _Result], *arguments: Any) -> _Result | _Else:
        """What goes wrong in our own work for this strategy is its fault too: the others go on."""
        try:
            return work(*arguments)
        except Exception as error:  # noqa: BLE001  (a run nobody can host must not end the engine)
            self.fault = Fault(_describe(error), self._where(error.__traceback__))
            return otherwise

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        if self.fault is not None:
            return None
        self._guard.begin(self.run.name)
        result = None
        try:
            result = method(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (author code may raise anything)
            self.fault = Fault(_describe(error), self._where(error.__traceback__))
        problem = self._guard.end(self.run.name, self.fault is not None)
        if problem and self.fault is None:
            self.fault = Fault(problem, self._place(_first_line(self.strategy.on_data)))
            return None
        return result

    def _where(self, traceback: TracebackType | None) -> str:
        """The deepest line of the author's own file, else the deepest of all."""
        mine = _file(type(self.strategy))
        place = ""
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if file == mine or not place or mine not in place:
                place = f"{file}:{traceback.tb_lineno}"
            traceback = traceback.tb_next
        return _short(place)

    def _place(self, line: int) -> str:
        return _short(f"{_file(type(self.strategy))}:{line}")


def _describe(error: BaseException) -> str:
    text = str(error)
    return text if isinstance(error, StrategyError) else f"{type(error).__name__}: {text}"


def _file(strategy: type) -> str:
    return str(getattr(sys.modules.get(strategy.__module__), "__file__", "") or strategy.__module__)


def _first_line(method: Callable[..., Any]) -> int:
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    return code.co_firstlineno if code is not None else 0


def _short(place: str) -> str:
    """The folder, the file and the line."""
    return "/".join(place.rsplit("/", 2)[-2:])
