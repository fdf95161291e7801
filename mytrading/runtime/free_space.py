"""Room on the disk that journals need: whether it is short, and that a person hears of it.

Used by the harness of every daemon with each heartbeat. The one rule: it tells; what entries do about it is for those
to decide who send them.
"""

from __future__ import annotations

import os

from mytrading.messages.enums import Severity
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.alerts import Alerts


def is_low(config: RunConfig) -> bool:
    """True while too little space is left to journal in comfort."""
    status = os.statvfs(config.state_dir)
    return status.f_bavail * status.f_frsize < config.process.min_free_bytes


def tell(low: bool, config: RunConfig, notes: dict[str, str], alerts: Alerts) -> None:
    """Raise or clear the alert, and note it under `disk` for the heartbeat."""
    if low:
        notes["disk"] = f"less than {config.process.min_free_bytes >> 20} MiB free: no entries"
        text = "the disk is nearly full: free space; entries halt"
        alerts.raise_("DISK_LOW", Severity.CRITICAL, config.state_dir, text)
    elif notes.pop("disk", None):
        alerts.clear("DISK_LOW", config.state_dir)
