"""Bringing the journals of an older version to this one: every row rewritten, chains and cursors made again.

Used by `mytrading state upgrade`, after a backup and with the stack stopped. All files are written under names that
nobody reads, then take their names, and only then files of an old layout are removed: while one of those is there no
process of this version starts, and an upgrade that was cut short is begun again from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.messages.codec import FrameError, StreamDecoder, encode_body
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import OLDEST_SCHEMA, SCHEMA_VERSION
from mytrading.operations import schema_2, sqlite_journals
from mytrading.runtime.journal import format as journal_format
from mytrading.runtime.journal.day_files import journal_names
from mytrading.runtime.journal.format import JournalDamaged, Row, Seal, SegmentHead, chain_hash, segment_path, sync_path
from mytrading.runtime.journal.reader import all_heads, read_segment, sealed_for
from mytrading.runtime.journal.segment import write_new_segment

Progress = Callable[[str], None]
Step = Callable[[str, bytes], bytes]
"""From a row's stream and body in one schema to its body in the next."""

UPGRADES: Mapping[int, Step] = MappingProxyType({1: schema_2.convert_row})
"""By schema, how its rows become those of the next. Layouts that only grew by fields with a default need no step."""
LEFT_BEHIND = ("savepoints", "savepoint.log")
"""Files of older versions in the state folder that this version does not use."""

_Hashes = dict[tuple[str, str, int], bytes]
"""The new hash of a row by writer, stream and sequence in it."""


class StoredDay(NamedTuple):
    """A day file as some version left it. `schema` and `version` are those of its newest run."""

    daemon: str
    path: Path
    layout: int
    schema: int
    version: str

    @property
    def is_old_layout(self) -> bool:
        """True if this is an SQLite file, the layout of older versions."""
        return self.path.suffix == journal_format.OLD_SUFFIX

    @property
    def day(self) -> str:
        """The trading day of the file (ISO date)."""
        return self.path.stem

    def rows(self) -> Iterator[Row]:
        """Yield all rows, oldest first, chain checked; raises `JournalDamaged`."""
        return sqlite_journals.read_rows(self.path) if self.is_old_layout else read_segment(self.path)

    def head(self) -> SegmentHead:
        """Return the sequence, hash and cursors the file continues from, and the newest epoch begun in it."""
        if self.is_old_layout:
            return sqlite_journals.read_head(self.path)
        heads = all_heads(self.path)
        return replace(heads[-1], seq=heads[0].seq, hash=heads[0].hash, cursors=heads[0].cursors)

    def sealed_for(self) -> str:
        """Return the next day (ISO date) if the file is sealed, that is ended; else an empty text."""
        return sqlite_journals.sealed_for(self.path) if self.is_old_layout else sealed_for(self.path)


def stored_days(config: RunConfig) -> list[StoredDay]:
    """Return all day files by daemon and day; of a day upgraded in part, the old file. Raises `JournalDamaged`."""
    found: dict[tuple[str, str], Path] = {}
    for name in journal_names(config):
        folder = config.journal_dir(name)
        for path in (*folder.glob(f"*{journal_format.SUFFIX}"), *folder.glob(f"*{journal_format.OLD_SUFFIX}")):
            if not path.name.startswith("."):
                found[name, path.stem] = path
    return [_look(daemon, path) for (daemon, _), path in sorted(found.items())]


def _look(daemon: str, path: Path) -> StoredDay:
    layout = sqlite_journals.read_layout(path) if path.suffix == journal_format.OLD_SUFFIX else journal_format.LAYOUT
    run, decoder = None, StreamDecoder("records")
    for row in StoredDay(daemon, path, layout, 0, "").rows():
        if row.stream == "records":
            with suppress(FrameError):
                message = decoder.decode_body(row.body)
                run = message if isinstance(message, RunStarted) else run
    return StoredDay(daemon, path, layout, run.schema if run else 0, run.version if run else "")


class Twofold(NamedTuple):
    """An SQLite file of one process, and a file of this layout that it contradicts, of its own day or of one before."""

    old: Path
    new: Path
    old_ns: tuple[int, int]
    new_ns: tuple[int, int]
    """Market times (ns) of the first and the last row of each."""


def days_written_twice(config: RunConfig) -> list[Twofold]:
    """Return the days whose two files hold different rows: an older version went on beside this version's journals.

    The rows of an upgrade that was cut short are the same in both, whatever their bodies say."""
    found = []
    for name in journal_names(config):
        for old in _old_files(config.journal_dir(name)):
            new = segment_path(old.parent, old.stem)
            if new.exists():
                rows = [
                    [(row.seq, row.stream, row.market_ns, row.machine_ns) for row in reader(path)]
                    for path, reader in ((old, sqlite_journals.read_rows), (new, read_segment))
                ]
                if rows[0] != rows[1]:
                    found.append(Twofold(old, new, *(_extent(one) for one in rows)))
    return found


def days_begun_anew(config: RunConfig) -> list[Twofold]:
    """Return SQLite files that follow a file of this layout, each with that file, the newest one before it.

    An older version that was started on a later day saw no file of its own and began with nothing: upgraded, its day
    would hide positions and halts of the day before. Where an upgrade was cut short the file before it has its SQLite
    twin still, or the day itself is upgraded already."""
    found = []
    for name in journal_names(config):
        folder = config.journal_dir(name)
        for old in _old_files(folder):
            before = [path for path in sorted(folder.glob(f"[!.]*{journal_format.SUFFIX}")) if path.stem <= old.stem]
            if before and before[-1].stem < old.stem and not before[-1].with_suffix(journal_format.OLD_SUFFIX).exists():
                times = [
                    _extent([(row.seq, row.stream, row.market_ns, row.machine_ns) for row in reader(path)])
                    for path, reader in ((old, sqlite_journals.read_rows), (before[-1], read_segment))
                ]
                found.append(Twofold(old, before[-1], *times))
    return found


def _old_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"[!.]*{journal_format.OLD_SUFFIX}"))


def _extent(rows: list[tuple[int, str, int, int]]) -> tuple[int, int]:
    return (rows[0][2], rows[-1][2]) if rows else (0, 0)


def files_to_upgrade(files: Sequence[StoredDay]) -> list[StoredDay]:
    """Return the files of an old layout, or of a schema before `OLDEST_SCHEMA`, which this version refuses."""
    return [
        file for file in files if file.layout < journal_format.LAYOUT or (file.version and file.schema < OLDEST_SCHEMA)
    ]


def files_of_newer_version(files: Sequence[StoredDay]) -> list[StoredDay]:
    """Return files that only a newer version can read."""
    return [file for file in files if file.layout > journal_format.LAYOUT or file.schema > SCHEMA_VERSION]


def upgrade_files(files: Sequence[StoredDay], progress: Progress, steps: Mapping[int, Step] = UPGRADES) -> int:
    """Rewrite all journal files for this version; returns how many rows changed. `steps` convert rows by schema.

    Raises `JournalDamaged`, `JournalFull` and `OSError`, with files of an old layout as they were.
    """
    hashes: _Hashes = {}
    heads: list[SegmentHead] = []
    changed = 0
    ends: dict[str, bytes] = {}
    for file in files:
        head = file.head()
        head = replace(head, hash=ends.get(file.daemon, head.hash))
        heads.append(head)
        end = head.hash
        for row, body in _raised(file, steps):
            changed += body != row.body
            end = chain_hash(end, row.seq, row.stream, body)
            if row.kind == journal_format.OUTPUT:
                hashes[file.daemon, row.stream, row.stream_seq] = end
        ends[file.daemon] = end
    made = []
    folders = sorted({file.path.parent for file in files})
    try:
        for number, (file, head) in enumerate(zip(files, heads, strict=True), start=1):
            progress(f"{number} of {len(files)}: {file.daemon} {file.day}")
            made.append((_written(file, head, hashes, steps), file))
        for path in (*(new for new, _ in made), *folders):  # a power cut finds each new file whole, or none
            sync_path(path)
        for new, file in made:
            new.replace(segment_path(file.path.parent, file.day))
    except BaseException:
        for file in files:  # those of an old layout are all there until every new one has its name
            path = segment_path(file.path.parent, file.day)
            for new in (path.with_name(f".{path.name}"), *([path] if file.is_old_layout else [])):
                with suppress(OSError):
                    new.unlink(missing_ok=True)
        raise
    for folder in folders:
        sync_path(folder)
    for file in files:
        if file.is_old_layout:
            sqlite_journals.remove_files(file.path)
    for folder in folders:  # an old file that came back would be upgraded once more, over newer rows
        sync_path(folder)
    return changed


def remove_left_behind(config: RunConfig) -> None:
    """Remove files and folders that only older versions used, also after an upgrade that was cut short."""
    for name in journal_names(config):
        for path in config.journal_dir(name).glob(f"*{journal_format.OLD_SUFFIX}-*"):
            path.unlink()
    for name in LEFT_BEHIND:
        path = config.state / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _raised(file: StoredDay, steps: Mapping[int, Step]) -> Iterator[tuple[Row, bytes]]:
    """The rows of a file as they are, each with its body of this version."""
    return ((row, _body(row, file.schema, steps)) for row in file.rows())


def _body(row: Row, schema: int, steps: Mapping[int, Step]) -> bytes:
    body = row.body
    for number in range(schema, SCHEMA_VERSION):
        if number in steps:
            body = steps[number](row.stream, body)
    if row.stream != "records":
        return body
    try:
        message = StreamDecoder("records").decode_body(body)
    except FrameError:
        return body
    if isinstance(message, RunStarted) and message.schema < SCHEMA_VERSION:
        return encode_body(replace(message, schema=SCHEMA_VERSION))
    return body


def _written(file: StoredDay, head: SegmentHead, hashes: _Hashes, steps: Mapping[int, Step]) -> Path:
    """The file that is to take the place of another, under a name that nobody reads."""
    cursors = tuple(
        (writer, stream, journal_format.Cursor(at.epoch, at.seq, hashes.get((writer, stream, at.seq), at.hash)))
        for writer, stream, at in head.cursors
    )
    commits = _commits(_pointed(file, head, hashes, steps), file.sealed_for())
    made, _ = write_new_segment(segment_path(file.path.parent, file.day), replace(head, cursors=cursors), commits)
    return made


def _pointed(file: StoredDay, head: SegmentHead, hashes: _Hashes, steps: Mapping[int, Step]) -> Iterator[Row]:
    """The rows of this version: chained anew, and naming the rows of their writers as those are now."""
    previous = head.hash
    for row, body in _raised(file, steps):
        previous = chain_hash(previous, row.seq, row.stream, body)
        source_hash = row.source_hash
        if row.kind == journal_format.INPUT:
            source_hash = hashes.get((row.source, row.stream, row.source_seq), source_hash)
        yield row._replace(body=body, hash=previous, source_hash=source_hash)


def _commits(rows: Iterable[Row], next_day: str) -> Iterator[list[Row] | Seal]:
    """Rows by commit, which all have the same times; the last one seals if a day is to follow."""
    last: list[Row] = []
    for _, group in groupby(rows, key=lambda row: (row.market_ns, row.machine_ns)):
        if last:
            yield last
        last = list(group)
    if last:
        yield Seal(next_day, last) if next_day else last
    elif next_day:
        raise JournalDamaged(f"expected rows in a file that is sealed for {next_day}, found none")
