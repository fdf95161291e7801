"""Bounded reads of small files that an operator edits: settings, calendars, the kill switch.

A pipe or a device, which may block or never end, is refused, and no file is read beyond a bound.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST = 4 << 20
"""Bytes; a calendar of ten years has some 50,000."""


def read_head(path: Path, most: int) -> bytes:
    """At most so many bytes of a regular file; `OSError` for anything else."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "expected a regular file, found a pipe, a device or a folder", str(path))
        return file.read(most)


def read_text(path: Path, most: int = MOST) -> str:
    """A whole file in UTF-8; `OSError` if it is larger, or no regular file, `UnicodeDecodeError` for other bytes."""
    return read_bytes(path, most).decode("utf-8")


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """As `read_text`, undecoded."""
    found = read_head(path, most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"expected at most {most:,} bytes, found more", str(path))
    return found
