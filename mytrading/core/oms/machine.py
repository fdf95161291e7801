"""The order machine: messages in, rows out.

Apply every journaled row in order and the machine is what it was; `decide` only says what follows. Budget: a
`PlaceEntry` decided and applied in 100 µs with 500 orders in state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.oms import housekeeping, operator_requests, settlements
from mytrading.core.oms.active_alerts import Unguarded, active_alerts
from mytrading.core.oms.exits import broker_stops, flatten
from mytrading.core.oms.exits import exit_goals as goals
from mytrading.core.oms.exits.unproven_days import unproven_days
from mytrading.core.oms.placing import dispatch, entries
from mytrading.core.oms.reconcile import (
    broker_books,
    call_outcomes,
    gone_units,
    journal_rebuild,
    moved_products,
    order_identity,
    order_updates,
)
from mytrading.core.oms.state.decision import (
    ALWAYS_OPEN,
    NEVER_PROVISIONAL,
    NEVER_SQUARES_OFF,
    IsOpen,
    OrderDecision,
    SquaresOff,
)
from mytrading.core.oms.state.folds import FOLDS
from mytrading.core.oms.state.settings import OmsLimits
from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import SENT
from mytrading.core.time import SECOND
from mytrading.messages import control
from mytrading.messages.account_events import AccountBrokerChanged, AccountModeChanged
from mytrading.messages.brokers import UNNAMED
from mytrading.messages.commands import CloseGoal, PlaceEntry, PriceGoal, PriceUnits, WithdrawEntries
from mytrading.messages.enums import Product, Purpose
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import CallOutcome, ExitQuote, Goal, Order, OrderChanged, Position, TimerFired
from mytrading.messages.reports import BooksRead, ModeSeen, OrderReport
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettleRequested

Handler = Callable[[OrderDecision, Any], None]


class OrderMachine:
    """Orders, positions and goals of all accounts of a host."""

    def __init__(
        self, limits: OmsLimits | None = None, is_open: IsOpen = ALWAYS_OPEN,
        squares_off: SquaresOff = NEVER_SQUARES_OFF, is_provisional: IsOpen = NEVER_PROVISIONAL,
    ) -> None:  # fmt: skip
        self.limits = limits or OmsLimits()
        self._is_open, self._squares_off, self._is_provisional = is_open, squares_off, is_provisional
        self.state = State()
        self.set_machine_time = self.state.advance_machine_time
        """Moves machine time (ns) on; it never goes back."""

    def apply(self, row: Any) -> None:
        """Update the state by a row: an input message or one of our own decisions. Nothing else changes the state."""
        if (learn := FOLDS.get(type(row))) is not None:
            learn(self.state, row)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """Return decision rows for the message just applied, at market time `now` (ns); the state stays as it was."""
        if (handler := self._handler(message)) is None:
            return ()
        self.state.begin_tentative()
        try:
            return self._follow(handler, message, now)
        finally:
            self.state.roll_back()

    def step(self, message: Any, now: int) -> tuple[Any, ...]:
        """Apply a message, decide on it and apply the decisions; returns them. For loops that journal nothing."""
        self.apply(message)
        handler = self._handler(message)
        return self._follow(handler, message, now) if handler is not None else ()

    def _handler(self, message: Any) -> Handler | None:
        kind = type(message)
        if kind is TimerFired and housekeeping.is_idle(self.state):
            return None
        if kind is OrderReport:
            row = message.order
            known = (message.account, row.broker_order_id) in self.state.by_broker or row.tag in self.state.orders
            if not known or message.account in self.state.wrong_mode:
                return None
        return _HANDLERS.get(kind)

    def _follow(self, handler: Handler, message: Any, now: int) -> tuple[Any, ...]:
        state = self.state
        oms = OrderDecision(state, self.limits, now, self._is_open, self._squares_off, self._is_provisional)
        handler(oms, message)
        if oms.rows or type(message) is TimerFired:
            if state.open_flattens:
                flatten.advance_flattens(oms)
            if state.guarding:
                broker_stops.advance_protections(oms)
            if state.open_goals:
                goals.advance_goals(oms)
            if state.waiting:
                dispatch.dispatch_calls(oms)
        return _without_preludes(oms.rows)

    def _foreseen(self, now: int, of: Callable[[OrderDecision], None], machine_ns: int = 0) -> tuple[Any, ...]:
        """The rows of a decision that no message leads to, at `machine_ns` or later."""
        self.state.begin_tentative()
        try:
            oms = OrderDecision(self.state, self.limits, now)
            oms.machine = max(oms.machine, machine_ns)
            of(oms)
            return tuple(oms.rows)
        finally:
            self.state.roll_back()

    def recover_rows(
        self, machine_ns: int, now: int, served: Iterable[str] = (),
        never_began: Callable[[str, int], bool] = lambda _name, _attempt: False, in_run: Iterable[str] = (),
    ) -> tuple[Any, ...]:  # fmt: skip
        """Return the rows of a restart, once the journal is applied: entries of `served` accounts wait until books
        agree. `never_began(order id, attempt)` is true of a placing call that certainly did not leave. Orders may go
        to the accounts `in_run` (empty: to all), and what others hold waits until they are back."""
        return self._foreseen(
            now, lambda oms: housekeeping.recover_orders(oms, served, never_began, in_run), machine_ns
        )

    def rebuild_rows(self, missed: Sequence[Any], machine_ns: int, now: int) -> tuple[Any, ...]:
        """Return the decisions after a rebuilt journal, on `missed` messages that were applied but never decided on."""
        return self._foreseen(now, lambda oms: journal_rebuild.decide_missed_messages(oms, missed), machine_ns)

    def has_recovered(self, account: str) -> bool:
        """True once the account's start-up recovery is done, or if it needed none."""
        level = self.state.recovering.get(account)
        return level is None or level.done

    def expire_day(self, now: int, day: str) -> tuple[Any, ...]:
        """Return rows that end the orders of days before `day` (ISO date); apply them before `snapshot` opens it."""
        return self._foreseen(now, lambda oms: housekeeping.expire_day(oms, day))

    def snapshot(self, day: str) -> DayOpened:
        """The first row of the journal of `day` (ISO date): applied to any machine, it carries everything over."""
        return housekeeping.build_day_opened(self.state, day)

    def orders(self) -> list[Order]:
        """All orders of the day and those carried into it, by id."""
        return self.state.orders.sorted_values()

    def position(self, account: str, instrument: str, product: Product, strategy: str) -> Position | None:
        """Return the position of a strategy in an instrument; None if it held none today."""
        return self.state.positions.get(OwnerKey(account, instrument, product, strategy))

    def resting_entries(self, account: str = "") -> list[Order]:
        """Entries that may rest and are not being cancelled; no account means all."""
        sent = (order for order in self.orders() if order.purpose is Purpose.ENTRY and order.state in SENT)
        mine = (order for order in sent if account in ("", order.account))
        return [order for order in mine if not order.evidence.cancel.wanted or order.evidence.modify.by_replacement]

    def positions(self) -> list[Position]:
        """All positions of the day, flat ones included, by key."""
        return self.state.positions.sorted_values()

    def goals(self) -> list[Goal]:
        """All exit goals of the day and those carried into it, by id."""
        return self.state.goals.sorted_values()

    def call_budget(self, account: str, machine_ns: int) -> control.CallBudget:
        """Return an account's rate budget for order calls; the daemon adds which orders wait and since when."""
        limits, state = self.limits, self.state
        return control.CallBudget(
            account=account,
            limit=limits.calls_per_second,
            used=limits.calls_per_second - dispatch.calls_allowed_now(state, limits, account, machine_ns),
            out=len(dispatch.unanswered_call_times(state, account)),
            paused_s=max(0, (state.paused.get(account) or 0) - machine_ns) / SECOND,
            kept=dispatch.calls_kept_for_baskets(state, account, machine_ns),
            kept_for_stops=dispatch.calls_kept_for_stops(state, limits, account, machine_ns),
        )

    def active_alerts(
        self, raised: Iterable[Subject], unguarded: Unguarded, busy: Mapping[str, str]
    ) -> dict[Subject, ActiveAlert]:
        """Return the alerts active now, by code and subject; see `core/oms/active_alerts`."""
        return active_alerts(self.state, raised, unguarded, busy)

    def unproven_days(self, now: int) -> dict[str, str]:
        """Return by exchange what waits at market `now` for a price of a provisional day; see `exits/unproven_days`."""
        return unproven_days(
            OrderDecision(self.state, self.limits, now, self._is_open, self._squares_off, self._is_provisional)
        )

    def describe_unsettled(self) -> str:
        """Describe the first unsettled order (resting is settled), exit or book difference; empty if none."""
        return housekeeping.describe_unsettled(self.state)

    @property
    def has_timed_work(self) -> bool:
        """True while a timer may lead to a decision; otherwise only prices or messages can."""
        return housekeeping.has_timed_work(self.state) or broker_stops.stops_differ_from_positions(self.state)

    def wrong_mode_message(self, account: str) -> str:
        """Return the message of an account's server that is in the wrong mode; empty if its mode is right."""
        level = self.state.wrong_mode.get(account)
        return (level.message or "it answered in another mode") if level is not None else ""


def _without_preludes(rows: list[Any]) -> tuple[Any, ...]:
    """The rows; an order that leaves in the decision that made it needs one only, since a row holds its whole level."""
    sent = []
    for row in rows:
        if type(row) is OrderChanged and row.event == "submitted":
            sent.append(row.order.client_order_id)  # noqa: PERF401 - no frame of a comprehension on the way of an order
    if not sent or len(rows) == 1:
        return tuple(rows)
    kept = []
    for row in rows:
        if not (type(row) is OrderChanged and row.event == "initialized" and row.order.client_order_id in sent):
            kept.append(row)  # noqa: PERF401
    return tuple(kept)


def _books_read(oms: OrderDecision, read: BooksRead) -> None:
    broker_books.on_books(oms, read)
    if oms.state.settlements:
        settlements.on_books(oms, read)
    if oms.state.claims and read.account not in oms.state.wrong_mode:
        todays, _ = order_identity.without_earlier_days(oms, moved_products.with_our_products(oms, read))
        operator_requests.settle_claims(oms, todays)


def _mode_seen(oms: OrderDecision, message: ModeSeen) -> None:
    name, known = message.account, oms.state.brokers.get(message.account) or ""
    if message.broker and message.broker != known and not (known and message.broker == UNNAMED):
        oms.emit(AccountBrokerChanged(account=name, broker=message.broker, at_ns=oms.now, before=known))
        if known not in ("", UNNAMED):
            entries.stop_at_other_broker(oms, name, known, message.broker)
    if not message.expected:
        call_outcomes.stop_wrong_mode_account(oms, name, message.message or f"found mode {message.mode}")
    elif name in oms.state.wrong_mode:  # which only an operator ends
        call_outcomes.note_right_mode(oms, name)
    elif name not in oms.state.modes:
        oms.emit(AccountModeChanged(account=name, wrong_mode=False, message="", at_ns=oms.now, mode=message.mode))


_HANDLERS: dict[type, Handler] = {
    PlaceEntry: entries.on_place_entry,
    CloseGoal: goals.on_close_goal,
    PriceGoal: goals.on_price,
    PriceUnits: gone_units.on_price_units,
    ExitQuote: goals.on_exit_quote,
    WithdrawEntries: entries.on_withdraw,
    control.WithdrawRequested: entries.on_withdraw,
    control.TradingState: entries.on_trading_level,
    control.StrategySwitch: entries.on_strategy_switch,
    control.ResolveRequested: operator_requests.on_resolve,
    control.ClaimRequested: operator_requests.on_claim,
    control.FlattenRequested: flatten.on_request,
    control.ProbeRequested: operator_requests.on_probe,
    control.CancelRequested: operator_requests.on_cancel,
    control.ModifyRequested: operator_requests.on_modify,
    control.ModeCleared: entries.on_mode_cleared,
    ModeSeen: _mode_seen,
    CallOutcome: call_outcomes.on_outcome,
    OrderReport: order_updates.on_report,
    BooksRead: _books_read,
    AdjustRequested: settlements.on_request,
    RebuildRequested: settlements.on_request,
    SettleRequested: settlements.on_request,
    TimerFired: housekeeping.on_timer,
}
