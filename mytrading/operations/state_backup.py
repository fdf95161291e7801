"""The state folder of a stack as a whole: its contents, and a consistent copy of it.

The originals are only read, and no copy holds an API key, encrypted or not.
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
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from mytrading import __version__
from mytrading.adapters.storage.shared_database import open_to_read
from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.messages.streams import SCHEMA_VERSION, STREAMS
from mytrading.runtime.journal.day_files import day_files, journal_names
from mytrading.runtime.journal.format import LAYOUT, JournalDamaged, JournalOfAnotherVersion, segments
from mytrading.runtime.journal.reader import Extent, extent_of
from mytrading.runtime.recovery.journal_rebuild import ASIDE

Progress = Callable[[str], None]
LEFT_OUT = ("lock", "metrics", RUN_FILE, "supervisord.log", "supervisord.err", ".reserve", "left.msgpack", "savepoints")
_SQLITE = b"SQLite format 3\x00"
_AGREE_S, _STILL_S = 20.0, 0.5
"""Seconds to wait for a moment in which the journals agree; after the second without a row a file has lost its tail."""


class StateInMotion(Exception):
    """The journals moved on faster than a consistent picture of them could be taken."""


def state_contents(config: RunConfig) -> list[dict[str, Any]]:
    """Return a row for each journal file, then for each other entry of the state folder, with sizes in bytes."""
    rows: list[dict[str, Any]] = [
        {"name": f"journal/{file.daemon}", "day": file.day, "bytes": file.size, "rows": file.rows,
         "version": file.version, "build": file.build, "schema": file.schema, "layout": file.layout,
         "state": "sealed" if file.sealed_for else "open"}
        for file in day_files(config)
    ]  # fmt: skip
    for path in sorted(config.state.iterdir()):
        if path.name != "journal":
            parts = path.rglob("*") if path.is_dir() else [path]
            rows.append({"name": path.name, "bytes": sum(part.stat().st_size for part in parts if part.is_file())})
    return rows


def write_backup(config: RunConfig, target: Path, progress: Progress) -> dict[str, Any]:
    """Write a consistent copy of the state folder to a tar.gz with a manifest; works while the stack runs.

    Returns the manifest. Raises `StateInMotion`, and `OSError` when the file cannot be written.
    """
    paths = list(_wanted(config.state))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        with ExitStack() as opened, tarfile.open(part, "w:gz") as archive:
            reach = _reach(config)
            databases = {path: opened.enter_context(_fixed(path)) for path in paths if _is_database(path)}
            files = []
            for path in paths:
                progress(f"copying {path.relative_to(config.state)}")
                data = _copied(databases[path]) if path in databases else _beginning(path, reach.get(path))
                files.append(_add_bytes(archive, f"state/{path.relative_to(config.state)}", data))
            manifest = {
                "profile": config.profile, "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "version": __version__, "schema": SCHEMA_VERSION, "layout": LAYOUT,
                "keys": "none: API keys are in config/accounts.toml, encrypted, and in .env; keep those apart",
                "files": files,
            }  # fmt: skip
            _add_bytes(archive, "manifest.json", json.dumps(manifest, indent=1).encode())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _wanted(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        passing = path.name.endswith(("-wal", "-shm", ".part")) and ASIDE not in inside
        if path.is_file() and not set(inside) & set(LEFT_OUT) and not passing:
            yield path


# journals: how much of each file is copied
def _reach(config: RunConfig) -> dict[Path, int]:
    """Return the bytes of each journal's newest file to copy, so that no reader is ahead of its writer.

    A writer whose file stands still while a reader is ahead of it has lost its last rows: the copy is as the state is.
    """
    newest = {}
    for name in journal_names(config):
        with suppress(JournalOfAnotherVersion):  # before `state upgrade`, which copies the files as they lie there
            if files := segments(config.journal_dir(name)):
                newest[name] = files[-1]
    found = {name: _extent(path) for name, path in newest.items()}
    began = moved = time.monotonic()
    while behind := _behind(found):
        now = time.monotonic()
        if now - began > _AGREE_S:
            cure = "try again, or `mytrading down` first"
            raise StateInMotion(f"expected a moment in which the journals agree, found none; {cure}")
        ends = {name: _extent(newest[name], found[name]) for name in behind}
        if any(ends[name].end != found[name].end for name in behind):
            moved, found = now, found | ends
        elif now - moved > _STILL_S:
            break
        else:
            time.sleep(0.01)
    return {newest[name]: extent.end for name, extent in found.items()}


def _extent(path: Path, since: Extent | None = None) -> Extent:
    try:
        return extent_of(path, since)
    except JournalDamaged:  # it is copied whole
        return Extent(path.stat().st_size, {}, {})


def _behind(found: dict[str, Extent]) -> set[str]:
    """Writers whose file was read before their readers had read on in it."""
    behind = set()
    for name, stream in STREAMS.items():
        for writer in stream.writers if stream.is_journaled else ():
            readers = [found[reader] for reader in stream.readers if reader in found]
            read = max((reader.read.get((writer, name), 0) for reader in readers), default=0)
            if writer in found and read > found[writer].written.get(name, 0):
                behind.add(writer)
    return behind


def _beginning(path: Path, size: int | None) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


# databases: the feed's bars, the simulator's books
def _is_database(path: Path) -> bool:
    """True of a file that SQLite reads; a damaged one that was set aside is copied as bytes."""
    return ASIDE not in path.parts and _beginning(path, len(_SQLITE)) == _SQLITE


@contextmanager
def _fixed(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_to_read(path)) as db:
        try:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            raise StateInMotion(f"{path}: expected a database that can be read, found: {error}; try again") from error
        yield db


def _copied(db: sqlite3.Connection) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        with closing(sqlite3.connect(copy)) as target:
            db.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        return copy.read_bytes()


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> dict[str, Any]:
    """Add a file; its entry in the manifest."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(data))
    return {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def verify_backup(path: Path) -> dict[str, Any]:
    """Check all files of a backup against its manifest and return it; `ValueError` names the first bad file."""
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
