"""Reading the journals of a state folder: every row decoded, the chains and the cursors between daemons checked.

It opens read-only and works while the stack runs, and when it does not.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.core.orders.flat_order import flatten_orders
from mytrading.messages.codec import NO_HASH, FrameError, StreamDecoder
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import unions
from mytrading.operations.journal_redecide import AGAIN, Judged, judge
from mytrading.runtime.journal.journal import INPUT, OUTPUT, JournalDamaged, JournalReader, Row, read_segment, segments

KINDS = ("input", "output", "record")
_IDS = frozenset({"id", "client_order_id", "cause", "signal", "command", "goal", "order", "broker_order_id", "target"})


class JournalFinding(NamedTuple):
    """What `verify` has to say of one journal file; no problem if the text is empty.

    `decided_again` counts the inputs that went through the machine once more.
    """

    daemon: str
    file: str
    rows: int
    problem: str
    decided_again: int = 0


class Decoded(NamedTuple):
    """A row with its message as plain dicts and lists."""

    daemon: str
    row: Row
    body: dict[str, Any]


def journals(config: RunConfig, daemon: str = "") -> list[tuple[str, Path]]:
    """(daemon, day file) of all journals, or one daemon's, oldest first."""
    folder = config.state / "journal"
    names = [daemon] if daemon else sorted(path.name for path in folder.glob("*") if path.is_dir())
    return [(name, path) for name in names for path in segments(folder / name)]


def decoded(config: RunConfig, daemon: str = "") -> Iterator[Decoded]:
    """All rows, journal after journal; raises `JournalDamaged` naming the row."""
    for name, path in journals(config, daemon):
        yield from decoded_file(name, path)


def decoded_file(daemon: str, path: Path) -> Iterator[Decoded]:
    """All rows of one file; raises `JournalDamaged` naming the row."""
    decoders = {name: StreamDecoder(name) for name in unions()}
    for row in read_segment(path):
        yield Decoded(daemon, row, flatten_orders(_plain(path, row, decoders)))


def _plain(path: Path, row: Row, decoders: dict[str, StreamDecoder]) -> dict[str, Any]:
    try:
        body = msgspec.to_builtins(decoders[row.stream].body(row.body))
    except (FrameError, KeyError) as error:
        raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) cannot be read: {error}") from error
    if isinstance(body, dict):
        return body
    return {"type": body[0], "values": body[1:]}


def verify(config: RunConfig, daemon: str = "") -> list[JournalFinding]:
    """Check every chain, decode every row, hold every input against its writer's row, and decide again what can be."""
    decoders = {name: StreamDecoder(name) for name in unions()}
    written: dict[tuple[str, str, int], set[bytes]] = {}
    read: dict[tuple[str, str], list[Row]] = {}
    findings = []
    for name, path in journals(config):
        count, problem = 0, ""
        try:
            for row in read_segment(path):
                count += 1
                _plain(path, row, decoders)
                _note(name, str(path), row, written, read)
        except JournalDamaged as error:
            problem = str(error)
        findings.append(JournalFinding(name, str(path), count, problem))
    findings = [*_decided_again(config, findings), *_crossed(config, written, read)]
    return [finding for finding in findings if daemon in ("", finding.daemon)]


def _decided_again(config: RunConfig, findings: list[JournalFinding]) -> Iterator[JournalFinding]:
    judged: dict[Path, Judged] = {}
    for name in AGAIN:
        judged |= judge(config, [Path(finding.file) for finding in findings if finding.daemon == name])
    for finding in findings:
        inputs, problem = judged.get(Path(finding.file), Judged(0, ""))
        yield finding._replace(problem=finding.problem or problem, decided_again=inputs)


def _note(
    name: str, path: str, row: Row, written: dict[tuple[str, str, int], set[bytes]],
    read: dict[tuple[str, str], list[Row]],
) -> None:  # fmt: skip
    if row.kind == OUTPUT:
        written.setdefault((name, row.stream, row.stream_seq), set()).add(row.hash)
    elif row.kind == INPUT and row.source_hash != NO_HASH:
        read.setdefault((name, path), []).append(row)


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
                yield JournalFinding(
                    name,
                    path,
                    len(rows),
                    f"{path}: row {row.seq} was read from {row.source}/{row.stream} {row.source_seq}, where the "
                    f"journal of {row.source} holds {found}: its tail was lost",
                )
                break


def _written_since(config: RunConfig, row: Row) -> bool:
    """True if the writer's journal has by now what a reader's had that was looked at later, as in a running stack."""
    reader = JournalReader(config.journal_dir(row.source), row.stream)
    found = None
    with suppress(JournalDamaged):  # said of the file itself
        found = reader.row(row.source_seq)
    reader.close()
    return found is not None and found.hash == row.source_hash


def traced(rows: list[Decoded], wanted: str) -> list[Decoded]:
    """The rows that belong to one id, and to the ids those rows tie it to, in order of machine time."""
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


def export(rows: Iterator[Decoded], target: Path) -> int:
    """Write rows to a Parquet file; returns how many. Raises `OSError` when it cannot be written there."""
    import duckdb

    with target.open("ab"):
        pass  # told before anything is read, and in the words of the system

    count = 0
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for entry in rows:
                writer.writerow(_flat(entry))
                count += 1
        database = duckdb.connect()
        columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items()) + "}"
        database.execute(
            f"COPY (SELECT * FROM read_csv(?, header=false, auto_detect=false, columns={columns}, quote='\"', "
            "escape='\"', delim=',')) "
            f"TO '{str(target).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)",
            [str(table)],
        )
        database.close()
    return count


_COLUMNS = {
    "daemon": "VARCHAR", "seq": "BIGINT", "epoch": "BIGINT", "kind": "VARCHAR", "stream": "VARCHAR",
    "stream_seq": "BIGINT", "source": "VARCHAR", "source_seq": "BIGINT", "market_ns": "BIGINT",
    "machine_ns": "BIGINT", "type": "VARCHAR", "body": "VARCHAR", "hash": "VARCHAR",
}  # fmt: skip


def _flat(entry: Decoded) -> tuple[Any, ...]:
    row = entry.row
    body = msgspec.json.encode(entry.body).decode()
    return (
        entry.daemon, row.seq, row.epoch, KINDS[row.kind], row.stream, row.stream_seq, row.source, row.source_seq,
        row.market_ns, row.machine_ns, entry.body.get("type", ""), body, row.hash.hex(),
    )  # fmt: skip
