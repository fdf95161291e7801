"""The engine's machine: bars, quotes and order events in; signals, vetoes and faults out.

`apply` of a bar or quote runs the strategies and keeps the drafts they return; `decide` makes signals of them (see
`signal_gate`). Recovery applies the journal without calling author code. Author code keeps state that no journal holds:
`rebuild` creates the strategies again, and `open` walks them through the stored bars.

Invariant: a bar reaches each strategy once and in order, and only a new draft in time becomes a signal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from mytrading.core.engine import signal_gate as gate
from mytrading.core.engine.active_signals import Key
from mytrading.core.engine.contract_selection import tradable_contracts
from mytrading.core.engine.leg_views import leg_view, leg_views
from mytrading.core.engine.strategy_host import EMPTY_MEMORY, CallGuard, Fault, NoCallGuard, StrategyHost
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import SECOND
from mytrading.messages import orders
from mytrading.messages.control import CancelRequested, StrategySwitch
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.journal_rows import DayOpened, RunStarted, StrategyMemory
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import StrategyRun
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted, StrategyStarted
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.signals import StrategySignal
from mytrading.strategies.views import FLAT, LegView, PositionView
from mytrading.strategies.workspace import HostServices

STARTED = "strategies_started"
TIME = "strategies_time"
"""The timer that brings market time to strategies' timers and unfinished slices."""
SLICE_GRACE_NS = 2 * SECOND
"""Machine time for which `generate_signals` waits for the bars of instruments that may not have traded."""
_BARS_PER_SIGN_OF_LIFE = 128

Draft = tuple[StrategyHost, StrategySignal]


class EngineMachine(gate.EngineState):
    """The strategies of one engine process, live once `open` has returned.

    `strategies` maps a run's name to its class, or to why there is none. A draft may become an entry until `validity_s`
    of market time after the bar or quote behind it.
    """

    def __init__(
        self,
        runs: Sequence[StrategyRun],
        strategies: Mapping[str, type[BaseStrategy] | Fault],
        book: InstrumentBook,
        account: str = "main",
        guard: CallGuard | None = None,
        validity_s: float = 60.0,
        rules: Sequence[gate.LoadedRule] = (),
    ) -> None:
        super().__init__(book)
        self._live = False
        self._runs = tuple(runs)
        self._strategies = strategies
        self._guard = guard or NoCallGuard()
        self._hosts: dict[str, StrategyHost] = {}
        self._last_fill_ns: dict[str, int] = {}
        self._views: dict[str, dict[str, PositionView]] = {}
        self._memories: dict[str, str] = {}
        self._services = HostServices(
            lambda name: self.book.get(name),
            self.entries.entry_view,
            self.operator_cancels.last_cancel_ns,
            legs=self.legs_held,
            last_signal=lambda name, watch: self.active_signals.status_of((name, watch)).signal,
            closed_by=self.protective_exits.closed_by,
        )
        self.price_of: Callable[[str, int], float] = self.prices.fresh
        """The last price, at a market time, of what a strategy holds; a backtest puts that of its bars in place."""
        self.validity_ns = int(validity_s * SECOND)
        """Market time after its bar or quote for which a draft may become an entry."""
        self.rules = gate.UserRules(rules, self._guard)
        self._gate = gate.SignalGate(self, self.rules, account, self.validity_ns)
        self.faults: dict[str, StrategyFaulted] = {}
        """Faults reported in this run, by strategy."""
        self.missed_windows: dict[str, tuple[date, str]] = {}
        """Trading day on which a plan's entry window passed without quotes, and the alert's text, by strategy."""
        self._drafts: list[Draft] = []
        self._source: gate.Data | None = None
        """The message that the drafts were returned for."""
        self.rebuild()

    @property
    def hosts(self) -> tuple[StrategyHost, ...]:
        """Hosts of all strategies, running or faulted."""
        return tuple(self._hosts.values())

    @property
    def fault_count(self) -> int:
        """Number of faulted strategies."""
        return sum(host.fault is not None for host in self._hosts.values())

    def tradable_contracts(self, now: int) -> tuple[str, ...]:
        """Return ids of contracts that the strategies hold, or would trade at present prices; `now`: market ns."""
        latest = self.prices.latest
        found = [item for host in self.hosts for item in tradable_contracts(host.run, self.book, latest, now)]
        held = [position.instrument for position in self.positions.open_positions()]
        ruled = self.contracts.contracts_to_quote(self._runs, latest, self.book, now)
        return tuple(dict.fromkeys(found + held + ruled))

    def legs_held(self, strategy: str, watch: str, now: int) -> tuple[LegView, ...]:
        """Return what a strategy holds for a watched instrument at `now` (market ns), as shown to its author."""
        host = self._hosts.get(strategy)
        if host is None or not self._live:  # as with positions: bars of history show none
            return ()
        workspace = host.workspace

        def price_of(name: str) -> float:
            shown = workspace.data.get(name)
            if shown is None:
                return self.price_of(name, now)
            return shown.close if isinstance(shown, Bar) else shown.ltp

        held = self.positions.open_positions_for(host.run, watch, self.book)
        last = self.active_signals.status_of((strategy, watch)).signal
        order = [leg.instrument for leg in last.legs] if last is not None else []
        if not held and (view := workspace.positions.get(watch, FLAT)).quantity:  # the lean engine keeps views alone
            return (leg_view(watch, view.quantity, view.average_price, price_of, self.book, now),)
        return leg_views(held, order, price_of, self.book, now)

    def wants_quotes(self, instrument: str) -> bool:
        """True if a strategy subscribed to the quotes of this instrument."""
        return instrument in self._quoted

    def is_late(self, data: gate.Data, now: int) -> bool:
        """True if at `now` (market ns) signals about this data are no longer sent: its validity is over."""
        return now >= gate.data_complete_ns(data) + max(self.validity_ns, int(gate.FLOOR_NS * self.speed))

    def next_timer_ns(self) -> int:
        """Market time at which a strategy's first timer or incomplete set of bars is due; 0 if there is none."""
        return min((at for host in self._hosts.values() if (at := host.next_timer_ns())), default=0)

    def snapshot(self, day: str) -> tuple[DayOpened | StrategyMemory, ...]:
        """Return the first journal rows of a `day` (ISO date): positions, switches and memories, but no signals."""
        switches = tuple(self.switches.values())
        kept = (StrategyMemory(strategy=name, text=text, at_ns=0) for name, text in self._memories.items())
        return (DayOpened(day=day, positions=self.positions.open_positions(), switches=switches), *kept)

    def rebuild(self) -> None:
        """Create all strategies anew but faulted ones, which stay; the machine must then be opened again."""
        faulted = {name: host for name, host in self._hosts.items() if host.fault is not None}
        self._hosts = {
            run.name: faulted.get(run.name)
            or StrategyHost(run, self._strategies[run.name], self._guard, self._services)
            for run in self._runs
        }
        wanting = [host for host in self._hosts.values() if host.wants_quotes]
        self._quoted = frozenset(symbol for host in wanting for symbol in host.run.symbols)
        self._live = False

    def warm_up(self) -> None:
        """Compile the strategies' indicators before the first bar has to wait for it."""
        for host in self.hosts:
            host.workspace.warm_up()

    def watch(self, symbols: Mapping[str, tuple[str, ...]]) -> None:
        """Replace the watched instruments of the strategies that `symbols` names, and rebuild all strategies."""
        self._runs = tuple(replace(run, symbols=symbols.get(run.name, run.symbols)) for run in self._runs)
        self.rebuild()

    def open(self, history: Sequence[Bar], alive: Callable[[], None] = lambda: None) -> None:
        """Show the strategies stored bars in time order (longer bars before shorter ones), call `on_start`, then go
        live. It may take long: `alive` is called meanwhile, but never from within a strategy that hangs."""
        for bar in history:
            self.note_price(bar)
        for host in self.hosts:
            if host.fault is None:
                alive()
                memory = self._memories.get(host.run.name, EMPTY_MEMORY)
                host.restore_memory(memory)
                host.load_history(history)
                for first in range(0, len(history), _BARS_PER_SIGN_OF_LIFE):
                    alive()
                    for bar in history[first : first + _BARS_PER_SIGN_OF_LIFE]:
                        host.on_bar(bar, loaded=True)
                host.restore_memory(memory)
                host.call(host.strategy.on_start)
        self._live = True
        for strategy in self._hosts:
            self._show_positions(strategy)

    def stop(self) -> None:
        """Call `on_stop` of every strategy."""
        for host in self.hosts:
            host.call(host.strategy.on_stop)

    def apply(self, row: Any) -> None:
        """Apply a journal row or input to the state; once live, strategies are called with a bar, quote or timer."""
        if (handler := _HANDLERS.get(type(row))) is not None:
            handler(self, row)

    def note_price(self, data: Bar | Quote) -> None:
        """Record the newest price of an instrument, by which strikes are selected."""
        if isinstance(data, Bar):
            self.prices.note(data.instrument, data.close, data.end_ns)
        else:
            self.prices.note(data.instrument, data.ltp, data.market_ns)
            self.contracts.chains.apply(data)

    def _on_quote(self, quote: Quote) -> None:
        self._source, self._drafts = quote, []
        self.prices.note(quote.instrument, quote.ltp, quote.market_ns)
        self.contracts.chains.apply(quote)
        if self._live:
            for host in self._hosts.values():
                for draft in host.on_quote(quote):
                    self._drafts.append((host, draft))
            if self._drafts:
                self._note_drafts(quote)

    def _on_bar(self, bar: Bar) -> None:
        self._source, self._drafts = bar, []
        self.note_price(bar)
        if self._live:
            for host in self._hosts.values():
                self._drafts += [(host, draft) for draft in host.on_bar(bar)]
                if bar.timeframe == host.timeframe:
                    self.active_signals.status_of((host.run.name, bar.instrument)).note_bar(bar.start_ns, bar.end_ns)
            self._note_drafts(bar)

    def _on_timer(self, timer: orders.TimerFired) -> None:
        """Fire timers, and end slices that lack bars after a grace of machine time."""
        if timer.name == TIME and self._live:
            now = timer.market_ns
            grace = int(SLICE_GRACE_NS * self.speed)
            self.take_drafts(
                timer, [(host, draft) for host in self.hosts for draft in host.pass_time(now, now - grace)]
            )

    def take_drafts(self, data: gate.Data, drafts: Sequence[Draft]) -> None:
        """Set draft signals about `data` (timer, bar, quote) for the next `decide`; replaces `apply` of that data."""
        self._source, self._drafts = data, list(drafts)
        if not isinstance(data, orders.TimerFired):
            self.note_price(data)
            start = data.start_ns if isinstance(data, Bar) else data.market_ns
            for host in dict.fromkeys(host for host, _ in drafts):
                self.active_signals.status_of((host.run.name, data.instrument)).note_bar(
                    start, gate.data_complete_ns(data)
                )
        self._note_drafts(data)

    def _note_drafts(self, data: gate.Data) -> None:
        for host, draft in self._drafts:
            action = gate.permitted_action(host.run, draft.side, bool(draft.legs or draft.changes))
            self.active_signals.status_of((host.run.name, draft.instrument)).note_draft(
                action, gate.data_complete_ns(data)
            )

    def _on_signal(self, signal: Signal) -> None:
        self.entries.apply_signal(signal)
        self.rules.apply_signal(signal)
        self.active_signals.apply_signal(signal)
        self.positions.apply_signal(signal)

    def _on_fault(self, row: StrategyFaulted) -> None:
        self.faults[row.strategy] = row
        host = self._hosts.get(row.strategy)
        if host is not None and host.fault is None and self._live:
            host.fault = Fault(row.error, row.where, row.gone)

    def _on_run_started(self, run: RunStarted) -> None:
        self.speed = run.speed
        if not self._live:
            self.faults.clear()
            self.rules.faults.clear()

    def _on_day_opened(self, day: DayOpened) -> None:
        self.positions.open_day(day.positions)
        self.entries.open_day()
        self.protective_exits.open_day()
        self._memories = {}
        self.switches = {switch.strategy: switch for switch in day.switches}

    def _on_memory(self, row: StrategyMemory) -> None:
        self._memories[row.strategy] = row.text
        if self._live and (host := self._hosts.get(row.strategy)) is not None:
            host.journaled_memory = row.text

    def _on_order(self, changed: orders.OrderChanged) -> None:
        if (signal := self.entries.apply_order(changed.order)) is not None:
            self.positions.apply_order(changed.order, signal)
        self.active_signals.apply_order(changed.order)
        self.operator_cancels.apply_order(changed.order)
        self.protective_exits.apply_order(changed.order)

    def _on_goal(self, changed: orders.GoalChanged) -> None:
        self.active_signals.apply_goal(changed.goal)
        self.protective_exits.apply_goal(changed.goal)

    def _on_position(self, changed: orders.PositionChanged | orders.PositionAdjusted) -> None:
        position = changed.position
        if (host := self._hosts.get(position.strategy)) is None:
            return
        for level in changed.levels:
            self.positions.apply_position(level)
        filled = isinstance(changed, orders.PositionChanged) and changed.fill_quantity
        if filled:
            self._last_fill_ns[position.strategy] = changed.at_ns
        self._show_positions(position.strategy, changed.at_ns)
        if self._live and filled:
            host.call(host.strategy.on_fill, changed)

    def _show_positions(self, strategy: str, at_ns: int = 0) -> None:
        """Update a strategy's position views, in a recovery too, and its workspace if it is live."""
        host, seen = self._hosts[strategy], self._views.setdefault(strategy, {})
        if self._live:
            host.workspace.last_fill_ns = self._last_fill_ns.get(strategy, 0)
        for watch, view in self.positions.position_views(host.run, self.book).items():
            before = seen.get(watch, FLAT)
            if view.is_flat and not before.is_flat:
                self.active_signals.status_of((strategy, watch)).note_position_closed(before.side, at_ns)
            seen[watch] = view
            if self._live:
                host.workspace.positions[watch] = view

    def _on_trade(self, trade: orders.TradeClosed) -> None:
        if (host := self._hosts.get(trade.strategy)) is not None and self._live:
            host.call(host.strategy.on_trade, trade)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """Return rows for the message just applied: signals, vetoes, changed memories and faults not yet reported."""
        if self._source is not None and message is self._source:
            gated = self._gated(self._source, now) if self._drafts else ()
            return (*gated, *self._closing_rows(now))
        if isinstance(message, orders.TimerFired) and message.name == STARTED:
            started = tuple(
                StrategyStarted(strategy=host.run.name, parameters=dict(host.strategy.parameters),
                                watches=host.run.symbols, warm_bars=host.warm_bars, at_ns=now)
                for host in self.hosts if host.fault is None
            )  # fmt: skip
            return (*started, *self._closing_rows(now))
        if isinstance(message, orders.OrderChanged) and message.order.state is OrderState.REJECTED:
            return (*self._next_candidate(message.order, now), *self._closing_rows(now))
        return self._closing_rows(now)

    def _gated(self, data: gate.Data, now: int) -> tuple[Signal | SignalVetoed, ...]:
        """The signals and vetoes that the drafts about the data just applied lead to."""
        signals: dict[Key, Signal] = {}
        vetoes: list[SignalVetoed] = []
        late = self.is_late(data, now)
        for host, draft in self._drafts:
            signal, veto = self._gate.decide(host, draft, data, now)
            if signal is not None and late:
                veto = gate.expired_veto(signal, now)
                signal = None
            elif signal is not None and self.rules.rules and signal.action is not Action.EXIT and signal.entry_legs:
                signal, veto = self._gate.apply_user_rules(host, draft, signal, data, now)
            if veto is not None and self.rules.is_new_veto(veto):
                vetoes.append(veto)
            if signal is not None:
                signals[signal.strategy, signal.watch] = signal
        return (*signals.values(), *vetoes)

    def set_machine_time(self, machine_ns: int) -> None:
        """Ignore machine time: the engine depends on market time alone."""

    def _closing_rows(self, now: int) -> tuple[Any, ...]:
        """Memories that the step changed, and faults not yet reported."""
        changed: tuple[Any, ...] = ()
        faulted = False
        for name, host in self._hosts.items():
            text = host.changed_memory() if self._live else None
            if text is not None:
                changed = (*changed, StrategyMemory(strategy=name, text=text, at_ns=now))
            faulted = faulted or host.fault is not None
        if not faulted:
            return changed
        unreported = [(name, host.fault) for name, host in self._hosts.items() if name not in self.faults]
        return changed + tuple(
            StrategyFaulted(strategy=name, **fault._asdict(), at_ns=now)
            for name, fault in unreported
            if fault is not None
        )

    def _next_candidate(self, order: orders.Order, now: int) -> tuple[Signal, ...]:
        """The signal for the next candidate, once the broker of every account has rejected the one before."""
        host, switch = self._hosts.get(order.strategy), self.switches.get(order.strategy)
        if host is None:
            return ()
        signal = self.active_signals.next_candidate(order, host.run.accounts, now)
        return (signal,) if signal is not None and (switch is None or switch.enabled) else ()


_HANDLERS: Mapping[type, Any] = {
    Quote: EngineMachine._on_quote,
    Bar: EngineMachine._on_bar,
    orders.TimerFired: EngineMachine._on_timer,
    Signal: EngineMachine._on_signal,
    StrategyFaulted: EngineMachine._on_fault,
    SignalVetoed: lambda engine, row: engine.rules.apply_veto(row),
    RunStarted: EngineMachine._on_run_started,
    DayOpened: EngineMachine._on_day_opened,
    StrategySwitch: lambda engine, row: engine.switches.__setitem__(row.strategy, row),
    StrategyMemory: EngineMachine._on_memory,
    CancelRequested: lambda engine, row: engine.operator_cancels.apply_request(row),
    orders.OrderChanged: EngineMachine._on_order,
    orders.GoalChanged: EngineMachine._on_goal,
    orders.PositionChanged: EngineMachine._on_position,
    orders.PositionAdjusted: EngineMachine._on_position,
    orders.TradeClosed: EngineMachine._on_trade,
}
