"""The line below which the disk counts as full. Used by every daemon and by doctor."""

from __future__ import annotations

import os

LOW_DISK_BYTES = 2 << 30


def low_disk_bytes() -> int:
    """Free bytes below which entries halt: 2 GiB, or `MYTRADING_MIN_FREE_BYTES`."""
    return int(os.environ.get("MYTRADING_MIN_FREE_BYTES", LOW_DISK_BYTES))
