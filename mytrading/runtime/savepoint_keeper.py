"""Keeping savepoints: a process beside the daemon learns the same rows and writes what it knows then.

Started by the watchdog when a journal has grown, run as `python -m mytrading.daemons.<name>_savepoint`. The one rule:
it only reads journals, holds nothing that a daemon waits for, and gives way to everybody.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from mytrading.adapters.shared_database import open_to_read
from mytrading.messages.records import FileTaken
from mytrading.messages.runconfig import RunConfig, RunConfigError, decode_run_config
from mytrading.runtime import savepoint as savepoints
from mytrading.runtime.journal import JournalDamaged, JournalOfAnotherVersion, Row
from mytrading.runtime.journal_format import OUTPUT, Known, segments
from mytrading.runtime.journal_reader import beginning_of, end_of, read_on
from mytrading.runtime.replay import Learning
from mytrading.runtime.savepoint import Bound, Savepoint, SavepointUnfit
from mytrading.runtime.supervision import sink_of

KEPT = ("risk", "router")
"""Whose start a position may wait for, and whose state follows from rows alone."""
ROWS = 20_000
"""So many rows behind the last savepoint the next is due: they take a start about a second."""
BATCH = 2000
PAUSE_NS = 60_000_000_000
"""Between two processes that keep one; ten times as long behind one that could not."""


class Parts(NamedTuple):
    """A new machine, how its rows are decoded, and what its state follows from besides them."""

    machine: Any
    decode: Callable[[Row], Any]
    bound: Bound


def learnt(
    path: Path, daemon: str, make: Callable[[], Parts], since: Savepoint | None, goes_on: Callable[[], bool]
) -> Savepoint | None:
    """What a day file teaches up to its present end, from `since` on; None if not to be kept, or told to stop.

    Raises what says that the rows, or `since`, are not to be had.
    """
    parts, files = make(), dict[str, str]()
    known = since.known if since else None
    if since is not None:
        savepoints.take_up(parts.machine, since.state)
        for name, text in since.files.items():
            files[name] = text
            parts.machine.apply(FileTaken(name=name, text=text, at_ns=0))

    def learn(message: Any) -> None:
        parts.machine.apply(message)
        if type(message) is FileTaken:
            files[message.name] = message.text

    learning = Learning(path, parts.decode, learn, since)
    while rows := read_on(path, known, BATCH):
        learning.take(rows)
        known = _behind(rows, known)
        if not goes_on():
            return None
    if known is None:
        return None
    state = savepoints.pack(parts.machine)
    return learning.savepoint(parts.bound.digest(), daemon, known, files, state)


def _behind(rows: list[Row], known: Known | None) -> Known:
    written = dict(known.written) if known else {}
    written |= {row.stream: row.stream_seq for row in rows if row.kind == OUTPUT}
    return Known(rows[-1].seq, rows[-1].hash, written)


def keep(config: RunConfig, daemon: str, make: Callable[[], Parts], goes_on: Callable[[], bool]) -> str:
    """Write the savepoint of a daemon's present day; returns what came of it, in words."""
    files = segments(config.journal_dir(daemon))
    if not files:
        return "no journal"
    path = files[-1]
    since = savepoints.fitting(config, daemon, make().bound, path.stem)
    try:
        found = learnt(path, daemon, make, since, goes_on)
    except (JournalDamaged, SavepointUnfit):
        if since is None:
            raise
        found = learnt(path, daemon, make, None, goes_on)  # the journal is another one now
    if found is None:
        return "nothing to keep"
    savepoints.write(savepoints.path_of(config, daemon), found)
    return f"row {found.seq}"


def main(daemon: str, make: Callable[[RunConfig], Parts]) -> int:
    """The process: `MYTRADING_RUN` names the run file. Ends with whoever started it."""
    give_way()
    gc.disable()
    parent = os.getppid()
    try:
        config = decode_run_config(Path(os.environ.get("MYTRADING_RUN", "run.msgpack")))
        said = keep(config, daemon, lambda: make(config), lambda: os.getppid() == parent)
    except (RunConfigError, JournalDamaged, JournalOfAnotherVersion, SavepointUnfit, OSError, ValueError) as error:
        print(f"{daemon}: no savepoint: {error}", file=sys.stderr)
        return 1
    print(f"{daemon}: {said}")
    return 0


def give_way() -> None:
    """Run only where a core and the disk would stand idle, and end first where memory runs out."""
    os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


class Keeper:
    """When a savepoint is due, and the process that keeps it; one at a time, asked every few seconds."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._child: subprocess.Popen[bytes] | None = None
        self._not_before = 0

    def look(self, machine_ns: int) -> str:
        """Start one if it is due; returns for whom, or empty."""
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return ""
            self._child = None
            self._not_before = machine_ns + (PAUSE_NS if code == 0 else 10 * PAUSE_NS)
        if machine_ns < self._not_before:
            return ""
        due = next((name for name in KEPT if rows_since(self._config, name) >= ROWS), "")
        if due:
            self._start(due)
        return due

    def stop(self) -> None:
        """End it; the file of before stays."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _start(self, name: str) -> None:
        with sink_of(self._config.state / "savepoint.log", "ab") as sink:
            self._child = subprocess.Popen(
                [sys.executable, "-m", f"mytrading.daemons.{name}_savepoint"],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self._config.home,
            )


def rows_since(config: RunConfig, daemon: str) -> int:
    """Rows of the present day behind the last savepoint, which may be of another day or state; 0 if nobody knows."""
    files = segments(config.journal_dir(daemon))
    if not files:
        return 0
    try:
        with closing(open_to_read(files[-1])) as db:
            begin, end = beginning_of(db).seq, end_of(db)[0]
    except sqlite3.Error:
        return 0
    at = savepoints.reached(savepoints.path_of(config, daemon))
    return end - (at if begin < at <= end else begin)
