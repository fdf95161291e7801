"""The layout of a journal's day file: rows, their hash chain, and the frames that hold them.

A day file is a magic number and frames: the head first, then one for each commit. A frame has a checksum, its length,
and the byte up to which the disk was known to have the file; zeros allocated in advance follow the last one.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from mytrading.messages.codec import NO_HASH

INPUT, OUTPUT, RECORD = 0, 1, 2
RESERVE_BYTES = 8 << 20
LAYOUT = 2
"""Of a day file. Layouts 0 and 1 were SQLite databases, which `mytrading state upgrade` reads."""
LAYOUT_FILE = "LAYOUT"
"""Names the layout of the journals of a state folder, so that a version before it does not start beside them."""
SUFFIX = ".journal"
OLD_SUFFIX = ".sqlite"
_MAGIC = b"MTJRNL\x00"
BEGIN = len(_MAGIC) + 1
"""Offset of the first frame, behind the magic number and the layout."""


class Row(NamedTuple):
    """One row. `stream_seq` counts a written stream; `source…` places an input in its writer's stream."""

    seq: int
    epoch: int
    kind: int
    stream: str
    stream_seq: int
    source: str
    source_epoch: int
    source_seq: int
    source_hash: bytes
    market_ns: int
    machine_ns: int
    body: bytes
    hash: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row to append: the journal adds sequence, epoch, hash, and the times of its transaction unless it has some.

    `source…` places an input in its writer's stream.
    """

    kind: int
    stream: str
    body: bytes
    source: str = ""
    source_epoch: int = 0
    source_seq: int = 0
    source_hash: bytes = NO_HASH
    market_ns: int = 0
    machine_ns: int = 0


class Cursor(NamedTuple):
    """A reader's position in one stream of one writer."""

    epoch: int = 0
    seq: int = 0
    hash: bytes = NO_HASH


class SegmentHead(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of a file: the row before its first one, and the state of earlier files.

    `written` is the last sequence of each stream, `floors` the sequence its next row must lie above, `cursors` how far
    the writer had read others, as (writer, stream, cursor). A later one begins a new epoch within the day.
    """

    seq: int = 0
    hash: bytes = NO_HASH
    epoch: int = 1
    written: dict[str, int] = {}
    floors: dict[str, int] = {}
    cursors: tuple[tuple[str, str, Cursor], ...] = ()


class Seal(msgspec.Struct, frozen=True, array_like=True):
    """A commit that ends the file: the day that is to follow, and the last rows."""

    next_day: str
    rows: list[Row]


class JournalDamaged(Exception):
    """A row that does not decode, apply or match its hash: the message names file and row. An operator must look."""


class JournalUnavailable(JournalDamaged):
    """A file that cannot be read or written now, for want of disk, rights or a lock; it may be whole."""


class JournalOfAnotherVersion(Exception):
    """A journal that this version cannot apply; the message names both versions and what to do."""


class JournalFull(Exception):
    """The disk took no more rows, even after the reserve was used up. Nothing was written; nothing may be sent."""


def chain_hash(previous: bytes, row_seq: int, stream: str, body: bytes) -> bytes:
    """Return the hash of a row: it covers the hash of the row before (`previous`), so a change or a loss shows."""
    return blake2b(previous + row_seq.to_bytes(8, "little") + stream.encode() + body, digest_size=8).digest()


HEAD, ROWS, SEAL, REST = b"H", b"R", b"S", b"C"
"""Kinds of frames: a head, a commit, the commit that seals, and a sync: the disk has all that stands before it."""
MARK = b"\xf7JF"
_CRC = struct.Struct("<I")
MARK_AT = _CRC.size
"""Offset of the mark in a frame, behind its checksum."""
_REST = struct.Struct("<3scIQ")
"""Behind the checksum: mark, kind, bytes of the body, bytes of the file that the disk had."""
FRAME_BYTES = _CRC.size + _REST.size
"""Bytes before the body of a frame."""
_encode = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[Row]).decode
_decode_head = msgspec.msgpack.Decoder(SegmentHead).decode
_decode_seal = msgspec.msgpack.Decoder(Seal).decode


class JournalFrame(NamedTuple):
    """A frame, from byte `at` of its file to byte `end`; `synced` bytes of the file were on the disk before it."""

    at: int
    end: int
    kind: bytes
    synced: int
    body: bytes

    def rows(self) -> list[Row]:
        """Decode the rows of a commit, [] for other frames; raises `msgspec.DecodeError`."""
        if self.kind == ROWS:
            return _decode_rows(self.body)
        return self.seal().rows if self.kind == SEAL else []

    def head(self) -> SegmentHead:
        """Decode the content of a head; raises `msgspec.DecodeError`."""
        return _decode_head(self.body)

    def seal(self) -> Seal:
        """Decode the content of a sealing commit; raises `msgspec.DecodeError`."""
        return _decode_seal(self.body)


def encode_frame(kind: bytes, content: SegmentHead | Seal | Sequence[Row] | None, synced: int) -> bytes:
    """Return a frame: checksum, kind, length, `synced` (bytes of the file known to be on the disk) and body."""
    body = _encode(content)
    rest = _REST.pack(MARK, kind, len(body), synced) + body
    return _CRC.pack(zlib.crc32(rest)) + rest


def decode_frame(data: bytes, offset: int, at: int) -> JournalFrame | int:
    """Decode the frame at an offset of `data`, which is byte `at` of the file; else return an int.

    The int is how many bytes from the offset on it takes to decode a frame; 0 if there is no whole frame in any case.
    """
    if offset + FRAME_BYTES > len(data):
        return FRAME_BYTES
    mark: bytes
    kind: bytes
    length: int
    synced: int
    mark, kind, length, synced = _REST.unpack_from(data, offset + _CRC.size)
    if mark != MARK:
        return 0
    size = FRAME_BYTES + length
    if offset + size > len(data):
        return size
    rest = data[offset + _CRC.size : offset + size]
    if zlib.crc32(rest) != _CRC.unpack_from(data, offset)[0]:
        return 0
    return JournalFrame(at, at + size, kind, synced, rest[_REST.size :])


def first_bytes(head: SegmentHead) -> bytes:
    """Return the first bytes of a day file: magic, layout and head."""
    return _MAGIC + bytes([LAYOUT]) + encode_frame(HEAD, head, 0)


def check_layout(path: Path, start: bytes) -> None:
    """Raise `JournalOfAnotherVersion` or `JournalDamaged` unless a file's first bytes `start` are a journal's."""
    if not start.startswith(_MAGIC) or len(start) < BEGIN:
        raise JournalDamaged(f"{path}: it is no journal; the writer's next start will move the file aside")
    if (layout := start[len(_MAGIC)]) != LAYOUT:
        raise JournalOfAnotherVersion(
            f"{path}: expected layout {LAYOUT}, found {layout}: a newer version of MyTrading wrote it; start that "
            "version, or `mytrading state backup` and `mytrading state reset`"
        )


def check_state_layout(state: Path) -> None:
    """Raise `JournalOfAnotherVersion` if a state folder says that its journals have a newer layout than this version's.

    A version that looks for its own kind of files alone would begin on empty journals beside them."""
    try:
        text = (state / LAYOUT_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return
    if not text.isdecimal() or int(text) > LAYOUT:
        raise JournalOfAnotherVersion(
            f"{state / LAYOUT_FILE}: expected layout {LAYOUT} or older, found {text!r}: a newer version of MyTrading "
            "wrote this state; start that version, or `mytrading state backup` and `mytrading state reset`"
        )


def write_state_layout(state: Path) -> None:
    """Write into a state folder which layout its journals have from now on."""
    path = state / LAYOUT_FILE
    text = f"{LAYOUT}\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        fresh = state / f".{LAYOUT_FILE}"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)


def segment_path(folder: Path, day: str) -> Path:
    """Return the path of a day's file (ISO date) in a journal's folder."""
    return folder / f"{day}{SUFFIX}"


def segments(folder: Path) -> list[Path]:
    """Return the day files of a journal, oldest first; [] if it has no folder.

    Raises `JournalOfAnotherVersion` while files of an old layout are among them: those are not upgraded yet.
    """
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if old := [path for path in found if path.suffix == OLD_SUFFIX]:
        twice = next((path for path in old if path.with_suffix(SUFFIX) in found), None)
        cure = "`mytrading state upgrade` converts it, with the stack stopped"
        if twice is not None:
            cure = f"{twice.with_suffix(SUFFIX).name} beside it is of the same day: one of both must be moved away; "
            cure += "`mytrading state upgrade` names the first and last time of each"
        what = f"expected journals of layout {LAYOUT}, found an SQLite file of layout 1 or older"
        raise JournalOfAnotherVersion(f"{twice or old[0]}: {what}; {cure}")
    return [path for path in found if path.suffix == SUFFIX]


def sync_path(path: Path) -> None:
    """Sync a file's bytes, or the names in a folder, to the disk; returns when a power cut cannot lose them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
