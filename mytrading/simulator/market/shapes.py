"""Seeded shapes of trading days: log-price paths with busy openings and closings, swings, gaps and traded volume.

Used by `World` for the generated market and for the history before a replayed day. The one rule: everything is a
function of (seed, name, day), never of what was asked before, so that a restart continues the same day.
"""

from __future__ import annotations

from datetime import date
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Swings about the day's path: (half-life in seconds, size as a share of the price). They make averages cross.
_SWINGS = ((240.0, 0.0005), (1500.0, 0.0011))
_TRADING_DAYS = 250.0


class Shapes:
    """Draws of one seed; `volatility` is of a year, 0.13 for 13 %."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._busy: dict[int, Array] = {}

    def rng(self, name: str, day: date, purpose: int) -> np.random.Generator:
        """The generator of one purpose on one day."""
        return np.random.default_rng([self._seed, crc32(name.encode()), day.toordinal(), purpose])

    def gap_and_move(self, name: str, day: date, volatility: float) -> tuple[float, float]:
        """Log change from the close before to this open, and from this open to this close."""
        draws = self.rng(name, day, 0).normal(size=2)
        daily = volatility / np.sqrt(_TRADING_DAYS)
        return float(0.35 * daily * draws[0]), float(0.8 * daily * draws[1])

    def reach(self, name: str, day: date, volatility: float) -> tuple[float, float]:
        """Log distance of a day's high above, and of its low below, what it opened and closed at."""
        draws = np.abs(self.rng(name, day, 4).normal(size=2)) * 0.35 * volatility / np.sqrt(_TRADING_DAYS)
        return float(draws[0]), float(draws[1])

    def path(self, name: str, day: date, volatility: float, seconds: int) -> Array:
        """Log price against the open for each second, from 0 to the day's move; `seconds + 1` values."""
        rng = self.rng(name, day, 1)
        t = np.arange(seconds, dtype=np.float64)
        pattern = 1.0 + 1.6 * np.exp(-t / 1200.0) + 0.7 * np.exp((t - seconds) / 1500.0)
        scale = 0.75 * volatility / np.sqrt(_TRADING_DAYS) * np.sqrt(pattern / pattern.sum())
        walk = _bridge(np.concatenate(([0.0], np.cumsum(rng.normal(size=seconds) * scale))))
        for half_life, size in _SWINGS:
            walk += _bridge(_swing(rng, seconds + 1, half_life, size))
        _, move = self.gap_and_move(name, day, volatility)
        return np.asarray(walk + move * np.linspace(0.0, 1.0, seconds + 1))

    def activity(self, name: str, day: date, seconds: int) -> Array:
        """Share of the day's volume traded by each second, rising from 0 to 1; `seconds + 1` values."""
        if seconds not in self._busy:
            t = np.arange(seconds + 1, dtype=np.float64)
            self._busy[seconds] = 0.6 + 1.8 * np.exp(-t / 1800.0) + 1.2 * np.exp((t - seconds) / 2400.0)
        traded = np.cumsum(self._busy[seconds] * self.rng(name, day, 2).exponential(size=seconds + 1))
        return np.asarray(traded / traded[-1])


def _bridge(path: Array) -> Array:
    """The path with its end pulled back to zero along a straight line."""
    return np.asarray(path - path[0] - (path[-1] - path[0]) * np.linspace(0.0, 1.0, len(path)))


def _swing(rng: np.random.Generator, length: int, half_life: float, size: float) -> Array:
    """A mean-reverting path (first-order autoregression) with stationary deviation `size`."""
    decay = 0.5 ** (1.0 / half_life)
    noise = rng.normal(size=length) * size * np.sqrt(1.0 - decay * decay)
    block = int(half_life * 200)
    out = np.empty(length)
    last = 0.0
    for start in range(0, length, block):
        part = noise[start : start + block]
        powers = decay ** np.arange(1, len(part) + 1)
        out[start : start + block] = powers * (last + np.cumsum(part / powers))
        last = out[start + len(part) - 1]
    return out
