"""The day files of all journals: which are closed, exported, and read to their end by all readers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import STREAMS
from mytrading.runtime.journal.format import LAYOUT, RECORD, SEAL, segments
from mytrading.runtime.journal.reader import extent_of, frames_from, open_day_file

ARCHIVE = "archive"


class DayFile(NamedTuple):
    """One journal file. `sealed_for` is the day after it, empty while it is open; `version` and `build` are
    those of the newest run in it."""

    daemon: str
    path: Path
    size: int
    rows: int
    layout: int
    version: str
    schema: int
    sealed_for: str
    build: str = ""

    @property
    def day(self) -> str:
        """The trading day of the file (ISO date)."""
        return self.path.stem


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The note beside a Parquet file: its journal, and how far that reached."""

    daemon: str
    day: str
    rows: int
    size: int


def journal_names(config: RunConfig) -> list[str]:
    """Return the names of the daemons that have a journal."""
    return sorted(path.name for path in (config.state / "journal").glob("*") if path.is_dir())


def day_files(config: RunConfig) -> list[DayFile]:
    """Return all journal files, by daemon and day; raises `JournalDamaged` for a file that is no journal."""
    return [summarize_file(name, path) for name in journal_names(config) for path in segments(config.journal_dir(name))]


def summarize_file(daemon: str, path: Path) -> DayFile:
    """Return the summary of one day file; of a damaged one, up to the damage."""
    decoder = StreamDecoder("records")
    end = rows = 0
    following, run = "", None
    with open_day_file(path) as file:
        for frame in frames_from(file):
            end = frame.end
            if commit := frame.rows():
                rows += len(commit)
                following = frame.seal().next_day if frame.kind == SEAL else ""
            for row in commit:
                if row.stream == "records" and row.kind == RECORD:
                    with suppress(FrameError):
                        message = decoder.decode_body(row.body)
                        run = message if isinstance(message, RunStarted) else run
    version, schema, build = (run.version, run.schema, run.build) if run else ("", 0, "")
    return DayFile(daemon, path, end, rows, LAYOUT, version, schema, following, build)


def closed_files(config: RunConfig) -> list[DayFile]:
    """Return day files that no daemon writes any more: all but each daemon's newest, and that too if sealed."""
    files = day_files(config)
    newest = {file.daemon: file.path for file in files}
    return [file for file in files if file.sealed_for or file.path != newest[file.daemon]]


def parquet_of(config: RunConfig, daemon: str, day: str) -> Path:
    """Return the path of the Parquet file of a journal's day."""
    return config.state / ARCHIVE / day / f"{daemon}.parquet"


def export_note_path(config: RunConfig, daemon: str, day: str) -> Path:
    """Return the path of the note (`Exported` as JSON) beside the Parquet file of a journal's day."""
    return parquet_of(config, daemon, day).with_suffix(".json")


def export_note(config: RunConfig, daemon: str, day: str) -> Exported | None:
    """Return the note of an exported day, None unless its Parquet file is there and whole."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        note = msgspec.json.decode(export_note_path(config, daemon, day).read_bytes(), type=Exported)
        if parquet_of(config, daemon, day).stat().st_size == note.size:
            return note
    return None


def files_to_export(config: RunConfig) -> list[DayFile]:
    """Return closed day files whose rows are not all in the archive."""
    notes = [(file, export_note(config, file.daemon, file.day)) for file in closed_files(config)]
    return [file for file, note in notes if note is None or note.rows != file.rows]


def is_anything_to_export(config: RunConfig) -> bool:
    """Return true if a day is over and was not exported; opens no file."""
    return any(
        not export_note_path(config, name, path.stem).exists()
        for name in journal_names(config)
        for path in segments(config.journal_dir(name))[:-1]
    )


def removable_files(config: RunConfig, before: str) -> list[DayFile]:
    """Closed and exported files of days before `before` (ISO date) that every cursor has passed, but never the newest
    two of a journal: a lost journal is rebuilt from them."""
    kept = {path for name in journal_names(config) for path in segments(config.journal_dir(name))[-2:]}
    return [
        file
        for file in closed_files(config)
        if file.day < before
        and file.path not in kept
        and export_note(config, file.daemon, file.day) is not None
        and not readers_behind(config, file)
    ]


def readers_behind(config: RunConfig, file: DayFile) -> list[str]:
    """Return a text for each reader that has not read this day file to its end."""
    waiting = []
    for stream, end in extent_of(file.path).written.items():
        for reader in STREAMS[stream].readers if stream in STREAMS else ():
            known = segments(config.journal_dir(reader))
            if known and extent_of(known[-1]).read.get((file.daemon, stream), 0) < end:
                waiting.append(f"{reader} has not read {stream} to {end}")
    return waiting
