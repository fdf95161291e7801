"""What a strategy instance works with: bars, indicators and positions of everything it watches.

The host moves the desk along; `BaseStrategy` reads it. The one rule: a strategy sees nothing but completed bars and
its own positions.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import BUILT_IN, Indicator
from mytrading.core.indicators.kernels import MAX_PERIOD
from mytrading.messages.market import Bar, Quote
from mytrading.strategies.errors import StrategyError, hint, plain
from mytrading.strategies.lines import line_key
from mytrading.strategies.series import BarSeries, Line
from mytrading.strategies.surroundings import Surroundings
from mytrading.strategies.views import PositionView

SOURCES = ("open", "high", "low", "close", "volume", "start_s", "day")
"""Columns of bars that an indicator may be computed from."""


class IndicatorHandle(NamedTuple):
    """What `add_indicator` returns; `get_indicator_value` takes it in place of a name.

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


class Desk:
    """The data of one strategy. `instruments` are watched, `timeframes` kept, the first one drives `on_data`."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        timeframes: tuple[str, ...],
        custom: Iterable[Indicator],
        owner: str = "",
        around: Surroundings | None = None,
    ) -> None:
        self.instruments = instruments
        self.timeframes = timeframes
        self.owner = owner
        self.around = around or Surroundings()
        self.memory: dict[str, Any] = {}
        self.timers: dict[str, int] = {}
        self.early_timers: dict[str, tuple[float, str]] = {}
        """Those that were set before there was any time to count from."""
        self.current = instruments[0] if instruments else ""
        self.now = 0
        self.last_fill_ns = 0
        self.taken_back_ns = 0
        self.positions: dict[str, PositionView] = {}
        self.data: dict[str, Bar | Quote] = {}
        self._known = ChainMap({item.name: item for item in custom}, BUILT_IN)  # type: ignore[arg-type]
        self._handles: list[IndicatorHandle] = []
        self._found: dict[str, IndicatorHandle] = {}
        self._series: dict[tuple[str, str], BarSeries] = {}
        self._lines: dict[tuple[IndicatorHandle, str], Line] = {}
        self.sources: dict[tuple[str | IndicatorHandle, str], tuple[Line, BarSeries]] = {}
        self.slots: dict[str | IndicatorHandle, int] = {}
        """Where in `newest` the value of an indicator stands, by the words that it was asked for with before: of the
        instrument at hand, and only while somebody walks through filled bars and moves `newest` with the cursor."""
        self.newest: tuple[float, ...] = ()
        self._checks: dict[str, list[tuple[Line, BarSeries, bool]]] = {}
        self._specs: dict[IndicatorHandle, tuple[Indicator, tuple[str, ...], dict[str, float]]] = {}

    @property
    def lookback(self) -> int:
        """Bars of its timeframe before the slowest indicator has a value."""
        return max((handle.lookback for handle in self._handles), default=0)

    def lines(self) -> list[tuple[IndicatorHandle, str, Line]]:
        """Each indicator's line with the instrument it is of: for who looks at a strategy from outside."""
        return [(handle, instrument, line) for (handle, instrument), line in self._lines.items()]

    def open_series(self, days: int) -> None:
        """Make the empty series, keeping `days` trading days before the newest; called once `initialize` is done."""
        self.sources.clear()
        self._checks.clear()
        for instrument in self.instruments:
            for timeframe in self.timeframes:
                self._series[instrument, timeframe] = BarSeries(days)
            for handle, (indicator, inputs, parameters) in self._specs.items():
                if handle.instruments and instrument not in handle.instruments:
                    continue
                key = line_key(indicator.kernel, inputs, parameters, instrument, handle.timeframe, days)
                self._lines[handle, instrument] = Line(indicator, inputs, parameters, self.around.lines, key)

    def close(self) -> None:
        """Let bars and values go: a run is over, and its engine may be held by itself for a while."""
        for table in (self._series, self._lines, self.sources, self._checks, self.slots):
            table.clear()
        self.around.lines.clear()

    def kernels(self) -> list[Callable[[], object]]:
        """Each indicator's kernel with its parameters, bound to made-up columns."""
        column = np.linspace(100.0, 101.0, 8)
        return [
            partial(indicator.kernel, *[column] * len(inputs), **parameters)
            for indicator, inputs, parameters in self._specs.values()
        ]

    def series(self, instrument: str, timeframe: str) -> BarSeries:
        """The bars of one watched instrument; empty fields mean the current one and the driving timeframe."""
        key = (instrument or self.current, timeframe or self.timeframes[0])
        found = self._series.get(key)
        if found is None:
            self._refuse_unknown(*key)
        return found if found is not None else BarSeries(0)

    def _refuse_unknown(self, instrument: str, timeframe: str) -> None:
        if not self._series:
            raise StrategyError("there are no bars yet in initialize(); read them in on_data()")
        if instrument not in self.instruments:
            raise StrategyError(f"{instrument} is not watched{hint(instrument, self.instruments)}")
        raise StrategyError(
            f"timeframe {timeframe} is not kept{hint(timeframe, self.timeframes)}; "
            "add it to `timeframes` in its file of config/strategies"
        )

    def _refuse_kind(self, kind: str) -> NoReturn:
        outputs = BUILT_IN.outputs(kind.partition(".")[0].upper())
        if outputs:
            names = ", ".join(f"{kind.partition('.')[0].upper()}.{output}" for output in outputs)
            raise StrategyError(f"add_indicator: expected one output of {kind!r}, which are {names}")
        raise StrategyError(f"add_indicator: no indicator {kind!r}{hint(kind, self._known)}")

    def add(
        self, kind: str, name: str, timeframe: str, source: str, parameters: dict[str, float], instrument: str = ""
    ) -> IndicatorHandle:
        """Declare an indicator for every watched instrument or for one; `StrategyError` says what is wrong with it."""
        function, dot, output = kind.partition(".")
        indicator = self._known.get(kind) or self._known.get(function.upper() + dot + output)
        if indicator is None:
            self._refuse_kind(kind)
        if self._series:
            raise StrategyError("add_indicator: call it in initialize(), not later")
        for given in parameters:
            if given not in indicator.parameters:
                raise StrategyError(
                    f"add_indicator: {kind} has no parameter {given}{hint(given, indicator.parameters)}"
                )
        if timeframe and timeframe not in self.timeframes:
            self._refuse_unknown_timeframe(timeframe)
        if instrument and instrument not in self.instruments:
            raise StrategyError(f"add_indicator: {instrument} is not watched{hint(instrument, self.instruments)}")
        if source and source not in SOURCES:
            raise StrategyError(f"add_indicator: no column {source!r}{hint(source, SOURCES)}")
        of = (instrument,) if instrument else ()
        return self._declare(indicator, name, timeframe, source, {**indicator.parameters, **parameters}, of)

    def _refuse_unknown_timeframe(self, timeframe: str) -> None:
        raise StrategyError(
            f"add_indicator: timeframe {timeframe} is not kept{hint(timeframe, self.timeframes)}; "
            "add it to `timeframes` in its file of config/strategies"
        )

    def _declare(
        self,
        indicator: Indicator,
        name: str,
        timeframe: str,
        source: str,
        parameters: dict[str, float],
        instruments: tuple[str, ...],
    ) -> IndicatorHandle:
        period = parameters.get("period", 2)
        most = MAX_PERIOD if indicator.group == "Own" else math.inf
        if isinstance(period, bool) or int(period) != period or not 2 <= period <= most:
            span = f"from 2 to {most}" if indicator.group == "Own" else "from 2 on"
            raise StrategyError(f"add_indicator: {indicator.name} period must be a whole number {span}: {period!r}")
        if name and any(plain(name) == plain(other.name) for other in self._handles if other.named):
            raise StrategyError(f"add_indicator: there is already an indicator named {name!r}; give another name=")
        handle = IndicatorHandle(
            name=name or self._default_name(indicator.name, parameters),
            kind=indicator.name,
            period=parameters.get("period", 0),
            timeframe=timeframe or self.timeframes[0],
            source=source,
            lookback=int(indicator.lookback(**parameters)),
            named=bool(name),
            instruments=instruments,
        )
        self._found.clear()
        known = self._specs.get(handle)
        if known is not None and known[2] != parameters:
            raise StrategyError(f"add_indicator: there is another {handle.name}; give each of them a name=")
        if known is None:
            self._handles.append(handle)
            inputs = (source,) if source else indicator.inputs
            self._specs[handle] = (indicator, inputs, parameters)
        return handle

    def _default_name(self, kind: str, parameters: dict[str, float]) -> str:
        period = parameters.get("period")
        return kind if period is None else f"{kind}_{int(period)}"

    def find(self, wanted: str | IndicatorHandle) -> IndicatorHandle:
        """The declared indicator of this name, or the only one of this kind; `StrategyError` lists what there is."""
        if isinstance(wanted, IndicatorHandle):
            return wanted
        known = self._found.get(wanted)
        if known is None:
            known = self._found[wanted] = self._look_up(wanted)
        return known

    def _look_up(self, wanted: str) -> IndicatorHandle:
        word = plain(wanted)
        exact = [handle for handle in self._handles if plain(handle.name) == word]
        of_kind = [handle for handle in self._handles if plain(handle.kind) == word]
        for matches in (exact, of_kind):
            if len(matches) == 1:
                return matches[0]
        names = [handle.name for handle in self._handles]
        if of_kind:
            raise StrategyError(f"indicator {wanted} is ambiguous: ask for {' or '.join(names)}, or give each a name=")
        raise StrategyError(f"no indicator {wanted!r}{hint(wanted, names)}; add_indicator() in initialize() makes one")

    def value(self, wanted: str | IndicatorHandle, back: int, instrument: str) -> float:
        """An indicator's value at the newest bar of an instrument, or `back` bars before."""
        key = (wanted, instrument or self.current)
        found = self.sources.get(key)
        if found is None:
            found = self._source(wanted, instrument)
        return found[0].value(found[1], back)

    def held(self, instrument: str, first: int, after: int) -> list[list[float]]:
        """What the strategy reads of an instrument from rows `first` to before `after`, a list for each of `slots`."""
        read = [(wanted, *source) for (wanted, place), source in self.sources.items() if place == instrument]
        self.newest = tuple(line.value(series) for _, line, series in read)
        self.slots = {wanted: slot for slot, (wanted, _, _) in enumerate(read)}
        return [line.whole(series)[first:after].tolist() for _, line, series in read]

    def _source(self, wanted: str | IndicatorHandle, instrument: str) -> tuple[Line, BarSeries]:
        """Where to read an indicator; one of one instrument is read there, whatever instrument is at hand."""
        handle = self.find(wanted)
        place = handle.instruments[0] if handle.instruments else instrument or self.current
        if instrument and place != instrument:
            raise StrategyError(f"indicator {handle.name} was added for {place} alone, not for {instrument}")
        found = (self._lines[handle, place], self.series(place, handle.timeframe))
        if not handle.instruments:
            self.sources[wanted, place] = found
        return found

    def warm_rows(self, instrument: str) -> NDArray[np.bool_]:
        """For each filled bar of the driving timeframe, whether every indicator has a value; all must be of it."""
        warm = np.ones(self.series(instrument, "").filled, dtype=bool)
        for handle in self._needed(instrument):
            values = self._lines[handle, instrument].whole(self.series(instrument, handle.timeframe))
            warm &= ~np.isnan(values)
        return warm

    def is_warm(self, instrument: str) -> bool:
        """True once every indicator has a value for this instrument, and those of one instrument have theirs."""
        checks = self._checks.get(instrument)
        if checks is None:
            checks = self._checks[instrument] = self._checks_of(instrument)
        warm = True
        for line, series, needed in checks:
            if math.isnan(line.value(series)) and needed:
                warm = False
        return warm

    def _checks_of(self, instrument: str) -> list[tuple[Line, BarSeries, bool]]:
        """Where the values stand that an instrument's bars wait for; those that may be missing are computed all the
        same, so that a kernel's mistake shows at once."""
        found = []
        for handle in self._handles:
            place = handle.instruments[0] if handle.instruments else instrument
            found.append((self._lines[handle, place], self.series(place, handle.timeframe), bool(handle.lookback)))
        return found

    def _needed(self, instrument: str) -> list[IndicatorHandle]:
        """The indicators of an instrument that must have a value: those with a lookback of 0 may never have one."""
        return [
            handle
            for handle in self._handles
            if handle.lookback and (not handle.instruments or instrument in handle.instruments)
        ]
