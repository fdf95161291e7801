"""The gateway's machine: trading levels, strategy switches, alerts, and the commands that were executed.

Levels and switches hold until the next generation; nothing here expires by itself.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.messages.control import Alert, StrategySwitch, TradingState
from mytrading.messages.enums import Severity, TradingLevel
from mytrading.messages.journal_rows import AlertAcknowledged, ContractsAccepted, ControlOpened, OperatorRequestTaken


class ControlMachine:
    """Folds commands of operators and alerts of daemons."""

    def __init__(self) -> None:
        self.trading: dict[str, TradingState] = {}
        self.switches: dict[str, StrategySwitch] = {}
        self.alerts: dict[tuple[str, str, str], Alert] = {}
        self._acknowledged: dict[tuple[str, str, str], AlertAcknowledged] = {}
        self.requests: dict[str, OperatorRequestTaken] = {}
        """Commands executed today, by request id."""
        self.contracts: dict[str, ContractsAccepted] = {}
        """What was accepted of the server's contracts, by underlying; kept from day to day."""
        self.generation = 0
        self._earlier_requests: dict[str, OperatorRequestTaken] = {}
        self._repeats: dict[tuple[str, str, str], Alert] = {}

    def apply(self, row: Any) -> None:
        """Apply a control journal row to the trading levels, strategy switches, alerts and operator requests."""
        if isinstance(row, TradingState):
            self.trading[row.account] = row
            self.generation = max(self.generation, row.generation)
        elif isinstance(row, StrategySwitch):
            self.switches[row.strategy] = row
            self.generation = max(self.generation, row.generation)
        elif isinstance(row, Alert):
            self.alerts[row.daemon, row.code, row.subject] = row
        elif isinstance(row, AlertAcknowledged):
            self._acknowledged[row.daemon, row.code, row.subject] = row
        elif isinstance(row, ContractsAccepted):
            self.contracts[row.name] = row
        elif isinstance(row, OperatorRequestTaken):
            self.requests[row.request_id] = row
        elif isinstance(row, ControlOpened):
            self.requests, self._earlier_requests = {}, {past.request_id: past for past in row.requests}
            for part in (*row.trading, *row.switches, *row.alerts, *row.acknowledged, *row.contracts):
                self.apply(part)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:  # noqa: ARG002
        """Return no rows: commands, not messages, make this machine's rows."""
        return ()

    def set_machine_time(self, machine_ns: int) -> None:
        """Ignore machine time, on which no control state depends."""

    def is_worth_journaling(self, alert: Alert) -> bool:
        """True if an alert is to be journaled: it is new, grows worse, ends, or its count has grown tenfold."""
        known = self.alerts.get((alert.daemon, alert.code, alert.subject))
        return self.is_worth_telling(alert) or (known is not None and alert.count >= known.count * 10)

    def is_worth_telling(self, alert: Alert) -> bool:
        """True if an alert is new, grows worse or ends, so that the operator gets a message of it."""
        known = self.alerts.get((alert.daemon, alert.code, alert.subject))
        if known is None or known.cleared != alert.cleared or known.first_ns != alert.first_ns:
            return True
        return alert.severity is Severity.CRITICAL and known.severity is not alert.severity

    def record_repetition(self, alert: Alert) -> None:
        """Record an alert's repetition, whose text, count and time are shown but not journaled."""
        self._repeats[alert.daemon, alert.code, alert.subject] = alert

    def acknowledgement_of(self, alert: Alert) -> AlertAcknowledged | None:
        """Return who acknowledged an alert and when; None if nobody has since it was raised or last grew worse."""
        found = self._acknowledged.get((alert.daemon, alert.code, alert.subject))
        if found is None or found.first_ns != alert.first_ns:
            return None
        worse = alert.severity is Severity.CRITICAL and found.severity is not Severity.CRITICAL
        return None if worse else found

    def shown_alerts(self) -> list[Alert]:
        """Return all alerts with their newest text and count, in the order in which they were first raised."""
        found = []
        for key, kept in self.alerts.items():
            repeat = self._repeats.get(key, kept)
            same = (repeat.first_ns, repeat.cleared) == (kept.first_ns, kept.cleared)
            found.append(repeat if same and repeat.count >= kept.count else kept)
        return sorted(found, key=lambda alert: alert.first_ns)

    def level_row(self, level: TradingLevel, reason: str, now: int, account: str = "", by: str = "") -> TradingState:
        """Build the journal row that sets a trading level for an account (empty: all); `by`: who. Applies nothing."""
        generation = self.generation + 1
        return TradingState(level=level, generation=generation, reason=reason, at_ns=now, account=account, by=by)

    def resume_rows(self, reason: str, now: int, account: str = "", by: str = "") -> tuple[TradingState, ...]:
        """Build the rows that allow trading again: for `account`, or if empty for all and each restricted one."""
        first = self.level_row(TradingLevel.NORMAL, reason, now, account, by)
        held = [name for name, level in sorted(self.trading.items()) if level.level is not TradingLevel.NORMAL]
        names = [] if account else [name for name in held if name]
        others = (replace(first, account=name, generation=first.generation + n) for n, name in enumerate(names, 1))
        return (first, *others)

    def switch_row(self, strategy: str, enabled: bool, now: int, reason: str = "", by: str = "") -> StrategySwitch:
        """Build the journal row that allows or blocks one strategy's entries; `by`: who. Applies nothing."""
        return StrategySwitch(
            strategy=strategy, enabled=enabled, generation=self.generation + 1, at_ns=now, reason=reason, by=by
        )

    def find_request(self, request_id: str) -> OperatorRequestTaken | None:
        """Return the accepted operator request with this id, of today or the day before; None if new."""
        return self.requests.get(request_id) or self._earlier_requests.get(request_id)

    def overall_level(self) -> TradingState:
        """Return the trading level set for all accounts; normal if none was set."""
        return self.trading.get("") or TradingState(level=TradingLevel.NORMAL, generation=0, reason="", at_ns=0)

    def snapshot(self, day: str) -> ControlOpened:
        """Return the first row of the journal of `day` (ISO date), with all that is carried over."""
        active = tuple(alert for alert in self.alerts.values() if not alert.cleared)
        return ControlOpened(
            day=day,
            trading=tuple(self.trading.values()),
            switches=tuple(self.switches.values()),
            alerts=active,
            requests=tuple(self.requests.values()),
            acknowledged=tuple(seen for alert in active if (seen := self.acknowledgement_of(alert)) is not None),
            contracts=tuple(self.contracts.values()),
        )
