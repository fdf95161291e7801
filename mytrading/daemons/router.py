"""The order router: speaks to the broker, owns orders and positions. Reads no books; the reconciler tells it.

Wiring only: `core/oms` decides, this hands its decisions to worker threads that hold the connections, and hands the
outcomes back. The one rule: a call is made only for a row that is committed, and once for each row.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from mytrading.core.guardians import WATCHED, Guardians
from mytrading.core.live_gate import live_problem
from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.daemons.router_accounts import AccountPools, Job
from mytrading.messages.codec import Frame
from mytrading.messages.control import Heartbeat, WithdrawRequested
from mytrading.messages.enums import Call, OrderState, Outcome, Purpose, Severity
from mytrading.messages.orders import AccountModeChanged, GoalChanged, Order, OrderChanged, PositionChanged
from mytrading.messages.runconfig import RunConfig, RunConfigError, ServerMode, VenueKind
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import main
from mytrading.runtime.lockstep import Progress, place
from mytrading.runtime.logging import trade_logger
from mytrading.runtime.machine import MachineDaemon

TICK_S = 0.1
GUARD_S = 0.5
LEAVE_NS = 3_500_000_000
"""Machine time for the cancels of a router that is told to stop: it must be gone within five seconds."""

LOCK_STEP_READS_NS = 200_000_000
"""Machine time between reads that confirm a fill or an end in lock-step, where the whole market waits for them."""

_CALLS = {"submitted": Call.PLACE, "cancel_requested": Call.CANCEL}
LIVE = frozenset(
    {
        OrderState.SUBMITTED,
        OrderState.ACCEPTED,
        OrderState.TRIGGERED,
        OrderState.PARTIALLY_FILLED,
        OrderState.UNKNOWN,
        OrderState.PARKED,
    }
)


DOUBTS = ("ORDER_AMBIGUOUS", "ORDER_PARKED", "ORDER_UNRESOLVED", "ORDER_MISSING", "CANCEL_STUCK")


def order_machine(config: RunConfig) -> OrderMachine:
    """The machine that decides with this configuration; `mytrading journal verify` decides again with it."""
    has_books = config.venue.kind is VenueKind.OPENALGO
    limits = OmsLimits(
        calls_per_second=config.rates.orders_per_second,
        unknown_exit=config.risk.unknown_exit,
        mode_first=has_books,
        book_first=has_books,
        probes=config.venue.expected_mode is ServerMode.ANALYZE,
    )
    if config.simulator.embedded and not config.simulator.speed:
        limits = replace(limits, read_spacing=LOCK_STEP_READS_NS // 2, chase_reads=LOCK_STEP_READS_NS)
    return OrderMachine(limits)


class TradeManager(MachineDaemon):
    """The router process: commands and reports in, orders and positions out, a pool of workers for each account."""

    def __init__(self, config: RunConfig) -> None:
        if problem := live_problem(config):
            raise RunConfigError(problem)
        self.orders = order_machine(config)
        super().__init__("router", config, self.orders)
        self._trades = trade_logger()
        self._counts: dict[str, int] = {}
        self._reported = 0

    def setup(self) -> None:
        """Lock the accounts, recover, and ask for the books before anything new is sent."""
        self._accounts = AccountPools(self.config)
        super().setup()
        self._accounts.open(self.wake)
        self.on_wake(self._take_outcomes)
        for order in self.orders.orders():
            self._settle_alerts(order)
        self.record(self.orders.recover_rows(machine_now(), self.clock.now(), self._accounts.begun.never_began))
        self.follow("control")
        self.follow("commands")
        self.pull("reports", self._on_report)
        self._guardians = Guardians(machine_now())
        self.subscribe("status", self._on_status, topics=WATCHED, writers=WATCHED, every_s=GUARD_S)
        self.every(GUARD_S, self._guard, "guard")
        self.every(TICK_S, self._on_tick, "router")

    # in

    def _on_tick(self, machine_ns: int) -> None:
        self.tick("router", machine_ns)

    def _on_status(self, frame: Frame) -> None:
        if isinstance(frame.message, Heartbeat):
            self._guardians.heard(frame.message, machine_now())

    def _guard(self, machine_ns: int) -> None:
        """Entries do not rest at the broker without their guardians; stops and exits do.

        In lock-step the market stands while a guardian is away, and nothing can fill.
        """
        if self.lock_step:
            return
        complaint = self._guardians.complaint(machine_ns)
        if not complaint:
            self.alerts.clear("ENTRIES_UNGUARDED", "router")
        elif self._resting_entries():
            text = f"{complaint}: resting entries are cancelled, stops stay; see `mytrading status`"
            self.alerts.raise_("ENTRIES_UNGUARDED", Severity.CRITICAL, "router", text)
            self._withdraw_entries(complaint)

    def _resting_entries(self) -> list[Order]:
        """Entries that may rest and are not being cancelled."""
        return [
            order
            for order in self.orders.orders()
            if order.purpose is Purpose.ENTRY and order.state in LIVE and not order.pending_cancel
        ]

    def _withdraw_entries(self, reason: str) -> None:
        name = f"router-{machine_now()}"
        self.step("control", WithdrawRequested(id=name, reason=reason, at_ns=self.clock.now()), source=self.name)

    def _on_report(self, frame: Frame) -> None:
        self.step("reports", frame.message, source=frame.topic)
        self._reported = place(frame.header)

    def _take_outcomes(self) -> None:
        for outcome in self._accounts.results():
            self.monitor.record("router", outcome.call.value, outcome.ended_machine_ns - outcome.began_machine_ns,
                                outcome.outcome in (Outcome.ACCEPTED, Outcome.RECORDED))  # fmt: skip
            self.step("internal", outcome)

    # out

    def durable(self, rows: Sequence[Any]) -> bool:
        """An order's intent must survive a power cut before the broker hears of it."""
        return any(isinstance(row, OrderChanged) and row.event == "submitted" for row in rows)

    def act(self, rows: Sequence[Any]) -> None:
        """Make the calls that the committed rows stand for."""
        for row in rows:
            if isinstance(row, OrderChanged) and (call := _CALLS.get(row.event)) is not None:
                reduces = row.order.purpose.reduces
                self._accounts.submit(Job(call, row.order), rank=0 if reduces else 1 if call is Call.CANCEL else 2)
                os.sched_yield()  # what the kernel woke for the call goes first

    def effects(self, rows: Sequence[Any]) -> None:
        """Count, write the trade log, alert."""
        for row in rows:
            if isinstance(row, OrderChanged):
                self._count(row)
                self._log_order(row)
            elif isinstance(row, PositionChanged):
                self._log_position(row)
            elif isinstance(row, AccountModeChanged):
                self._alert_mode(row)
            elif isinstance(row, GoalChanged) and row.goal.state == "done":
                self.alerts.clear("GOAL_STUCK", row.goal.id)

    def _count(self, row: OrderChanged) -> None:
        self._counts[row.event] = self._counts.get(row.event, 0) + 1
        if row.event == "submitted" and row.order.trace_ns:
            self.monitor.record("router", "quote_to_order", machine_now() - row.order.trace_ns)
        self._settle_alerts(row.order)

    def _settle_alerts(self, order: Order) -> None:
        """What was in doubt is known; what a person should look at (lost, ghost, overfilled, …) stands."""
        if order.state is not OrderState.UNKNOWN:
            self.alerts.clear("ORDER_UNKNOWN", order.client_order_id)
        if order.state not in LIVE:
            for code in DOUBTS:
                self.alerts.clear(code, order.client_order_id)

    def _log_order(self, row: OrderChanged) -> None:
        self._trades.info(f"order.{row.event}", **order_fields(row.order))

    def _log_position(self, row: PositionChanged) -> None:
        position = row.position
        self._trades.info(
            "position.changed",
            strategy=position.strategy,
            instrument=position.instrument,
            quantity=position.quantity,
            seen=position.quantity_seen,
            average=round(position.average_price, 4),
            realised=round(position.realised, 2),
            fill=row.fill_quantity,
            at=round(row.fill_price, 4),
        )

    def _alert_mode(self, row: AccountModeChanged) -> None:
        if row.wrong_mode:
            self.alerts.raise_("WRONG_MODE", Severity.CRITICAL, row.account, row.message)
        else:
            self.alerts.clear("WRONG_MODE", row.account)

    # told

    def progress(self) -> Progress:
        """In lock-step: whether calls are out, or an order's fate is not known yet."""
        waits = "the answer of a call" if self._accounts.open_calls else self.orders.unsettled()
        done = super().progress()
        return Progress(0, waits, done.sent, {**done.seen, "reconciler/reports": self._reported})

    def ready(self) -> bool:
        """True unless a journal is in doubt."""
        return not self.quarantined

    def queue_depth(self) -> int:
        """Calls that wait for a worker."""
        return self._accounts.waiting

    def figures(self) -> dict[str, float]:
        """Order events since the start, by name, and what is live."""
        return {
            **{name: float(count) for name, count in self._counts.items()},
            "live": float(sum(order.state in LIVE for order in self.orders.orders())),
        }

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """The old day ends with its unsent and unknown orders; the new one opens with what is carried over."""
        self.record(self.orders.expire_day(self.clock.now()))
        return (self.orders.snapshot(day),)

    def teardown(self) -> None:
        """Let running calls end if they do so soon; their fate is read from the books otherwise."""
        self._take_entries_along()
        self._accounts.stop(wait_s=0.5)
        self._take_outcomes()
        super().teardown()
        self._accounts.release()

    def _take_entries_along(self) -> None:
        """Nobody would watch resting entries: cancel them, wait a little, and say which may still rest."""
        if self._resting_entries():
            self._withdraw_entries("the router stops")
        until = machine_now() + LEAVE_NS
        while (left := self._leaving()) and machine_now() < until:
            select.select([self.doorbell.fileno()], [], [], TICK_S)
            self.doorbell.silence()
            self._take_outcomes()
            self.tick("router", machine_now())
        for order in left:
            text = f"{order.side} {order.quantity} {order.instrument} may still rest at the broker; cancel it there"
            self.alerts.raise_("ENTRY_LEFT", Severity.CRITICAL, order.client_order_id, text)

    def _leaving(self) -> list[Order]:
        """Entries whose cancel is wanted or out and not answered."""
        return [
            order
            for order in self.orders.orders()
            if order.purpose is Purpose.ENTRY
            and order.state in LIVE
            and order.pending_cancel
            and (order.cancelling or not order.cancel_calls)
        ]


def order_fields(order: Order) -> dict[str, Any]:
    """What the trade log says of an order: `filled` is confirmed, `seen` is sighted beyond it; nothing empty."""
    fields = {
        "id": order.client_order_id,
        "broker": order.broker_order_id,
        "state": order.state.value,
        "strategy": order.strategy,
        "purpose": order.purpose.value,
        "side": order.side.value,
        "quantity": order.quantity,
        "instrument": order.instrument,
        "filled": order.filled,
        "seen": order.filled_seen if order.filled_seen != order.filled else 0,
        "price": order.average_price or order.price,
        "cause": order.cause,
        "problem": order.message,
    }
    return {name: value for name, value in fields.items() if value}


if __name__ == "__main__":
    raise SystemExit(main(TradeManager, "router"))
