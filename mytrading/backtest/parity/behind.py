"""When a daemon of a stack was behind: frozen, starved, or busy with something else.

Each row that a daemon read names its place in its writer's journal, so both times of it are on record: when it was
written, and when it was read. Used by `record`. The one rule: what was read in time says nothing, and is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mytrading.backtest.parity.facts import Absence
from mytrading.runtime.journal import INPUT, Row

BEHIND_NS = 500_000_000
"""Machine time from writing to reading from which on a daemon counts as behind; a hop takes a thousandth of it."""

Place = tuple[str, str, int, int]
"""Daemon, stream, epoch, place in the stream."""


def behind(rows: Mapping[str, Iterable[Row]]) -> list[Absence]:
    """Spans of market time in which a daemon had not yet read what lay there, by daemon; those that meet are one."""
    written: dict[Place, tuple[int, int]] = {}
    read: dict[str, list[tuple[Place, int, int]]] = {}
    for daemon, given in rows.items():
        for row in given:
            if row.kind != INPUT:
                written[daemon, row.stream, row.epoch, row.stream_seq] = row.market_ns, row.machine_ns
            elif row.source:
                place = row.source, row.stream, row.source_epoch, row.source_seq
                read.setdefault(daemon, []).append((place, row.market_ns, row.machine_ns))
    found: list[Absence] = []
    for daemon, places in read.items():
        spans = []
        for place, market_ns, machine_ns in places:
            wrote_ns, wrote_machine_ns = written.get(place, (market_ns, machine_ns))
            if machine_ns - wrote_machine_ns >= BEHIND_NS:
                spans.append((wrote_ns, market_ns))
        found += [Absence(daemon, *span) for span in _joined(spans)]
    return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if made and begin <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((begin, end))
    return made
