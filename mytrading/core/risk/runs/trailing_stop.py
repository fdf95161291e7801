"""Trailing stops: on a run's profit in rupees, and on one leg's price.

A run's stop waits until the profit exceeds its activation, then follows the peak; with `from_entry` it begins at once,
below what the entry cost. A stop never loosens, whatever the profit, the size or the configuration does.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.messages.exit_rules import LevelKind, LevelRule, TrailKind, TrailRule


class RunBasis(NamedTuple):
    """What a run holds, all accounts together: `units` of one complete set, `premium` its net cost in rupees.

    The premium is positive for what was bought and negative for what was sold.
    """

    units: int = 0
    premium: float = 0.0


class Trail(NamedTuple):
    """Where a trailing stop stands: the highest profit since it began and its stop, in rupees; None before it began."""

    peak: float = 0.0
    stop: float | None = None


WAITING = Trail()
EXACT = 1e-6
"""Rupees within which a profit counts as being at a limit: sums of prices are not exact."""


def advance(rule: TrailRule, trail: Trail, profit: float, basis: RunBasis) -> Trail:
    """The trail after a profit of so many rupees was seen. Budget: 1 µs."""
    if trail.stop is None and not rule.from_entry and profit <= rule.activation:
        return trail
    peak = max(trail.peak, profit)
    if trail.stop is not None and peak == trail.peak:
        return trail
    level = _level(rule, peak, basis)
    return Trail(peak, level if trail.stop is None else max(trail.stop, level))


def reached(trail: Trail, profit: float) -> bool:
    """True once the profit is at the stop or below it."""
    return trail.stop is not None and profit <= trail.stop + EXACT


def _level(rule: TrailRule, peak: float, basis: RunBasis) -> float:
    if rule.from_entry:
        return _initial(rule, basis) + max(peak, 0.0)
    if rule.kind is TrailKind.PERCENTAGE:
        return peak * (100.0 - rule.value) / 100.0
    return peak - _distance(rule, basis)


def _initial(rule: TrailRule, basis: RunBasis) -> float:
    if rule.kind is TrailKind.PERCENTAGE:
        return -abs(basis.premium) * rule.value / 100.0
    return -_distance(rule, basis)


def _distance(rule: TrailRule, basis: RunBasis) -> float:
    """Rupees behind the peak: the amount, or the points times the units of a set."""
    return rule.value * basis.units if rule.kind is TrailKind.POINTS else rule.value


# one leg's price


def better(best: float, price: float, held: int) -> float:
    """The best price since entry, for what is held (signed units): the highest for longs, the lowest for shorts."""
    return max(best, price) if held > 0 else min(best, price)


def behind(rule: LevelRule, price: float, held: int) -> float:
    """The price at which a leg's loss ends, counted from `price` against what is held; rupees."""
    return _away(rule, price, -1 if held > 0 else 1)


def ahead(rule: LevelRule, price: float, held: int) -> float:
    """The price at which a leg's profit is taken, counted from `price`; rupees."""
    return _away(rule, price, 1 if held > 0 else -1)


def _away(rule: LevelRule, price: float, way: int) -> float:
    if rule.kind is LevelKind.PREMIUM:
        return rule.value
    if rule.kind is LevelKind.POINTS:
        return price + way * rule.value
    return price * (100.0 + way * rule.value) / 100.0
