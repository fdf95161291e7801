"""The day's instruments in one file of the state folder: written by the feed, read by engine, risk and screens.

Beside it lies a copy for each day, for the comparison with the day before and for the warehouse. A file is replaced in
one step, so that no reader ever sees half of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from mytrading.core.calendar.expiries import Ends, end_of_day
from mytrading.core.instruments.book import InstrumentBook
from mytrading.messages.instruments import Snapshot

FILE = "master.msgpack"
FOLDER = "master"
ACCEPTED = "accepted_contracts.json"
KEPT = 10
"""Files of so many days stay when the older ones are in the warehouse."""

NOTHING = Snapshot(day="", fetched_ns=0)

_decoder = msgspec.msgpack.Decoder(Snapshot)
_accepted_decoder = msgspec.json.Decoder(dict[str, tuple[str, ...]])


class InstrumentFile:
    """Instrument files in a state folder; a missing file counts as empty. `ends` says when an expiry is past."""

    def __init__(self, state: Path, ends: Ends = end_of_day) -> None:
        self.path = state / FILE
        self._name = str(self.path)  # risk looks before each signal, and a path makes its name anew each time
        self.folder = state / FOLDER
        self._ends = ends
        self._read_at = 0

    def write(self, snapshot: Snapshot) -> None:
        """Write the snapshot as the current file and as its day's copy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data = msgspec.msgpack.encode(snapshot)
        for path in (self._of(snapshot.day), self.path):
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_bytes(data)
            temporary.replace(path)

    def exists(self) -> bool:
        """True if the present instrument file exists."""
        return bool(self._written())

    def has_changed(self) -> bool:
        """True if the file was replaced since `snapshot` last read it; asking does not reset that."""
        return self._written() != self._read_at

    def snapshot(self) -> Snapshot:
        """Read the present snapshot and note it for `has_changed`; an empty one if missing, damaged or outdated."""
        self._read_at = self._written()
        try:
            return _read(self.path) if self._read_at else NOTHING
        except ValueError:
            return NOTHING

    def book(self) -> InstrumentBook:
        """Read the present snapshot as an instrument book."""
        return self.book_of(self.snapshot())

    def book_of(self, snapshot: Snapshot) -> InstrumentBook:
        """Return a snapshot's instruments as a book, with this file's rule of when an expiry is past."""
        return InstrumentBook(snapshot.instruments, self._ends, snapshot.kept, snapshot.refusals)

    def days(self) -> list[str]:
        """Return the days (ISO) that have a copy, oldest first."""
        return sorted(path.stem for path in self.folder.glob("*.msgpack") if not path.name.startswith("."))

    def of_day(self, day: str) -> Snapshot | None:
        """Read the copy of a day, None if there is none. `ValueError` names a file that does not decode."""
        path = self._of(day)
        return _read(path) if path.exists() else None

    def newest_before(self, day: str) -> Snapshot | None:
        """Read the newest decodable copy of a day before `day`, None if there is none."""
        for earlier in reversed([kept for kept in self.days() if kept < day]):
            with suppress(ValueError):
                return self.of_day(earlier)
        return None

    def delete_day(self, day: str) -> None:
        """Delete the copy of a day."""
        self._of(day).unlink(missing_ok=True)

    def _of(self, day: str) -> Path:
        return self.folder / f"{day}.msgpack"

    def _written(self) -> int:
        try:
            return os.stat(self._name).st_mtime_ns  # noqa: PTH116
        except FileNotFoundError:
            return 0


class AcceptedFile:
    """What an operator has accepted of the server's contracts: keys of refusals by underlying. Written by the gateway
    from its journal, which is the record; read by the feed. A missing or damaged file says nothing."""

    def __init__(self, state: Path) -> None:
        self.path = state / ACCEPTED
        self._read_at = 0

    def write(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        """Replace the file if it says something else."""
        if self.keys() == keys:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.encode(keys))
        temporary.replace(self.path)

    def has_changed(self) -> bool:
        """True if the file was replaced since `keys` last read it."""
        return self._written() != self._read_at

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Read the accepted keys by underlying, and note it for `has_changed`."""
        self._read_at = self._written()
        with suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
            return _accepted_decoder.decode(self.path.read_bytes())
        return {}

    def _written(self) -> int:
        with suppress(FileNotFoundError):
            return self.path.stat().st_mtime_ns
        return 0


def _read(path: Path) -> Snapshot:
    try:
        return _decoder.decode(path.read_bytes())
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: expected instruments of this version, found {error}; remove it, "
                         "the feed writes it anew") from error  # fmt: skip
