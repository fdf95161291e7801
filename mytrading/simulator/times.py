"""Times as the server writes them. Used by the REST handlers."""

from __future__ import annotations

from datetime import datetime

from mytrading.core.calendar import IST


def stamp(ns: int, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A moment in Indian time by a strftime pattern."""
    return datetime.fromtimestamp(ns // 1_000_000_000, IST).strftime(pattern)
