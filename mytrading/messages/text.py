"""Text of others (servers, edited files), read within bounds and made fit to be shown.

Shown text has no control sequences and no endless length, and can be encoded. Pipes and devices are not read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Any

MOST_BYTES = 4096
"""Of a text that is shown."""
MOST_OF_FILE = 4 << 20
"""Bytes; a calendar of ten years has some 50,000."""

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c|$)",  # OSC, DCS, SOS, PM, APC, each with its text
    re.DOTALL,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(text: str, *, colours: bool = False) -> str:
    """Return a text without control sequences and characters, but for line ends, tabs and, on request, colours."""
    if text.isprintable():
        return text
    if colours:
        pieces = zip(_COLOUR.split(text), [*_COLOUR.findall(text), ""], strict=True)
        return "".join(plain(piece) + colour for piece, colour in pieces)
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def shortened(text: str, most: int = MOST_BYTES) -> str:
    """Return a text as `plain` does, cut to `most` bytes of UTF-8."""
    cleaned = plain(text[:most])
    if len(text) <= most and len(cleaned.encode()) <= most:
        return cleaned
    return f"{cleaned.encode()[: most - 3].decode(errors='ignore')}…"


def shown(value: Any, most: int = 100) -> str:
    """Return any value as text of at most `most` characters; one too large to print is named by its type."""
    try:
        return str(value)[:most]
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} beyond any bound"


def read_head(path: Path, most: int) -> bytes:
    """Read the first bytes, at most `most`, of a regular file; `OSError` for anything else."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "expected a regular file, found a pipe, a device or a folder", str(path))
        return file.read(most)


def read_text(path: Path, most: int = MOST_OF_FILE) -> str:
    """Read a whole UTF-8 file; `OSError` if larger or no regular file, `UnicodeDecodeError` for other bytes."""
    return read_bytes(path, most).decode("utf-8")


def read_bytes(path: Path, most: int = MOST_OF_FILE) -> bytes:
    """Read a whole file; `OSError` if it is larger than `most` or no regular file."""
    found = read_head(path, most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"expected at most {most:,} bytes, found more", str(path))
    return found
