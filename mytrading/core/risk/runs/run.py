"""A run of a strategy and its arithmetic: legs, trailing stops, the prices between which no rule applies, its levels.

A run's stop trails its profit in rupees, once that exceeds the activation or `from_entry`; a leg's stop trails its
price. A stop never loosens, whatever the profit, the size or the configuration does.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import NamedTuple

import msgspec

from mytrading.core.ids import content_id
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Position
from mytrading.messages.risk_events import RiskKind

PREFIX = "run "
PEAK, STOP, BEST, REALISED, FIRED, LEAVING = "peak", "stop", "best", "realised", "fired", "leaving"
_FAR = float("inf")
EXACT = 1e-6
"""Rupees within which a profit counts as being at a limit: sums of prices are not exact."""


class RunBasis(NamedTuple):
    """What a run holds in all accounts: `units` of one complete set, and its net cost in rupees (sold: negative)."""

    units: int = 0
    premium: float = 0.0


class Trail(NamedTuple):
    """A trailing stop: the highest profit since it began and its stop, in rupees; None before it began."""

    peak: float = 0.0
    stop: float | None = None


WAITING = Trail()


class RunLeg(msgspec.Struct):
    """An open position of a run. `best` is the best last price since entry, `journaled` the one that is journaled.

    `patience_ns` is how old its quote may be. `mark` is its unrealised profit at the last quote. No rule of the leg
    applies at a last price between `floor` and `ceiling`.
    """

    key: OwnerKey
    position: Position
    instrument: str
    quantity: int
    average_price: float
    patience_ns: int
    best: float
    journaled: float
    journaled_machine_ns: int = 0
    mark: float = 0.0
    floor: float = -_FAR
    ceiling: float = _FAR

    @property
    def name(self) -> str:
        """Account, instrument and product."""
        return " ".join(self.key[:3])

    @property
    def units(self) -> int:
        """Signed units, sighted ones where none are confirmed."""
        return self.quantity or self.position.quantity_seen


class Run(msgspec.Struct):
    """A run of a strategy. `profit` is None while a price is missing; it holds until `fresh_until_ns` (market time).

    No rule of the run applies at a profit between `low` and `high`. `journaled` is the trail as journaled. `leaving`
    is why all of it is being closed, with the time since when. `grown`: `basis` is not yet that of `past`.
    """

    strategy: str
    id: str
    rules: StrategyRules
    opened_ns: int
    legs: dict[OwnerKey, RunLeg] = msgspec.field(default_factory=dict)
    past: dict[OwnerKey, tuple[int, float]] = msgspec.field(default_factory=dict)
    realised: float = 0.0
    profit: float | None = None
    fresh_until_ns: int = 0
    entering: bool = False
    basis: RunBasis = RunBasis()
    trail: Trail = WAITING
    journaled: Trail = WAITING
    journaled_machine_ns: int = 0
    fired: set[str] = msgspec.field(default_factory=set)
    leaving: str = ""
    leaving_ns: int = 0
    trails: bool = False
    low: float = -_FAR
    high: float = _FAR
    grown: bool = True


class InstrumentLegs(NamedTuple):
    """A run, and those of its legs that are in one instrument."""

    run: Run
    legs: list[RunLeg]


def update_profit_band(run: Run) -> None:
    """Set `run.low` and `run.high`, the profits in rupees between which no rule of the run applies."""
    rules, fired = run.rules, run.fired
    low, high = -_FAR, _FAR
    if rules.max_loss and RiskKind.MAX_LOSS not in fired:
        low = EXACT - rules.max_loss
    if run.trail.stop is not None and RiskKind.TRAILING_STOP not in fired:
        low = max(low, run.trail.stop + EXACT)
    if rules.max_profit and RiskKind.MAX_PROFIT not in fired:
        high = rules.max_profit - EXACT
    run.low, run.high = low, high


def update_price_band(run: Run, leg: RunLeg) -> None:
    """Set `leg.floor` and `leg.ceiling`, the last prices between which no rule of the leg applies."""
    rules, held, entry = run.rules, leg.units, leg.average_price
    losses = [behind(rule, start, held) for rule, start in
              ((rules.leg_stop_loss, entry), (rules.leg_trailing, leg.best)) if rule.value]  # fmt: skip
    gains = [ahead(rules.leg_take_profit, entry, held)] if rules.leg_take_profit.value else []
    below, above = (losses, gains) if held > 0 else (gains, losses)
    leg.floor, leg.ceiling = max(below, default=-_FAR), min(above, default=_FAR)


def leg_levels(run: Run, leg: RunLeg) -> list[tuple[RiskKind, float]]:
    """The prices at which the rules of a leg apply, in order; rupees."""
    rules, entry, held = run.rules, leg.average_price, leg.units
    found = (
        (RiskKind.LEG_STOP_LOSS, rules.leg_stop_loss, entry, behind),
        (RiskKind.LEG_TAKE_PROFIT, rules.leg_take_profit, entry, ahead),
        (RiskKind.LEG_TRAILING, rules.leg_trailing, leg.best, behind),
    )
    return [(kind, level(rule, start, held)) for kind, rule, start, level in found if rule.value]


def run_levels(run: Run, leaving: str) -> dict[str, float]:
    """All that must survive of a run, by name; `leaving` is the rule that closes it."""
    head = f"{PREFIX}{run.id} "
    levels = {head + REALISED: run.realised}
    levels |= {f"{head}{FIRED} {name}": 1.0 for name in sorted(run.fired)}
    if run.trail.stop is not None:
        levels |= {head + PEAK: run.trail.peak, head + STOP: run.trail.stop}
    if run.leaving:
        levels[f"{head}{LEAVING} {leaving} {run.leaving}"] = float(run.leaving_ns)
    if run.rules.leg_trailing.value:
        levels |= {f"{head}{BEST} {leg.name}": leg.best for leg in run.legs.values()}
    return levels


def fired_rule_name(kind: str, leg: str) -> str:
    """The name under which a rule that has applied is kept: of a run, or of a leg's trip in it."""
    return f"{kind} {leg}".strip()


def run_id_of(position: Position) -> str:
    return position.run or content_id("run", position.strategy, position.opened_ns)


def run_basis(entered: Mapping[OwnerKey, tuple[int, float]]) -> RunBasis:
    """What was entered in all accounts: units of a set, and the net premium in rupees."""
    units: dict[str, int] = {}
    for key, (count, _) in entered.items():
        units[key[1]] = units.get(key[1], 0) + count
    return RunBasis(gcd(*units.values()) if units else 0, sum(value for _, value in entered.values()))


# trailing stops


def advance_trail(rule: TrailRule, trail: Trail, profit: float, basis: RunBasis) -> Trail:
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
    percentage = rule.kind is TrailKind.PERCENTAGE
    if percentage and not rule.from_entry:
        return peak * (100.0 - rule.value) / 100.0
    if percentage:
        return max(peak, 0.0) - abs(basis.premium) * rule.value / 100.0
    distance = rule.value * basis.units if rule.kind is TrailKind.POINTS else rule.value
    return (max(peak, 0.0) if rule.from_entry else peak) - distance


def better_price(best: float, price: float, held: int) -> float:
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
