"""What an operator says about the end of a strategy's runs: the `[risk]` table of `config/strategies/*.toml`.

A part of `StrategyConfig`; each key is also `STRATEGY_<NAME>_RISK_<KEY>`. The one rule: what is set here and could
never act is refused with the reason, since a limit that does not hold is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from mytrading.messages.enums import Product
from mytrading.messages.strategy_rules import (
    LevelKind,
    LevelRule,
    StrategyRules,
    TrailKind,
    TrailRule,
    TrendExit,
    TrendRule,
    TrendSource,
)

_MINUTES = {"3m": 3, "5m": 5, "10m": 10, "15m": 15, "30m": 30, "1h": 60}
_HEAD = "risk_"


def _day_time(value: Any) -> Any:
    """`15:10`, quoted or not, as text; `ValueError` for what is no time of day."""
    if isinstance(value, time):
        return value.strftime("%H:%M:%S")
    text = str(value).strip()
    if not text:
        return ""
    try:
        time.fromisoformat(text if ":" in text else "no time")
    except ValueError:
        raise ValueError(f"expected a time of day in India, say 15:10; found {text!r}") from None
    return text


DayTime = Annotated[str, BeforeValidator(_day_time)]


class StrategyRiskFields(BaseModel):
    """The keys of `[risk]`. Rupees are positive, a zero or nothing switches a rule off.

    `risk_trailing` is per cent of the peak, points per unit, or rupees, as its type says; so are the legs' levels, from
    the entry price, `premium` being a price itself. `risk_leg_trailing_enabled` without a value takes
    TRAILING_STOP_DISTANCE. Times are those of India. `square_off` at the top of the file is
    `risk_square_off_time` by its older name.
    """

    risk_max_loss: float = Field(default=0.0, ge=0)
    risk_max_profit: float = Field(default=0.0, ge=0)
    risk_auto_exit: bool = True
    risk_auto_exit_on_max_loss: bool = True
    risk_auto_exit_on_max_profit: bool = True
    risk_trailing: float = Field(default=0.0, ge=0)
    risk_trailing_type: TrailKind = TrailKind.PERCENTAGE
    risk_trailing_activation: float = Field(default=0.0, ge=0)
    risk_trailing_from_entry: bool = False
    risk_leg_stop_loss: float = Field(default=0.0, ge=0)
    risk_leg_stop_loss_type: LevelKind = LevelKind.PERCENTAGE
    risk_leg_take_profit: float = Field(default=0.0, ge=0)
    risk_leg_take_profit_type: LevelKind = LevelKind.PERCENTAGE
    risk_leg_trailing_enabled: bool = False
    risk_leg_trailing: float = Field(default=0.0, ge=0)
    risk_leg_trailing_type: Literal["percentage", "points"] = "percentage"
    risk_supertrend: Literal["off", "breakout", "breakdown"] = "off"
    risk_supertrend_period: int = Field(default=7, ge=2, le=100)
    risk_supertrend_multiplier: float = Field(default=3.0, gt=0, le=20)
    risk_supertrend_timeframe: Literal["3m", "5m", "10m", "15m", "30m", "1h"] = "5m"
    risk_supertrend_on: TrendSource = TrendSource.UNDERLYING
    risk_supertrend_require_cross: bool = True
    risk_entry_time: DayTime = ""
    risk_exit_time: DayTime = ""
    risk_square_off_time: DayTime = ""
    square_off: DayTime = ""

    @property
    def square_off_named(self) -> str:
        """The time by which all is flat, under whichever of its two names it was given; empty: none."""
        return self.risk_square_off_time or self.square_off


def rules_of(given: StrategyRiskFields, underlying: str) -> StrategyRules:
    """The rules as the run file has them; `underlying` is the instrument whose bars may make the Supertrend."""
    return StrategyRules(
        max_loss=given.risk_max_loss,
        max_profit=given.risk_max_profit,
        auto_exit=given.risk_auto_exit,
        auto_exit_on_max_loss=given.risk_auto_exit_on_max_loss,
        auto_exit_on_max_profit=given.risk_auto_exit_on_max_profit,
        trailing=TrailRule(
            kind=given.risk_trailing_type,
            value=given.risk_trailing,
            activation=given.risk_trailing_activation,
            from_entry=given.risk_trailing_from_entry,
        ),
        leg_stop_loss=LevelRule(kind=given.risk_leg_stop_loss_type, value=given.risk_leg_stop_loss),
        leg_take_profit=LevelRule(kind=given.risk_leg_take_profit_type, value=given.risk_leg_take_profit),
        leg_trailing=LevelRule(kind=LevelKind(given.risk_leg_trailing_type), value=given.risk_leg_trailing),
        leg_trailing_enabled=given.risk_leg_trailing_enabled,
        trend=_trend_of(given, underlying),
        entry_time=_seconds(given.risk_entry_time),
        exit_time=_seconds(given.risk_exit_time),
        square_off_time=_seconds(given.square_off_named),
    )


def _trend_of(given: StrategyRiskFields, underlying: str) -> TrendRule:
    if given.risk_supertrend == "off":
        return TrendRule()
    return TrendRule(
        exit=TrendExit(given.risk_supertrend),
        period=given.risk_supertrend_period,
        multiplier=given.risk_supertrend_multiplier,
        minutes=_MINUTES[given.risk_supertrend_timeframe],
        instrument=underlying if given.risk_supertrend_on is TrendSource.UNDERLYING else "",
        require_cross=given.risk_supertrend_require_cross,
    )


def _seconds(text: str) -> int:
    at = time.fromisoformat(text) if text else time(0)
    return at.hour * 3600 + at.minute * 60 + at.second


def risk_problems(
    given: StrategyRiskFields, product: Product, intraday: bool | None, symbols: int, trailing_enabled: bool
) -> Iterator[tuple[str, str]]:
    """(key of StrategyConfig, what is wrong) for settings of a strategy that contradict each other."""
    yield from _share_problems(given)
    yield from _time_problems(given)
    trailing = given.risk_trailing or given.risk_leg_trailing or given.risk_leg_trailing_enabled
    if trailing and not trailing_enabled:
        name = "risk_trailing" if given.risk_trailing else "risk_leg_trailing"
        yield name, "expected TRAILING_STOP_ENABLED = true beside it, found false: no stop would trail"
    for name in ("risk_trailing_activation", "risk_trailing_from_entry"):
        if getattr(given, name) and not given.risk_trailing:
            yield name, "expected a value for risk.trailing beside it: without one nothing trails"
    if given.risk_trailing_from_entry and given.risk_trailing_activation:
        yield "risk_trailing_activation", "a stop from entry needs none: expected one of the two"
    on_underlying = given.risk_supertrend != "off" and given.risk_supertrend_on is TrendSource.UNDERLYING
    if on_underlying and symbols > 1:
        yield (
            "risk_supertrend",
            f"expected one watched symbol whose bars count, found {symbols}; name one, "
            'or set supertrend_on = "premium"',
        )
    if intraday is False and product is Product.MIS:
        yield "intraday", "the broker squares MIS off every day: expected product NRML or CNC for intraday = false"


def _share_problems(given: StrategyRiskFields) -> Iterator[tuple[str, str]]:
    """A loss of 100 % or more is never reached, nor is a stop so far behind."""
    shares = (
        ("risk_trailing", given.risk_trailing, given.risk_trailing_type.value),
        ("risk_leg_stop_loss", given.risk_leg_stop_loss, given.risk_leg_stop_loss_type.value),
        ("risk_leg_trailing", given.risk_leg_trailing, given.risk_leg_trailing_type),
    )
    for name, value, kind in shares:
        if kind == "percentage" and value >= 100:
            yield name, f"expected less than 100 per cent, found {value:g}; for points set {_key(name)}_type"


def _time_problems(given: StrategyRiskFields) -> Iterator[tuple[str, str]]:
    own, other = given.risk_square_off_time, given.square_off
    if own and other and _seconds(own) != _seconds(other):
        text = f"expected the same time as risk.square_off_time {own}, or one of the two alone; found {other}"
        yield "square_off", text
    last = "risk_square_off_time" if own or not other else "square_off"
    times = [(name, getattr(given, name)) for name in ("risk_entry_time", "risk_exit_time", last)]
    found = [(name, _seconds(text), text) for name, text in times if text]
    for (earlier, first, text), (name, second, later) in pairwise(found):
        if second <= first:
            yield name, f"expected a time after {_key(earlier)} {text}, found {later}"


def _key(name: str) -> str:
    return f"risk.{name.removeprefix(_HEAD)}"
