"""One measured figure beside its goal, and the percentile used for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` is what it is held against, measured in the same run; `ratio` is value over limit; None without one.

    Where it could not be measured `value` is None and `why` says the reason; `met` is None where the machine lacks what
    the figure needs. A `binding` one depends on the code alone: where its goal is missed, the run fails and `why` says
    what to do.
    """

    name: str
    value: float | None
    unit: str
    goal: str
    met: bool | None
    n: int
    limit: float | None = None
    ratio: float | None = None
    why: str = ""
    binding: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `why` only where there is one."""
        body: dict[str, Any] = msgspec.to_builtins(self)
        del body["binding"]
        if not self.why:
            del body["why"]
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


def within(name: str, value: float, limit: float, more: float, n: int) -> Figure:
    """A figure in milliseconds whose goal is at most `more` of them beyond a limit of the same run."""
    return Figure(
        name=name,
        value=round(value, 4),
        unit="ms",
        goal=f"≤ the limit + {more:g} ms",
        met=value <= limit + more,
        n=n,
        limit=round(limit, 4),
        ratio=round(value / limit, 3) if limit else None,
    )


def beside_peer(
    name: str, value: float, limit: float, unit: str, least: float, peer: str, n: int, *, same: bool
) -> Figure:
    """A speed whose goal is `least` times a peer's; missed where the peer did not find the `same`."""
    ratio = value / limit
    return Figure(
        name=name,
        value=round(value),
        unit=unit,
        goal=f"≥ {least:g}× {peer}, the same results",
        met=same and ratio >= least,
        n=n,
        limit=round(limit),
        ratio=round(ratio, 2),
    )


def unmeasured(name: str, unit: str, goal: str, why: str, met: bool | None = False) -> Figure:
    """A figure that could not be measured, such as beside a peer that is not installed."""
    return Figure(name=name, value=None, unit=unit, goal=goal, met=met, n=0, why=f"not measured: {why}")


def below(name: str, value: float, unit: str, most: float, n: int, bare: float | None = None) -> Figure:
    """A figure whose goal is an absolute one; `bare`, the same without us, says what the machine itself took."""
    return Figure(
        name=name,
        value=round(value, 4),
        unit=unit,
        goal=f"< {most:g} {unit}",
        met=value < most,
        n=n,
        limit=round(bare, 4) if bare else None,
        ratio=round(value / bare, 3) if bare else None,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
