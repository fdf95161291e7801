"""The class that authors of strategies write a subclass of; `strategies/sma_crossover.py` is an example.

The same class runs in live, paper and dry-run trading and in backtests. A strategy has no clock, no files and no
network; what it knows comes through `on_data` and the methods here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, ClassVar, NoReturn

from mytrading.core.indicators import Indicator
from mytrading.core.time import IST_OFFSET_SECONDS, SECOND, ist_date
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.market import Bar
from mytrading.messages.orders import PositionChanged, TradeClosed
from mytrading.messages.signals import Leg
from mytrading.strategies.bar_series import BarColumns
from mytrading.strategies.errors import StrategyError, hint
from mytrading.strategies.parameters import Parameter, resolve_parameters
from mytrading.strategies.signals import (
    NO_HINTS,
    LegChangeDraft,
    StrategySignal,
    check_action,
    check_confidence,
    check_stop,
    duplicate_leg,
    parse_order_hints,
    replacement,
)
from mytrading.strategies.views import FLAT, EntryView, LegView, PositionView
from mytrading.strategies.workspace import IndicatorHandle, StrategyWorkspace, timer_due_ns

_NAN = float("nan")
_NEWEST, _BEFORE = 0, 1


class BaseStrategy:
    """Public class attributes of a subclass are its parameters.

    `name` is how configuration calls it (default: the class name; case and underscores do not count).
    `subscribe_quotes = True` calls `on_data` per quote too. `indicators` adds kernels of the author's own to the
    built-in names.
    """

    name: ClassVar[str] = ""
    subscribe_quotes: ClassVar[bool] = False
    indicators: ClassVar[tuple[Indicator, ...]] = ()

    def __init__(self, workspace: StrategyWorkspace, parameters: Mapping[str, Parameter] | None = None) -> None:
        self._workspace = workspace
        self.parameters = resolve_parameters(type(self), BaseStrategy, parameters or {})
        for name, value in self.parameters.items():
            setattr(self, name, value)

    # What an author writes.

    def initialize(self) -> None:
        """Called once, before any data: declare indicators here."""

    def on_data(self, data: Any) -> StrategySignal | None:  # noqa: ARG002  (the author's signature)
        """Called per completed bar of each watched instrument, once indicators have values; returns a signal or
        None."""
        return None

    def generate_signals(self) -> StrategySignal | Iterable[StrategySignal | None] | None:
        """Called once per bar time after every instrument's `on_data`: ranking, pairs, several legs."""
        return None

    def on_timer(self, name: str) -> StrategySignal | None:  # noqa: ARG002  (the author's signature)
        """Called when the time of `set_timer(name, …)` has come, whether indicators have values or not."""
        return None

    def on_start(self) -> None:
        """Called once the strategy has gone through the history, before the first live bar."""

    def on_stop(self) -> None:
        """Called when the engine stops in good order."""

    def on_fill(self, fill: PositionChanged) -> None:
        """Called when a fill moved the strategy's position."""

    def on_trade(self, trade: TradeClosed) -> None:
        """Called when a trade of the strategy (flat to flat) ended."""

    # What an author uses.

    @property
    def instruments(self) -> tuple[str, ...]:
        """The ids of the watched instruments."""
        return self._workspace.instruments

    @property
    def instrument(self) -> str:
        """The id of the instrument that `on_data` was called for."""
        return self._workspace.current

    @property
    def now_ns(self) -> int:
        """Market time of the data at hand, ns UTC."""
        return self._workspace.now

    @property
    def position(self) -> PositionView:
        """The strategy's own position for the instrument at hand."""
        workspace = self._workspace
        return workspace.positions.get(workspace.current, FLAT)

    @property
    def time_of_day(self) -> str:
        """The time in India of the data at hand, as 09:20; such texts compare as times do."""
        second = self._workspace.now // SECOND + IST_OFFSET_SECONDS
        return f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}"

    @property
    def today(self) -> date:
        """The day in India of the data at hand."""
        return ist_date(self._workspace.now)

    @property
    def traded_today(self) -> bool:
        """True if a fill has moved the strategy's position on the day of the data at hand; restarts keep it."""
        filled = self._workspace.last_fill_ns
        return bool(filled) and ist_date(filled) == ist_date(self._workspace.now)

    def position_of(self, instrument: str) -> PositionView:
        """The strategy's own position for a watched instrument."""
        if instrument not in self._workspace.instruments:
            self._refuse("position_of", instrument)
        return self._workspace.positions.get(instrument, FLAT)

    @property
    def legs(self) -> tuple[LegView, ...]:
        """The contracts that the strategy holds for the instrument at hand, in the order of its signal's legs, each
        with quantity, entry price, last price, profit and greeks; empty while it holds nothing."""
        return self.legs_of(self._workspace.current)

    def legs_of(self, instrument: str) -> tuple[LegView, ...]:
        """The contracts that the strategy holds for a watched instrument."""
        if instrument not in self._workspace.instruments:
            self._refuse("legs_of", instrument)
        return self._workspace.services.legs(self._workspace.strategy, instrument, self._workspace.now)

    @property
    def pending(self) -> EntryView | None:
        """The strategy's entry on its way for the instrument at hand: wanted, resting or in part filled; else None."""
        return self.pending_of(self._workspace.current)

    def pending_of(self, instrument: str) -> EntryView | None:
        """The strategy's entry on its way for a watched instrument until its order has ended; None without one."""
        if instrument not in self._workspace.instruments:
            self._refuse("pending_of", instrument)
        return self._workspace.services.entry(self._workspace.strategy, instrument, self._workspace.now)

    def contract(self, instrument: str = "") -> Instrument | None:
        """Lot size, tick, strike, right and expiry of an instrument; None if it is not in the day's list."""
        return self._workspace.services.contract(instrument or self._workspace.current)

    @property
    def memory(self) -> dict[str, Any]:
        """Values that survive a restart: numbers, texts, lists and dicts by name, kept as JSON.

        Whatever can be worked out of bars need not stand here: a restart walks the strategy through them again, and
        what it writes here meanwhile is dropped.
        """
        return self._workspace.memory

    def set_timer(self, name: str, seconds: float = 0.0, at: str = "") -> None:
        """Have `on_timer(name)` called once: in so many seconds of market time, or `at` a time in India (15:10).

        A time that is over today means tomorrow's. A timer that was set under this name before is replaced; one that
        is set before there are any bars counts from the start of the first.
        """
        due = timer_due_ns(self._workspace.now, name, seconds, at)
        if self._workspace.now:
            self._workspace.timers[name] = due
        else:
            self._workspace.early_timers[name] = (seconds, at)

    def cancel_timer(self, name: str) -> None:
        """Forget a timer; one that is not set is no error."""
        self._workspace.timers.pop(name, None)
        self._workspace.early_timers.pop(name, None)

    def add_indicator(
        self, kind: str, /, *, name: str = "", timeframe: str = "", source: str = "", instrument: str = "",
        **parameters: float,
    ) -> IndicatorHandle:  # fmt: skip
        """Declare an indicator: `add_indicator("SMA", period=20, name="fast")`.

        It is computed for every watched instrument, or for `instrument` alone, on bars of the driving timeframe or of
        `timeframe`. Without `name` it is called by its kind, and by kind and period (`SMA_20`) where the kind alone is
        ambiguous.
        """
        return self._workspace.add_indicator(kind, name, timeframe, source, parameters, instrument)

    def get_indicator_value(self, indicator: str | IndicatorHandle, back: int = 0, instrument: str = "") -> float:
        """The indicator's value at the newest bar, or `back` bars earlier (NaN before its first value)."""
        workspace = self._workspace
        if not instrument:
            slots = workspace.slots
            if indicator in slots:
                if back is _NEWEST:
                    return workspace.newest[slots[indicator]]
                if back is _BEFORE:
                    return workspace.before[slots[indicator]]
                index = workspace.walked.cursor - 1 - back
                return workspace.views[slots[indicator]][index] if index >= 0 else _NAN
        found = workspace.sources.get((indicator, instrument or workspace.current))
        if found is None:
            return workspace.indicator_value(indicator, back, instrument)
        line, series = found
        if line.version != series.version:
            return line.value(series, back)
        index = series.cursor - 1 - back
        return line.view[index] if index >= 0 else _NAN

    def bars(self, n: int, instrument: str = "", timeframe: str = "") -> BarColumns:
        """The newest `n` completed bars as columns, oldest first: `self.bars(3).close[-1]`."""
        return self._workspace.series(instrument, timeframe).newest(n)

    def create_signal(
        self,
        action: str,
        confidence: float = 1.0,
        reason: str = "",
        *,
        instrument: str = "",
        stop_price: float = 0.0,
        legs: Iterable[Leg | LegRule] = (),
        otherwise: Iterable[Leg] = (),
        **hints: Any,
    ) -> StrategySignal:
        """Build a signal: BUY for long, SELL for short, EXIT for flat, WITHDRAW to take back what is not filled, HOLD.

        Returning it makes it act. `confidence` is 0 to 1. `stop_price` is the level of the protective stop in the price
        of the watched instrument, where that or its future is traded; else the configured stop holds.

        OrderHints say how the entry is made: `limit_price`, or `trigger_price` with `buffer` (or `limit_price`) for a
        stop-limit order, either resting for `valid_seconds`; `lots`, `target_price`, `product`, `stop_buffer` (rupees
        from the stop's level to its limit). A signal with other terms replaces the entry that rests.

        Legs carry terms of their own; a leg by rule (`option("ATM CE", lots=-1)`) gets its contract when the signal is
        made and keeps it. `otherwise` are the next candidates of a single leg: when the broker rejects its entry, the
        first of them is wanted in its place, and so on; of several accounts all must have rejected it.
        """
        workspace = self._workspace
        watched = instrument or workspace.current
        if watched not in workspace.instruments:
            self._refuse("create_signal", watched)
        name, data = check_action(action), workspace.data.get(watched)
        price = 0.0 if data is None else data.close if isinstance(data, Bar) else data.ltp
        chosen = tuple(legs)
        if chosen and (problem := duplicate_leg(chosen)):
            raise StrategyError(f"create_signal: {problem}")
        parsed = parse_order_hints(name, price, stop_price, hints) if hints else NO_HINTS
        if chosen and parsed != NO_HINTS:
            raise StrategyError(f"create_signal: legs have terms of their own; write {', '.join(hints)} in each Leg")
        return StrategySignal(
            action=name, instrument=watched, confidence=check_confidence(confidence), reason=str(reason), price=price,
            stop_price=check_stop(name, stop_price, parsed.entry_level(price)), legs=chosen,
            otherwise=tuple(otherwise), hints=parsed,
        )  # fmt: skip

    def close(self, *legs: LegView | str, reason: str = "", instrument: str = "") -> StrategySignal:
        """Build a signal that closes these legs of what is held, and leaves the others as they are.

        Returning it makes it act. A bought leg that hedges a sold one is closed with that one or not at all.
        """
        if not legs:
            raise StrategyError("close: expected one or more legs, say self.close(self.legs[0])")
        return self._adjust("close", [LegChangeDraft(closes=_name_of(leg)) for leg in legs], reason, instrument)

    def add(self, *legs: Leg | LegRule, reason: str = "", instrument: str = "") -> StrategySignal:
        """Build a signal that opens these legs beside those that are held: contracts, or rules such as
        `option("OTM 8 CE", lots=1)`. Bought legs are bought before others are sold."""
        if not legs:
            raise StrategyError('add: expected one or more legs, say self.add(option("OTM 8 CE", lots=1))')
        return self._adjust("add", [LegChangeDraft(opens=leg) for leg in legs], reason, instrument)

    def replace(
        self, leg: LegView, new: str | Leg | LegRule, *, expiry: str = "", stop_pct: float = 0.0, reason: str = "",
        instrument: str = "",
    ) -> StrategySignal:  # fmt: skip
        """Build a signal that closes a held leg and opens another in its place: `self.replace(leg, "OTM 3")`.

        A text names the strike: right, side, lots and expiry stay those of the leg, unless it ends with CE or PE, or
        `expiry` names another. `option(...)` or a `Leg` says all by itself. `stop_pct`: per cent of the new premium.
        """
        return self._adjust("replace", [replacement(leg, new, expiry, stop_pct)], reason, instrument)

    def adjust(self, *signals: StrategySignal, reason: str = "") -> StrategySignal:
        """Join signals of `close`, `add` and `replace` into one, which is carried out as a whole or denied as a whole:
        `self.adjust(self.replace(sold, "OTM 3"), self.replace(hedge, "OTM 7"))`."""
        found = [change for signal in signals for change in signal.changes]
        if not found or any(not signal.changes for signal in signals):
            raise StrategyError("adjust: expected what self.close, self.add and self.replace return")
        said = reason or "; ".join(signal.reason for signal in signals if signal.reason)
        return self._adjust("adjust", found, said, signals[0].instrument)

    def _adjust(self, method: str, changes: list[LegChangeDraft], reason: str, instrument: str) -> StrategySignal:
        workspace = self._workspace
        watched = instrument or workspace.current
        if watched not in workspace.instruments:
            self._refuse(method, watched)
        named = [name for change in changes for name in (change.closes, _opened(change)) if name]
        if twice := next((name for name in named if named.count(name) > 1), ""):
            raise StrategyError(f"{method}: {twice} is named twice; give each leg one change")
        data = workspace.data.get(watched)
        price = 0.0 if data is None else data.close if isinstance(data, Bar) else data.ltp
        side = "BUY" if workspace.positions.get(watched, FLAT).side >= 0 else "SELL"
        return StrategySignal(action=side, instrument=watched, reason=str(reason), price=price, changes=tuple(changes))

    def _refuse(self, method: str, instrument: str) -> NoReturn:
        raise StrategyError(f"{method}: {instrument} is not watched{hint(instrument, self._workspace.instruments)}")


def _name_of(leg: LegView | str) -> str:
    if isinstance(leg, LegView):
        return leg.instrument
    if isinstance(leg, str):
        return leg
    raise StrategyError(f"close: expected a leg of self.legs or its instrument, found {leg!r}")


def _opened(change: LegChangeDraft) -> str:
    return change.opens.instrument if isinstance(change.opens, Leg) else ""


def strategy_name(strategy: type[BaseStrategy]) -> str:
    """The name by which configuration calls a strategy: its `name` attribute, else the class name."""
    return strategy.name or strategy.__name__
