"""The day's instruments: fetched on a thread, checked, written for all daemons, and archived in the warehouse.

Only contracts of watched or traded underlyings are kept: a real server lists a hundred thousand. A refused list (see
`core/instruments/master_contract`) is fetched again. The file changes only when every exchange answered, so that no
daemon reads half a market. A child process archives, since no daemon loads DuckDB.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import NamedTuple

from mytrading.adapters.openalgo.instruments import EarlierSnapshots, fetch_master
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.storage.instrument_store import AcceptedFile, InstrumentFile
from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.instruments import master_contract
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.master_contract import Changes, instruments_needed
from mytrading.core.instruments.table_checks import TableCheck
from mytrading.core.time import SECOND, to_ns
from mytrading.daemons.feed.bars import retry_ns
from mytrading.messages.enums import Severity
from mytrading.messages.instruments import Snapshot
from mytrading.messages.run_config import RunConfig, TradeRule
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.logging import get_logger

REFRESHED_AT = time(9, 0)
"""Servers download contracts after the morning's login: a list fetched before this time (India) is fetched again."""

REFUSED_NS, REFUSED_MOST_NS = 30 * SECOND, 600 * SECOND
"""Machine time before a refused list, tens of megabytes of it, is fetched again: at first, and at most."""


ARCHIVE_AFTER_NS = 10 * SECOND
ARCHIVE_RETRY_NS, ARCHIVE_RETRY_MOST_NS = 60 * SECOND, 3600 * SECOND
ARCHIVE_MOST_NS = 120 * SECOND
"""Machine time from a fetch to the child, from a failed one to its retry, and before a hanging one is killed."""


class Fetched(NamedTuple):
    """The result of a fetch: the day's snapshot and its changes since the one before, or the problem."""

    day: str
    snapshot: Snapshot | None = None
    changes: Changes = Changes()
    compared: str = ""
    problem: str = ""


class InstrumentLoader:
    """Loads each trading day once; `request_if_due` in the poll loop, `collect` after `wake` was called."""

    def __init__(
        self, config: RunConfig, tables: MarketTables, clock: MarketClock, problems: ActiveAlerts,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        """`problems` takes alerts while they are active."""
        self._config = config
        self._calendar, self._facts = tables.calendar, tables.facts
        self._clock = clock
        self._problems = problems
        self._log = get_logger("feed")
        self._file = InstrumentFile(config.state)
        self._leave = AcceptedFile(config.state)
        self._table = TableCheck(self._facts, self._calendar, self._leave.keys())
        self._need = instruments_needed(config, (), self._facts)
        self._pool: WorkerPool[tuple[date, int], OpenAlgoClient, Fetched] = WorkerPool(
            "feed.instruments",
            1,
            self._connect,
            self._fetch,
            lambda job, error: Fetched(job[0].isoformat(), problem=f"{type(error).__name__}: {error}"),
            wake,
        )
        self._archiver = InstrumentArchiver(config.state)
        self.loaded = ""
        self._whole = False
        self._fetched_ns = 0
        self._requested = ""
        self._again = False
        self._due = 0
        self._tries = 0

    def set_watched(self, watched: tuple[str, ...], trades: tuple[TradeRule, ...] = ()) -> None:
        """Set the watched instruments, whose underlyings decide which contracts are loaded, and what else is traded."""
        self._need = instruments_needed(self._config, watched, self._facts, trades)

    def request_if_due(self, machine_ns: int) -> None:
        """Request the day's instruments unless loaded, requested or waiting to retry; let the archiver start if due."""
        market_ns = self._clock.now()
        day = self._calendar.trading_day(market_ns)
        self._archiver.archive_if_due(machine_ns)
        if self._leave.has_changed():
            self._table = self._table._replace(accepted=self._leave.keys())
            self.fetch_again()
        if self._requested == day.isoformat() or machine_ns < self._due:
            return
        if (
            self._whole
            and self.loaded == day.isoformat()
            and not self._fetched_ns < to_ns(day, REFRESHED_AT) <= market_ns
        ):
            return
        self._requested = day.isoformat()
        self._pool.submit((day, market_ns))

    def fetch_again(self) -> None:
        """Have the day's instruments fetched once more, since others are needed now; the present list holds so long."""
        self._whole, self._due, self._tries = False, 0, 0
        self._again = bool(self._requested)

    @property
    def is_fetching(self) -> bool:
        """True while a list of instruments is requested."""
        return bool(self._requested)

    def retry_now(self) -> None:
        """Request the instruments at the next `request_if_due`, without waiting for the back-off."""
        self._due = 0

    def book(self) -> InstrumentBook:
        """Return the instruments that were fetched last; an empty book before."""
        return self._file.book()

    def collect(self) -> bool:
        """Take finished fetches: record the loaded day or schedule a retry, and report the result. True if the day's
        instruments were loaded."""
        loaded = False
        for fetched in self._pool.take_results():
            self._requested = ""
            snapshot = fetched.snapshot
            if snapshot is not None:
                self.loaded, self._fetched_ns = snapshot.day, snapshot.fetched_ns
                loaded = True
            self._whole = snapshot is not None and not snapshot.refusals
            self._tries = 0 if self._whole else self._tries + 1
            if snapshot is None:
                self._due = machine_now() + retry_ns(self._config.venue.retry_delay, self._tries - 1)
            elif snapshot.refusals:
                self._due = machine_now() + min(REFUSED_NS << min(self._tries - 1, 8), REFUSED_MOST_NS)
            if self._again:  # it was asked for before the others were needed
                self._whole, self._due, self._again = False, 0, False
            self._report(fetched)
        return loaded

    def stop(self) -> None:
        """Stop the thread; a fetch that takes longer than a second is abandoned."""
        self._pool.stop(1.0)
        self._archiver.stop()

    def _report(self, fetched: Fetched) -> None:
        snapshot = fetched.snapshot
        if snapshot is None:
            text = f"no instruments of {fetched.day}: {fetched.problem}; it is tried again, entries wait"
            self._problems["INSTRUMENTS_MISSING", "feed"] = ActiveAlert(Severity.WARNING, text)
            return
        self._problems.pop(("INSTRUMENTS_MISSING", "feed"), None)
        if snapshot.refusals:
            reasons = "; ".join(f"{row.subject}: {row.reason}" for row in snapshot.refusals)
            denied = "entries are denied" if any(not row.rules for row in snapshot.refusals) else "some entries wait"
            text = f"{denied}, exits go on; {reasons}; download the master contract at the server"
            text = f"{text}, it is tried again"
            self._problems["INSTRUMENTS_REFUSED", "feed"] = ActiveAlert(Severity.CRITICAL, text)
            return
        self._problems.pop(("INSTRUMENTS_REFUSED", "feed"), None)
        self._archiver.schedule(machine_now())
        self._log.info("instruments.loaded", day=snapshot.day, kept=len(snapshot.instruments), notes=snapshot.notes)
        if not fetched.changes:
            self._problems.pop(("INSTRUMENTS_CHANGED", "feed"), None)
            return
        severity = Severity.WARNING if fetched.changes.changed else Severity.INFO
        changed = master_contract.changes_text(fetched.changes)
        text = f"since {fetched.compared}: {changed}; see `mytrading instruments diff`"
        self._problems["INSTRUMENTS_CHANGED", "feed"] = ActiveAlert(severity, text)

    def _connect(self) -> OpenAlgoClient:
        server = self._config.data_server
        return OpenAlgoClient(server.rest_url, server.api_key, machine_now)

    def _fetch(self, client: OpenAlgoClient, job: tuple[date, int]) -> Fetched:
        day = job[0].isoformat()
        before, last = self._file.newest_before(day), self._file.snapshot()
        known = EarlierSnapshots(before, last if last.day else before)
        try:
            snapshot = fetch_master(client, self._need, self._table, *job, known)
        except (ReadFailed, TransportFailed) as error:
            return Fetched(day, problem=str(error))
        self._file.write(snapshot)
        if before is None or snapshot.refusals:
            return Fetched(day, snapshot)
        changes = master_contract.diff_instruments(before.instruments, snapshot.instruments, day)
        return Fetched(day, snapshot, changes, before.day)


class InstrumentArchiver:
    """Archives the day's list in a child process; nothing waits for it."""

    def __init__(self, state: Path, after_ns: int = ARCHIVE_AFTER_NS) -> None:
        self._state = state
        self._after = after_ns
        self._log = get_logger("feed")
        self._child: subprocess.Popen[bytes] | None = None
        self._due = self._begun = self._failures = 0

    @property
    def is_busy(self) -> bool:
        """True while the archiving process runs."""
        return self._child is not None

    def schedule(self, machine_ns: int) -> None:
        """Make an archiving process due after the configured pause."""
        self._due = machine_ns + self._after

    def archive_if_due(self, machine_ns: int) -> None:
        """Start the archiving process if it is due, or check on the running one; called regularly."""
        if self._child is not None:
            self._check(self._child, machine_ns)
        elif 0 < self._due <= machine_ns:
            self._due, self._begun = 0, machine_ns
            self._start(machine_ns)

    def _start(self, machine_ns: int) -> None:
        command = [sys.executable, "-m", "mytrading.adapters.storage.warehouse", str(self._state)]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            self._failed(str(error), machine_ns)

    def _check(self, child: subprocess.Popen[bytes], machine_ns: int) -> None:
        if child.poll() is None:
            if machine_ns - self._begun > ARCHIVE_MOST_NS:
                child.kill()
            return
        _, errors = child.communicate()
        self._child = None
        if child.returncode:
            self._failed(errors.decode(errors="replace").strip()[-300:] or f"exit code {child.returncode}", machine_ns)
        else:
            self._failures = 0
            self._log.info("instruments.kept")

    def _failed(self, problem: str, machine_ns: int) -> None:
        self._due = machine_ns + min(ARCHIVE_RETRY_NS << min(self._failures, 8), ARCHIVE_RETRY_MOST_NS)
        self._failures += 1
        self._log.warning(
            "instruments.not_kept", problem=problem, next_step="tried again; `mytrading instruments save`"
        )

    def stop(self) -> None:
        """Stop a running archiving process; the next start of the feed begins another."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
