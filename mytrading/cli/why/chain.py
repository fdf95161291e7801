"""The chain behind an order: from quote and signal through decision, command, send, outcome and reports to the stop.

It reads the journals of all daemons, read-only, whether the stack runs or not. Only ancestors and descendants of what
was asked for are shown, never what merely shares a signal with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from mytrading.cli.why.wording import words
from mytrading.core.orders.flat_order import flatten_orders
from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import unions
from mytrading.operations.journal_verify import journals
from mytrading.runtime.journal.journal import INPUT, JournalDamaged, Row, read_segment

MS = 1_000_000
_LEVELS = {"order": "order", "goal": "goal", "protection": "protection", "flatten": "flatten"}
"""Types whose subject is the whole level they carry."""
_LINKS = ("cause", "goal", "signal")
_ROUNDS = 8


class ChainEntry(NamedTuple):
    """A row of a journal, decoded, and its place among those of its daemon."""

    daemon: str
    place: int
    row: Row
    body: dict[str, Any]


class Step(NamedTuple):
    """One step of a chain. `ms` counts from the first step, `step_ms` from the one before, in machine time."""

    market_ns: int
    machine_ns: int
    ms: float
    step_ms: float
    daemon: str
    kind: str
    what: str
    subject: str


class Journals:
    """All rows of a run's journals; only those that name an id in question are decoded."""

    def __init__(self, config: RunConfig) -> None:
        self._decoders = {name: StreamDecoder(name) for name in unions()}
        self._rows: dict[str, list[Row]] = {}
        for daemon, path in journals(config):
            kept = self._rows.setdefault(daemon, [])
            try:
                kept.extend(read_segment(path))
            except JournalDamaged:
                continue  # `journal verify` reports it; what can be read is shown

    def naming(self, ids: Iterable[str]) -> list[ChainEntry]:
        """Rows in whose bytes one of the ids stands."""
        wanted = [name.encode() for name in ids if name]
        return [
            entry
            for daemon, rows in self._rows.items()
            for index, row in enumerate(rows)
            if any(name in row.body for name in wanted)
            if (entry := self._decoded(daemon, index)) is not None
        ]

    def input_of(self, entry: ChainEntry) -> ChainEntry | None:
        """The input that led to a decision: decisions carry its very times."""
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
            body = flatten_orders(msgspec.to_builtins(self._decoders[row.stream].body(row.body)))
        except (FrameError, KeyError):
            return None
        if not isinstance(body, dict):
            body = {"type": body[0], "values": body[1:]}
        return ChainEntry(daemon, index, row, body)


def subject_of(body: dict[str, Any]) -> str:
    """The id of what a row is about; empty if it is about nothing that has one."""
    inner = body.get(_LEVELS.get(str(body.get("type")), ""))
    if isinstance(inner, dict):
        return str(inner.get("client_order_id") or inner.get("id") or "")
    for name in ("client_order_id", "signal", "id"):
        if body.get(name):
            return str(body[name])
    return ""


def parents_of(body: dict[str, Any]) -> set[str]:
    """Ids of what a row's subject came from."""
    inner = body.get(_LEVELS.get(str(body.get("type")), ""))
    level = inner if isinstance(inner, dict) else body
    found = {str(level[name]) for name in _LINKS if isinstance(level.get(name), str) and level[name]}
    if body.get("type") == "resolve_requested":
        found.add(str(body["order"]))
    return found - {subject_of(body)}


def chain(config: RunConfig, wanted: str) -> list[Step]:
    """The steps of an order (our id or the broker's), signal, goal or request; empty if no journal knows it."""
    source = Journals(config)
    roots = _roots(source.naming([wanted]), wanted)
    if not roots:
        return []
    ids = _closure(source, roots)
    entries = {(e.daemon, e.place): e for e in source.naming(ids) if subject_of(e.body) in ids}
    for entry in list(entries.values()):
        if entry.row.kind != INPUT and (led := source.input_of(entry)) is not None:
            entries.setdefault((led.daemon, led.place), led)
    return _steps(list(entries.values()))


def _roots(entries: list[ChainEntry], wanted: str) -> set[str]:
    roots = {subject for entry in entries if (subject := subject_of(entry.body)) == wanted}
    by_broker = {
        str(entry.body["order"]["client_order_id"])
        for entry in entries
        if entry.body.get("type") == "order" and entry.body["order"].get("broker_order_id") == wanted
    }
    return roots or by_broker


def _closure(source: Journals, roots: set[str]) -> set[str]:
    """The roots with all they came from, and all that came from them."""
    up, down = set(roots), set(roots)
    for _ in range(_ROUNDS):
        entries = source.naming(up | down)
        more_up = {p for e in entries if subject_of(e.body) in up for p in parents_of(e.body)} - up
        more_down = {subject_of(e.body) for e in entries if parents_of(e.body) & down} - down - {""}
        if not more_up and not more_down:
            break
        up |= more_up
        down |= more_down
    return up | down


def _steps(entries: list[ChainEntry]) -> list[Step]:
    ordered = sorted(entries, key=lambda e: (e.row.machine_ns, e.row.kind, e.place))
    rows = [step for entry in ordered if (step := _step(entry)) is not None]
    quote = _quote_behind(ordered)
    if quote is not None:
        rows = sorted([quote, *rows], key=lambda step: step.machine_ns)
    return _timed(rows)


def _step(entry: ChainEntry) -> Step | None:
    said = words(entry.body, reading=entry.row.kind == INPUT)
    if said is None:
        return None
    return Step(entry.row.market_ns, entry.row.machine_ns, 0.0, 0.0, entry.daemon, *said, subject_of(entry.body))


def _quote_behind(entries: list[ChainEntry]) -> Step | None:
    """The quote that the signal was made of: its machine time travels with everything that follows from it.

    A signal of the first moments comes from bars that were asked for: there is no quote behind it.
    """
    for entry in entries:
        body = entry.body
        if body.get("type") != "signal":
            continue
        at = f" at {body['price']:,.2f}" if body.get("price") else ""
        market = int(body.get("bar_ns") or body["created_ns"])
        if received := int(body.get("trace_ns", 0)):
            return Step(market, received, 0.0, 0.0, "feed", "quote", f"quote of {body['watch']}{at}", body["id"])
        what = f"bar of {body['watch']}{at}, from the history"
        return Step(market, entry.row.machine_ns, 0.0, 0.0, "feed", "bar", what, body["id"])
    return None


def _timed(rows: list[Step]) -> list[Step]:
    if not rows:
        return rows
    first, before, timed = rows[0].machine_ns, rows[0].machine_ns, []
    for step in rows:
        elapsed, since = (step.machine_ns - first) / MS, (step.machine_ns - before) / MS
        timed.append(step._replace(ms=round(elapsed, 3), step_ms=round(since, 3)))
        before = step.machine_ns
    return timed
