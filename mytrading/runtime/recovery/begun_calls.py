"""Placing calls that routers of this machine have begun, noted in memory that outlives a killed process.

A router that dies between the row of an order and its call leaves an order that looks as if it were out; its successor
knows by these notes which calls never began. After a boot nothing is known: the notes may be lost and the calls not.
"""

from __future__ import annotations

import itertools
import mmap
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from mytrading.runtime.host.clock import boot_id

SLOTS = 4096
"""Calls remembered; far more than can be without an answer at one time."""
_WIDTH = 8


class BegunCalls:
    """The notes in file `path`. `record` is safe from any thread. Budget: 2 µs."""

    def __init__(self, path: Path) -> None:
        whose = blake2b(boot_id().encode(), digest_size=_WIDTH).digest()
        known = path.exists() and path.read_bytes()[:_WIDTH] == whose
        if not known:
            mine = path.with_name(f".{path.name}.{os.getpid()}")
            mine.write_bytes(whose + bytes(SLOTS * _WIDTH))
            mine.replace(path)
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), (SLOTS + 1) * _WIDTH)
        notes = self._memory[_WIDTH:]
        self._before = {notes[at : at + _WIDTH] for at in range(0, len(notes), _WIDTH)} if known else None
        self._used = itertools.count(len((self._before or set()) - {bytes(_WIDTH)}))

    def record(self, note: bytes) -> None:
        """Record that a call to place an order leaves now; `note` is its `attempt_digest`. Safe from any thread."""
        at = (next(self._used) % SLOTS + 1) * _WIDTH
        self._memory[at : at + _WIDTH] = note

    def never_began(self, client_order_id: str, attempt: int) -> bool:
        """Return true if an earlier router of this boot recorded its calls, but none for this attempt; else false."""
        return self._before is not None and attempt_digest(client_order_id, attempt) not in self._before

    def close(self) -> None:
        """Release the shared memory, unless it is in use."""
        with suppress(BufferError):
            self._memory.close()


def attempt_digest(client_order_id: str, attempt: int) -> bytes:
    """Return the digest (`_WIDTH` bytes) that stands for one attempt, a number, to place an order."""
    return blake2b(f"{client_order_id} {attempt}".encode(), digest_size=_WIDTH).digest()
