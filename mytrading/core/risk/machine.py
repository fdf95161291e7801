"""Risk: turns intents into sized entries and exit goals, or denies them with a reason.

An intent is the whole position that one strategy wants for one watched instrument, in each of its accounts: what is
held and unwanted is closed first, what is missing is judged by every rule and ordered, once. Exits are never judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from mytrading.core.ids import content_id
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.entries.entry_planner import EntryPlanner
from mytrading.core.risk.entries.order_trial import try_order
from mytrading.core.risk.exits import corporate_actions, position_alerts, price_exits
from mytrading.core.risk.limits.limits import Limits
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.pretrade.readiness import is_quote_stale, unpriced_stops
from mytrading.core.risk.rollover.rollover import Rollover
from mytrading.core.risk.runs.run_events import HEDGE_PATIENCE_NS, drop_superseded_events
from mytrading.core.risk.runs.run_rules import RunRules
from mytrading.core.risk.sizing.margin_check import MarginCheck
from mytrading.core.risk.state import gone_units, level_copies
from mytrading.core.risk.state.day_carry import snapshot
from mytrading.core.risk.state.decision_rows import close_positions, drop_repeated_goals, withdraw_entries
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.risk.state.folds import adjustment_problem, fold
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import Place, RiskState, is_stale
from mytrading.messages.commands import CloseGoal, HoldStop, PlaceEntry, PriceUnits, SignalDenied, SignalExpired
from mytrading.messages.control import OrderTrial, OrderTrialResult, StrategySwitch, TradingState
from mytrading.messages.instruments import Snapshot
from mytrading.messages.journal_rows import IntentSized, LevelMoved, RiskOpened
from mytrading.messages.level_names import ACTION_PREFIX
from mytrading.messages.market import Quote
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    TimerFired,
)
from mytrading.messages.reports import MarginAnswer
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded
from mytrading.messages.run_config import StrategyRun
from mytrading.messages.signals import Signal


class RiskMachine:
    """Signals in, commands out."""

    def __init__(self, environment: RiskEnvironment) -> None:
        self.environment = environment
        self.state = state = RiskState(environment)
        self.margins = MarginCheck(state)
        self.limits = Limits(state)
        self._entries = EntryPlanner(state, self.margins, self.limits)
        self.rollover = Rollover(state, self._entries, self.limits)
        self.runs = RunRules(state)

    def set_contracts(self, book: InstrumentBook, master: Snapshot | None = None) -> None:
        """Replace the day's contracts, and have all intents checked again. `master`: the list that `book` is made of,
        with its refusals; None counts every listed instrument as in order."""
        self.environment.instruments, self.environment.master = book, master
        self.state.recheck_intents()

    def update_strategies(self, runs: Iterable[StrategyRun]) -> None:
        """Add or replace strategies that come and go without a restart; what one of them holds keeps its owner."""
        runs = tuple(runs)
        self.environment.update_strategies(runs)
        self.limits.update_strategies(runs)
        self.state.recheck_intents()

    def apply(self, row: Any) -> None:
        """Apply a journaled row (an input message or a decision of risk) to the state; decides nothing."""
        fold(self.state, row)
        if type(row) is not OrderChanged or not self.state.is_repeat:
            self.runs.apply(row)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """Return the rows risk decides on a message already applied, at market time `now` (ns)."""
        decide = _DECISIONS.get(type(message))
        return decide(self, message, now) if decide is not None else ()

    def _on_signal(self, signal: Signal, now: int) -> tuple[Any, ...]:
        intent = self.state.intents.get((signal.strategy, signal.watch))
        if signal.changes and (intent is None or intent.signal.id != signal.id):
            why = adjustment_problem(self.state, signal)
            return (SignalDenied(signal=signal.id, strategy=signal.strategy, code="ADJUSTMENT_WAITS", message=why,
                                 codes=("ADJUSTMENT_WAITS",), at_ns=now),)  # fmt: skip
        return self._advance(self.state.intents[signal.strategy, signal.watch], now)

    def _on_move(self, message: Any, now: int) -> tuple[Any, ...]:
        """An order, a position or an exit moved."""
        if isinstance(message, OrderChanged) and self.state.is_repeat:
            return ()
        if isinstance(message, GoalChanged) and message.goal.unpriced_machine_ns and (rows := self._prices(now)):
            return rows
        found = (*self._gone_prices(), *self.runs.on_change(message, now),
                 *price_exits.on_fill(self.state, message, now), *self.limits.on_position(message, now))  # fmt: skip
        changed = self._then_advance(found, now, settled_too=True)
        return _consistent((*changed, *self.margins.rows_raising_buffer(message, now), *self.rollover.on_time(now)))

    def _on_time(self, _fired: TimerFired, now: int) -> tuple[Any, ...]:
        found = (*self._gone_prices(), *self.runs.on_time(now), *self._square_off(now), *self.limits.on_time(now),
                 *price_exits.on_time(self.state, now))  # fmt: skip
        timed = self._then_advance(found, now, settled_too=True)
        unbound = (*position_alerts.unbound_alerts(self.state, now), *level_copies.copy_due(self.state, now))
        timed = (*timed, *self._prices(now)) if self.state.goals else timed
        return _consistent((*timed, *unbound, *self._unpriced(now), *self.rollover.on_time(now)))

    def _gone_prices(self) -> list[PriceUnits]:
        return gone_units.tell_prices(self.state) if self.state.gone else []

    def _prices(self, now: int) -> tuple[Any, ...]:
        return price_exits.on_goals(self.state, now)

    def _on_quote(self, quote: Quote, now: int) -> tuple[Any, ...]:
        """Stops, limits and rules of runs first: what ends an intent is known when it is judged."""
        name = quote.instrument
        judged = corporate_actions.on_quote(self.state, name, now)
        if judged and any(isinstance(row, LevelMoved) and row.name.startswith(ACTION_PREFIX) for row in judged):
            return tuple(judged)  # nothing else follows from a price that may be another share's
        limited = [*judged, *self.limits.on_quote(name, now)]
        found = (*price_exits.on_quote(self.state, name, now), *limited, *self.runs.on_quote(quote, now))
        if name in self.state.awaited_instruments and all(isinstance(row, LevelMoved | HoldStop) for row in limited):
            found = self._then_advance(found, now)
        return drop_superseded_events(drop_repeated_goals(found)) if found else found

    def set_machine_time(self, machine_ns: int) -> None:
        """Advance the machine time of the state (ns); an earlier time has no effect."""
        if machine_ns > self.state.machine_ns:
            self.state.machine_ns = machine_ns

    def snapshot(self, day: str) -> RiskOpened:
        """Return the opening row of the journal of `day`: applied to a fresh machine, it restores the state."""
        carried = snapshot(self.state, day)
        names = sorted({thing.instrument for things in (carried.positions, carried.orders) for thing in things})
        sizes = {name: self.environment.order_sizes(name) for name in names}
        return replace(
            carried,
            sizes={name: (each.lot, each.freeze) for name, each in sizes.items() if each.lot},
            levels={**carried.levels, **self.margins.carried_levels(), **self.runs.books.carried_levels()},
            bars=self.runs.trend_bars(),
            **self.runs.events.carried_fields(),
        )

    def _then_advance(self, rows: tuple[Any, ...], now: int, settled_too: bool = False) -> tuple[Any, ...]:
        """Return these rows and those that intents need; after a close, intents are judged with the next message."""
        for row in rows:
            if isinstance(row, CloseGoal) or (
                isinstance(row, RiskEventRecorded) and row.action is RiskAction.CLOSE_ALL
            ):
                return rows
        return (*rows, *self._advance_all(now, settled_too))

    def _advance_all(self, now: int, settled_too: bool = False) -> tuple[Any, ...]:
        """Steps of all intents, settled ones too where a late fill may leave something to close.

        One intent enters at a time: what it takes of limits, rates and margin is known when the next is judged.
        """
        rows: list[Any] = []
        entered = False
        busy = self._busy() if settled_too else set()
        for intent in self.state.intents.values() if settled_too else self.state.open_intents():
            if intent.settled and (intent.signal.strategy, intent.signal.watch) not in busy:
                continue
            found = self._advance(intent, now)
            enters = any(isinstance(row, PlaceEntry) for row in found)
            if not (enters and entered):
                rows += found
            entered = entered or enters
        return tuple(rows)

    def _busy(self) -> set[Place]:
        """Settled intents that may have something to withdraw or to close, by strategy and watched instrument."""
        held, live = self.state.positions_and_entries_by_watch()
        busy: set[Place] = set()
        for strategy, watch in held.keys() | live.keys():
            if watch is None:
                busy.update(key for key in self.state.intents if key[0] == strategy)
                continue
            place = (strategy, watch)
            intent = self.state.intents.get(place)
            if intent is not None and (
                any(intent.is_unwanted(one, one.open_units) for one in held.get(place, ()))
                or not all(self._fits(order, intent) for order in live.get(place, ()))
            ):
                busy.add(place)
        return busy

    def _advance(self, intent: Intent, now: int) -> tuple[Any, ...]:
        """Steps of one intent: entries withdrawn, positions closed, then its legs entered."""
        if self.rollover.is_rolling(intent):
            return ()
        if intent.signal.changes and not intent.settled:
            admissions = self._admissions(intent, now)
            if admissions:
                lots = {row.account: row.lots for row in admissions if isinstance(row, IntentSized)}
                refused = {row.account for row in admissions if isinstance(row, SignalDenied)}
                begun = replace(intent, sized={**intent.sized, **lots}, ended=intent.ended | refused)
                return (*admissions, *self._steps(begun, now))
        return self._steps(intent, now)

    def _admissions(self, intent: Intent, now: int) -> list[Any]:
        """Rows that admit or refuse an adjustment, or ask the broker for its margin, in accounts where neither was done
        and nothing is being closed."""
        signal = intent.signal
        closing = self.state.closing_accounts(signal.strategy, signal.watch)
        return [
            row
            for account in self.environment.accounts_of(signal.strategy)
            if intent.awaits_admission(account) and account not in closing
            for row in self._entries.plan_adjustment(intent, account, now)
        ]

    def _steps(self, intent: Intent, now: int) -> tuple[Any, ...]:
        rows = self._unwanted(intent)
        if intent.settled:
            return tuple(rows)
        signal = intent.signal
        closing = self.state.closing_accounts(signal.strategy, signal.watch)
        if rows or closing:
            return (*rows, *self._beside(intent, closing.union(row.account for row in rows), now, wait=bool(rows)))
        for account in self.environment.accounts_of(signal.strategy):
            if account not in intent.ended:
                rows += self._enter(intent, account, now)
        return tuple(rows)

    def _enter(self, intent: Intent, account: str, now: int) -> list[Any]:
        if intent.awaits_admission(account):
            return []
        if doubt := self.runs.unconfirmed_end(intent.signal.strategy):
            return self._entries.deny_if_expired(doubt, intent, account, now)
        return self.rollover.redirect_to_next_contract(intent, account, now) or self._entries.plan_entries(
            intent, account, now
        )

    def _beside(self, intent: Intent, closing: set[str], now: int, *, wait: bool) -> list[Any]:
        """Steps of an intent while something is withdrawn or closed in these accounts; others go on, unless `wait`.

        Legs wait there until that is done, or the intent too late; a basket that began is broken by `enter` instead.
        """
        if not intent.legs:
            return []
        late = self._entries.is_expired(intent.signal, now)
        there = [name for name in self.environment.accounts_of(intent.signal.strategy) if name not in intent.ended]
        idle = {name for name in there if late and name in closing and not self._entries.has_basket_begun(intent, name)}
        if late and len(idle) == len(there):
            signal = intent.signal
            return [SignalExpired(signal=signal.id, strategy=signal.strategy, at_ns=now, expired_ns=signal.expires_ns)]
        rows: list[Any] = []
        for account in [] if wait else there:
            if account in idle:
                rows.append(self._entries.deny_account_as_expired(intent, account, now))
            elif account not in closing or self._entries.is_basket_late(intent.signal, now):
                rows += self._enter(intent, account, now)
        return rows

    def _unwanted(self, intent: Intent) -> list[Any]:
        """Cancels of entries that the intent has no room for, and closes of positions that it does not want."""
        signal, rows = intent.signal, []
        if self.state.orders.of_strategy(signal.strategy):
            live = self.state.live_entries(signal.strategy, signal.watch)
            rows = withdraw_entries(self.state, (o for o in live if not self._fits(o, intent)), signal.id)
        if held := self.state.positions_for(signal.strategy, signal.watch):
            unwanted: Iterable[Position] = (one for one in held if intent.is_unwanted(one, one.open_units))
            if signal.changes:
                unwanted = self._closable(intent, list(unwanted))
            reason = signal.reason or signal.action.value
            rows += close_positions(self.state, unwanted, signal.id, reason, signal.trace_ns)
        return rows

    def _closable(self, intent: Intent, unwanted: list[Position]) -> list[Position]:
        """The positions that an adjustment may close now: none before the bought legs that it opens are held, and no
        bought one that still covers a sold one."""
        found: list[Position] = []
        accounts = {position.account for position in unwanted}
        units = {name: self.state.units_held(name, intent.signal.strategy) for name in accounts}
        waits = {name for name in accounts if self._entries.lacks_cover(intent, name)}
        for position in unwanted:
            here = units[position.account]
            if position.account in waits or self.state.sold_legs_needing(here, position.instrument):
                continue
            here.pop(position.instrument, None)
            found.append(position)
        return found

    def _fits(self, order: Order, intent: Intent) -> bool:
        watch = intent.signal.watch
        target = intent.target_lots(order.instrument, order.account) * self.environment.lot_of(order.instrument)
        there = self.state.units_of(order.strategy, watch, order.instrument, order.account)
        after = there + self.state.pending_units(order.strategy, order.instrument, order.account)
        return order.side.sign * target > 0 and abs(after) <= abs(target) and intent.accepts_entry(order)

    def _square_off(self, now: int) -> list[Any]:
        """Close MIS positions, and withdraw MIS entries, once their time has come."""
        cause = content_id("square_off", self.environment.today(now))
        entries = (order for order in self.state.all_live_entries() if self._is_due(order, now))
        due = [position for position in self.state.open_positions() if self._is_due(position, now)]
        patient = all(now - self._square_off_ns(position, now) < HEDGE_PATIENCE_NS for position in due)
        return [
            *withdraw_entries(self.state, entries, cause),
            *close_positions(self.state, due, cause, "square-off", 0, patient=patient),
            *position_alerts.overdue_alerts(self.state, now),
        ]

    def _square_off_ns(self, thing: Order | Position, now: int) -> int:
        return self.environment.square_off_begins(thing.strategy, thing.instrument, thing.product, now)

    def _is_due(self, thing: Order | Position, now: int) -> bool:
        begins = self._square_off_ns(thing, now)
        return bool(begins) and now >= begins

    def _unpriced(self, now: int) -> list[Any]:
        """Withdraw entries whose instrument has had no quote for long: nobody knows what they would be filled at."""
        rows: dict[str, Any] = {}
        for order in self.state.all_live_entries():
            quote = self.state.quotes.get(order.instrument)
            if quote is not None and is_quote_stale(self.state, quote, now):
                cause = content_id("unpriced", order.links.parent or order.client_order_id)
                rows |= {row.id: row for row in withdraw_entries(self.state, [order], cause)}
        return list(rows.values())

    def admitted_legs(self, signal: Signal, account: str, now: int) -> list[PreTradeContext] | None:
        """Return the contexts of a new signal's legs in an account that owns nothing; None unless every rule admits
        them all as they are, at market time `now`. Nothing is kept of the signal."""
        return self._entries.admitted_legs(Intent(signal=signal, since_ns=signal.created_ns), account, now)

    def why_entries_blocked(self, now: int) -> str:
        """Return why entries of the first account are blocked now, trading hours aside; empty if they are not."""
        return self._entries.why_entries_blocked(self.environment.account, now)

    def unpriced_stops(self, now: int) -> dict[str, str]:
        """By strategy, why risk gets no prices for the stops it watches itself; only strategies with that trouble."""
        names = {key[3] for key in self.state.stop_levels}
        return {name: why for name in sorted(names) if (why := unpriced_stops(self.state, name, now))}

    def try_order(self, trial: OrderTrial, now: int) -> OrderTrialResult:
        """Return what every pre-trade rule says to an order at market time `now`; nothing is placed or changed."""
        return try_order(self.state, self._entries, trial, now)

    def has_fresh_quote(self, instrument: str, now: int) -> bool:
        """True if the last quote of an instrument is not too old at market time `now` to be traded on."""
        quote = self.state.quotes.get(instrument)
        limit = self.environment.limits.stale_quote_seconds
        return quote is not None and not is_stale(quote, now, self.state.wait_machine_ns, limit)

    def wanted_instruments(self) -> tuple[str, ...]:
        """Return instruments whose quotes risk needs: of positions, working entries, intents, rolls and runs."""
        busy = map(self.state.busy_instruments, self.environment.accounts())
        names = self.state.awaited_instruments.union(self.rollover.wanted_contracts(), self.runs.series.sources, *busy)
        return tuple(sorted(names | gone_units.unpriced_instruments(self.state)))


def _consistent(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decision with one goal for each position, and no event of a position whose goal is another's."""
    return drop_superseded_events(drop_repeated_goals(rows))


_DECISIONS: dict[type, Callable[[RiskMachine, Any, int], tuple[Any, ...]]] = {
    Quote: RiskMachine._on_quote,
    Signal: RiskMachine._on_signal,
    OrderChanged: RiskMachine._on_move,
    PositionChanged: RiskMachine._on_move,
    PositionAdjusted: RiskMachine._on_move,
    GoalChanged: RiskMachine._on_move,
    MarginAnswer: lambda risk, _answer, now: risk._advance_all(now),
    TimerFired: RiskMachine._on_time,
    TradingState: lambda risk, message, now: tuple(risk.limits.on_control(message, now)),
    StrategySwitch: lambda risk, message, now: tuple(risk.limits.on_control(message, now)),
}
"""Handler of each kind of message; others are applied without a result."""
