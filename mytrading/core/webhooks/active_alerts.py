"""State alerts of webhooks, from the state of their machine."""

from __future__ import annotations

from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.webhooks.machine import WebhookMachine
from mytrading.messages.enums import Severity

SILENT = "WEBHOOK_SILENT"
STATE_ALERTS = frozenset({SILENT})


def active_alerts(machine: WebhookMachine, now: int) -> ActiveAlerts:
    """Return the alerts that are active at market time `now`: webhooks that fire usually and have been silent."""
    return {
        (SILENT, name): ActiveAlert(
            Severity.WARNING, f"no alert came to {name} for {days} trading days; look whether its sender still runs"
        )
        for name, days in machine.silent(now).items()
    }
