"""The day's instruments in one file of the state folder: written by the feed, read by engine, risk and screens.

The one rule: the file is replaced in one step, so that no reader ever sees half of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mytrading.core.instruments import InstrumentBook
from mytrading.messages.instruments import Instrument

FILE = "instruments.msgpack"


class InstrumentFile:
    """The file in a state folder; one that is not there yet holds nothing."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE
        self._read_at = 0

    def write(self, instruments: Iterable[Instrument]) -> None:
        """Replace what the file holds."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{FILE}.{os.getpid()}")
        temporary.write_bytes(msgspec.msgpack.encode(list(instruments)))
        temporary.replace(self.path)

    def exists(self) -> bool:
        """True once somebody wrote it."""
        return bool(self._written())

    def changed(self) -> bool:
        """True if the file was replaced since `book` was last called."""
        return self._written() != self._read_at

    def book(self) -> InstrumentBook:
        """The instruments; `ValueError` names a file that does not decode."""
        self._read_at = self._written()
        if not self._read_at:
            return InstrumentBook(())
        try:
            return InstrumentBook(msgspec.msgpack.decode(self.path.read_bytes(), type=list[Instrument]))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ValueError(f"{self.path}: {error}; remove it, the feed writes it anew") from error

    def _written(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
