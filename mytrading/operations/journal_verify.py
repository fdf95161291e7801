"""The journals of a state folder: rows decoded, chains and cursors between daemons checked, inputs decided again.

Files are only read, whether the stack runs or not. The router's inputs go through the machine once more, and its
decisions must come out: of rows that this code wrote under this configuration; others are applied.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading import __version__
from mytrading.core.orders.flat_order import flatten_orders
from mytrading.messages.codec import NO_HASH, FrameError, StreamDecoder, encode_body
from mytrading.messages.journal_rows import JournalRebuilt, JournalRelearned, RunStarted
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import SCHEMA_VERSION, unions
from mytrading.runtime.journal.journal import INPUT, OUTPUT, JournalDamaged, JournalReader, Row, read_segment, segments

KINDS = ("input", "output", "record")
_COLUMNS = {
    "daemon": "VARCHAR", "seq": "BIGINT", "epoch": "BIGINT", "kind": "VARCHAR", "stream": "VARCHAR",
    "stream_seq": "BIGINT", "source": "VARCHAR", "source_seq": "BIGINT", "market_ns": "BIGINT",
    "machine_ns": "BIGINT", "type": "VARCHAR", "body": "VARCHAR", "hash": "VARCHAR",
}  # fmt: skip
_IDS = frozenset({"id", "client_order_id", "cause", "signal", "command", "goal", "order", "broker_order_id", "target"})


class JournalFinding(NamedTuple):
    """The verdict on one journal file, in order if `problem` is empty; `decided_again` counts inputs."""

    daemon: str
    file: str
    rows: int
    problem: str
    decided_again: int = 0


class DecodedRow(NamedTuple):
    """A row with its message as plain dicts and lists."""

    daemon: str
    row: Row
    body: dict[str, Any]


def journal_files(config: RunConfig, daemon: str = "") -> list[tuple[str, Path]]:
    """Return (daemon, day file) of all journals, or of one daemon's, oldest first."""
    folder = config.state / "journal"
    names = [daemon] if daemon else sorted(path.name for path in folder.glob("*") if path.is_dir())
    return [(name, path) for name in names for path in segments(folder / name)]


def decode_journals(config: RunConfig, daemon: str = "") -> Iterator[DecodedRow]:
    """Decode all rows of a daemon's journals, of all daemons if "", one by one; `JournalDamaged` names a bad row."""
    for name, path in journal_files(config, daemon):
        yield from decode_day_file(name, path)


def decode_day_file(daemon: str, path: Path) -> Iterator[DecodedRow]:
    """Decode all rows of one day file; raises `JournalDamaged` naming the row."""
    decoders = {name: StreamDecoder(name) for name in unions()}
    for row in read_segment(path):
        yield DecodedRow(daemon, row, flatten_orders(_plain(path, row, decoders)))


def _plain(path: Path, row: Row, decoders: dict[str, StreamDecoder]) -> dict[str, Any]:
    try:
        body = msgspec.to_builtins(decoders[row.stream].decode_body(row.body))
    except (FrameError, KeyError) as error:
        raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) cannot be read: {error}") from error
    return body if isinstance(body, dict) else {"type": body[0], "values": body[1:]}


def verify_journals(config: RunConfig, daemon: str = "") -> list[JournalFinding]:
    """Check chains, decode rows, compare inputs with their writers' rows, decide again; returns a finding per file."""
    decoders = {name: StreamDecoder(name) for name in unions()}
    written: dict[tuple[str, str, int], set[bytes]] = {}
    read: dict[tuple[str, str], list[Row]] = {}
    findings = []
    for name, path in journal_files(config):
        count, problem = 0, ""
        try:
            for row in read_segment(path):
                count += 1
                _plain(path, row, decoders)
                if row.kind == OUTPUT:
                    written.setdefault((name, row.stream, row.stream_seq), set()).add(row.hash)
                elif row.kind == INPUT and row.source_hash != NO_HASH:
                    read.setdefault((name, str(path)), []).append(row)
        except JournalDamaged as error:
            problem = str(error)
        findings.append(JournalFinding(name, str(path), count, problem))
    judged = redecide(config, [Path(finding.file) for finding in findings if finding.daemon == "router"])
    for number, finding in enumerate(findings):
        inputs, problem = judged.get(Path(finding.file), RedecisionResult(0, ""))
        findings[number] = finding._replace(problem=finding.problem or problem, decided_again=inputs)
    findings += _crossed(config, written, read)
    return [finding for finding in findings if daemon in ("", finding.daemon)]


def _crossed(
    config: RunConfig, written: dict[tuple[str, str, int], set[bytes]], read: dict[tuple[str, str], list[Row]]
) -> Iterator[JournalFinding]:
    """Inputs whose row in the writer's journal is missing or another."""
    first: dict[tuple[str, str], int] = {}
    for name, stream, seq in written:
        first[name, stream] = min(seq, first.get((name, stream), seq))
    for (name, path), rows in read.items():
        for row in rows:
            if row.source_seq < first.get((row.source, row.stream), 0):
                continue  # of a day whose journal was exported and removed
            hashes = written.get((row.source, row.stream, row.source_seq), set())
            if row.source_hash not in hashes and (hashes or not _written_since(config, row)):
                found = "another row" if hashes else "none"
                source = f"{row.source}/{row.stream} {row.source_seq}, where the journal of {row.source} holds {found}"
                problem = f"{path}: row {row.seq} was read from {source}: its tail was lost"
                yield JournalFinding(name, path, len(rows), problem)
                break


def _written_since(config: RunConfig, row: Row) -> bool:
    """True if the writer's journal has the row by now, as in a running stack whose reader was read later."""
    found = None
    with suppress(JournalDamaged), closing(JournalReader(config.journal_dir(row.source), row.stream)) as reader:
        found = reader.row(row.source_seq)
    return found is not None and found.hash == row.source_hash


def rows_linked_to(rows: list[DecodedRow], wanted: str) -> list[DecodedRow]:
    """Return the rows that mention an id, directly or through other ids in rows that do, by machine time."""
    known, chosen = {wanted}, set[int]()
    growing = True
    while growing:
        growing = False
        for index, entry in enumerate(rows):
            if index not in chosen and known & (ids := _ids(entry.body)):
                chosen.add(index)
                known |= ids
                growing = True
    return sorted((rows[index] for index in chosen), key=lambda entry: (entry.row.machine_ns, entry.row.seq))


def _ids(value: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _IDS and isinstance(item, str) and item:
                found.add(item)
            elif isinstance(item, dict):
                found |= _ids(item)
    return found


def export_rows(rows: Iterable[DecodedRow], target: Path) -> int:
    """Write rows to a Parquet file; returns how many. Raises `OSError` when it cannot be written there."""

    def columns(entry: DecodedRow) -> tuple[Any, ...]:
        row, body = entry.row, msgspec.json.encode(entry.body).decode()
        return (
            entry.daemon, row.seq, row.epoch, KINDS[row.kind], row.stream, row.stream_seq, row.source, row.source_seq,
            row.market_ns, row.machine_ns, entry.body.get("type", ""), body, row.hash.hex(),
        )  # fmt: skip

    return write_parquet(map(columns, rows), _COLUMNS, target)


def write_parquet(rows: Iterable[Sequence[Any]], columns: Mapping[str, str], target: Path) -> int:
    """Write rows of these columns (SQL types by name) to a Parquet file; returns how many. Raises `OSError`."""
    import duckdb

    with target.open("ab"):
        pass  # fails before anything is read, with the system's message
    count = 0
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        table = Path(folder) / "rows.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in rows:
                writer.writerow(row)
                count += 1
        kinds = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items()) + "}"
        database.execute(
            f"COPY (SELECT * FROM read_csv(?, header=false, auto_detect=false, columns={kinds}, quote='\"', "
            "escape='\"', delim=',')) "
            f"TO '{str(target).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)",
            [str(table)],
        )
    return count


# deciding again
class RedecisionResult(NamedTuple):
    """Inputs of a file that were decided again, and the first that came out otherwise (empty if none did)."""

    inputs: int
    problem: str


class _Step(NamedTuple):
    """An input with the decisions that its transaction holds; without an input, rows that nothing led to."""

    given: Row | None
    decided: list[Row]


def redecide(config: RunConfig, paths: list[Path]) -> dict[Path, RedecisionResult]:
    """Replay the router's day files in a new order machine, up to a damaged row; returns what differs, by file."""
    from mytrading.daemons.router.setup import build_order_machine

    again = _Again(build_order_machine(config), config.config_hash)
    judged: dict[Path, RedecisionResult] = {}
    for path in paths:
        inputs, problem = 0, ""
        try:
            for step in _steps(read_segment(path)):
                inputs += again.is_ours and step.given is not None
                problem = problem or again.take(path, step)
            problem = problem or again.rest()
        except JournalDamaged:
            judged[path] = RedecisionResult(inputs, problem)
            break
        judged[path] = RedecisionResult(inputs, problem)
    return judged


def _steps(rows: Iterator[Row]) -> Iterator[_Step]:
    """Rows by transaction: decisions carry the very times of the input that stands before them."""
    step = _Step(None, [])
    for row in rows:
        if row.kind == INPUT:
            yield step
            step = _Step(row, [])
            continue
        given = step.given
        if given is not None and (given.market_ns, given.machine_ns) != (row.market_ns, row.machine_ns):
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
            self._machine.set_machine_time(step.given.machine_ns)
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
        """The inputs without decisions, other than those where the journal was cut."""
        problem, self._cut = self._cut, ""
        return problem

    def _learn(self, row: Row) -> Any:
        message = self._decoders[row.stream].decode_body(row.body)
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
    there, here = (dict(_leaves(msgspec.msgpack.decode(body))) if body else {} for body in (old, new))
    if not (there and here):
        return f"{there.get('type', 'none')} there, {here.get('type', 'none')} here"
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return "; ".join(f"{name} is {there.get(name)!r} there, {here.get(name)!r} here" for name in names[:5])


def _leaves(body: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
