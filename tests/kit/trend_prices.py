"""Prices that rise, fall and rise again."""

from __future__ import annotations

CLOSES = [100, 101, 102, 101, 103, 106, 110, 113, 112, 108, 103, 99, 96, 97, 101, 106]
