"""Files that an operator edits while the stack runs: read again when they change, judged, and taken as a whole.

Used by daemons for `config/calendar.toml` and `config/risk.toml`. The one rule: an edit that cannot be read changes
nothing; what was read before holds, and an alert stands until the file is in order again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mytrading.messages.enums import Severity
from mytrading.runtime.alerts import Alerts

CODE = "EDIT_REFUSED"
Stamp = tuple[int, int, int]
Take = Callable[[dict[str, Any]], None]
"""Reads a parsed file and lets it count, or raises `ValueError` and changes nothing."""


class EditedFiles:
    """Asked once a second; a file that was not touched costs one call to the file system."""

    def __init__(self, alerts: Alerts, log: Any) -> None:
        self._alerts = alerts
        self._log = log
        self._files: dict[Path, tuple[Take, Stamp]] = {}

    def follow(self, path: Path, take: Take) -> None:
        """From now on `take` gets what the file says each time it changes; its present content was read already."""
        self._files[path] = (take, _stamp(path))

    def look(self) -> None:
        """Read what has changed since."""
        for path, (take, known) in list(self._files.items()):
            if (stamp := _stamp(path)) != known:
                self._files[path] = (take, stamp)
                self._read(path, take)

    def _read(self, path: Path, take: Take) -> None:
        try:
            take(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            text = f"{path.name} was edited and cannot be read, so what it said before holds: {error}"
            self._alerts.raise_(CODE, Severity.WARNING, path.name, text)
            return
        self._alerts.clear(CODE, path.name)
        self._log.info("edit.taken", file=path.name)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
