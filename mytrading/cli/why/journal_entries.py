"""Rows of all journals of a run, found by the ids that they mention, and what each is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from mytrading.core.orders.flat_order import flatten_orders
from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import unions
from mytrading.operations.journal_verify import journal_files
from mytrading.runtime.journal.journal import INPUT, JournalDamaged, Row, read_segment

_LEVELS = {"order": "order", "goal": "goal", "protection": "protection", "flatten": "flatten"}
"""Types whose subject is the whole level they carry."""
_LINKS = ("cause", "goal", "signal", "alert")


class ChainEntry(NamedTuple):
    """A row of a journal, decoded, and its place among those of its daemon."""

    daemon: str
    place: int
    row: Row
    body: dict[str, Any]


class Journals:
    """All rows of a run's journals; only those that name an id in question are decoded."""

    def __init__(self, config: RunConfig) -> None:
        self._decoders = {name: StreamDecoder(name) for name in unions()}
        self._rows: dict[str, list[Row]] = {}
        for daemon, path in journal_files(config):
            kept = self._rows.setdefault(daemon, [])
            try:
                kept.extend(read_segment(path))
            except JournalDamaged:
                continue  # `journal verify` reports it; what can be read is shown

    def entries_mentioning(self, ids: Iterable[str]) -> list[ChainEntry]:
        """Return the journal rows whose bytes contain one of the ids, decoded."""
        wanted = [name.encode() for name in ids if name]
        return [
            entry
            for daemon, rows in self._rows.items()
            for index, row in enumerate(rows)
            if any(name in row.body for name in wanted)
            if (entry := self._decoded(daemon, index)) is not None
        ]

    def input_behind(self, entry: ChainEntry) -> ChainEntry | None:
        """Return the input row that led to the decision `entry` (equal machine time); None if there is none."""
        rows = self._rows[entry.daemon]
        for index in range(entry.place - 1, max(entry.place - 50, -1), -1):
            row = rows[index]
            if row.machine_ns != entry.row.machine_ns:
                return None
            if row.kind == INPUT:
                return self._decoded(entry.daemon, index)
        return None

    def _decoded(self, daemon: str, index: int) -> ChainEntry | None:
        row = self._rows[daemon][index]
        try:
            body = flatten_orders(msgspec.to_builtins(self._decoders[row.stream].decode_body(row.body)))
        except (FrameError, KeyError):
            return None
        return ChainEntry(daemon, index, row, body if isinstance(body, dict) else {"type": body[0], "values": body[1:]})


def subject_id(body: dict[str, Any]) -> str:
    """Return the id of what a decoded row is about (order, goal, flatten, signal, …); "" if it has none."""
    inner = body.get(_LEVELS.get(str(body.get("type")), ""))
    if isinstance(inner, dict):
        return str(inner.get("client_order_id") or inner.get("id") or "")
    for name in ("client_order_id", "signal", "alert", "id"):
        if body.get(name):
            return str(body[name])
    return ""


def parent_ids(body: dict[str, Any]) -> set[str]:
    """Return the ids that a decoded row names as causes of its subject: its signal, goal or causing order."""
    inner = body.get(_LEVELS.get(str(body.get("type")), ""))
    level = inner if isinstance(inner, dict) else body
    found = {str(level[name]) for name in _LINKS if isinstance(level.get(name), str) and level[name]}
    if body.get("type") == "resolve_requested":
        found.add(str(body["order"]))
    return found - {subject_id(body)}
