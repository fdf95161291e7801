"""Signal gate: which signal, if any, is sent for what a strategy returned (its draft).

A draft passes if it is new, within the strategy's direction, allowed by switch, confidence and cooldown, and if its
contracts are listed. The gate reads the engine's state and changes nothing but `problems`.
"""

from __future__ import annotations

from mytrading.core.engine.active_signals import Key, signal_id
from mytrading.core.engine.contract_selection import is_ruled
from mytrading.core.engine.state import EngineState
from mytrading.core.engine.strategy_host import StrategyHost
from mytrading.core.engine.trade_rules import resolve_leg
from mytrading.core.engine.user_rules import UserRules
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.time import SECOND
from mytrading.messages.enums import Action
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import TimerFired
from mytrading.messages.run_config import Direction, StrategyRun
from mytrading.messages.signals import Leg, Signal, SignalVetoed
from mytrading.strategies.order_hints import NO_HINTS
from mytrading.strategies.signals import StrategySignal
from mytrading.strategies.views import FLAT, PositionView

FLOOR_NS = 2 * SECOND
"""Machine time a signal lives at least, however fast market time runs; none in lock-step, which waits for it."""
Data = Bar | Quote | TimerFired
"""The message that a draft was returned for."""


class SignalGate:
    """For one account, or all that a run names; a signal may become an entry until `validity_ns` after its data."""

    def __init__(self, state: EngineState, rules: UserRules, account: str, validity_ns: int) -> None:
        self._state = state
        self._rules = rules
        self._account = account
        self._validity_ns = validity_ns

    def signal_for(self, host: StrategyHost, draft: StrategySignal, data: Data, now: int) -> Signal | None:
        """The signal to send for a draft, or None if it says nothing new or nothing that is allowed."""
        run, active = host.run, self._state.active_signals
        key = (run.name, draft.instrument)
        action = permitted_action(run, draft.side, bool(draft.legs))
        if active.last_data_ns(key) >= data_time(data):
            return None
        view = host.workspace.positions.get(draft.instrument, FLAT)
        if draft.keeps:
            return self._withdrawal(host, draft, data, now, view)
        if action is Action.EXIT:
            return self._exit(host, draft, data, now, view)
        if not self._may_enter(run, draft, key, now):
            return None
        legs = self._legs(run, draft, action, now)
        if not legs:
            return None
        signal = self._signal(run, draft, action, legs, data, now)
        named = draft.hints is not NO_HINTS and draft.hints.names_entry and view.is_flat
        names_legs = named or (bool(draft.legs) and not is_ruled(draft.legs))
        if active.last_was_exit(key) and self._is_held_elsewhere(run, draft.instrument):
            view = FLAT
        return None if active.is_repeat(key, signal, names_legs, now, received_at(data), view) else signal

    def apply_user_rules(
        self, host: StrategyHost, draft: StrategySignal, signal: Signal, data: Data, now: int
    ) -> tuple[Signal | None, SignalVetoed | None]:
        """What the user's rules leave of a signal: a vetoed one still closes a position of the other side."""
        view = host.workspace.positions.get(draft.instrument, FLAT)
        veto = self._rules.veto_of(signal, view, now)
        if veto is None:
            return signal, None
        turns = (view.is_long and signal.action is Action.SELL) or (view.is_short and signal.action is Action.BUY)
        return (self._exit(host, draft, data, now, view) if turns else None), veto

    def _withdrawal(
        self, host: StrategyHost, draft: StrategySignal, data: Data, now: int, view: PositionView
    ) -> Signal | None:
        """Cancels a pending entry, if there is one; the position and its stop stay."""
        state, key = self._state, (host.run.name, draft.instrument)
        pending = state.active_signals.is_entry_pending(key, now, received_at(data))
        if not (pending or state.entries.is_live(*key)):
            return None
        signal = self._signal(host.run, draft, Action.EXIT, (), data, now)
        return None if state.active_signals.is_repeat(key, signal, False, now, received_at(data), view) else signal

    def _exit(
        self, host: StrategyHost, draft: StrategySignal, data: Data, now: int, view: PositionView
    ) -> Signal | None:
        run, active = host.run, self._state.active_signals
        key = (run.name, draft.instrument)
        if view.is_flat and not active.is_entry_pending(key, now, received_at(data)):
            return None
        signal = self._signal(run, draft, Action.EXIT, (), data, now)
        if active.is_repeat(key, signal, False, now, received_at(data), view):
            return None
        return None if self._is_exiting(run, draft.instrument) else signal

    def _is_exiting(self, run: StrategyRun, watch: str) -> bool:
        """True if exit goals already work on all that the strategy holds for `watch`."""
        held = self._state.positions.held_for(run, watch, self._state.book)
        active = self._state.active_signals
        return bool(held) and all(active.is_exiting(one.account, run.name, one.instrument) for one in held)

    def _is_held_elsewhere(self, run: StrategyRun, watch: str) -> bool:
        """True if every position for `watch` is being closed, and one of several accounts holds none of it."""
        if len(run.accounts) < 2 or not self._is_exiting(run, watch):
            return False
        held = {one.account for one in self._state.positions.held_for(run, watch, self._state.book)}
        return not held.issuperset(run.accounts)

    def _may_enter(self, run: StrategyRun, draft: StrategySignal, key: Key, now: int) -> bool:
        switch = self._state.switches.get(run.name)
        if switch is not None and not switch.enabled:
            return False
        if draft.confidence < run.min_confidence:
            return False
        last = self._state.active_signals.last_entry_ns(key)
        return not last or now >= last + int(run.signal_cooldown * SECOND)

    def _legs(self, run: StrategyRun, draft: StrategySignal, action: Action, now: int) -> tuple[Leg, ...]:
        """The legs with their contracts; none, with the reason in `problems`, where a contract is not listed."""
        state, watch = self._state, draft.instrument
        key = (run.name, watch)
        try:
            if draft.legs:
                legs = state.contracts.select_legs(run, draft, state.prices, state.book, now)
            else:
                rule = run.long if action is Action.BUY else run.short
                assert rule is not None
                leg = resolve_leg(run, rule, watch, draft.price, draft.stop_price, state.book, now, draft.hints)
                legs = (leg,)
        except NoSuchContract as error:
            state.problems[key] = str(error)
            return ()
        state.problems.pop(key, None)
        return legs

    def _signal(
        self, run: StrategyRun, draft: StrategySignal, action: Action, legs: tuple[Leg, ...], data: Data, now: int
    ) -> Signal:
        end, key = data_time(data), (run.name, draft.instrument)
        return Signal(
            id=signal_id(run.name, draft.instrument, action, legs, end),
            strategy=run.name,
            watch=draft.instrument,
            action=action,
            created_ns=now,
            expires_ns=end + self._validity_ns,
            expires_machine_ns=received_at(data) + FLOOR_NS if self._state.speed else 0,
            account=self._account,
            product=draft.hints.product or run.product,
            legs=legs,
            confidence=draft.confidence,
            reason=draft.reason,
            price=draft.price,
            bar_ns=end,
            trace_ns=received_at(data),
            otherwise=draft.otherwise,
            rearmed=action is not Action.EXIT and self._state.active_signals.is_rearmed(key, end),
            keeps=draft.keeps,
        )


def permitted_action(run: StrategyRun, action: Action, names_legs: bool) -> Action:
    """The action within the strategy's direction: EXIT for a side that is excluded or has no contract to trade.

    A strategy that names its legs itself needs no trade rule for the side.
    """
    if action is Action.BUY and (run.direction is Direction.SHORT or (run.long is None and not names_legs)):
        return Action.EXIT
    if action is Action.SELL and (run.direction is Direction.LONG or (run.short is None and not names_legs)):
        return Action.EXIT
    return action


def data_time(data: Data) -> int:
    """Market time at which the data of a signal was complete."""
    return data.end_ns if isinstance(data, Bar) else data.market_ns


def expired_veto(signal: Signal, now: int) -> SignalVetoed:
    """The record of a signal that was dropped because its data was too old when it came."""
    after = (now - signal.bar_ns) / SECOND
    return SignalVetoed(
        signal=signal.id,
        strategy=signal.strategy,
        watch=signal.watch,
        rule="",
        message=f"it came {after:.0f} s after its bar or quote; signals about it are dropped then",
        at_ns=now,
        action=signal.action,
        bar_ns=signal.bar_ns,
    )


def received_at(data: Data) -> int:
    """Machine time at which the data arrived."""
    return data.machine_ns if isinstance(data, TimerFired) else data.received_ns
