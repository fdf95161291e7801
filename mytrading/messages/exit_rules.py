"""The exit rules of one strategy, its `[risk]` table: per run, over all its accounts. A zero or empty value is off."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class TrailKind(StrEnum):
    """The distance of a trailing stop: a part of the peak in per cent, points per unit, or rupees."""

    PERCENTAGE = "percentage"
    POINTS = "points"
    AMOUNT = "amount"


class LevelKind(StrEnum):
    """The unit of a leg's level: per cent or points from its entry price, or at this very price."""

    PERCENTAGE = "percentage"
    POINTS = "points"
    PREMIUM = "premium"


class TrendExit(StrEnum):
    """The turn of the Supertrend that ends a run: up through it, or down."""

    BREAKOUT = "breakout"
    BREAKDOWN = "breakdown"


class TrendSource(StrEnum):
    """Bars of a Supertrend: the watched instrument's, or those of the combined premium of the position."""

    UNDERLYING = "underlying"
    PREMIUM = "premium"


class TrailRule(msgspec.Struct, frozen=True, kw_only=True):
    """A trailing stop on a run's profit: `value` per cent, points per unit or rupees, 0 is off.

    It begins once the profit exceeds `activation` rupees, or with `from_entry` at once, below the cost of the entry.
    """

    kind: TrailKind = TrailKind.PERCENTAGE
    value: float = 0.0
    activation: float = 0.0
    from_entry: bool = False


class LevelRule(msgspec.Struct, frozen=True, kw_only=True):
    """A level of one leg; a `value` of 0 is off."""

    kind: LevelKind = LevelKind.PERCENTAGE
    value: float = 0.0


class TrendRule(msgspec.Struct, frozen=True, kw_only=True):
    """A Supertrend exit by the bars of `instrument` (empty: premium); `require_cross`: on a turn after the entry."""

    exit: TrendExit | None = None
    period: int = 7
    multiplier: float = 3.0
    minutes: int = 5
    instrument: str = ""
    require_cross: bool = True


class StrategyRules(msgspec.Struct, frozen=True, kw_only=True):
    """Exit rules of a strategy's runs. Losses and profits are positive rupees, times seconds of the IST day (0: none).

    Without the matching `auto_exit…` a breach raises an alert and closes nothing. A leg's stop trails if it has a
    value, or is enabled without one, at the risk section's distance. With `stop_to_cost` the stops of the other legs
    move to their entry prices once a stop closed one leg, with `stop_to_cost_profit` those of all legs at that profit.
    """

    max_loss: float = 0.0
    max_profit: float = 0.0
    auto_exit: bool = True
    auto_exit_on_max_loss: bool = True
    auto_exit_on_max_profit: bool = True
    trailing: TrailRule = TrailRule()
    leg_stop_loss: LevelRule = LevelRule()
    leg_take_profit: LevelRule = LevelRule()
    leg_trailing: LevelRule = LevelRule()
    leg_trailing_enabled: bool = False
    stop_to_cost: bool = False
    stop_to_cost_profit: float = 0.0
    trend: TrendRule = TrendRule()
    entry_time: int = 0
    exit_time: int = 0
    square_off_time: int = 0
