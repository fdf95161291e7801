"""Free space on the disk of state and journals: whether it is short, and the alert of it."""

from __future__ import annotations

import errno
import sqlite3

from mytrading.adapters.storage.disk_reserve import free_bytes
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.paths import nearest_existing
from mytrading.runtime.observability.alerts import Alerts

USED_UP_BYTES = 1 << 20


def is_low(config: RunConfig) -> bool:
    """True while fewer than `min_free_bytes` are free on the disk of the state folder or of the journals."""
    return _least_free(config) < config.process.min_free_bytes


def _least_free(config: RunConfig) -> int:
    return min(free_bytes(nearest_existing(folder)) for folder in (config.state, config.journal_dir("")))


def update_disk_alert(low: bool, config: RunConfig, notes: dict[str, str], alerts: Alerts) -> None:
    """Raise or clear the alert DISK_LOW, and set or remove `disk` in the notes of the heartbeat."""
    if low:
        notes["disk"] = f"less than {config.process.min_free_bytes >> 20} MiB free: no entries"
        text = "the disk is nearly full: free space; entries halt"
        alerts.raise_("DISK_LOW", Severity.CRITICAL, config.state_dir, text)
    elif notes.pop("disk", None):
        alerts.clear("DISK_LOW", config.state_dir)


def is_used_up(config: RunConfig) -> bool:
    """True while too little is free for any useful file, on the disk of the state folder or of the journals."""
    return _least_free(config) < USED_UP_BYTES


def is_full(error: BaseException, config: RunConfig) -> bool:
    """True if a full disk caused an error; SQLite reports it as files that cannot be read, written or opened, too."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or getattr(cause, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and is_used_up(config):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
