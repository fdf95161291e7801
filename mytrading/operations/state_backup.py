"""The state folder of a stack as a whole: what is in it, and a consistent copy of it.

Used by `mytrading state`. The one rule: the originals are only read, and no copy holds an API key, encrypted or not.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from mytrading import __version__
from mytrading.adapters.shared_database import open_to_read
from mytrading.messages.runconfig import RUN_FILE, RunConfig
from mytrading.messages.streams import SCHEMA_VERSION, STREAMS
from mytrading.runtime.day_files import day_files
from mytrading.runtime.journal_format import INPUT, INSERT, LAYOUT, OUTPUT, Row
from mytrading.runtime.journal_front import unmoved
from mytrading.runtime.journal_reader import end_of
from mytrading.runtime.rebuild import ASIDE

Progress = Callable[[str], None]
LEFT_OUT = ("lock", "metrics", RUN_FILE, "supervisord.log", "supervisord.err", ".reserve", "left.msgpack", "savepoints")
_SQLITE = b"SQLite format 3\x00"
_TRIES = 50


class StateInMotion(Exception):
    """The journals moved on faster than a consistent picture of them could be taken."""


class Piece(NamedTuple):
    """One file of a backup."""

    path: str
    size: int
    sha256: str


def described(config: RunConfig) -> list[dict[str, Any]]:
    """Every journal file, one row each, then the other folders and files with their sizes."""
    rows = [
        {
            "name": f"journal/{file.daemon}",
            "day": file.day,
            "bytes": file.size,
            "rows": file.rows,
            "version": file.version,
            "schema": file.schema,
            "layout": file.layout,
            "state": "sealed" if file.sealed_for else "open",
        }
        for file in day_files(config)
    ]
    others = [path for path in sorted(config.state.iterdir()) if path.name != "journal"]
    return rows + [{"name": path.name, "bytes": _size(path)} for path in others]


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())


# backup


def backup(config: RunConfig, target: Path, progress: Progress) -> dict[str, Any]:
    """Write the state folder as it is at one moment to a tar.gz with a manifest; works while the stack runs.

    Returns the manifest. Raises `StateInMotion`, and `OSError` when the file cannot be written.
    """
    paths = list(_wanted(config.state))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        with ExitStack() as opened, tarfile.open(part, "w:gz") as archive:
            databases = _pictures(config, [path for path in paths if _is_database(path)], opened)
            pieces = []
            for path in paths:
                progress(f"copying {path.relative_to(config.state)}")
                pieces.append(_add(archive, config.state, path, databases.get(path)))
            manifest = _manifest(config, pieces)
            _add_bytes(archive, "manifest.json", json.dumps(manifest, indent=1).encode())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _wanted(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        passing = path.name.endswith(("-wal", "-shm", "-front", ".part")) and ASIDE not in inside
        if not path.is_file() or set(inside) & set(LEFT_OUT) or passing:
            continue
        yield path


def _is_database(path: Path) -> bool:
    """True of what SQLite is to read; a damaged file that was set aside is copied as it lies there."""
    if ASIDE in path.parts:
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


class _Picture(NamedTuple):
    """A database as it was at one moment, and the rows that a journal's writer had not moved into it."""

    db: sqlite3.Connection
    unmoved: list[Row]


def _pictures(config: RunConfig, paths: list[Path], opened: ExitStack) -> dict[Path, _Picture]:
    """A connection to each database, all of them fixed on a moment in which no reader is ahead of its writer."""
    found = {path: _fixed(config, path, opened) for path in paths}
    for _ in range(_TRIES):
        behind = _behind(config, found)
        if not behind:
            return found
        for path in behind:
            found[path].db.rollback()
            found[path] = _fix(config, path, found[path].db)
    raise StateInMotion(
        "expected a moment in which the journals agree, found none; try again, or `mytrading down` first"
    )


def _fixed(config: RunConfig, path: Path, opened: ExitStack) -> _Picture:
    db = opened.enter_context(closing(open_to_read(path)))
    try:
        return _fix(config, path, db)
    except sqlite3.DatabaseError as error:
        raise StateInMotion(
            f"{path}: expected a database that can be read, found: {error}; try again, and if it stays so see "
            "`mytrading journal verify`"
        ) from error


def _fix(config: RunConfig, path: Path, db: sqlite3.Connection) -> _Picture:
    """From here on the connection sees the database as it is now."""
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return _Picture(db, unmoved(path, *end_of(db)) if _is_journal(config, path) else [])


def _is_journal(config: RunConfig, path: Path) -> bool:
    return path.parent.parent == config.state / "journal"


def _behind(config: RunConfig, found: dict[Path, _Picture]) -> list[Path]:
    """Journals of writers whose picture is older than what their readers, in theirs, have read."""
    newest: dict[str, Path] = {}
    for path in sorted(found):
        if _is_journal(config, path):
            newest[path.parent.name] = path
    behind = []
    for name, stream in STREAMS.items():
        for writer in stream.writers if stream.journaled else ():
            read = max((_read(found[newest[r]], writer, name) for r in stream.readers if r in newest), default=0)
            if writer in newest and read > _written(found[newest[writer]], name):
                behind.append(newest[writer])
    return behind


def _read(picture: _Picture, writer: str, stream: str) -> int:
    for row in reversed(picture.unmoved):
        if (row.kind, row.source, row.stream) == (INPUT, writer, stream):
            return row.source_seq
    query = "SELECT max(source_seq) FROM rows WHERE kind = 0 AND source = ? AND stream = ?"
    return int(picture.db.execute(query, (writer, stream)).fetchone()[0] or 0)


def _written(picture: _Picture, stream: str) -> int:
    for row in reversed(picture.unmoved):
        if (row.kind, row.stream) == (OUTPUT, stream):
            return row.stream_seq
    db = picture.db
    seq = db.execute("SELECT max(stream_seq) FROM rows WHERE kind = 1 AND stream = ?", (stream,)).fetchone()[0]
    carried = db.execute("SELECT value FROM meta WHERE key = ?", (f"written:{stream}",)).fetchone()
    return max(int(seq or 0), int(carried[0]) if carried else 0)


def _add(archive: tarfile.TarFile, folder: Path, path: Path, picture: _Picture | None) -> Piece:
    name = str(path.relative_to(folder))
    data = path.read_bytes() if picture is None else _copied(picture)
    return _add_bytes(archive, f"state/{name}", data)


def _copied(picture: _Picture) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        with closing(sqlite3.connect(copy)) as target:
            picture.db.backup(target)
            if picture.unmoved:
                target.executemany(INSERT, picture.unmoved)
                target.commit()
            target.execute("PRAGMA journal_mode=DELETE")
        return copy.read_bytes()


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> Piece:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(data))
    return Piece(name, len(data), hashlib.sha256(data).hexdigest())


def _manifest(config: RunConfig, pieces: list[Piece]) -> dict[str, Any]:
    return {
        "profile": config.profile,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": __version__,
        "schema": SCHEMA_VERSION,
        "layout": LAYOUT,
        "keys": "none: API keys are in config/accounts.toml, encrypted, and in .env; keep those apart",
        "files": [piece._asdict() for piece in pieces],
    }


def verified(path: Path) -> dict[str, Any]:
    """The manifest of a backup whose files are all what it says; raises `ValueError` naming the first that is not."""
    with tarfile.open(path, "r:gz") as archive:
        found = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        notes = found.pop("manifest.json", None)
        if notes is None:
            raise ValueError(f"{path}: expected a manifest.json, found none: not a backup of a state folder")
        manifest: dict[str, Any] = json.loads(notes.read())
        for piece in manifest["files"]:
            file = found.get(piece["path"])
            if file is None or hashlib.sha256(file.read()).hexdigest() != piece["sha256"]:
                raise ValueError(f"{path}: {piece['path']} is missing or not what the manifest says")
    return manifest
