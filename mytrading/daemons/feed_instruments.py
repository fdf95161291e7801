"""Fetching the day's instruments for the feed, on a thread of its own, and writing them for everybody else.

Only contracts of what is watched or traded are kept: a real server lists a hundred thousand. What is fetched is judged
(`core/master`), and fetched again while it is refused. The one rule: the file changes only when every exchange
answered, so that nobody sees half a market.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date, time
from typing import NamedTuple

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.errors import ReadFailed, TransportFailed
from mytrading.adapters.openalgo.master import Known, fetch_master
from mytrading.core import master
from mytrading.core.calendar import to_ns
from mytrading.core.contracts import ContractFacts
from mytrading.core.master import Changes, need_of
from mytrading.daemons.feed_history import retry_ns
from mytrading.daemons.feed_keeper import InstrumentKeeper
from mytrading.messages.enums import Severity
from mytrading.messages.instruments import Snapshot
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.logging import get_logger
from mytrading.runtime.worker import WorkerPool

REFRESHED_AT = time(9, 0)
"""Servers download contracts after the morning's login: a list fetched before this (India) is fetched anew."""

REFUSED_NS, REFUSED_MOST_NS = 30 * SECOND, 600 * SECOND
"""Machine time before a refused list, tens of megabytes of it, is fetched again: at first, and at most."""


class _Job(NamedTuple):
    day: date
    market_ns: int


class Fetched(NamedTuple):
    """What became of a fetch: the day's snapshot and what changed since the one before it, or why there is none."""

    day: str
    snapshot: Snapshot | None = None
    changes: Changes = Changes()
    compared: str = ""
    problem: str = ""


class InstrumentLoader:
    """Loads each trading day once; `look` in the poll loop, `take` after `wake` rang."""

    def __init__(self, config: RunConfig, watched: tuple[str, ...], alerts: Alerts, wake: Callable[[], None]) -> None:
        self._config = config
        self._alerts = alerts
        self._log = get_logger("feed")
        self._file = InstrumentFile(config.state)
        facts = config.calendar_path.with_name("instruments.toml")
        self._facts = ContractFacts.from_dict(tomllib.loads(facts.read_text(encoding="utf-8")))
        self._need = need_of(config, watched, self._facts)
        self._pool: WorkerPool[_Job, OpenAlgoClient, Fetched] = WorkerPool(
            "feed.instruments", 1, self._connect, self._fetch, self._failed, wake
        )
        self._keeper = InstrumentKeeper(config.state)
        self.loaded = ""
        self._whole = False
        self._fetched_ns = 0
        self._asked = ""
        self._due = 0
        self._tries = 0

    def look(self, day: date, market_ns: int, machine_ns: int) -> None:
        """Ask for the instruments of `day` unless they are in order, on their way, or were asked for a moment ago."""
        self._keeper.tend(machine_ns)
        if self._asked == day.isoformat() or machine_ns < self._due:
            return
        if self._whole and self.loaded == day.isoformat() and not self._is_early(day, market_ns):
            return
        self._asked = day.isoformat()
        self._pool.submit(_Job(day, market_ns))

    def _is_early(self, day: date, market_ns: int) -> bool:
        return self._fetched_ns < to_ns(day, REFRESHED_AT) <= market_ns

    @property
    def waits(self) -> bool:
        """True while a list is being fetched."""
        return bool(self._asked)

    def hurry(self) -> None:
        """The server is there: a fetch that failed need not wait any longer."""
        self._due = 0

    def take(self) -> None:
        """Tell of what has been fetched since the last call."""
        for fetched in self._pool.results():
            self._asked = ""
            snapshot = fetched.snapshot
            if snapshot is not None:
                self.loaded, self._fetched_ns = snapshot.day, snapshot.fetched_ns
            self._whole = snapshot is not None and not snapshot.refusals
            self._tries = 0 if self._whole else self._tries + 1
            if snapshot is None:
                self._due = machine_now() + retry_ns(self._config.venue.retry_delay, self._tries - 1)
            elif snapshot.refusals:
                self._due = machine_now() + min(REFUSED_NS << min(self._tries - 1, 8), REFUSED_MOST_NS)
            self._tell(fetched)

    def stop(self) -> None:
        """End the thread; a fetch that takes longer than a second is left behind."""
        self._pool.stop(1.0)
        self._keeper.stop()

    def _tell(self, fetched: Fetched) -> None:
        snapshot = fetched.snapshot
        if snapshot is None:
            text = f"no instruments of {fetched.day}: {fetched.problem}; it is tried again, entries wait"
            self._alerts.raise_("INSTRUMENTS_MISSING", Severity.WARNING, "feed", text)
            return
        self._alerts.clear("INSTRUMENTS_MISSING", "feed")
        if snapshot.refusals:
            reasons = "; ".join(f"{row.subject}: {row.reason}" for row in snapshot.refusals)
            text = f"entries are denied, exits go on; {reasons}; download the master contract at the server"
            self._alerts.raise_("INSTRUMENTS_REFUSED", Severity.CRITICAL, "feed", f"{text}, it is tried again")
            return
        self._alerts.clear("INSTRUMENTS_REFUSED", "feed")
        self._keeper.due(machine_now())
        self._log.info("instruments.loaded", day=snapshot.day, kept=len(snapshot.instruments), notes=snapshot.notes)
        self._tell_changes(fetched)

    def _tell_changes(self, fetched: Fetched) -> None:
        if not fetched.changes:
            self._alerts.clear("INSTRUMENTS_CHANGED", "feed")
            return
        severity = Severity.WARNING if fetched.changes.changed else Severity.INFO
        text = f"since {fetched.compared}: {master.told(fetched.changes)}; see `mytrading instruments diff`"
        self._alerts.raise_("INSTRUMENTS_CHANGED", severity, "feed", text)

    # the thread

    def _connect(self) -> OpenAlgoClient:
        server = self._config.data_server
        return OpenAlgoClient(server.rest_url, server.api_key, machine_now)

    def _fetch(self, client: OpenAlgoClient, job: _Job) -> Fetched:
        day = job.day.isoformat()
        before, last = self._file.before(day), self._file.snapshot()
        known = Known(before, last if last.day else before)
        try:
            snapshot = fetch_master(client, self._need, self._facts, job.day, job.market_ns, known)
        except (ReadFailed, TransportFailed) as error:
            return Fetched(day, problem=str(error))
        self._file.write(snapshot)
        if before is None or snapshot.refusals:
            return Fetched(day, snapshot)
        changes = master.changes(before.instruments, snapshot.instruments, day)
        return Fetched(day, snapshot, changes, before.day)

    def _failed(self, job: _Job, error: Exception) -> Fetched:
        return Fetched(job.day.isoformat(), problem=f"{type(error).__name__}: {error}")
