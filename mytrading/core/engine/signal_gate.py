"""Signal gate: which signal, if any, is sent for what a strategy returned (its draft), and what the user's rules veto.

A draft passes if it is new, within the strategy's direction, allowed by switch, confidence and cooldown, and if its
contracts are listed. The gate reads the engine's state and changes nothing but `problems`. A user's rule that raises,
returns anything but text or cannot be loaded vetoes: its author meant to hold something back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from mytrading.core.engine.active_signals import (
    SIDES,
    ActiveSignals,
    Key,
    SignalStatus,
    rules_digest,
    signal_id,
)
from mytrading.core.engine.contract_selection import ContractSelector, resolve_leg
from mytrading.core.engine.last_prices import LastPrices
from mytrading.core.engine.position_views import OperatorCancels, PendingEntries, PositionViews
from mytrading.core.engine.protective_exits import ProtectiveExits
from mytrading.core.engine.strategy_host import CallGuard, StrategyHost
from mytrading.core.instruments.book import ExpiryRefused, InstrumentBook, NoSuchContract
from mytrading.core.text.spelling import name_key
from mytrading.core.time import DAY, IST_OFFSET, MINUTE, SECOND
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import Position, TimerFired
from mytrading.messages.run_config import Direction, StrategyRun
from mytrading.messages.signals import Leg, LegChange, Signal, SignalVetoed
from mytrading.strategies.errors import hint
from mytrading.strategies.rules import Outgoing, SignalRule
from mytrading.strategies.signals import NO_HINTS, LegChangeDraft, StrategySignal
from mytrading.strategies.views import FLAT, PositionView

FLOOR_NS = 2 * SECOND
"""Machine time a signal lives at least, however fast market time runs; none in lock-step, which waits for it."""
Data = Bar | Quote | TimerFired
"""The message that a draft was returned for."""
_RAISED = "the rule raised"
NOT_ADJUSTED = "NOT_ADJUSTED"
"""The code of the veto of a change of legs that cannot be."""
OTHER_LEGS = "OTHER_LEGS"
"""The code of the veto of a signal for other legs than those that are held."""


class EngineState:
    """The engine's state besides its strategies. All but prices, chains and problems follows from rows."""

    def __init__(self, book: InstrumentBook) -> None:
        self.book = book
        self.problems: dict[Key, str] = {}
        """Contracts that are not listed, by strategy and watched instrument."""
        self.prices = LastPrices()
        self._speed = 1.0
        self.positions = PositionViews()
        self.switches: dict[str, StrategySwitch] = {}
        self.contracts = ContractSelector()
        self.active_signals = ActiveSignals()
        self.entries = PendingEntries()
        self.operator_cancels = OperatorCancels()
        self.protective_exits = ProtectiveExits()

    @property
    def speed(self) -> float:
        """Market seconds per machine second; 0 in lock-step."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed != self._speed:
            self._speed = speed
            self.prices.set_speed(speed)


class LoadedRule(NamedTuple):
    """A user's rule that is enabled; one with a `fault` could not be loaded and vetoes everything."""

    name: str
    rule: SignalRule | None
    fault: str = ""


def load_rules(names: Iterable[str], classes: Iterable[type[SignalRule]], faults: Iterable[str]) -> list[LoadedRule]:
    """Instantiate each enabled rule by name, or give the fault why not. `faults`: load errors of the rules' files."""
    called = {item.name or item.__name__: item for item in classes}
    known = {name_key(name): item for name, item in called.items()}
    broken = "; ".join(faults)
    loaded = []
    for name in names:
        found = known.get(name_key(name))
        try:
            if found is None:
                loaded.append(LoadedRule(name, None, broken or f"no rule is called {name}{hint(name, called)}"))
            else:
                loaded.append(LoadedRule(name, found()))
        except Exception as error:  # noqa: BLE001  (an author's class may raise anything)
            loaded.append(LoadedRule(name, None, f"{type(error).__name__}: {error}"))
    return loaded


class UserRules:
    """All enabled rules, applied to each signal that would enter something. A repeated veto is reported once a minute.

    `faults` are the newest messages of rules that raised or were not loaded, of this run.
    """

    def __init__(self, rules: Iterable[LoadedRule], guard: CallGuard) -> None:
        self.rules = tuple(rules)
        self.faults: dict[str, str] = {}
        self._guard = guard
        self._vetoes: dict[Key, SignalVetoed] = {}
        self._sent: dict[str, tuple[int, int]] = {}
        """Day and signals sent on it, by strategy."""

    def apply_signal(self, signal: Signal) -> None:
        """Count a sent signal for its strategy and day; rules see the count as `sent_today`."""
        day = (signal.created_ns + IST_OFFSET) // DAY
        known, count = self._sent.get(signal.strategy, (day, 0))
        self._sent[signal.strategy] = (day, count + 1 if known == day else 1)

    def apply_veto(self, row: SignalVetoed) -> None:
        """Record a journaled veto, and the rule's fault if that caused it."""
        self._vetoes[row.strategy, row.watch] = row
        if row.faulted:
            self.faults[row.rule] = row.message

    def first_veto(self, signal: Signal, position: PositionView, now: int) -> SignalVetoed | None:
        """Return the first user rule's veto of an entry `signal`; None if all let it pass. `now`: market ns."""
        if not self.rules:
            return None
        day, count = self._sent.get(signal.strategy, (0, 0))
        shown = Outgoing(
            strategy=signal.strategy, watch=signal.watch, action=signal.action, legs=signal.legs,
            product=signal.product, confidence=signal.confidence, reason=signal.reason, price=signal.price, now_ns=now,
            position=position, sent_today=count if day == (now + IST_OFFSET) // DAY else 0,
        )  # fmt: skip
        for rule in self.rules:
            if text := rule.fault or self._ask(rule, shown):
                return SignalVetoed(
                    signal=signal.id, strategy=signal.strategy, watch=signal.watch, rule=rule.name, message=text,
                    at_ns=now, action=signal.action, faulted=bool(rule.fault) or text.startswith(_RAISED),
                )  # fmt: skip
        return None

    def is_new_veto(self, row: SignalVetoed) -> bool:
        """True unless the same rule vetoed the same action and instrument within the last minute of market time."""
        known = self._vetoes.get((row.strategy, row.watch))
        same = known is not None and (known.rule, known.code, known.action) == (row.rule, row.code, row.action)
        return known is None or not same or row.at_ns - known.at_ns >= MINUTE

    def _ask(self, rule: LoadedRule, signal: Outgoing) -> str:
        assert rule.rule is not None
        self._guard.begin(signal.strategy)
        deny: Callable[[Outgoing], object] = rule.rule.deny
        answer: object
        try:
            answer = deny(signal)
        except Exception as error:  # noqa: BLE001  (author code may raise anything)
            answer = f"{_RAISED} {type(error).__name__}: {error}; mend it, then start again"
        if problem := self._guard.end(signal.strategy, failed=False):
            return f"{_RAISED} {problem}"
        if not isinstance(answer, str):
            return f"{_RAISED} no sentence: deny() must return text, found {answer!r}"
        return answer


class SignalGate:
    """For one account, or all that a run names; a signal may become an entry until `validity_ns` after its data."""

    def __init__(self, state: EngineState, rules: UserRules, account: str, validity_ns: int) -> None:
        self._state = state
        self._rules = rules
        self._account = account
        self._validity_ns = validity_ns

    def decide(
        self, host: StrategyHost, draft: StrategySignal, data: Data, now: int
    ) -> tuple[Signal | None, SignalVetoed | None]:
        """Return the signal to send for a draft about `data`, or the veto of one that must not be dropped in silence;
        neither if it repeats the last or is not allowed."""
        if draft.changes:
            found = self._adjustment(host, draft, data, now)
            return (None, found) if isinstance(found, SignalVetoed) else (found, None)
        signal = self.signal_for(host, draft, data, now)
        veto = self.other_legs_veto(host, draft, data, now) if signal is None and draft.legs else None
        return signal, veto

    def signal_for(self, host: StrategyHost, draft: StrategySignal, data: Data, now: int) -> Signal | None:
        """Return the signal to send for a draft about `data`; None if it repeats the last or is not allowed."""
        run = host.run
        status = self._state.active_signals.status_of((run.name, draft.instrument))
        last = status.signal
        action = permitted_action(run, draft.side, bool(draft.legs))
        if last is not None and last.bar_ns >= data_complete_ns(data):
            return None
        view = host.workspace.positions.get(draft.instrument, FLAT)
        if draft.keeps_position or action is Action.EXIT:
            return self._exit(host, draft, data, now, view)
        switch, cooldown = self._state.switches.get(run.name), int(run.signal_cooldown * SECOND)
        if (switch is not None and not switch.enabled) or draft.confidence < run.min_confidence:
            return None
        if status.entered_ns and now < status.entered_ns + cooldown:
            return None
        if draft.legs and self._names_other_legs(draft, action, status, view, data, now):
            return None
        try:
            legs = self._legs(run, self._with_price(draft, data, now), action, now)
        except ExpiryRefused:  # what is held of the other side is closed all the same
            turns = (view.is_long and action is Action.SELL) or (view.is_short and action is Action.BUY)
            return self._exit(host, draft, data, now, view) if turns else None
        if not legs:
            return None
        signal = self._signal(host, draft, action, legs, data, now)
        hints = draft.hints
        other_terms = hints is not NO_HINTS and (hints.has_prices or hints.lots > 0) and view.is_flat
        names_legs = other_terms or (bool(draft.legs) and not any(isinstance(leg, LegRule) for leg in draft.legs))
        was_exit = last is not None and last.action is Action.EXIT and not last.keeps
        if was_exit and len(run.accounts) > 1 and self._is_exiting(run, draft.instrument):
            held = self._state.positions.open_positions_for(run, draft.instrument, self._state.book)
            if not {one.account for one in held}.issuperset(run.accounts):  # one of several accounts holds none of it
                view = FLAT
        return None if status.is_repeat(signal, names_legs, now, data_received_ns(data), view) else signal

    def other_legs_veto(self, host: StrategyHost, draft: StrategySignal, data: Data, now: int) -> SignalVetoed | None:
        """Return the veto of a draft for other legs than those of the position, or of the entry on its way; else None.
        What is held is changed by `replace`, `add` and `close` alone, or by an EXIT first."""
        run, key = host.run, (host.run.name, draft.instrument)
        status, action = self._state.active_signals.status_of(key), permitted_action(host.run, draft.side, True)
        view = host.workspace.positions.get(draft.instrument, FLAT)
        if not self._names_other_legs(draft, action, status, view, data, now) or status.signal is None:
            return None
        held = ", ".join(f"{leg.lots:+d} {leg.instrument}" for leg in status.signal.legs)
        text = (
            f"the signal names other legs than those it stands for ({held}); legs of a position are not changed by "
            "a further signal: return self.replace(leg, ...), self.add(...) or self.close(leg), or EXIT first"
        )
        return SignalVetoed(signal=status.signal.id, strategy=run.name, watch=draft.instrument, rule="", message=text,
                            at_ns=now, action=action, bar_ns=data_complete_ns(data), code=OTHER_LEGS)  # fmt: skip

    def _names_other_legs(
        self, draft: StrategySignal, action: Action, status: SignalStatus, view: PositionView, data: Data, now: int
    ) -> bool:
        """True if a draft names other legs of the same side than the last signal, which is held or may still be."""
        last = status.signal
        if last is None or last.action is not action or action is Action.EXIT:
            return False
        if view.side != SIDES[action] and not status.is_entry_pending(now, data_received_ns(data)):
            return False
        if asked := rules_digest(draft.legs):
            return bool(last.leg_rules) and asked != last.leg_rules
        named = {(leg.instrument, leg.lots) for leg in draft.legs if isinstance(leg, Leg)}
        several = len(draft.legs) > 1 or len(last.legs) > 1
        return several and not view.is_flat and named != {(leg.instrument, leg.lots) for leg in last.legs}

    def apply_user_rules(
        self, host: StrategyHost, draft: StrategySignal, signal: Signal, data: Data, now: int
    ) -> tuple[Signal | None, SignalVetoed | None]:
        """Return `signal` if no user rule vetoes it, else an exit if it would reverse a position, else None; and the
        veto, None without one."""
        view = host.workspace.positions.get(draft.instrument, FLAT)
        if (veto := self._rules.first_veto(signal, view, now)) is None:
            return signal, None
        turns = (view.is_long and signal.action is Action.SELL) or (view.is_short and signal.action is Action.BUY)
        return (self._exit(host, draft, data, now, view) if turns else None), veto

    def _adjustment(
        self, host: StrategyHost, draft: StrategySignal, data: Data, now: int
    ) -> Signal | SignalVetoed | None:
        """The signal for changes of the legs that are held, or why there is none; None for a repeat, for contracts that
        are not listed or quoted yet, and where nothing would be left and is being closed already."""
        state, run, key = self._state, host.run, (host.run.name, draft.instrument)
        status = state.active_signals.status_of(key)
        last = status.signal
        if last is not None and last.bar_ns >= data_complete_ns(data):
            return None
        positions = state.positions.open_positions_for(run, draft.instrument, state.book)
        held = list(dict.fromkeys(position.instrument for position in positions))
        view = host.workspace.positions.get(draft.instrument, FLAT)
        if problem := self._cannot_adjust(run, draft, held, status):
            return self._refused(run, draft, problem, data, now)
        try:
            dated = self._with_price(draft, data, now)
            opened = state.contracts.select_opened(run, dated, state.prices, state.book, now)
        except NoSuchContract as error:
            state.problems[key] = str(error)
            return None
        state.problems.pop(key, None)
        names = [leg.instrument for leg in opened if leg is not None]
        if same := next((name for name in names if name in held or names.count(name) > 1), ""):
            what = "held already" if same in held else "named twice"
            return self._refused(
                run, draft, f"{same}, which it would open, is {what}; name another contract", data, now
            )
        pairs = list(zip(draft.changes, opened, strict=True))
        legs = adjusted_legs(positions, last, pairs, state.book)
        if not legs:
            whole = msgspec.structs.replace(draft, action="EXIT", changes=())
            return self._exit(host, whole, data, now, view)
        changes = tuple(
            LegChange(closes=change.closes, opens=leg.instrument if leg is not None else "", same_size=change.same_size)
            for change, leg in pairs
        )
        action = Action.SELL if view.is_short else Action.BUY
        signal = self._signal(host, draft, action, legs, data, now, changes)
        if last is not None:
            signal = msgspec.structs.replace(signal, leg_rules=last.leg_rules, product=last.product)
        return None if status.repeats_adjustment(signal, now, data_received_ns(data)) else signal

    def _cannot_adjust(self, run: StrategyRun, draft: StrategySignal, held: list[str], status: SignalStatus) -> str:
        """Return why the held position cannot be changed as a draft says; empty if it can."""
        state = self._state
        if not held:
            return "nothing is held that could be changed; BUY or SELL enters"
        if gone := [change.closes for change in draft.changes if change.closes and change.closes not in held]:
            return f"{', '.join(gone)} is not held any more; held are {', '.join(held)}"
        last = status.signal
        adjusts = last is not None and bool(last.changes)
        if not adjusts and state.entries.has_live_order(run.name, draft.instrument):
            return "entries of the last signal are on their way; change the legs once these have filled or ended"
        switch = state.switches.get(run.name)
        if switch is not None and not switch.enabled and any(change.opens is not None for change in draft.changes):
            return (
                "entries of the strategy are switched off, so no leg is opened; `mytrading strategies enable` allows it"
            )
        return ""

    def _refused(self, run: StrategyRun, draft: StrategySignal, why: str, data: Data, now: int) -> SignalVetoed:
        """The veto of an adjustment."""
        end = data_complete_ns(data)
        return SignalVetoed(
            signal=signal_id(run.name, draft.instrument, draft.side, (), end), strategy=run.name,
            watch=draft.instrument, rule="", message=f"the legs stay as they are: {why}", at_ns=now, action=draft.side,
            bar_ns=end, code=NOT_ADJUSTED,
        )  # fmt: skip

    def _exit(
        self, host: StrategyHost, draft: StrategySignal, data: Data, now: int, view: PositionView
    ) -> Signal | None:
        """To be flat, or only to cancel a pending entry if the draft `keeps` what is held; None if it is so already."""
        run, key = host.run, (host.run.name, draft.instrument)
        status = self._state.active_signals.status_of(key)
        affects = self._state.entries.has_live_order(*key) if draft.keeps_position else not view.is_flat
        if not affects and not status.is_entry_pending(now, data_received_ns(data)):
            return None
        signal = self._signal(host, draft, Action.EXIT, (), data, now)
        if status.is_repeat(signal, False, now, data_received_ns(data), view):
            return None
        return None if not draft.keeps_position and self._is_exiting(run, draft.instrument) else signal

    def _is_exiting(self, run: StrategyRun, watch: str) -> bool:
        """True if exit goals already work on all that the strategy holds for `watch`."""
        held = self._state.positions.open_positions_for(run, watch, self._state.book)
        active = self._state.active_signals
        return bool(held) and all(active.is_exiting(one.account, run.name, one.instrument) for one in held)

    def _legs(self, run: StrategyRun, draft: StrategySignal, action: Action, now: int) -> tuple[Leg, ...]:
        """The legs with their contracts; none, with the reason in `problems`, where a contract is not listed. Raises
        `ExpiryRefused`, with the reason there too, where the expiry must not be chosen by the rule."""
        state, watch = self._state, draft.instrument
        key = (run.name, watch)
        try:
            if draft.legs:
                legs = state.contracts.select_legs(run, draft, state.prices, state.book, now)
            else:
                rule = run.long if action is Action.BUY else run.short
                assert rule is not None
                legs = (resolve_leg(run, rule, watch, draft.price, draft.stop_price, state.book, now, draft.hints),)
        except NoSuchContract as error:
            state.problems[key] = str(error)
            if isinstance(error, ExpiryRefused):
                raise
            return ()
        state.problems.pop(key, None)
        return legs

    def _with_price(self, draft: StrategySignal, data: Data, now: int) -> StrategySignal:
        """The draft with the price that strikes are counted from: that of its own bar or quote, else the last one if
        it is fresh (of a timer, or of another instrument's bar, nobody knows how old the strategy's data are)."""
        if isinstance(data, TimerFired) or data.instrument != draft.instrument:
            return msgspec.structs.replace(draft, price=self._state.prices.fresh(draft.instrument, now))
        return draft

    def _signal(
        self,
        host: StrategyHost,
        draft: StrategySignal,
        action: Action,
        legs: tuple[Leg, ...],
        data: Data,
        now: int,
        changes: tuple[LegChange, ...] = (),
    ) -> Signal:
        run = host.run
        end, key = data_complete_ns(data), (run.name, draft.instrument)
        return Signal(
            id=signal_id(run.name, draft.instrument, action, legs, end, changes), strategy=run.name,
            watch=draft.instrument, changes=changes, action=action, created_ns=now, expires_ns=end + self._validity_ns,
            expires_machine_ns=data_received_ns(data) + FLOOR_NS if self._state.speed else 0, account=self._account,
            product=draft.hints.product or run.product, legs=legs, confidence=draft.confidence, reason=draft.reason,
            price=draft.price, bar_ns=end, trace_ns=data_received_ns(data), otherwise=draft.otherwise,
            rearmed=action is not Action.EXIT and self._state.active_signals.status_of(key).is_rearmed(end),
            keeps=draft.keeps_position, leg_rules=rules_digest(draft.legs) if draft.legs else "",
            lookback_minutes=host.lookback_minutes,
        )  # fmt: skip


def adjusted_legs(
    positions: Sequence[Position],
    last: Signal | None,
    changes: Sequence[tuple[LegChangeDraft, Leg | None]],
    book: InstrumentBook,
) -> tuple[Leg, ...]:
    """Return all legs of a position after `changes`: a new leg stands where the one was that it replaces, others last.

    Lots are those of one account. What is held counts, not what the last signal wanted: a leg that was closed since
    does not come back.
    """
    known = {leg.instrument: leg for leg in last.legs} if last is not None else {}
    held: dict[str, Leg] = {name: leg for name, leg in known.items() if any(p.instrument == name for p in positions)}
    for one in positions:
        lots = lots_held(one, book)
        made = held.get(one.instrument) or Leg(instrument=one.instrument, lots=lots, product=one.product)
        held[one.instrument] = msgspec.structs.replace(made, lots=lots)
    instead = {change.closes: (change, leg) for change, leg in changes if change.closes}
    found: list[Leg] = []
    for name, own in held.items():
        change, leg = instead.get(name, (None, own))
        if leg is not None:
            same = change is not None and change.same_size
            found.append(
                msgspec.structs.replace(leg, lots=abs(own.lots) * (1 if leg.lots > 0 else -1)) if same else leg
            )
    return tuple(found) + tuple(leg for change, leg in changes if not change.closes and leg is not None)


def lots_held(position: Position, book: InstrumentBook) -> int:
    """Return the signed lots of an open position, at least one."""
    contract, units = book.get(position.instrument), position.open_units
    lots = max(abs(units) // max(contract.lot_size, 1), 1) if contract is not None else 1
    return lots if units > 0 else -lots


def permitted_action(run: StrategyRun, action: Action, names_legs: bool) -> Action:
    """Return `action`, or EXIT if the strategy's direction excludes that side or no rule names a contract for it.
    `names_legs`: the strategy names its legs itself and needs no such rule."""
    if action is Action.BUY and (run.direction is Direction.SHORT or (run.long is None and not names_legs)):
        return Action.EXIT
    if action is Action.SELL and (run.direction is Direction.LONG or (run.short is None and not names_legs)):
        return Action.EXIT
    return action


def data_complete_ns(data: Data) -> int:
    """Market time at which the data behind a draft was complete: a bar's end, a quote's or timer's own time."""
    return data.end_ns if isinstance(data, Bar) else data.market_ns


def expired_veto(signal: Signal, now: int) -> SignalVetoed:
    """Return the journal row for a signal dropped at `now` (market ns) because its bar or quote was too old."""
    after = (now - signal.bar_ns) / SECOND
    message = f"it came {after:.0f} s after its bar or quote; signals about it are dropped then"
    return SignalVetoed(signal=signal.id, strategy=signal.strategy, watch=signal.watch, rule="", message=message,
                        at_ns=now, action=signal.action, bar_ns=signal.bar_ns)  # fmt: skip


def data_received_ns(data: Data) -> int:
    """Machine time at which the data arrived."""
    return data.machine_ns if isinstance(data, TimerFired) else data.received_ns
