"""The day files of all journals: which are closed, exported, and read to their end by everybody who follows them.

Used by `mytrading day` and `mytrading state`, and by the watchdog to see that something is to be exported. The one
rule: it opens read-only, and a file counts as done only by what stands in it and in the cursors of its readers.
"""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from mytrading.adapters.shared_database import open_to_read
from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.records import RunStarted
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import STREAMS
from mytrading.runtime.journal_format import segments

ARCHIVE = "archive"


class DayFile(NamedTuple):
    """One journal file. `sealed_for` is the day after it, empty while it is open; `version` wrote its newest run."""

    daemon: str
    path: Path
    size: int
    rows: int
    layout: int
    version: str
    schema: int
    sealed_for: str

    @property
    def day(self) -> str:
        """Its trading day (ISO date)."""
        return self.path.stem


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What is noted of a Parquet file beside it: its journal, and how far that reached."""

    daemon: str
    day: str
    rows: int
    size: int


def journal_names(config: RunConfig) -> list[str]:
    """The daemons that have a journal."""
    return sorted(path.name for path in (config.state / "journal").glob("*") if path.is_dir())


def day_files(config: RunConfig) -> list[DayFile]:
    """All journal files, by daemon and day; raises `sqlite3.DatabaseError` for one that is none."""
    return [look(name, path) for name in journal_names(config) for path in segments(config.journal_dir(name))]


def look(daemon: str, path: Path) -> DayFile:
    """What stands in one file."""
    size = sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))
    with closing(open_to_read(path)) as db:
        layout = db.execute("PRAGMA user_version").fetchone()[0]
        meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        last = db.execute("SELECT max(seq) FROM rows").fetchone()[0] or int(meta.get("seq", 0))
        rows = db.execute("SELECT count(*) FROM rows").fetchone()[0]
        runs = db.execute("SELECT body FROM rows WHERE kind = 2 AND stream = 'records' ORDER BY seq DESC").fetchall()
    at, _, following = meta.get("sealed", "").partition(":")
    run = _newest_run([body for (body,) in runs])
    version, schema = (run.version, run.schema) if run else ("", 0)
    return DayFile(daemon, path, size, rows, layout, version, schema, following if at == str(last) else "")


def _newest_run(bodies: list[bytes]) -> RunStarted | None:
    decoder = StreamDecoder("records")
    for body in bodies:
        with suppress(FrameError):
            message = decoder.body(body)
            if isinstance(message, RunStarted):
                return message
    return None


def closed(config: RunConfig) -> list[DayFile]:
    """Files that nothing is written to any more: all but the newest of each daemon, and that if it is sealed."""
    files = day_files(config)
    newest = {file.daemon: file.path for file in files}
    return [file for file in files if file.sealed_for or file.path != newest[file.daemon]]


def parquet_of(config: RunConfig, daemon: str, day: str) -> Path:
    """Where a day of a journal is exported to."""
    return config.state / ARCHIVE / day / f"{daemon}.parquet"


def note_of(config: RunConfig, daemon: str, day: str) -> Path:
    """Where it is noted that it was."""
    return parquet_of(config, daemon, day).with_suffix(".json")


def exported(config: RunConfig, daemon: str, day: str) -> Exported | None:
    """What was exported of a day of a journal, if the Parquet file is there, whole."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        note = msgspec.json.decode(note_of(config, daemon, day).read_bytes(), type=Exported)
        if parquet_of(config, daemon, day).stat().st_size == note.size:
            return note
    return None


def to_export(config: RunConfig) -> list[DayFile]:
    """Closed files whose rows are not all in the archive."""
    found = []
    for file in closed(config):
        note = exported(config, file.daemon, file.day)
        if note is None or note.rows != file.rows:
            found.append(file)
    return found


def is_anything_to_export(config: RunConfig) -> bool:
    """A quick look that opens no file: a day is over and has no note."""
    return any(
        not note_of(config, name, path.stem).exists()
        for name in journal_names(config)
        for path in segments(config.journal_dir(name))[:-1]
    )


def removable(config: RunConfig, before: str) -> list[DayFile]:
    """Closed and exported files of days before `before` (ISO date) that every cursor has passed, but never the newest
    two of a journal: a lost journal is rebuilt from them."""
    kept = {path for name in journal_names(config) for path in segments(config.journal_dir(name))[-2:]}
    return [
        file
        for file in closed(config)
        if file.day < before
        and file.path not in kept
        and exported(config, file.daemon, file.day) is not None
        and not waited_for(config, file)
    ]


def waited_for(config: RunConfig, file: DayFile) -> list[str]:
    """Which readers have not read a file to its end, in words."""
    with closing(open_to_read(file.path)) as db:
        ends = dict(db.execute("SELECT stream, max(stream_seq) FROM rows WHERE kind = 1 GROUP BY stream").fetchall())
    waiting = []
    for stream, end in ends.items():
        for reader in STREAMS[stream].readers if stream in STREAMS else ():
            known = segments(config.journal_dir(reader))
            if known and _cursor(known[-1], file.daemon, stream) < end:
                waiting.append(f"{reader} has not read {stream} to {end}")
    return waiting


def _cursor(path: Path, writer: str, stream: str) -> int:
    """How far a reader has come in a writer's stream, by its newest file."""
    with closing(open_to_read(path)) as db:
        read = db.execute(
            "SELECT max(source_seq) FROM rows WHERE kind = 0 AND source = ? AND stream = ?", (writer, stream)
        ).fetchone()[0]
        carried = db.execute("SELECT value FROM meta WHERE key = ?", (f"cursor:{writer}:{stream}",)).fetchone()
    return max(int(read or 0), int(carried[0].split(":")[1]) if carried else 0)
