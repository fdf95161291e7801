"""The day's profit curve, kept in the state folder, so that a console that was restarted shows all of it."""

from __future__ import annotations

import math
import os
import struct
from contextlib import suppress
from pathlib import Path

from mytrading.core.time import day_number
from mytrading.messages.console_rows import ProfitPoint

MS = 1_000_000
MOST_POINTS = 5000
"""More are thinned to every second one; the file keeps all."""
_RECORD = struct.Struct("<qdd")


class ProfitCurve:
    """Points of one day, the newest that came. A point costs 24 bytes of the file, a day of six hours 110 kB.

    Nothing waits for the disk: a full one costs the points, and what was torn by a power cut is left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._points: list[ProfitPoint] = []
        with suppress(OSError):
            whole = path.stat().st_size // _RECORD.size * _RECORD.size
            os.truncate(path, whole)
            for at_ms, realised, unrealised in _RECORD.iter_unpack(path.read_bytes()):
                if math.isfinite(realised) and math.isfinite(unrealised):
                    self._take(ProfitPoint(at_ms=at_ms, realised=realised, unrealised=unrealised))

    def add(self, point: ProfitPoint) -> None:
        """Add a point of now; one of another day begins the curve anew."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab" if self._is_of_day(point) else "wb") as file:
                file.write(_RECORD.pack(point.at_ms, point.realised, point.unrealised))
        self._take(point)

    def rows(self) -> dict[str, ProfitPoint]:
        """Return the points of the day's profit, by their wall time (ms) as text."""
        return {str(point.at_ms): point for point in self._points}

    def _take(self, point: ProfitPoint) -> None:
        if not self._is_of_day(point):
            self._points = []
        self._points.append(point)
        if len(self._points) > MOST_POINTS:
            self._points = self._points[::2]

    def _is_of_day(self, point: ProfitPoint) -> bool:
        """True if the curve has points of the same day."""
        return bool(self._points) and _day(self._points[-1]) == _day(point)


def _day(point: ProfitPoint) -> int:
    return day_number(point.at_ms * MS)
