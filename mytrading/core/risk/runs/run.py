"""A run of a strategy and its arithmetic: legs, trailing stops, the prices between which no rule applies, its levels.

A run's stop trails its profit in rupees, once that exceeds the activation or `from_entry`; a leg's stop trails its
price. A stop never loosens, whatever the profit, the size or the configuration does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import gcd
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from mytrading.core.ids import content_id
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Position
from mytrading.messages.risk_events import RiskKind
from mytrading.messages.run_config import RiskLimits, StrategyRun

PREFIX = "run "
PEAK, STOP, BEST, COST, REALISED, FIRED, LEAVING = "peak", "stop", "best", "cost", "realised", "fired", "leaving"
_FAR = float("inf")
EXACT = 1e-6
"""Rupees within which a profit counts as being at a limit: sums of prices are not exact."""


class Breach(NamedTuple):
    """A rule that applies: its limit and the value found, with a text; without `acts` it only alerts."""

    kind: RiskKind
    threshold: float
    value: float
    note: str
    acts: bool = True


class RunBasis(NamedTuple):
    """Holding of a run in all accounts: `units` of one complete set, and its net cost in rupees (sold: negative)."""

    units: int = 0
    premium: float = 0.0


class Trail(NamedTuple):
    """A trailing stop: the highest profit since it began and its stop, in rupees; None before it began."""

    peak: float = 0.0
    stop: float | None = None

    def advance(self, rule: TrailRule, profit: float, basis: RunBasis) -> Trail:
        """Return the trail after a profit of so many rupees, the same object if unchanged; `basis`: of the run."""
        if self.stop is None and not rule.from_entry and profit <= rule.activation:
            return self
        peak = max(self.peak, profit)
        if self.stop is not None and peak == self.peak:
            return self
        if rule.kind is not TrailKind.PERCENTAGE:
            distance = rule.value * basis.units if rule.kind is TrailKind.POINTS else rule.value
            stop = (max(peak, 0.0) if rule.from_entry else peak) - distance
        elif rule.from_entry:
            stop = max(peak, 0.0) - abs(basis.premium) * rule.value / 100.0
        else:
            stop = peak * (100.0 - rule.value) / 100.0
        return Trail(peak, stop if self.stop is None else max(self.stop, stop))

    def is_hit(self, profit: float) -> bool:
        """True once the profit (rupees) is at or below the trailing stop; False while that is not set."""
        return self.stop is not None and profit <= self.stop + EXACT


WAITING = Trail()


class RunLeg(msgspec.Struct):
    """An open position of a run. `best` is the best last price since entry, `journaled` the one that is journaled.

    `patience_ns` is how old its quote may be. `mark` is its unrealised profit at the last quote. `cost` is the entry
    price in rupees to which its stop was moved, 0 if it was not. No rule of the leg applies at a last price between
    `floor` and `ceiling`.
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
    cost: float = 0.0
    floor: float = -_FAR
    ceiling: float = _FAR

    @property
    def name(self) -> str:
        """Account, instrument and product, separated by blanks."""
        return " ".join(self.key[:3])

    @property
    def units(self) -> int:
        """Signed units held: confirmed ones, or if there are none, those that only one source has reported so far."""
        return self.quantity or self.position.quantity_seen

    def rule_prices(self, rules: StrategyRules) -> list[tuple[RiskKind, float]]:
        """Each rule of the leg with the price in rupees at which it closes the leg; the first one reached counts."""
        found = (
            (RiskKind.LEG_STOP_LOSS, rules.leg_stop_loss, self.average_price, False),
            (RiskKind.LEG_TAKE_PROFIT, rules.leg_take_profit, self.average_price, True),
            (RiskKind.LEG_TRAILING, rules.leg_trailing, self.best, False),
        )
        levels = [(kind, level_price(rule, start, self.units, gain)) for kind, rule, start, gain in found if rule.value]
        return [*levels, (RiskKind.LEG_AT_COST, self.cost)] if self.cost else levels

    def reached_rules(self, rules: StrategyRules, price: float) -> list[Breach]:
        """The rules of the leg that a last price (rupees) has come to, in order."""
        found = []
        for kind, level in self.rule_prices(rules):
            rising = (self.units > 0) is (kind is RiskKind.LEG_TAKE_PROFIT)
            if price >= level if rising else price <= level:
                note = f"{self.instrument} at {price:g} has come to {level:g}, entered at {self.average_price:g}"
                found.append(Breach(kind, level, price, note, rules.auto_exit))
        return found

    def update_price_band(self, rules: StrategyRules) -> None:
        """Set `floor` and `ceiling`: no stop, target or trail of the leg acts while the last price is between."""
        self.floor, self.ceiling = -_FAR, _FAR
        for kind, price in self.rule_prices(rules):
            if (self.units > 0) is (kind is RiskKind.LEG_TAKE_PROFIT):
                self.ceiling = min(self.ceiling, price)
            else:
                self.floor = max(self.floor, price)


class Run(msgspec.Struct):
    """A run of a strategy: all that it holds, in all accounts, from its first entry after flat until it is flat again.

    `profit`: rupees of the whole run, None while a price is missing; valid until `fresh_until_ns` (market time).
    `low`, `high`: no rule of the run applies while the profit is between them. `trail`: the trailing stop now, and
    `journaled` as the journal has it. `leaving`: why the whole run is being closed ("": it is not), since `leaving_ns`
    (market time). `past`: units and premium entered so far by owner; `grown`: it changed and `basis` does not show it.
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

    def update_profit_band(self) -> None:
        """Set `low` and `high`, the profits in rupees between which no rule of the run applies."""
        rules, fired = self.rules, self.fired
        self.low = EXACT - rules.max_loss if rules.max_loss and RiskKind.MAX_LOSS not in fired else -_FAR
        if self.trail.stop is not None and RiskKind.TRAILING_STOP not in fired:
            self.low = max(self.low, self.trail.stop + EXACT)
        self.high = rules.max_profit - EXACT if rules.max_profit and RiskKind.MAX_PROFIT not in fired else _FAR
        if rules.stop_to_cost_profit and RiskKind.STOPS_TO_COST not in fired:
            self.high = min(self.high, rules.stop_to_cost_profit - EXACT)

    def journal_levels(self, leaving: str) -> dict[str, float]:
        """Return the run's state to be journaled, by level name; `leaving`: the rule that closes it."""
        head = f"{PREFIX}{self.id} "
        levels = {head + REALISED: self.realised}
        levels |= {f"{head}{FIRED} {name}": 1.0 for name in sorted(self.fired)}
        if self.trail.stop is not None:
            levels |= {head + PEAK: self.trail.peak, head + STOP: self.trail.stop}
        if self.leaving:
            levels[f"{head}{LEAVING} {leaving} {self.leaving}"] = float(self.leaving_ns)
        if self.rules.leg_trailing.value:
            levels |= {f"{head}{BEST} {leg.name}": leg.best for leg in self.legs.values()}
        return levels | {f"{head}{COST} {leg.name}": leg.cost for leg in self.legs.values() if leg.cost}


class InstrumentLegs(NamedTuple):
    """A run, and those of its legs that are in one instrument."""

    run: Run
    legs: list[RunLeg]


def rules_in_force(strategy: StrategyRun | None, limits: RiskLimits) -> StrategyRules:
    """A strategy's rules, with what the risk section and the strategy's own settings add."""
    if strategy is None:
        return StrategyRules()
    rules = strategy.rules
    trailing, profit = rules.leg_trailing, rules.leg_take_profit
    if rules.leg_trailing_enabled and not trailing.value:
        trailing = LevelRule(value=100.0 * limits.trailing_stop_distance)
    if not limits.trailing_stop_enabled:
        trailing = LevelRule()
    if strategy.take_profit_pct and not profit.value:
        profit = LevelRule(value=100.0 * strategy.take_profit_pct)
    return replace(rules, leg_trailing=trailing, leg_take_profit=profit)


def reached_rules(
    rules: StrategyRules, trail: Trail, profit: float, *, trails: bool, fired: Collection[str] = ()
) -> list[Breach]:
    """The rules on a run's profit (rupees) that it has come to and that have not `fired`, in order."""
    found = []
    for kind, level, is_reached, note, acts in (
        (RiskKind.MAX_LOSS, -rules.max_loss, 0 < rules.max_loss <= EXACT - profit,
         "the run's loss has come to its limit", rules.auto_exit_on_max_loss),
        (RiskKind.MAX_PROFIT, rules.max_profit, 0 < rules.max_profit <= profit + EXACT,
         "the run's profit has come to its target", rules.auto_exit_on_max_profit),
        (RiskKind.STOPS_TO_COST, rules.stop_to_cost_profit, 0 < rules.stop_to_cost_profit <= profit + EXACT,
         "the stops of the legs move to their entry prices", True),
        (RiskKind.TRAILING_STOP, trail.stop or 0.0, trails and trail.is_hit(profit),
         f"the run's profit fell to its stop, from a peak of ₹{trail.peak:,.2f}", True),
    ):  # fmt: skip
        if is_reached and kind not in fired:
            found.append(Breach(kind, level, profit, note, rules.auto_exit and acts))
    return found


def fired_rule_name(kind: str, leg: str) -> str:
    """The name that records rule `kind` as fired: of the whole run (`leg` empty), or of one round trip of a leg."""
    return f"{kind} {leg}".strip()


def run_id_of(position: Position) -> str:
    """The id of the run that a position belongs to; one made from its strategy and opening time if it carries none."""
    return position.run or content_id("run", position.strategy, position.opened_ns)


def run_basis(entered: Mapping[OwnerKey, tuple[int, float]]) -> RunBasis:
    """Return a run's units of one complete set and net premium; `entered`: units and premium in rupees by owner."""
    units: dict[str, int] = {}
    for key, (count, _) in entered.items():
        units[key[1]] = units.get(key[1], 0) + count
    return RunBasis(gcd(*units.values()) if units else 0, sum(value for _, value in entered.values()))


def level_price(rule: LevelRule, start: float, units: int, gain: bool) -> float:
    """The rupee price at which a rule takes a leg's profit (`gain`) or ends its loss, counted from the price `start`;
    `units`: signed units held."""
    if rule.kind is LevelKind.PREMIUM:
        return rule.value
    way = 1 if (units > 0) is gain else -1
    return start + way * rule.value if rule.kind is LevelKind.POINTS else start * (100.0 + way * rule.value) / 100.0
