"""Events of exits, each with what it closes: rules of runs, and stops of single positions, once a round trip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.risk.runs.run import Breach, Run, RunLeg, fired_rule_name, run_id_of
from mytrading.core.risk.state.decision_rows import close_after_covered, close_positions, risk_alert, withdraw_entries
from mytrading.core.risk.state.orphan_hedges import GUARDS, is_protective_exit
from mytrading.core.risk.state.state import RiskState
from mytrading.core.text.money import rupees
from mytrading.core.time import SECOND
from mytrading.messages.commands import CloseGoal, SignalDenied
from mytrading.messages.control import Alert, FlattenRequested
from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import RiskOpened
from mytrading.messages.orders import Order, Position
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.signals import Signal

HEDGE_PATIENCE_NS = 60 * SECOND
"""Market time in which what covers a sold leg waits for that to be flat."""
RUN_ENDING = "RUN_ENDING"
STRATEGY_RISK = "STRATEGY_RISK"
"""The alert of a rule of a run that spoke; it lasts for the day."""
REMEMBERED = 1000
CLOSERS = frozenset({RiskKind.STOP, RiskKind.TARGET, RiskKind.BARE})
"""Kinds that one goal closes: without it there is no event."""


class RunEvents:
    """Rows that end a run or a leg. `apply` learns which goals and orders belong to which event."""

    def __init__(self, state: RiskState) -> None:
        self._state = state
        self._causes: dict[str, RiskEventRecorded] = {}
        self._goals: dict[str, RiskEventRecorded] = {}
        self._flattens: dict[str, RiskEventRecorded] = {}
        self._orders: set[str] = set()

    def apply(self, row: Any) -> None:
        """Apply a row to the records of risk events and of the exit goals, flattens and orders they caused."""
        if isinstance(row, RiskEventRecorded):
            self._orders.update(row.exit_orders)
            if not row.follows:
                _remember(self._causes, row.cause, row)
        elif isinstance(row, CloseGoal) and (event := self._causes.get(row.cause)) is not None:
            _remember(self._goals, row.id, event)
        elif isinstance(row, FlattenRequested) and (event := self._causes.get(row.id.partition("-")[0])) is not None:
            _remember(self._flattens, row.id, event)
        elif isinstance(row, RiskOpened):
            self._causes = {event.cause: event for event in row.events}
            self._goals = {name: self._causes[cause] for name, cause in row.event_goals.items()}
            self._flattens = {name: self._causes[cause] for name, cause in row.event_flattens.items()}
            self._orders = set(row.event_orders)

    def carried_fields(self) -> dict[str, Any]:
        """Fields of a new day's opening row: events of open positions, with the goals and orders they caused."""
        held = [(run_id_of(position), position) for position in self._state.open_positions()]
        causes = {
            event.cause
            for event in self._causes.values()
            if any(
                event.run in ("", run)
                and event.strategy in ("", position.strategy)
                and position.account in event.accounts
                and position.instrument in event.instruments
                for run, position in held
            )
        }
        return {
            "events": tuple(event for cause, event in self._causes.items() if cause in causes),
            "event_goals": {name: event.cause for name, event in self._goals.items() if event.cause in causes},
            "event_flattens": {name: event.cause for name, event in self._flattens.items() if event.cause in causes},
            "event_orders": tuple(sorted(self._orders & self._state.orders.keys())),
        }

    def rows_ending_run(self, run: Run, breach: Breach, now: int, trace_ns: int) -> list[Any]:
        """Return rows by which a rule's breach ends a run: event, alert, denials of its intents, cancels and closes;
        only event and alert if the rule does not act, or moves stops. `trace_ns`: receipt of the quote, 0 if none."""
        if breach.kind is RiskKind.STOPS_TO_COST:
            event = _event(run, breach, RiskAction.MOVE_STOPS, run.legs.values(), now)
            what = f"the profit has come to {rupees(breach.threshold)}: {breach.note}"
            return [event, risk_alert(STRATEGY_RISK, Severity.INFO, f"{run.strategy} {breach.kind.value}", what, now)]
        action = RiskAction.CLOSE_ALL if breach.acts else RiskAction.ALERT_ONLY
        event = _event(run, breach, action, run.legs.values(), now)
        rows: list[Any] = [event, *breach_alerts(run.strategy, breach, now)]
        if breach.acts:
            rows += [
                deny_while_ending(intent.signal, breach, now)
                for intent in self._state.open_intents()
                if intent.signal.strategy == run.strategy
            ]
            rows += self._leave(run, event.cause, event.note, trace_ns, patient=True)
        return rows

    def rows_closing_leg(self, run: Run, leg: RunLeg, breach: Breach, now: int, trace_ns: int) -> list[Any]:
        """Return rows by which a rule's breach closes one leg in its account: event, alert and closes; only event and
        alert if the rule does not act. `trace_ns`: receipt of the quote, 0 if none."""
        action = RiskAction.CLOSE_LEG if breach.acts else RiskAction.ALERT_ONLY
        event = _event(run, breach, action, [leg], now, round_trip_name(leg.position))
        rows: list[Any] = [event, *breach_alerts(f"{run.strategy} {leg.name}", breach, now)]
        if breach.acts:
            rows += close_after_covered(self._state, leg.position, event.cause, event.note, trace_ns, now)
        return rows

    def rows_squaring_off_legs(self, run: Run, breach: Breach, legs: list[RunLeg], now: int) -> list[Any]:
        """Return rows that close these legs by the time-of-day rule in `breach`; [] if it closed them already."""
        if len(legs) == len(run.legs):
            return self.rows_ending_run(run, breach, now, 0)
        subject = " ".join(sorted({leg.instrument.partition(":")[0] for leg in legs}))
        if fired_rule_name(breach.kind, subject) in run.fired:
            return []
        event = _event(run, breach, RiskAction.CLOSE_LEG, legs, now, subject)
        closed = close_positions(self._state, (leg.position for leg in legs), event.cause, event.note, 0, patient=False)
        return [event, *closed]

    def continue_closing(self, run: Run, now: int) -> list[Any]:
        """Return rows a run being closed still needs: closes of late fills, and of hedges whose sold legs are flat."""
        event = self._causes.get(run.leaving)
        note = event.note if event is not None else "the run is being closed"
        return self._leave(run, run.leaving, note, 0, patient=now - run.leaving_ns < HEDGE_PATIENCE_NS)

    def _leave(self, run: Run, cause: str, note: str, trace_ns: int, *, patient: bool) -> list[Any]:
        entries = (order for order in self._state.all_live_entries() if order.strategy == run.strategy)
        held = [leg.position for leg in run.legs.values()]
        return [
            *withdraw_entries(self._state, entries, cause),
            *close_positions(self._state, held, cause, note, trace_ns, patient=patient),
        ]

    def link_exit_order(self, order: Order, now: int) -> list[RiskEventRecorded]:
        """Return the row that links `order` as an exit to its risk event, or that event for a broker's stop without
        one; [] if it is linked already or no event caused it."""
        if order.client_order_id in self._orders:
            return []
        event = self._goals.get(order.links.goal) or self._flattens.get(order.cause) if order.links.goal else None
        if event is None:
            event = broker_stop_event(self._state, order, now)
            if event is None or event.id not in self._causes:
                return [event] if event is not None else []
        return [
            RiskEventRecorded(
                id=content_id(event.id, order.client_order_id),
                strategy=event.strategy,
                run=event.run,
                kind=event.kind,
                action=event.action,
                at_ns=now,
                accounts=(order.account,),
                instruments=(order.instrument,),
                exit_orders=(order.client_order_id,),
                follows=event.id,
            )
        ]


def deny_while_ending(signal: Signal, breach: Breach, now: int) -> SignalDenied:
    """The denial of an intent that was still to be entered when a rule closed its strategy's run."""
    text = f"the run is being closed by its rule {breach.kind.value}: {breach.note}; signal again when it is flat"
    return SignalDenied(signal=signal.id, strategy=signal.strategy, code=RUN_ENDING, message=text, at_ns=now)


def _remember(table: dict[str, RiskEventRecorded], name: str, event: RiskEventRecorded) -> None:
    table[name] = event
    while len(table) > REMEMBERED:
        del table[next(iter(table))]


def _event(
    run: Run, breach: Breach, action: RiskAction, legs: Iterable[RunLeg], now: int, leg: str = ""
) -> RiskEventRecorded:
    chosen = list(legs)
    name = content_id("risk", breach.kind.value, run.strategy, run.id, leg)
    return RiskEventRecorded(
        id=name,
        strategy=run.strategy,
        run=run.id,
        kind=breach.kind,
        action=action,
        at_ns=now,
        threshold=round(breach.threshold, 4),
        value=round(breach.value, 4),
        accounts=tuple(sorted({found.key[0] for found in chosen})),
        instruments=tuple(sorted({found.instrument for found in chosen})),
        leg=leg,
        cause=name,
        note=breach.note,
    )


def breach_alerts(subject: str, breach: Breach, now: int) -> list[Alert]:
    """The alert of a breach; none for a time of day."""
    if breach.kind in (RiskKind.EXIT_TIME, RiskKind.SQUARE_OFF):
        return []
    follows = "it is closed" if breach.acts else "auto-exit is off: close it yourself, or leave it"
    severity = Severity.WARNING if breach.acts else Severity.CRITICAL
    text = f"{breach.note} ({breach.value:,.2f}, limit {breach.threshold:,.2f}): {follows}"
    return [risk_alert(STRATEGY_RISK, severity, f"{subject} {breach.kind.value}", text, now)]


def round_trip_name(position: Position) -> str:
    """The name of a position's current round trip: account, instrument, product and opening time."""
    return f"{position.account} {position.instrument} {position.product} {position.opened_ns}"


def with_close_event(
    kind: RiskKind, position: Position, rows: list[Any], level: float, price: float, now: int
) -> list[Any]:
    """Return the rows that close a position with their risk event in front; unchanged if they have no exit goal.
    `level`: the price at which the rule applies, `price`: the one that reached it."""
    goal = next((row for row in rows if isinstance(row, CloseGoal)), None)
    if goal is None:
        return rows
    trip = round_trip_name(position)
    event = RiskEventRecorded(
        id=content_id("risk", kind, position.strategy, trip, goal.id),
        strategy=position.strategy,
        run=position.run or run_id_of(position),
        kind=kind,
        action=RiskAction.CLOSE_LEG,
        at_ns=now,
        threshold=level,
        value=price,
        accounts=(position.account,),
        instruments=(position.instrument,),
        leg=trip,
        cause=goal.cause,
        note=goal.reason,
    )
    return [event, *rows]


def drop_superseded_events(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return one decision's rows without position events whose exit goal was dropped for another rule's."""
    causes = {row.cause for row in rows if isinstance(row, CloseGoal)}
    return tuple(
        row
        for row in rows
        if not isinstance(row, RiskEventRecorded) or row.follows or row.kind not in CLOSERS or row.cause in causes
    )


def broker_stop_event(state: RiskState, order: Order, now: int) -> RiskEventRecorded | None:
    """Return the event of a stop that filled at the broker, or of the exit that replaced it; None for other orders."""
    if not order.filled or order.cause.startswith(GUARDS) or not is_protective_exit(state, order):
        return None
    key = order.owner
    position, guard = state.positions.get(key), state.protections.get(key)
    trip = round_trip_name(position) if position is not None else " ".join(key[:3])
    name = content_id("risk", RiskKind.BROKER_STOP.value, order.strategy, trip)
    trigger = order.trigger_price or (guard.trigger if guard is not None else 0.0)
    return RiskEventRecorded(
        id=name,
        strategy=order.strategy,
        run=order.run,
        kind=RiskKind.BROKER_STOP,
        action=RiskAction.CLOSE_LEG,
        at_ns=now,
        threshold=trigger,
        value=order.average_price or trigger,
        accounts=(order.account,),
        instruments=(order.instrument,),
        leg=trip,
        cause=name,
        note=f"the stop of {order.instrument} at the broker filled",
        exit_orders=(order.client_order_id,),
    )
