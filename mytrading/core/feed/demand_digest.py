"""Which list of wanted instruments a daemon sent and another dealt with, as one number.

Equal lists have equal numbers, in every process.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable


def digest(instruments: Iterable[str]) -> int:
    """A number of the list, whatever its order."""
    return zlib.crc32(" ".join(sorted(set(instruments))).encode())
