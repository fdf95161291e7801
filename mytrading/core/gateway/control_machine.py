"""The gateway's machine: trading levels, strategy switches and alerts, as levels with growing generations.

Used by the gateway alone. The one rule: a level stands until the next generation; nothing here expires by itself.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from mytrading.messages.control import (
    Alert,
    ModeCleared,
    ProbeRequested,
    StrategySwitch,
    TradingState,
    WithdrawRequested,
)
from mytrading.messages.enums import Severity, TradingLevel
from mytrading.messages.records import ControlOpened


class ControlMachine:
    """Folds what people asked for and what daemons complained of."""

    def __init__(self) -> None:
        self.trading: dict[str, TradingState] = {}
        self.switches: dict[str, StrategySwitch] = {}
        self.alerts: dict[tuple[str, str, str], Alert] = {}
        self.generation = 0
        self._heard: dict[tuple[str, str, str], Alert] = {}

    def apply(self, row: Any) -> None:
        """Learn a control row or an alert."""
        if isinstance(row, TradingState):
            self.trading[row.account] = row
            self.generation = max(self.generation, row.generation)
        elif isinstance(row, StrategySwitch):
            self.switches[row.strategy] = row
            self.generation = max(self.generation, row.generation)
        elif isinstance(row, Alert):
            self.alerts[row.daemon, row.code, row.subject] = row
        elif isinstance(row, ControlOpened):
            for part in (*row.trading, *row.switches, *row.alerts):
                self.apply(part)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:  # noqa: ARG002
        """An alert that is new, or changed its standing, is kept; repeats are not."""
        return ()

    def notice(self, machine_ns: int) -> None:
        """Nothing here waits for machine time."""

    def is_news(self, alert: Alert) -> bool:
        """True if an alert says something that is not known yet: a rise, an end, or tenfold repetition."""
        known = self.alerts.get((alert.daemon, alert.code, alert.subject))
        return self.is_change(alert) or (known is not None and alert.count >= known.count * 10)

    def is_change(self, alert: Alert) -> bool:
        """True if an alert rises, grows worse or ends, and so is worth a message to a person."""
        known = self.alerts.get((alert.daemon, alert.code, alert.subject))
        if known is None or known.cleared != alert.cleared or known.first_ns != alert.first_ns:
            return True
        return alert.severity is Severity.CRITICAL and known.severity is not alert.severity

    def heard(self, alert: Alert) -> None:
        """A repetition: its words, count and time are shown, and kept by nobody."""
        self._heard[alert.daemon, alert.code, alert.subject] = alert

    def shown(self) -> list[Alert]:
        """All alerts as they were told last, in the order of their rise."""
        found = (self._newest(key, kept) for key, kept in self.alerts.items())
        return sorted(found, key=lambda alert: alert.first_ns)

    def _newest(self, key: tuple[str, str, str], kept: Alert) -> Alert:
        heard = self._heard.get(key, kept)
        same = (heard.first_ns, heard.cleared) == (kept.first_ns, kept.cleared)
        return heard if same and heard.count >= kept.count else kept

    def level(
        self, level: TradingLevel, reason: str, now: int, account: str = "", by: str = ""
    ) -> tuple[TradingState, ...]:
        """The row that sets a trading level for one account, or for all; `by` says who."""
        generation = self.generation + 1
        return (TradingState(level=level, generation=generation, reason=reason, at_ns=now, account=account, by=by),)

    def resume(self, reason: str, now: int, account: str = "", by: str = "") -> tuple[TradingState, ...]:
        """The rows that allow trading again: for one account, or for all and each that was halted by itself."""
        first = self.level(TradingLevel.NORMAL, reason, now, account, by)[0]
        held = [name for name, level in sorted(self.trading.items()) if level.level is not TradingLevel.NORMAL]
        names = [] if account else [name for name in held if name]
        others = (replace(first, account=name, generation=first.generation + n) for n, name in enumerate(names, 1))
        return (first, *others)

    def switch(
        self, strategy: str, enabled: bool, now: int, reason: str = "", by: str = ""
    ) -> tuple[StrategySwitch, ...]:
        """The row that allows or blocks one strategy's entries; `by` says who."""
        generation = self.generation + 1
        return (
            StrategySwitch(strategy=strategy, enabled=enabled, generation=generation, at_ns=now, reason=reason, by=by),
        )

    def withdraw(self, reason: str, now: int) -> tuple[WithdrawRequested, ...]:
        """The row that has resting entries cancelled."""
        return (WithdrawRequested(id=f"withdraw-{now}", reason=reason, at_ns=now),)

    def probe(
        self, name: str, account: str, instrument: str, now: int, quantity: int = 0, price: float = 0.0
    ) -> tuple[ProbeRequested, ...]:
        """The row that has a trial order placed (product MIS), or without a quantity withdrawn."""
        return (
            ProbeRequested(
                id=name,
                account=account,
                instrument=instrument,
                at_ns=now,
                quantity=quantity,
                price=price,
                withdraw=not quantity,
            ),
        )

    def clear_mode(self, account: str, now: int) -> tuple[ModeCleared, ...]:
        """The row by which a person declares an account's mode right again."""
        return (ModeCleared(account=account, at_ns=now),)

    def current(self) -> TradingState:
        """The level for all accounts."""
        return self.trading.get("") or TradingState(level=TradingLevel.NORMAL, generation=0, reason="", at_ns=0)

    def snapshot(self, day: str) -> ControlOpened:
        """What the next day's journal begins with."""
        standing = tuple(alert for alert in self.alerts.values() if not alert.cleared)
        return ControlOpened(
            day=day,
            trading=tuple(self.trading.values()),
            switches=tuple(self.switches.values()),
            alerts=standing,
        )


def to_builtins(message: msgspec.Struct) -> Any:
    """A message as plain dicts and lists for JSON."""
    return msgspec.to_builtins(message)
