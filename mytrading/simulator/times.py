"""Times as the server writes them. Used by the REST handlers."""

from __future__ import annotations

from datetime import datetime

from mytrading.core.calendar import IST


def stamp(ns: int) -> str:
    """`YYYY-MM-DD HH:MM:SS` in Indian time."""
    return datetime.fromtimestamp(ns // 1_000_000_000, IST).strftime("%Y-%m-%d %H:%M:%S")
