"""Schedule of faults: kills, hangs, restarts, starving and faults of the simulator, in storms with quiet between them.

Pure: the same seed and length give the same schedule. Whatever a storm switches on ends with it, and no program is
ended so often that supervisor would rightly give it up, so that what does not settle afterwards is the stack's doing.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple

from lab.chaos.fault_draws import Trouble, fault_row, hiss_rows, noise_rows
from lab.chaos.operator import VERBS

WATCHED = ("feed", "engine", "risk", "router", "reconciler", "gateway")
"""Daemons that the watchdog kills when they hang."""
WATCHDOG, SIMULATOR, SUPERVISOR = "watchdog", "simulator", "supervisord"

_ENDS, _WINDOW_S = 3, 62.0
"""Ends of one program within a minute: one fewer than what it may do by itself besides before it is given up."""
_APART_S = 14.0
"""Between an act on the watchdog and the end of supervisor, which only the watchdog notices."""
_SUPERVISOR_EVERY_S = 90.0
_WATCHDOG_LEAVES_S = 7.0
_QUIET_AT_START_S, _QUIET_AT_END_S = 8.0, 4.0


class Kind(StrEnum):
    """Acts on a process, or on the simulator."""

    KILL = "kill"
    HANG = "hang"
    LEAVE = "leave"
    """Stopped and left to the watchdog."""
    RESTART = "restart"
    STARVE = "starve"
    STUTTER = "stutter"
    NICE = "nice"
    FAULT = "fault"
    DISK = "disk"
    """The small file system of state and logs is full."""
    BY_HAND = "by_hand"
    """An order that somebody else places on the account."""
    PERSON = "person"
    """An operator at the command line; `target` is the verb."""
    CALM = "calm"
    """All faults end but those of `rows`, and the operator resumes."""


class Act(NamedTuple):
    """At `at` seconds after the beginning; `seconds` is how long it lasts, `fault` the body of a fault's setting.

    `account` is whose server is meant, `pick` (0 to 1) chooses among what there is at that moment.
    """

    at: float
    kind: Kind
    target: str = ""
    seconds: float = 0.0
    fault: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    account: str = ""
    pick: float = 0.0
    rows: tuple[dict[str, Any], ...] = ()


_WEIGHTS = {
    Kind.KILL: 10, Kind.HANG: 3, Kind.LEAVE: 1, Kind.RESTART: 1, Kind.STARVE: 1, Kind.STUTTER: 2, Kind.NICE: 1,
    Kind.FAULT: 12, Kind.BY_HAND: 1, Kind.PERSON: 2,
}  # fmt: skip
_DISK_WEIGHT, _DISK_EVERY_S = 2, 25.0
_TARGETS = {
    "router": 6, "risk": 4, "reconciler": 4, "engine": 3, "feed": 2, "gateway": 2, WATCHDOG: 1, SIMULATOR: 4,
    SUPERVISOR: 1, "webhooks": 2,
}  # fmt: skip


def plan(seed: int, seconds: float, trouble: Trouble) -> tuple[Act, ...]:
    """The acts of a run, by time; `trouble` bounds how long a fault or a hang of the simulator may last."""
    return _Planner(seed, seconds, trouble).plan()


class _Planner:
    """Walks through the run, storm after storm."""

    def __init__(self, seed: int, seconds: float, trouble: Trouble) -> None:
        self._random = Random(seed)
        self._until = seconds - _QUIET_AT_END_S
        self._trouble = trouble
        self._acts: list[Act] = []
        self._ends: dict[str, list[float]] = {}
        self._watchdog_at = self._supervisor_at = self._disk_at = -1e9
        self._weights = _WEIGHTS | ({Kind.DISK: _DISK_WEIGHT} if trouble.disk else {})
        self._parked = False

    def plan(self) -> tuple[Act, ...]:
        """Return the acts of a run, in order of time."""
        at = min(_QUIET_AT_START_S, self._until)
        first = self._trouble.accounts[0]
        self._acts += [Act(1.0, Kind.FAULT, fault=row, account=first) for row in hiss_rows(self._random)]
        while at < self._until:
            end = min(at + self._random.uniform(7.0, 16.0), self._until)
            self._acts += self._storm(at, end)
            self._acts.append(Act(end, Kind.CALM, account=first, rows=tuple(hiss_rows(self._random))))
            at = end + self._random.uniform(8.0, 15.0)
        return tuple(sorted(self._acts, key=lambda act: act.at))

    def _storm(self, at: float, end: float) -> Iterator[Act]:
        kinds, weights = list(self._weights), list(self._weights.values())
        burst = self._random.random() < 0.5
        for account in self._trouble.accounts:
            for row in noise_rows(self._random, self._trouble):
                yield Act(at, Kind.FAULT, fault=row, account=account)
        while at < end:
            kind = self._random.choices(kinds, weights)[0]
            act = self._of_kind(at, kind)
            if act is not None:
                yield act
            at += self._random.expovariate(3.0 if burst else 1.2)

    def _of_kind(self, at: float, kind: Kind) -> Act | None:
        if kind is Kind.FAULT:
            return self._fault(at)
        if kind is Kind.DISK:
            return self._disk(at)
        if kind is Kind.BY_HAND:
            bought = self._trouble.parkable
            return Act(at, kind, self._random.choice(bought), account=self._account()) if bought else None
        if kind is Kind.PERSON:
            verb = self._random.choices(list(VERBS), list(VERBS.values()))[0]
            return Act(at, kind, verb, pick=self._random.random())
        return self._process(at, kind)

    def _fault(self, at: float) -> Act:
        row = fault_row(self._random, self._trouble, parking=not self._parked)
        self._parked = self._parked or row["kind"] == "semi_auto"
        return Act(at, Kind.FAULT, fault=row, account=self._account())

    def _disk(self, at: float) -> Act | None:
        if at - self._disk_at < _DISK_EVERY_S:
            return None
        self._disk_at = at
        return Act(at, Kind.DISK, seconds=self._random.uniform(3.0, 12.0))

    def _account(self) -> str:
        return self._random.choice(self._trouble.accounts)

    def _process(self, at: float, kind: Kind) -> Act | None:
        if kind is Kind.STARVE:
            return Act(at, kind, seconds=self._random.uniform(1.0, 4.0))
        target = self._random.choices(list(_TARGETS), list(_TARGETS.values()))[0]
        account = self._account() if target == SIMULATOR else ""
        if not self._allowed(at, kind, target, account):
            return None
        if target == WATCHDOG:
            self._watchdog_at = at
        if kind in (Kind.KILL, Kind.LEAVE, Kind.RESTART) and target != SUPERVISOR:
            self._ends.setdefault(target + account, []).append(at)
        if kind is Kind.KILL and target == SUPERVISOR:
            self._supervisor_at = at
        return Act(at, kind, target, self._length(kind, target), account=account)

    def _allowed(self, at: float, kind: Kind, target: str, account: str) -> bool:
        if target == SUPERVISOR:
            apart = at - self._watchdog_at > _APART_S and at - self._supervisor_at > _SUPERVISOR_EVERY_S
            return kind is Kind.KILL and apart
        if target == WATCHDOG and at - self._supervisor_at <= _APART_S:
            return False
        if kind is Kind.LEAVE and target not in WATCHED:
            return False
        recent = [moment for moment in self._ends.get(target + account, ()) if at - moment < _WINDOW_S]
        return len(recent) < _ENDS or kind not in (Kind.KILL, Kind.LEAVE, Kind.RESTART, Kind.HANG)

    def _length(self, kind: Kind, target: str) -> float:
        if kind is Kind.HANG:
            longest = self._trouble.longest_hang if target == SIMULATOR else 3.5
            return self._random.uniform(0.3, longest)
        if kind is Kind.STUTTER:
            return self._random.uniform(1.0, 3.0)
        if kind is Kind.NICE:
            return self._random.uniform(2.0, 6.0)
        return _WATCHDOG_LEAVES_S if kind is Kind.LEAVE else 0.0
