"""Strategy host: one strategy instance with its workspace and memory, isolated from the others.

Whatever the author's code raises or returns becomes a value here: a draft of a signal, or a fault with file and line. A
faulted strategy is never called again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import msgspec

from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import StrategyRun
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.signals import StrategySignal, check_action, check_confidence
from mytrading.strategies.workspace import HostServices, StrategyWorkspace, timer_due_ns

WARM_FACTOR = 10
"""History of ten times the slowest look-back: an exponential average has then forgotten its seed to 2e-9."""
BARS_PER_DAY = 375
EMPTY_MEMORY = "{}"
MAX_MEMORY_BYTES = 65_536
"""Memory is written whole whenever it changes."""


class Fault(NamedTuple):
    """Reason that a strategy stopped, and the place in the author's file; `gone`: an operator removed that file."""

    error: str
    where: str
    gone: bool = False


class CallGuard(Protocol):
    """Times calls of author code; the daemon's also writes to disk which call runs, in case it never returns."""

    def begin(self, strategy: str) -> None:  # noqa: ARG002
        """Hook: the host calls it before each call into this strategy's code."""
        return

    def end(self, strategy: str, failed: bool) -> str:  # noqa: ARG002
        """Hook: called after it, `failed` if that raised; returns a fault's text if it took too long, else ""."""
        return ""


class NoCallGuard(CallGuard):
    """Sets no limit."""


class StrategyHost:
    """The strategy of a run. Methods that call it return its drafts; after a fault they return none, for good."""

    def __init__(
        self,
        run: StrategyRun,
        strategy: type[BaseStrategy] | Fault,
        guard: CallGuard,
        services: HostServices | None = None,
    ) -> None:
        self.run = run
        self._services = services
        self.journaled_memory = EMPTY_MEMORY
        self.fault: Fault | None = strategy if isinstance(strategy, Fault) else None
        self.wants_quotes = False
        self.warm_bars = 0
        self._guard = guard
        self._pending: set[str] = set()
        self._warm: set[str] = set()
        self._slice_ns = 0
        self.workspace = StrategyWorkspace((), (), ())
        self.strategy = BaseStrategy(self.workspace)
        if not isinstance(strategy, Fault):
            try:
                self._open(strategy)
            except Exception as error:  # noqa: BLE001  (a run nobody can host must not end the engine)
                self.record_exception(error)

    @property
    def timeframe(self) -> str:
        """The timeframe whose bars drive `on_data`."""
        return self.run.timeframes[0]

    @property
    def calls_per_bar_only(self) -> bool:
        """True if only completed bars call the strategy: it overrides `on_data`, takes no quotes or timers."""
        kind = type(self.strategy)
        plain = kind.generate_signals is BaseStrategy.generate_signals and kind.on_timer is BaseStrategy.on_timer
        return plain and not self.wants_quotes

    @property
    def history_days(self) -> int:
        """Trading days of history that the indicators need before the newest day; 1 after a fault."""
        if self.fault is not None:
            return 1
        return max(1, math.ceil(self.warm_bars * self._longest_minutes / BARS_PER_DAY))

    @property
    def lookback_minutes(self) -> int:
        """Session minutes before now that the slowest indicator reads; 0 after a fault, or without indicators."""
        if self.fault is not None:
            return 0
        bars = self.workspace.lookback
        return (bars + 1) * self._longest_minutes if bars else 0

    @property
    def _longest_minutes(self) -> int:
        """The minutes of a bar of the longest timeframe."""
        minutes = {"m": 1, "h": 60, "d": BARS_PER_DAY}
        return max(int(name[:-1]) * minutes[name[-1]] for name in self.run.timeframes)

    @property
    def is_warm(self) -> bool:
        """True once every indicator of every watched instrument has a value, or after a fault."""
        return self.fault is not None or self._warm.issuperset(self.workspace.instruments)

    def _open(self, strategy: type[BaseStrategy]) -> None:
        self.workspace = StrategyWorkspace(
            self.run.symbols, self.run.timeframes, strategy.indicators, self.run.name, self._services
        )
        try:
            self.strategy = strategy(self.workspace, self.run.parameters)
        except StrategyError as error:
            self.fault = Fault(str(error), f"parameters of {self.run.name}")
            return
        self.wants_quotes = strategy.subscribe_quotes
        self.call(self.strategy.initialize)
        if self.fault is None:
            self.warm_bars = WARM_FACTOR * self.workspace.lookback
            self.workspace.open_series(self.history_days)

    def load_history(self, bars: Iterable[Bar]) -> None:
        """Store bars without showing them to the strategy yet, so that indicators are computed once for all."""
        workspace = self.workspace
        try:
            for bar in bars:
                if bar.instrument in workspace.instruments and bar.timeframe in workspace.timeframes:
                    workspace.series(bar.instrument, bar.timeframe).fill(bar)
        except Exception as error:  # noqa: BLE001  (as in `__init__`)
            self.record_exception(error)

    def drafts_of(self, result: Any) -> list[StrategySignal]:
        """Return the drafts of a result that another caller got from `on_data`; a bad one faults the strategy."""
        return self._drafts([result], "on_data")

    def record_exception(self, error: BaseException) -> None:
        """Turn an exception raised in work for this strategy into its fault, so that other strategies go on."""
        text = str(error) if isinstance(error, StrategyError) else f"{type(error).__name__}: {error}"
        self.fault = Fault(text, self._where(error.__traceback__))

    def on_bar(self, bar: Bar, loaded: bool = False) -> list[StrategySignal]:
        """Call the strategy for a completed bar and return its draft signals; bars older than the newest are ignored.
        `loaded`: the bar was stored by `load_history`."""
        try:
            return self._take(bar, loaded)
        except Exception as error:  # noqa: BLE001  (as in `__init__`)
            self.record_exception(error)
            return []

    def _take(self, bar: Bar, loaded: bool) -> list[StrategySignal]:
        if (
            self.fault
            or bar.instrument not in self.workspace.instruments
            or bar.timeframe not in self.workspace.timeframes
        ):
            return []
        series = self.workspace.series(bar.instrument, bar.timeframe)
        if loaded and series.next_start_ns != bar.start_ns:
            return []
        if not loaded and not series.fill(bar):
            return []
        if early_timers := self.workspace.early_timers:
            for name, (seconds, at) in early_timers.items():
                self.workspace.timers[name] = timer_due_ns(bar.start_ns, name, seconds, at)
            early_timers.clear()
        early = self._fire(bar.end_ns) if self.workspace.timers else []
        series.show_next()
        if bar.timeframe != self.timeframe:
            return early
        drafts = early + self._end_slice(bar.end_ns)
        return drafts + self._on_data(bar, bar.end_ns) + self._add_to_slice(bar)

    def next_timer_ns(self) -> int:
        """Market time of the first timer, or of bars of one time that lack an instrument; 0 if there is none."""
        ends = [self._slice_ns] if self._pending else []
        return min([*self.workspace.timers.values(), *ends], default=0) if self.fault is None else 0

    def pass_time(self, now: int, slices_to: int) -> list[StrategySignal]:
        """Fire timers due at `now`, and call `generate_signals` for bars of one time up to `slices_to` (both market ns)
        even if an instrument lacks its bar; returns the draft signals."""
        try:
            drafts = self._fire(now) if self.workspace.timers else []
            return drafts + (self._end_slice(slices_to + 1) if self._pending else [])
        except Exception as error:  # noqa: BLE001  (as in `__init__`)
            self.record_exception(error)
            return []

    def _fire(self, now: int) -> list[StrategySignal]:
        """Call `on_timer` for due timers in the order of time, those included that one of them sets."""
        drafts: list[StrategySignal] = []
        timers, workspace = self.workspace.timers, self.workspace
        while timers and self.fault is None:
            due, name = min((due, name) for name, due in timers.items())
            if due > now:
                break
            del timers[name]
            workspace.now, workspace.current = max(workspace.now, due), workspace.instruments[0]
            result = self.call(self.strategy.on_timer, name)
            drafts += [] if result is None else self._drafts([result], "on_timer")
        return drafts

    def on_quote(self, quote: Quote) -> list[StrategySignal]:
        """Call `on_data` with a quote if the strategy subscribed to quotes and watches it; returns draft signals."""
        if self.fault or not self.wants_quotes or quote.instrument not in self.workspace.instruments:
            return []
        try:
            return self._on_data(quote, quote.market_ns)
        except Exception as error:  # noqa: BLE001  (as in `__init__`)
            self.record_exception(error)
            return []

    def _on_data(self, data: Bar | Quote, now: int) -> list[StrategySignal]:
        self.workspace.current, self.workspace.now = data.instrument, now
        self.workspace.data[data.instrument] = data
        result = self.call(self._on_data_if_warm, data)
        return [] if result is None else self._drafts([result], "on_data")

    def _on_data_if_warm(self, data: Bar | Quote) -> Any:
        if not self.workspace.is_warm(data.instrument):
            return None
        self._warm.add(data.instrument)
        return self.strategy.on_data(data)

    def _add_to_slice(self, bar: Bar) -> list[StrategySignal]:
        """Run `generate_signals` once all watched instruments have had their bar of this time."""
        if type(self.strategy).generate_signals is BaseStrategy.generate_signals:
            return []
        if not self._pending:
            self._pending, self._slice_ns = set(self.workspace.instruments), bar.end_ns
        self._pending.discard(bar.instrument)
        return [] if self._pending else self._generate()

    def _end_slice(self, end_ns: int) -> list[StrategySignal]:
        """End a slice that some instrument's missing trades left open, at a bar of a later time."""
        if not self._pending or end_ns <= self._slice_ns:
            return []
        self._pending = set()
        return self._generate()

    def _generate(self) -> list[StrategySignal]:
        found = self.call(self._generate_if_warm)
        return self._drafts(found, "generate_signals") if found else []

    def _generate_if_warm(self) -> list[Any]:
        if not all(self.workspace.is_warm(instrument) for instrument in self.workspace.instruments):
            return []
        result = self.strategy.generate_signals()
        many = isinstance(result, Iterable) and not isinstance(result, str)
        return [item for item in (result if many else [result]) if item is not None]  # type: ignore[union-attr]

    def _drafts(self, results: list[Any], method: str) -> list[StrategySignal]:
        """The results but HOLD if all are signals; anything else is a fault of the method that returned it."""
        drafts: list[StrategySignal] = []
        for result in results:
            try:
                if not isinstance(result, StrategySignal):
                    expected = "expected what self.create_signal(...) returns, or None"
                    raise StrategyError(f"{method} returned {result!r}: {expected}")
                action = check_action(result.action)
                check_confidence(result.confidence)
                if result.instrument not in self.workspace.instruments:
                    raise StrategyError(f"{method} returned a signal for {result.instrument}, which is not watched")
            except StrategyError as error:
                self.fault = Fault(str(error), self._place_of(method))
                return []
            if action != "HOLD":
                drafts.append(result)
        return drafts

    def restore_memory(self, text: str) -> None:
        """Set the strategy's memory from the JSON that was journaled last."""
        self.journaled_memory = text
        self.workspace.memory = msgspec.json.decode(text, type=dict[str, Any])

    def changed_memory(self) -> str | None:
        """Return the memory's JSON to journal, None if unchanged; one that cannot be encoded faults the strategy."""
        if self.fault is not None or (not self.workspace.memory and self.journaled_memory == EMPTY_MEMORY):
            return None
        try:
            text = encode_memory(self.workspace.memory)
        except Exception as error:  # noqa: BLE001  (as in `__init__`)
            self.record_exception(error)
            return None
        return None if text == self.journaled_memory else text

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the strategy, timed; None if it raised, took too long, or the strategy is faulted."""
        if self.fault is not None:
            return None
        self._guard.begin(self.run.name)
        result = None
        try:
            result = method(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (author code may raise anything)
            self.record_exception(error)
        problem = self._guard.end(self.run.name, self.fault is not None)
        if problem and self.fault is None:
            self.fault = Fault(problem, self._place_of("on_data"))
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

    def _place_of(self, method: str) -> str:
        """The first line of the author's method."""
        found = getattr(self.strategy, method)
        code = getattr(getattr(found, "__func__", found), "__code__", None)
        return _short(f"{_file(type(self.strategy))}:{code.co_firstlineno if code is not None else 0}")


def _file(strategy: type) -> str:
    return str(getattr(sys.modules.get(strategy.__module__), "__file__", "") or strategy.__module__)


def _short(place: str) -> str:
    """The folder, the file and the line."""
    return "/".join(place.rsplit("/", 2)[-2:])


def encode_memory(memory: Any) -> str:
    """Return a strategy's memory as JSON; `StrategyError` if too large, not allowed, or if it would decode unequal."""
    if not isinstance(memory, dict):
        raise StrategyError(f"memory: expected a dict, found {type(memory).__name__}; write self.memory[name] = value")
    _check_memory(memory, "memory")
    text = msgspec.json.encode(memory, enc_hook=float).decode()
    if len(text) > MAX_MEMORY_BYTES:
        raise StrategyError(
            f"memory holds {len(text):,} bytes as JSON, at most {MAX_MEMORY_BYTES:,} may be kept; keep less, and work "
            "out of bars what can be"
        )
    return text


def _check_memory(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise StrategyError(f"{place}: names must be texts, found {name!r}; write str({name!r})")
            _check_memory(item, f"{place}[{name!r}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_memory(item, f"{place}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise StrategyError(f"{place}: {value} cannot be kept; use None")
    elif not (value is None or isinstance(value, bool | int | str)):
        raise StrategyError(
            f"{place}: found {type(value).__name__}; expected numbers, texts, True, False, None, lists and dicts of "
            "these; float(x) makes a number of numpy's"
        )
