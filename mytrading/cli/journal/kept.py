"""Savepoints held against their journals: what was kept must be what all rows up to there teach.

Used by `mytrading journal verify`. The one rule: only one that a start would take up is judged; another costs a start
time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mytrading.daemons import risk_savepoint, router_savepoint
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime import savepoint as savepoints
from mytrading.runtime.journal import JournalDamaged, JournalOfAnotherVersion, Row, read_segment, segments
from mytrading.runtime.replay import Learning, without_collections
from mytrading.runtime.savepoint import Savepoint, SavepointUnfit
from mytrading.runtime.savepoint_keeper import KEPT, Parts

_PARTS: dict[str, Callable[[RunConfig], Parts]] = {"risk": risk_savepoint.parts, "router": router_savepoint.parts}


def differing(config: RunConfig) -> dict[Path, str]:
    """For each day file with a savepoint that is not what its rows teach, that in words."""
    found: dict[Path, str] = {}
    for name in KEPT:
        files = segments(config.journal_dir(name))
        if files and (problem := _problem(config, name, files[-1])):
            found[files[-1]] = problem
    return found


def _problem(config: RunConfig, name: str, path: Path) -> str:
    if not savepoints.path_of(config, name).exists():
        return ""
    whole = _PARTS[name](config)
    kept = savepoints.fitting(config, name, whole.bound, path.stem)
    if kept is None:
        return ""
    again = _PARTS[name](config)
    learning = Learning(path, whole.decode, whole.machine.apply)
    try:
        savepoints.take_up(again.machine, kept.state)
        with without_collections():
            learning.take(_up_to(path, kept))
    except (JournalDamaged, JournalOfAnotherVersion, SavepointUnfit):
        return ""  # said of the journal itself, or refused by a start
    if savepoints.fingerprint(whole.machine) == savepoints.fingerprint(again.machine):
        return ""
    file = savepoints.path_of(config, name)
    return f"{file}: what was kept at row {kept.seq} is not what the rows teach; remove the file and restart {name}"


def _up_to(path: Path, kept: Savepoint) -> Iterator[Row]:
    for row in read_segment(path):
        if row.seq > kept.seq:
            return
        yield row
