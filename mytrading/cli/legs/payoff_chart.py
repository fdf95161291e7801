"""The payoff of a set of legs as lines of block characters.

Used by `mytrading legs show`. The one rule: the zero line is a line of its own, so that a small loss never looks like a
gain.
"""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
GAIN, LOSS = "gain", "loss"


def chart(values: Sequence[float], height: int = 7) -> list[tuple[str, str]]:
    """(gain, loss or axis; line) from the top: `height` lines for gains, the axis, as many for losses."""
    most = max((abs(value) for value in values), default=0.0) or 1.0
    up = [_row(values, most, height, level) for level in range(height - 1, -1, -1)]
    down = [_row_below(values, most, height, level) for level in range(height)]
    return [*((GAIN, row) for row in up), ("axis", "─" * len(values)), *((LOSS, row) for row in down)]


def _row(values: Sequence[float], most: float, height: int, level: int) -> str:
    return "".join(BLOCKS[max(0, min(8, round((max(value, 0.0) / most * height - level) * 8)))] for value in values)


def _row_below(values: Sequence[float], most: float, height: int, level: int) -> str:
    """Blocks grow from their foot, so below the axis a cell is full, half or empty."""
    cells = [max(-value, 0.0) / most * height - level for value in values]
    return "".join("█" if cell >= 0.75 else "▀" if cell >= 0.25 else " " for cell in cells)


def spots(low: float, high: float, width: int) -> list[float]:
    """`width` prices from `low` to `high`."""
    step = (high - low) / max(width - 1, 1)
    return [low + step * k for k in range(width)]
