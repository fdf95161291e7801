"""Strategy workspace: bars, indicators, positions, timers and memory of one strategy instance.

The host updates it; `BaseStrategy` reads it. A strategy sees completed bars and its own positions, nothing else. Timers
run by market time, so that a backtest and a restart's walk through history fire the same ones.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import BUILT_IN, Indicator
from mytrading.core.indicators.kernels import MAX_PERIOD
from mytrading.core.text.spelling import name_key
from mytrading.core.time import DAY, IST_OFFSET, SECOND
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Bar, Quote
from mytrading.messages.signals import Signal
from mytrading.strategies.bar_series import BarSeries, IndicatorCache, IndicatorSeries
from mytrading.strategies.errors import StrategyError, hint, is_number
from mytrading.strategies.views import EntryView, LegView, PositionView

SOURCES = ("open", "high", "low", "close", "volume", "start_s", "day")
"""Columns of bars that an indicator may be computed from."""
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


class IndicatorHandle(NamedTuple):
    """An indicator added by `add_indicator`; `get_indicator_value` takes it in place of a name.

    `instruments` are those it is computed for, empty for all that are watched.
    """

    name: str
    kind: str
    period: float
    timeframe: str
    source: str
    lookback: int
    named: bool
    instruments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostServices:
    """Read-only services of the host: today's contract by id, a strategy's pending entry, shared indicator values.

    `legs` are the contracts that a strategy holds for a watched instrument at a market time, `last_signal` is the last
    one that it sent about it, and `closed_by` what closed its last position in an instrument: stop, target or "".

    `operator_cancel_ns` is the market time at which an operator last cancelled an entry of a strategy, 0 if never.
    """

    contract: Callable[[str], Instrument | None] = lambda _instrument: None
    entry: Callable[[str, str, int], EntryView | None] = lambda _strategy, _watch, _now: None
    operator_cancel_ns: Callable[[str], int] = lambda _strategy: 0
    legs: Callable[[str, str, int], tuple[LegView, ...]] = lambda _strategy, _watch, _now: ()
    last_signal: Callable[[str, str], Signal | None] = lambda _strategy, _watch: None
    closed_by: Callable[[str, str], str] = lambda _strategy, _instrument: ""
    indicator_cache: IndicatorCache = field(default_factory=dict)


class StrategyWorkspace:
    """The data of one strategy. `instruments` are watched, `timeframes` kept, the first one drives `on_data`."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        timeframes: tuple[str, ...],
        custom: Iterable[Indicator],
        strategy: str = "",
        services: HostServices | None = None,
    ) -> None:
        self.instruments = instruments
        self.timeframes = timeframes
        self.strategy = strategy
        self.services = services or HostServices()
        self.memory: dict[str, Any] = {}
        self.timers: dict[str, int] = {}
        self.early_timers: dict[str, tuple[float, str]] = {}
        """Seconds and clock time of timers that were set before the first bar."""
        self.current = instruments[0] if instruments else ""
        self.now = 0
        self.last_fill_ns = 0
        self.positions: dict[str, PositionView] = {}
        self.data: dict[str, Bar | Quote] = {}
        self._known = ChainMap({item.name: item for item in custom}, BUILT_IN)  # type: ignore[arg-type]
        self._series: dict[tuple[str, str], BarSeries] = {}
        self.values: dict[tuple[IndicatorHandle, str], IndicatorSeries] = {}
        """Each indicator by its handle and instrument."""
        self.sources: dict[tuple[str | IndicatorHandle, str], tuple[IndicatorSeries, BarSeries]] = {}
        self.slots: dict[str | IndicatorHandle, int] = {}
        """Index in `newest` by indicator as the strategy named it, for the current instrument; filled only while a loop
        walks through filled bars and moves `newest` and `before` with the cursor."""
        self.newest: tuple[float, ...] = ()
        self.before: tuple[float, ...] = ()
        """As `newest`, one bar earlier."""
        self.views: tuple[memoryview[float], ...] = ()
        """The values of the indicators in `slots` at all bars."""
        self.walked = BarSeries(0)
        """The series that such a loop walks through."""
        self._checks: dict[str, list[tuple[IndicatorSeries, BarSeries, bool]]] = {}
        self._handle_of: dict[str, IndicatorHandle] = {}
        self._specs: dict[IndicatorHandle, tuple[Indicator, tuple[str, ...], dict[str, float]]] = {}

    @property
    def lookback(self) -> int:
        """Number of bars of its timeframe that the slowest indicator needs before its first value, 0 without any."""
        return max((handle.lookback for handle in self._specs), default=0)

    def open_series(self, days: int) -> None:
        """Create empty series that keep `days` trading days before the newest; called once after `initialize`."""
        self.sources.clear()
        self._checks.clear()
        for instrument in self.instruments:
            for timeframe in self.timeframes:
                self._series[instrument, timeframe] = BarSeries(days)
            for handle, (indicator, inputs, parameters) in self._specs.items():
                if not handle.instruments or instrument in handle.instruments:
                    self.values[handle, instrument] = IndicatorSeries(
                        indicator, inputs, parameters, self.services.indicator_cache,
                        instrument, handle.timeframe, days,
                    )  # fmt: skip

    def close(self) -> None:
        """Release bars and values after a run, whose engine may stay in memory for a while."""
        for table in (self._series, self.values, self.sources, self._checks, self.slots):
            table.clear()
        self.views, self.walked = (), BarSeries(0)
        self.services.indicator_cache.clear()

    def warm_up(self) -> None:
        """Call each kernel on a few made-up bars, so that it is compiled now; errors are ignored."""
        column = np.linspace(100.0, 101.0, 8)
        for indicator, inputs, parameters in self._specs.values():
            with suppress(Exception):
                indicator.kernel(*[column] * len(inputs), **parameters)

    def series(self, instrument: str, timeframe: str) -> BarSeries:
        """The bars of a watched instrument; "" is the current one and the driving timeframe. Raises `StrategyError`."""
        key = (instrument or self.current, timeframe or self.timeframes[0])
        if (found := self._series.get(key)) is not None:
            return found
        if not self._series:
            raise StrategyError("there are no bars yet in initialize(); read them in on_data()")
        if key[0] not in self.instruments:
            raise StrategyError(f"{key[0]} is not watched{hint(key[0], self.instruments)}")
        raise StrategyError(self._not_kept(key[1]))

    def _not_kept(self, timeframe: str) -> str:
        near = hint(timeframe, self.timeframes)
        return f"timeframe {timeframe} is not kept{near}; add it to `timeframes` in its file of config/strategies"

    def add_indicator(
        self, kind: str, name: str, timeframe: str, source: str, parameters: dict[str, float], instrument: str = ""
    ) -> IndicatorHandle:
        """Declare the indicator `kind` for every watched instrument or for `instrument` alone, over the column `source`
        of bars of `timeframe` ("": the driving one); `StrategyError` says what is wrong with it."""
        function, dot, output = kind.partition(".")
        indicator = self._known.get(kind) or self._known.get(function.upper() + dot + output)
        if indicator is None:
            if outputs := BUILT_IN.outputs(function.upper()):
                names = ", ".join(f"{function.upper()}.{each}" for each in outputs)
                raise StrategyError(f"add_indicator: expected one output of {kind!r}, which are {names}")
            raise StrategyError(f"add_indicator: no indicator {kind!r}{hint(kind, self._known)}")
        if self._series:
            raise StrategyError("add_indicator: call it in initialize(), not later")
        for each in parameters:
            if each not in indicator.parameters:
                raise StrategyError(f"add_indicator: {kind} has no parameter {each}{hint(each, indicator.parameters)}")
        if timeframe and timeframe not in self.timeframes:
            raise StrategyError(f"add_indicator: {self._not_kept(timeframe)}")
        if instrument and instrument not in self.instruments:
            raise StrategyError(f"add_indicator: {instrument} is not watched{hint(instrument, self.instruments)}")
        if source and source not in SOURCES:
            raise StrategyError(f"add_indicator: no column {source!r}{hint(source, SOURCES)}")
        return self._declare(
            indicator,
            name,
            timeframe,
            source,
            {**indicator.parameters, **parameters},
            (instrument,) if instrument else (),
        )

    def _declare(
        self, indicator: Indicator, name: str, timeframe: str, source: str, parameters: dict[str, float],
        instruments: tuple[str, ...],
    ) -> IndicatorHandle:  # fmt: skip
        period = parameters.get("period", 2)
        most = MAX_PERIOD if indicator.group == "Own" else math.inf
        if isinstance(period, bool) or int(period) != period or not 2 <= period <= most:
            span = f"from 2 to {most}" if indicator.group == "Own" else "from 2 on"
            raise StrategyError(f"add_indicator: {indicator.name} period must be a whole number {span}: {period!r}")
        if name and any(name_key(name) == name_key(other.name) for other in self._specs if other.named):
            raise StrategyError(f"add_indicator: there is already an indicator named {name!r}; give another name=")
        handle = IndicatorHandle(
            name or indicator.name + (f"_{int(period)}" if "period" in parameters else ""), indicator.name,
            parameters.get("period", 0), timeframe or self.timeframes[0], source,
            int(indicator.lookback(**parameters)), bool(name), instruments,
        )  # fmt: skip
        self._handle_of.clear()
        inputs = (source,) if source else indicator.inputs
        if self._specs.setdefault(handle, (indicator, inputs, parameters))[2] != parameters:
            raise StrategyError(f"add_indicator: there is another {handle.name}; give each of them a name=")
        return handle

    def _find_indicator(self, wanted: str) -> IndicatorHandle:
        """The declared indicator of this name, or the only one of this kind; `StrategyError` lists the others."""
        key = name_key(wanted)
        exact = [handle for handle in self._specs if name_key(handle.name) == key]
        of_kind = [handle for handle in self._specs if name_key(handle.kind) == key]
        for matches in (exact, of_kind):
            if len(matches) == 1:
                self._handle_of[wanted] = matches[0]
                return matches[0]
        names = [handle.name for handle in self._specs]
        if of_kind:
            raise StrategyError(f"indicator {wanted} is ambiguous: ask for {' or '.join(names)}, or give each a name=")
        raise StrategyError(f"no indicator {wanted!r}{hint(wanted, names)}; add_indicator() in initialize() makes one")

    def indicator_value(self, wanted: str | IndicatorHandle, back: int, instrument: str) -> float:
        """An indicator's value at an instrument's ("": the current one's) newest bar, or `back` bars before."""
        found = self.sources.get((wanted, instrument or self.current))
        if found is None:
            found = self._source(wanted, instrument)
        return found[0].value(found[1], back)

    def slot_values(self, instrument: str, first: int, after: int) -> list[list[float]]:
        """Values at bars `first` to before `after`, a list per indicator read; sets `slots` and `newest` in that
        order."""
        read = [(wanted, *source) for (wanted, place), source in self.sources.items() if place == instrument]
        self.newest = tuple(values.value(series) for _, values, series in read)
        self.slots = {wanted: slot for slot, (wanted, _, _) in enumerate(read)}
        self.views, self.walked = tuple(values.view for _, values, _ in read), self.series(instrument, "")
        return [values.all_values(series)[first:after].tolist() for _, values, series in read]

    def _source(self, wanted: str | IndicatorHandle, instrument: str) -> tuple[IndicatorSeries, BarSeries]:
        """The series of an indicator; one added for a single instrument is read there, whatever the current one is."""
        if isinstance(wanted, IndicatorHandle):
            handle = wanted
        else:
            handle = self._handle_of.get(wanted) or self._find_indicator(wanted)
        place = handle.instruments[0] if handle.instruments else instrument or self.current
        if instrument and place != instrument:
            raise StrategyError(f"indicator {handle.name} was added for {place} alone, not for {instrument}")
        series = self.series(place, handle.timeframe)
        found = (self.values[handle, place], series)
        if not handle.instruments:
            self.sources[wanted, place] = found
        return found

    def warm_rows(self, instrument: str) -> NDArray[np.bool_]:
        """True for each filled bar at which every indicator has a value; all must be of the driving timeframe."""
        warm = np.ones(self.series(instrument, "").filled, dtype=bool)
        for handle in self._specs:
            if handle.lookback and (not handle.instruments or instrument in handle.instruments):
                values = self.values[handle, instrument].all_values(self.series(instrument, handle.timeframe))
                warm &= ~np.isnan(values)
        return warm

    def is_warm(self, instrument: str) -> bool:
        """True once every indicator has a value for this instrument, those of one instrument included; an indicator
        with a lookback of 0 may never have one. All are computed, so that a kernel's error shows at once."""
        checks = self._checks.get(instrument)
        if checks is None:
            places = [(handle, handle.instruments[0] if handle.instruments else instrument) for handle in self._specs]
            checks = self._checks[instrument] = [
                (self.values[handle, place], self.series(place, handle.timeframe), bool(handle.lookback))
                for handle, place in places
            ]
        warm = True
        for values, series, needed in checks:
            if math.isnan(values.value(series)) and needed:
                warm = False
        return warm


def timer_due_ns(now: int, name: str, seconds: float, at: str) -> int:
    """Market ns at which a timer set at `now` is due: in `seconds`, or `at` a time in India; raises `StrategyError`."""
    if bool(at) == bool(seconds):
        raise StrategyError(
            f'set_timer({name!r}): expected seconds, say 30, or at, say at="15:10"; found {seconds!r} and {at!r}'
        )
    if not at:
        if not is_number(seconds) or seconds < 0:
            raise StrategyError(f"set_timer({name!r}): seconds must be a number above 0, found {seconds!r}")
        return now + max(1, round(seconds * SECOND))
    found = _CLOCK.fullmatch(at.strip())
    if found is None:
        raise StrategyError(f"set_timer({name!r}): at must be a time in India like 15:10 or 15:10:30, found {at!r}")
    hour, minute, second = (int(part or 0) for part in found.groups())
    midnight = (now + IST_OFFSET) // DAY * DAY - IST_OFFSET
    due = midnight + ((hour * 60 + minute) * 60 + second) * SECOND
    return due if due > now else due + DAY
