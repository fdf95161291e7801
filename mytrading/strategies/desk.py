"""What a strategy instance works with: bars, indicators and positions of everything it watches.

The host moves the desk along; `BaseStrategy` reads it. The one rule: a strategy sees nothing but completed bars and
its own positions.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import BUILT_IN, Indicator
from mytrading.messages.market import Bar, Quote
from mytrading.strategies.errors import StrategyError, hint, plain
from mytrading.strategies.series import BarSeries, Line

_FLAT, _LONG, _SHORT = 0, 1, -1


class PositionView(NamedTuple):
    """A strategy's own position for one watched instrument.

    `quantity` is signed units of what is traded, `average_price` its entry price in rupees. `side` is +1 while the
    strategy is in its long position, which may be a bought call or a sold put, −1 in its short one.
    """

    quantity: int = 0
    average_price: float = 0.0
    side: int = _FLAT

    @property
    def is_long(self) -> bool:
        """In the position that BUY wishes."""
        return self.side == _LONG

    @property
    def is_short(self) -> bool:
        """In the position that SELL wishes."""
        return self.side == _SHORT

    @property
    def is_flat(self) -> bool:
        """In neither."""
        return self.side == _FLAT


class IndicatorHandle(NamedTuple):
    """What `add_indicator` returns; `get_indicator_value` takes it in place of a name."""

    name: str
    kind: str
    period: float
    timeframe: str
    source: str
    lookback: int
    named: bool


FLAT = PositionView()


class Desk:
    """The data of one strategy. `instruments` are watched, `timeframes` kept, the first one drives `on_data`."""

    def __init__(self, instruments: tuple[str, ...], timeframes: tuple[str, ...], custom: Iterable[Indicator]) -> None:
        self.instruments = instruments
        self.timeframes = timeframes
        self.current = instruments[0] if instruments else ""
        self.now = 0
        self.last_fill_ns = 0
        self.positions: dict[str, PositionView] = {}
        self.data: dict[str, Bar | Quote] = {}
        self._known = ChainMap({item.name: item for item in custom}, BUILT_IN)  # type: ignore[arg-type]
        self._handles: list[IndicatorHandle] = []
        self._found: dict[str, IndicatorHandle] = {}
        self._series: dict[tuple[str, str], BarSeries] = {}
        self._lines: dict[tuple[IndicatorHandle, str], Line] = {}
        self.sources: dict[tuple[str | IndicatorHandle, str], tuple[Line, BarSeries]] = {}
        self._specs: dict[IndicatorHandle, tuple[Indicator, tuple[str, ...], dict[str, float]]] = {}

    @property
    def lookback(self) -> int:
        """Bars of its timeframe before the slowest indicator has a value."""
        return max((handle.lookback for handle in self._handles), default=0)

    @property
    def handles(self) -> tuple[IndicatorHandle, ...]:
        """The indicators in the order in which they were added."""
        return tuple(self._handles)

    def open_series(self, days: int) -> None:
        """Make the empty series, keeping `days` trading days before the newest; called once `initialize` is done."""
        self.sources.clear()
        for instrument in self.instruments:
            for timeframe in self.timeframes:
                self._series[instrument, timeframe] = BarSeries(days)
            for handle, (indicator, inputs, parameters) in self._specs.items():
                self._lines[handle, instrument] = Line(indicator, inputs, parameters)

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
            f"timeframe {timeframe} is not kept{hint(timeframe, self.timeframes)}; add it to the strategy's timeframes"
        )

    def _refuse_kind(self, kind: str) -> NoReturn:
        outputs = BUILT_IN.outputs(kind.partition(".")[0].upper())
        if outputs:
            names = ", ".join(f"{kind.partition('.')[0].upper()}.{output}" for output in outputs)
            raise StrategyError(f"add_indicator: expected one output of {kind!r}, which are {names}")
        raise StrategyError(f"add_indicator: no indicator {kind!r}{hint(kind, self._known)}")

    def add(self, kind: str, name: str, timeframe: str, source: str, parameters: dict[str, float]) -> IndicatorHandle:
        """Declare an indicator for every watched instrument; `StrategyError` says what is wrong with it."""
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
        return self._declare(indicator, name, timeframe, source, {**indicator.parameters, **parameters})

    def _refuse_unknown_timeframe(self, timeframe: str) -> None:
        raise StrategyError(
            f"add_indicator: timeframe {timeframe} is not kept{hint(timeframe, self.timeframes)}; "
            "add it to the strategy's timeframes"
        )

    def _declare(
        self, indicator: Indicator, name: str, timeframe: str, source: str, parameters: dict[str, float]
    ) -> IndicatorHandle:
        for label, value in parameters.items():
            if label == "period" and (isinstance(value, bool) or int(value) != value or value < 2):
                raise StrategyError(
                    f"add_indicator: {indicator.name} period must be a whole number from 2 on: {value!r}"
                )
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
        )
        self._found.clear()
        if handle not in self._specs:
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
            handle = self.find(wanted)
            series = self.series(key[1], handle.timeframe)
            found = self.sources[key] = (self._lines[handle, key[1]], series)
        return found[0].value(found[1], back)

    def warm_rows(self, instrument: str) -> NDArray[np.bool_]:
        """For each filled bar of the driving timeframe, whether every indicator has a value; all must be of it."""
        warm = np.ones(self.series(instrument, "").filled, dtype=bool)
        for handle in self._handles:
            values = self._lines[handle, instrument].whole(self.series(instrument, handle.timeframe))
            warm &= ~np.isnan(values)
        return warm

    def is_warm(self, instrument: str) -> bool:
        """True once every indicator has a value for this instrument."""
        return not any(math.isnan(self.value(handle, 0, instrument)) for handle in self._handles)
