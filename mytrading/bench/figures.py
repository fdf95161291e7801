"""One measured figure beside its goal, and the percentile used for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` is what it is held against, measured in the same run; `ratio` is value over limit; None without one."""

    name: str
    value: float
    unit: str
    goal: str
    met: bool
    n: int
    limit: float | None = None
    ratio: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        body: dict[str, Any] = msgspec.to_builtins(self)
        return body


def against_limit(name: str, value: float, limit: float, most: float, n: int) -> Figure:
    """A figure in milliseconds whose goal is `most` times a limit of the same run."""
    ratio = value / limit if limit else 0.0
    return Figure(
        name=name,
        value=round(value, 4),
        unit="ms",
        goal=f"≤ {most:g}× the limit",
        met=ratio <= most,
        n=n,
        limit=round(limit, 4),
        ratio=round(ratio, 3),
    )


def below(name: str, value: float, unit: str, most: float, n: int) -> Figure:
    """A figure whose goal is an absolute one."""
    return Figure(name=name, value=round(value, 4), unit=unit, goal=f"< {most:g} {unit}", met=value < most, n=n)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
