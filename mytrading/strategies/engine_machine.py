"""The engine's machine: bars, quotes and what the router says in; signals and faults out.

`apply` of a bar or quote runs the strategies and keeps what they wish, `decide` makes rows of it. Recovery applies the
journal without calling author code. The one rule: a bar reaches each strategy once and in order, and a wish leaves only
if it is new and in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mytrading.core.instruments import InstrumentBook
from mytrading.messages.control import CancelRequested, StrategySwitch
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    PositionAdjusted,
    PositionChanged,
    TimerFired,
    TradeClosed,
)
from mytrading.messages.records import DayOpened, RunStarted, StrategyMemory
from mytrading.messages.runconfig import StrategyRun
from mytrading.messages.signals import Signal, StrategyFaulted, WishDenied
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.engine_strategies import EngineStrategies
from mytrading.strategies.hosted import Fault, Guard, Hosted
from mytrading.strategies.judging import FLOOR_NS, SECOND, Data, Judge, end_of, too_late, within
from mytrading.strategies.ruling import LoadedRule, Ruling
from mytrading.strategies.standing import Key
from mytrading.strategies.told import new_faults, started_row
from mytrading.strategies.wishes import Wish

STARTED = "strategies_started"
TIME = "strategies_time"
"""The timer that tells strategies how late it is, in market time."""
SLICE_GRACE_NS = 2_000_000_000
"""Machine time for which `generate_signals` waits for the bars of instruments that may not have traded."""


class EngineMachine(EngineStrategies):
    """Strategies of one engine process, as `EngineStrategies` makes them: what they are shown, and what they wish.

    A wish may become an entry until `validity_s` of market time after the bar or quote behind it.
    """

    def __init__(
        self,
        runs: Sequence[StrategyRun],
        strategies: Mapping[str, type[BaseStrategy] | Fault],
        book: InstrumentBook,
        account: str = "main",
        guard: Guard | None = None,
        validity_s: float = 60.0,
        rules: Sequence[LoadedRule] = (),
    ) -> None:
        super().__init__(runs, strategies, book, guard)
        self._validity_ns = int(validity_s * SECOND)
        self._ruling = Ruling(rules, self._guard)
        self._judge = Judge(self, self._ruling, account, self._validity_ns)
        self._told: set[str] = set()
        self._wishes: list[tuple[Hosted, Wish]] = []
        self._source: Data | None = None

    # what daemons and screens ask

    def is_idle(self, strategy: str, watch: str) -> bool:
        """True if a strategy holds nothing for what it watches, and nothing that it wished for is under way."""
        flat = not any(position.strategy == strategy for position in self.holdings.held())
        return flat and self.standing.is_idle((strategy, watch))

    def is_late(self, data: Data, now: int) -> bool:
        """True from the time on from which wishes about this data are dropped: their validity, or the floor."""
        end = end_of(data)
        return now >= end + max(self._validity_ns, int(FLOOR_NS * self.speed))

    def snapshot(self, day: str) -> tuple[DayOpened | StrategyMemory, ...]:
        """What a new day's journal begins with: positions, switches and memories; wishes end with the day."""
        switches = tuple(self.switches.values())
        kept = (StrategyMemory(strategy=name, text=text, at_ns=0) for name, text in self._memories.items())
        return (DayOpened(day=day, positions=self.holdings.held(), switches=switches), *kept)

    # learning

    def apply(self, row: Any) -> None:
        """Learn a row; a bar or quote of a running engine is given to the strategies."""
        handler = _HANDLERS.get(type(row))
        if handler is not None:
            handler(self, row)

    def _on_quote(self, quote: Quote) -> None:
        self._source, self._wishes = quote, []
        self.prices[quote.instrument] = quote.ltp
        self.chosen.chains.apply(quote)
        if self._live:
            for hosted in self._hosted.values():
                for wish in hosted.quote(quote):
                    self._wishes.append((hosted, wish))
            if self._wishes:
                self._note_wishes(quote)

    def _on_bar(self, bar: Bar) -> None:
        self._source, self._wishes = bar, []
        self.note_price(bar)
        if self._live:
            for hosted in self._hosted.values():
                self._wishes += [(hosted, wish) for wish in hosted.feed(bar)]
                if bar.timeframe == hosted.timeframe:
                    self.passed(hosted, bar.instrument, bar.start_ns, bar.end_ns)
            self._note_wishes(bar)

    def _on_timer(self, timer: TimerFired) -> None:
        if timer.name == TIME and self._live:
            self._pass_time(timer)

    def wished(self, data: Bar | Quote, wishes: Sequence[tuple[Hosted, Wish]]) -> None:
        """A loop that calls the strategies itself has called them with this data, and this is what they wish."""
        self.note_price(data)
        self._source, self._wishes = data, list(wishes)
        for hosted in dict.fromkeys(hosted for hosted, _ in wishes):
            self.passed(hosted, data.instrument, _start(data), end_of(data))
        self._note_wishes(data)

    def passed(self, hosted: Hosted, instrument: str, start_ns: int, end_ns: int) -> None:
        """A completed bar of an instrument was shown to a strategy."""
        self.standing.bar_shown((hosted.run.name, instrument), start_ns, end_ns)

    def waits_until(self) -> int:
        """Market time from which `TIME` is to be told: the first timer or unfinished slice; 0 if there is none."""
        return min((at for hosted in self._hosted.values() if (at := hosted.waits_until())), default=0)

    def timed(self, row: TimerFired, wishes: Sequence[tuple[Hosted, Wish]]) -> None:
        """Time has passed for strategies, and this is what they wish."""
        self._source, self._wishes = row, list(wishes)
        self._note_wishes(row)

    def _pass_time(self, row: TimerFired) -> None:
        """Timers and slices that lack bars; machine time says how long those are waited for."""
        grace, now = int(SLICE_GRACE_NS * self.speed), row.market_ns
        found = [(hosted, wish) for hosted in self.hosted for wish in hosted.pass_time(now, now - grace)]
        self.timed(row, found)

    def _note_wishes(self, data: Data) -> None:
        for hosted, wish in self._wishes:
            action = within(hosted.run, wish.side, bool(wish.legs))
            self.standing.wished((hosted.run.name, wish.instrument), action, end_of(data))

    def _on_signal(self, signal: Signal) -> None:
        self.entries.signalled(signal)
        self._ruling.sent(signal)
        self.standing.made(signal)
        self.holdings.signalled(signal)

    def _on_denied(self, row: WishDenied) -> None:
        self._ruling.told(row)

    def _on_faulted(self, fault: StrategyFaulted) -> None:
        self._told.add(fault.strategy)
        hosted = self._hosted.get(fault.strategy)
        if hosted is not None and hosted.fault is None and self._live:
            hosted.fault = Fault(fault.error, fault.where, fault.gone)

    def _on_run_started(self, run: RunStarted) -> None:
        self.speed = run.speed
        if not self._live:
            self._told.clear()

    def _on_day_opened(self, day: DayOpened) -> None:
        self.holdings.open_day(day.positions)
        self.entries.open_day()
        self._memories = {}
        self.switches = {switch.strategy: switch for switch in day.switches}

    def _on_switch(self, switch: StrategySwitch) -> None:
        self.switches[switch.strategy] = switch

    def _on_memory(self, row: StrategyMemory) -> None:
        self._memories[row.strategy] = row.text
        if self._live and (hosted := self._hosted.get(row.strategy)) is not None:
            hosted.kept = row.text

    def _on_order(self, changed: OrderChanged) -> None:
        signal = self.entries.order_changed(changed.order)
        if signal is not None:
            self.holdings.ordered(changed.order, signal)
        self.standing.order_changed(changed.order)
        self._show_taken_back(self.taken_back.order_changed(changed.order))

    def _on_cancel(self, request: CancelRequested) -> None:
        self._show_taken_back(self.taken_back.asked(request))

    def _show_taken_back(self, strategy: str) -> None:
        """Tell a strategy that a person took its entry back."""
        if self._live and (hosted := self._hosted.get(strategy)) is not None:
            hosted.desk.taken_back_ns = self.taken_back.last(strategy)

    def _on_goal(self, changed: GoalChanged) -> None:
        self.standing.goal_changed(changed.goal)

    def _on_position(self, changed: PositionChanged | PositionAdjusted) -> None:
        position = changed.position
        hosted = self._hosted.get(position.strategy)
        if hosted is None:
            return
        self.holdings.changed(position)
        if isinstance(changed, PositionChanged) and changed.fill_quantity:
            self._filled[position.strategy] = changed.at_ns
        self._show_positions(position.strategy, changed.at_ns)
        if self._live and isinstance(changed, PositionChanged) and changed.fill_quantity:
            hosted.filled(changed)

    def _on_trade(self, trade: TradeClosed) -> None:
        hosted = self._hosted.get(trade.strategy)
        if hosted is not None and self._live:
            hosted.traded(trade)

    # deciding

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """Faults not yet told and, for the bar or quote just applied, the wishes that are new and in time."""
        if self._source is not None and message is self._source:
            return (*self._judged(self._source, now), *self._ends(now)) if self._wishes else self._ends(now)
        if isinstance(message, TimerFired) and message.name == STARTED:
            started = tuple(started_row(hosted, now) for hosted in self.hosted if hosted.fault is None)
            return (*started, *self._ends(now))
        if isinstance(message, OrderChanged):
            return (*self._next_choice(message.order, now), *self._ends(now))
        return self._ends(now)

    def _judged(self, data: Data, now: int) -> tuple[Signal | WishDenied, ...]:
        """What the wishes about the data just applied lead to."""
        signals: dict[Key, Signal] = {}
        denied: list[WishDenied] = []
        late = self.is_late(data, now)
        for hosted, wish in self._wishes:
            signal, denial = self._judge.judge(hosted, wish, data, now), None
            if signal is not None and late:
                denial = too_late(signal, now)
                signal = None
            elif signal is not None and self._ruling.rules and signal.action is not Action.EXIT:
                signal, denial = self._judge.rule_on(hosted, wish, signal, data, now)
            if denial is not None and self._ruling.is_news(denial):
                denied.append(denial)
            if signal is not None:
                signals[signal.strategy, signal.watch] = signal
        return (*signals.values(), *denied)

    def notice(self, machine_ns: int) -> None:
        """Nothing here waits for machine time: quotes bring their own."""

    def _ends(self, now: int) -> tuple[Any, ...]:
        """What every step ends with: memories that it changed, and faults not yet told."""
        changed: tuple[Any, ...] = ()
        faulted = False
        for name, hosted in self._hosted.items():
            text = hosted.changed_memory() if self._live else None
            if text is not None:
                changed = (*changed, StrategyMemory(strategy=name, text=text, at_ns=now))
            faulted = faulted or hosted.fault is not None
        return (*changed, *new_faults(self.hosted, self._told, now)) if faulted else changed

    def _next_choice(self, order: Order, now: int) -> tuple[Signal, ...]:
        """The next candidate, once the broker of every account of the strategy has rejected the one before."""
        hosted = self._hosted.get(order.strategy)
        if order.state is not OrderState.REJECTED or hosted is None:
            return ()
        switch = self.switches.get(order.strategy)
        signal = self.standing.next_choice(order, hosted.run.accounts, now)
        return (signal,) if signal is not None and (switch is None or switch.enabled) else ()


_HANDLERS: Mapping[type, Any] = {
    Quote: EngineMachine._on_quote,
    Bar: EngineMachine._on_bar,
    TimerFired: EngineMachine._on_timer,
    Signal: EngineMachine._on_signal,
    StrategyFaulted: EngineMachine._on_faulted,
    WishDenied: EngineMachine._on_denied,
    RunStarted: EngineMachine._on_run_started,
    DayOpened: EngineMachine._on_day_opened,
    StrategySwitch: EngineMachine._on_switch,
    StrategyMemory: EngineMachine._on_memory,
    CancelRequested: EngineMachine._on_cancel,
    OrderChanged: EngineMachine._on_order,
    GoalChanged: EngineMachine._on_goal,
    PositionChanged: EngineMachine._on_position,
    PositionAdjusted: EngineMachine._on_position,
    TradeClosed: EngineMachine._on_trade,
}


def _start(data: Bar | Quote) -> int:
    return data.start_ns if isinstance(data, Bar) else data.market_ns
