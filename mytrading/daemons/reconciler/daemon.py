"""The reconciler daemon: reads the broker's books on schedule and on request, and receives its order updates.

`AccountListener` serves one account, `AccountPings` checks its server, `core/reconciler/read_plan` schedules reads. The
reconciler reports what the broker said; the router decides what follows.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.reconciler.active_alerts import STATE_ALERTS
from mytrading.daemons.reconciler.account import AccountListener
from mytrading.daemons.reconciler.margin_queries import MarginQueries
from mytrading.daemons.reconciler.pings import AccountPings
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.codec import Frame
from mytrading.messages.control import ModeCleared, TradingState
from mytrading.messages.orders import OrderChanged
from mytrading.messages.reports import AccountHealth, MarginRequest, ModeSeen, ReadRequest
from mytrading.messages.run_config import RunConfig, VenueKind
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.daemon.lockstep import Progress
from mytrading.runtime.host.clock import machine_now

LOOK_S = 0.05
REPEAT_S = 1.0


class _Attended(Protocol):
    """A listened-to or pinged account."""

    def start_if_due(self, machine_ns: int) -> None: ...
    def handle_results(self) -> None: ...
    def each_second(self, machine_ns: int) -> None: ...
    def active_alerts(self) -> dict[Subject, ActiveAlert]: ...
    def stop(self) -> None: ...


class Reconciler(Daemon):
    """The reconciler process of all accounts of a host. It is as ready as the account that strategies trade."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("reconciler", config)
        self._account = config.venue.account
        self._listeners: dict[str, AccountListener] = {}
        self._pings: dict[str, AccountPings] = {}
        self._attended: tuple[_Attended, ...] = ()
        self._margins: dict[str, MarginQueries] = {}

    def setup(self) -> None:
        """Connect the order streams and begin to read the accounts' books; a dry run has no account to read."""
        self._reports = self.push("reports")
        self._status = self.publish("account")
        self.pull("reads", self._on_request)
        self.every(REPEAT_S, self._each_second)
        if self.config.venue.kind is VenueKind.DRY_RUN:
            return
        publish = self._status.send
        mode, wake = self.config.venue.expected_mode.value, self.wake
        for account in self.config.order_accounts:
            name = account.id
            self._margins[name] = MarginQueries(account, partial(publish, name), wake)
            self._listeners[name] = AccountListener(
                account, mode, self.config.windows, partial(self._report, name), partial(self._publish_account, name),
                self.alerts, self.monitor, wake, self.clock.now, partial(self._broker_rules, name),
            )  # fmt: skip
            if not self.lock_step:
                self._pings[name] = AccountPings(account, self.config, wake)
        sources = (one for one in self.config.quote_accounts if one.id != self._account)
        standby = [AccountPings(one, self.config, wake, partial(publish, one.id)) for one in sources]
        self._attended = (*self._listeners.values(), *self._pings.values(), *standby)
        self.on_wake(self._take)
        self.subscribe("orders", self._on_order)
        self.subscribe("control", self._on_control)
        self.every(LOOK_S, self._look)
        self._look(machine_now())

    def _broker_rules(self, account: str) -> BrokerRules | None:
        """The row of the table that holds for an account; None until its server's first ping has ended, if that is to
        name the broker: words are right from the first read on."""
        pings = self._pings.get(account)
        if pings is None or not self.config.brokers_count:
            return self.config.broker_rules("")
        return self.config.broker_rules(pings.broker) if pings.has_ended else None

    def _report(self, account: str, message: Any) -> None:
        """Send a report of a listener to the router; the mode that its server showed with the broker its pings name."""
        if isinstance(message, ModeSeen) and account in self._pings:
            message = replace(message, broker=self._pings[account].broker)
        self._reports.send(self.name, message)

    def _publish_account(self, account: str, message: Any) -> None:
        """Publish reports of a listener; the account's health with that of its pings."""
        if isinstance(message, AccountHealth) and account in self._pings:
            message = self._pings[account].with_ping_state(message)
        self._status.send(account, message)

    def _on_request(self, frame: Frame) -> None:
        request: ReadRequest | MarginRequest = frame.message
        if isinstance(request, MarginRequest):
            if (queries := self._margins.get(request.account)) is not None:
                queries.queue(request)
        elif (listener := self._listeners.get(request.account)) is not None:
            listener.request_read(request)

    def _on_order(self, frame: Frame) -> None:
        row = frame.message
        if isinstance(row, OrderChanged) and (listener := self._listeners.get(row.order.account)) is not None:
            listener.on_router_order(row.order)

    def _on_control(self, frame: Frame) -> None:
        """An operator says that all is well again: look at once."""
        if isinstance(frame.message, ModeCleared | TradingState):
            for listener in self._listeners.values():
                if frame.message.account in ("", listener.name):
                    listener.read_all_now()

    def _look(self, machine_ns: int) -> None:
        for account in self._attended:
            account.start_if_due(machine_ns)

    def _take(self) -> None:
        for account in self._attended:
            account.handle_results()
        self._update_alerts()
        for queries in self._margins.values():
            queries.publish_answers()

    def _each_second(self, machine_ns: int) -> None:
        for account in self._attended:
            account.each_second(machine_ns)
        self._update_alerts()
        if not self._listeners:
            self._status.send(self._account, self.health(machine_ns))

    def _update_alerts(self) -> None:
        active = {key: alert for account in self._attended for key, alert in account.active_alerts().items()}
        self.alerts.set_active(active, STATE_ALERTS)

    def health(self, machine_ns: int) -> AccountHealth:
        """The health of the account that strategies trade; all well in a dry run, which has no broker."""
        if not self._listeners:
            return AccountHealth(
                account=self._account, connected=True, right_mode=True, stream_up=True, books_agree=True
            )
        return self._listeners[self._account].health(machine_ns)

    def lock_step_progress(self) -> Progress:
        """Lock-step progress: the last step mark read from the traded account's order stream, and the reports sent."""
        if (listener := self._listeners.get(self._account)) is None:
            return Progress(waits="an account to listen to")
        return Progress(listener.stream.mark, listener.waiting_for, {"reports": self._reports.last_place})

    def ready(self) -> bool:
        """True while the traded account is connected, in the right mode, and its books agree with ours."""
        return self.health(machine_now()).is_healthy

    def queue_depth(self) -> int:
        """Number of requested reads of books that are not done yet."""
        return sum(listener.plan.requests_waiting for listener in self._listeners.values())

    def figures(self) -> dict[str, float]:
        """Counts since the start (server visits, order updates, malformed messages), and `stream_up` as 1 or 0."""
        listeners = self._listeners.values()
        return {
            "visits": float(sum(listener.visits for listener in listeners)),
            "order_updates": float(sum(listener.updates for listener in listeners)),
            "malformed": float(sum(listener.malformed_messages for listener in listeners)),
            "stream_up": float(self._listeners[self._account].stream.connected) if self._listeners else 1.0,
        }

    def teardown(self) -> None:
        """Stop the order streams and the workers of all accounts."""
        for account in self._attended:
            account.stop()
        for queries in self._margins.values():
            queries.stop()
