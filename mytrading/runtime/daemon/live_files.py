"""Files that an operator edits while the stack runs: read again when they change, and taken as a whole.

An edit that cannot be read is an alert; the content accepted before holds, also over a restart.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from mytrading.messages.enums import Severity
from mytrading.messages.text import read_text
from mytrading.runtime.observability.alerts import Alerts

CODE = "EDIT_REFUSED"
T = TypeVar("T")
Stamp = tuple[int, int, int]
NEVER: Stamp = (-1, -1, -1)
"""The stamp of a file of which nothing was read."""
Take = Callable[[dict[str, Any]], object]
"""Reads a parsed file and lets it count, or raises `ValueError` and changes nothing."""
Note = Callable[[str, str], None]
"""Hears the name and the text of a file that was taken."""


class Edited(NamedTuple, Generic[T]):
    """A parsed file, the stamp of the content that was read (for `EditedFiles.follow`), and its text."""

    made: T
    stamp: Stamp
    text: str


def accepted_folder(state: Path) -> Path:
    """Return the folder that keeps the last accepted content of edited files."""
    return state / "taken"


def read_edited(path: Path, kept: Path, make: Callable[[dict[str, Any]], T], *, keep: bool = True) -> Edited[T]:
    """Return a file parsed by `make`, or its last accepted content in the folder `kept` if it cannot be read.

    Raises the errors of `make` if there is none. Without `keep` nothing is written.
    """
    stamp = stamp_of(path)
    try:
        text = read_text(path)
        made = make(tomllib.loads(text))
    except (OSError, ValueError, RecursionError):
        last = kept / path.name
        if not last.exists():
            raise
        text = last.read_text(encoding="utf-8")
        return Edited(make(tomllib.loads(text)), NEVER, text)
    if keep:
        keep_text(kept, path.name, text)
    return Edited(made, stamp, text)


class EditedFiles:
    """Follows edited files; `poll` once a second costs one call to the file system for a file that was not touched."""

    def __init__(self, alerts: Alerts, log: Any, kept: Path | None = None, note: Note | None = None) -> None:
        self._alerts = alerts
        self._log = log
        self._kept = kept
        self._note = note
        self._files: dict[Path, tuple[Take, Stamp]] = {}

    def follow(self, path: Path, take: Take, since: Stamp | None = None) -> None:
        """Call `take` with the parsed file each time it changes from its content at stamp `since`, or from now on."""
        self._files[path] = (take, stamp_of(path) if since is None else since)

    def poll(self) -> None:
        """Pass each followed file that changed since the last call to its `take`; raise an alert if unreadable."""
        for path, (take, known) in list(self._files.items()):
            if (stamp := stamp_of(path)) != known:
                self._files[path] = (take, stamp)
                self._read(path, take)

    def _read(self, path: Path, take: Take) -> None:
        try:
            text = read_text(path)
            take(tomllib.loads(text))
        except (OSError, ValueError, RecursionError) as error:
            problem = f"{path.name} was edited and cannot be read, so what it said before holds: {error}"
            self._alerts.raise_(CODE, Severity.WARNING, path.name, problem)
            return
        if self._kept is not None:
            keep_text(self._kept, path.name, text)
        if self._note is not None:
            self._note(path.name, text)
        self._alerts.clear(CODE, path.name, by_operator=True)
        self._log.info("edit.taken", file=path.name)


def keep_text(folder: Path, name: str, text: str) -> None:
    """Keep a text whole or not at all; several daemons keep the same one. A full disk keeps no daemon from its work."""
    fresh = folder / f".{name}.{os.getpid()}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(folder / name)


def stamp_of(path: Path) -> Stamp:
    """Return a stamp of a file's content: another one after each change; zeros if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
