"""Deciding again: a journal's inputs go through the machine once more, and its decisions must come out.

Only rows that this code wrote under this configuration are judged; the others are applied, so that what follows them is
judged on the state that they left.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading import __version__
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.journal_rows import JournalRebuilt, JournalRelearned, RunStarted
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import SCHEMA_VERSION, unions
from mytrading.runtime.journal.journal import INPUT, JournalDamaged, Row, read_segment

AGAIN = ("router",)
"""Daemons whose decisions can be made again; what the others read is not wholly in their journals."""


class Judged(NamedTuple):
    """How many inputs of a file were decided again, and the first that came out otherwise (empty if none did)."""

    inputs: int
    problem: str


class _Step(NamedTuple):
    """An input with the decisions that its transaction holds; without an input, rows that nothing led to."""

    given: Row | None
    decided: list[Row]


def judge(config: RunConfig, paths: list[Path]) -> dict[Path, Judged]:
    """Decide the router's day files again, oldest first; ends before a row that `read_segment` refuses."""
    from mytrading.daemons.router.setup import order_machine

    again = _Again(order_machine(config), config.config_hash)
    judged: dict[Path, Judged] = {}
    for path in paths:
        inputs, problem = 0, ""
        try:
            for step in _steps(read_segment(path)):
                inputs += again.is_ours and step.given is not None
                problem = problem or again.take(path, step)
            problem = problem or again.rest()
        except JournalDamaged:
            judged[path] = Judged(inputs, problem)
            break
        judged[path] = Judged(inputs, problem)
    return judged


def _steps(rows: Iterator[Row]) -> Iterator[_Step]:
    """Rows by transaction: decisions carry the very times of the input that stands before them."""
    step = _Step(None, [])
    for row in rows:
        if row.kind == INPUT:
            yield step
            step = _Step(row, [])
            continue
        led = step.given is not None and (step.given.market_ns, step.given.machine_ns) == (
            row.market_ns,
            row.machine_ns,
        )
        if step.given is not None and not led:
            yield step
            step = _Step(None, [])
        step.decided.append(row)
    yield step


class _Again:
    """A machine that goes through a journal."""

    def __init__(self, machine: Any, config_hash: str) -> None:
        self._machine = machine
        self._config_hash = config_hash
        self._decoders = {name: StreamDecoder(name) for name in unions()}
        self.is_ours = False
        self._relearns = False
        self._cut = ""

    def take(self, path: Path, step: _Step) -> str:
        """Apply a step as it is journaled, after deciding it again; returns what differs, in words.

        A step that only lacks its last decisions waits for the next input: a damaged journal may be cut there.
        """
        problem = ""
        if step.given is not None:
            problem = self.rest()
            self._machine.notice(step.given.machine_ns)
            message = self._learn(step.given)
            if self.is_ours and not self._relearns:
                expected = [encode_body(row) for row in self._machine.decide(message, step.given.market_ns)]
                found = _difference(path, step, type(message).__name__, expected)
                if found and [row.body for row in step.decided] == expected[: len(step.decided)]:
                    self._cut = found
                else:
                    problem = problem or found
        for row in step.decided:
            message = self._learn(row)
            if isinstance(message, JournalRebuilt):
                self._cut = ""
            if isinstance(message, JournalRebuilt | JournalRelearned):
                self._relearns = isinstance(message, JournalRebuilt)  # what is learnt between them was not decided on
            if isinstance(message, RunStarted):
                self.is_ours = (message.version, message.schema, message.config_hash) == (
                    __version__, SCHEMA_VERSION, self._config_hash,
                )  # fmt: skip
        return problem

    def rest(self) -> str:
        """What lacks decisions, and was not where the journal was cut."""
        problem, self._cut = self._cut, ""
        return problem

    def _learn(self, row: Row) -> Any:
        message = self._decoders[row.stream].body(row.body)
        self._machine.apply(message)
        return message


def _difference(path: Path, step: _Step, given: str, expected: list[bytes]) -> str:
    assert step.given is not None
    found = [row.body for row in step.decided]
    if found == expected:
        return ""
    pairs = zip_longest(found, expected, fillvalue=b"")
    at, (old, new) = next((index, pair) for index, pair in enumerate(pairs) if pair[0] != pair[1])
    row = step.decided[at].seq if old else step.given.seq
    return (
        f"{path}: row {row}: row {step.given.seq} ({given}) decided again leads to {len(expected)} rows, the journal "
        f"holds {len(found)}; decision {at + 1}: {_parted(old, new)}"
    )


def _parted(old: bytes, new: bytes) -> str:
    """In what a journaled decision and the one made again differ; empty bytes are none."""
    there, here = (dict(_flat(msgspec.msgpack.decode(body))) if body else {} for body in (old, new))
    if not (there and here):
        return f"{there.get('type', 'none')} there, {here.get('type', 'none')} here"
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return "; ".join(f"{name} is {there.get(name)!r} there, {here.get(name)!r} here" for name in names[:5])


def _flat(body: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
