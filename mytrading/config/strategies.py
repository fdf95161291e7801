"""What an operator says about one strategy: `config/strategies/*.toml` and `STRATEGY_<NAME>_<SETTING>`.

Used by `resolve` and `build`. The one rule: a strategy's own parameters live in `parameters` and are those of its
class; everything else here is ours and has the same meaning for every strategy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from mytrading.config.strategy_risk import StrategyRiskFields
from mytrading.messages.enums import LimitAction, Product, Side
from mytrading.messages.runconfig import (
    Allocation,
    Direction,
    ExpiryRule,
    OrphanLegs,
    SizingRule,
    StopPlan,
    TradeKind,
    TradeRule,
)
from mytrading.messages.strategy_run import OptionRange

TIMEFRAMES = ("tick", "1m", "3m", "5m", "15m", "30m", "1h", "1d")
BAR_TIMEFRAMES = TIMEFRAMES[1:]
"""Those that have bars; a strategy that wants each tick says `subscribe_quotes = True` in its class."""

_EXPIRY = r"(?:\s+(?P<expiry>NEXT[ _]MONTHLY|NEAREST|NEXT|MONTHLY))?"
_OPTION = re.compile(
    r"(?:(?P<side>BUY|SELL)\s+)?(?:(?P<underlying>(?!ATM|ITM|OTM|STRIKE)[A-Z][A-Z0-9&-]*)\s+)?"
    r"(?P<strike>ATM|(?:ITM|OTM)\s+\d+|STRIKE\s+[\d.]+)\s+(?P<right>CE|PE)" + _EXPIRY
)
_FUTURE = re.compile("FUTURE" + _EXPIRY)
_RANGE = re.compile(r"ATM\s+(?P<strikes>\d{1,3})" + _EXPIRY)
MOST_STRIKES = 40
"""Either side: 162 contracts, each with quotes, bars and history."""
_EXPECTED = (
    "expected same, future [nearest|next|monthly|next monthly], none, or an option such as 'NIFTY ATM CE nearest', "
    "'OTM 2 PE next', 'SELL NIFTY ATM PE monthly'"
)


def split_names(value: object) -> object:
    """`"a, b"` as a tuple of names; anything but text as it is."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]


def parse_trade(text: str, long: bool) -> TradeRule | None:
    """The rule in a text; None for `none`. `ValueError` shows what may be written."""
    word = " ".join(text.upper().split())
    side = Side.BUY if long else Side.SELL
    if word == "NONE":
        return None
    if word == "SAME":
        return TradeRule(kind=TradeKind.SAME, side=side)
    if future := _FUTURE.fullmatch(word):
        return TradeRule(kind=TradeKind.FUTURE, side=side, expiry=_expiry(future))
    option = _OPTION.fullmatch(word)
    if option is None:
        raise ValueError(f"{_EXPECTED}; found {text!r}")
    return TradeRule(
        kind=TradeKind.OPTION,
        side=Side(option["side"] or "BUY"),
        underlying=option["underlying"] or "",
        expiry=_expiry(option),
        strike=option["strike"],
        right=option["right"],
    )


def _expiry(match: re.Match[str]) -> ExpiryRule:
    return ExpiryRule((match["expiry"] or "NEAREST").lower().replace(" ", "_"))


def parse_options(text: str) -> OptionRange | None:
    """The options that a text says are watched; None for an empty one. `ValueError` shows what may be written."""
    if not text.strip():
        return None
    found = _RANGE.fullmatch(" ".join(text.upper().split()))
    if found is None or not 0 <= int(found["strikes"]) <= MOST_STRIKES:
        raise ValueError(
            f"expected ATM, strikes either side up to {MOST_STRIKES}, and an expiry, say 'ATM 20 nearest'; "
            f"found {text!r}"
        )
    return OptionRange(strikes=int(found["strikes"]), expiry=_expiry(found))


def parse_factors(words: Iterable[str]) -> dict[str, float]:
    """Factors by account from `account=factor`. `ValueError` shows what may be written."""
    factors = {}
    for word in words:
        name, _, number = word.partition("=")
        factor = _number(number.strip())
        if not name.strip() or factor is None or factor < 0:
            raise ValueError(f"expected account=factor with a factor of at least 0, say second=0.5; found {word!r}")
        factors[name.strip()] = factor
    return factors


class StrategyConfig(StrategyRiskFields):
    """How one strategy runs. `trade_long` and `trade_short` are rules in words, see `parse_trade`.

    `options` ("ATM 20 nearest") are watched besides `symbols`: calls and puts so many strikes about the first symbol's
    last close before the day. `accounts` are those it trades in, each the same lots; none means the primary one.
    `orphan_legs` says what follows when a leg of several cannot be had: retry (`orphan_tries` times, then unwind),
    unwind or report.
    `sizing` is fixed (the lots as they are), risk (`risk_per_trade` rupees at the stop), or a profile or grade of
    config/risk.toml; `allocation` spreads lots over accounts, custom by `allocation_factors` such as second=0.5.
    Futures held overnight move to the next contract `roll_days` trading days before expiry, the far or near leg first.
    By `square_off`, which is `square_off_time` under [risk], all that it holds is closed, of every product;
    empty: MIS by the venue's time only.
    Sizes in rupees, `stop_loss_pct` and `take_profit_pct` fractions of the entry price, `signal_cooldown` seconds.
    What is `intraday` is closed by the venue's square-off whatever its product; not given, that is MIS alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    enabled: bool = True
    symbols: Names = ("NIFTY",)
    options: str = ""
    trade_long: str = "same"
    trade_short: str = "same"
    timeframes: Names = ("1m",)
    direction: Direction = Direction.LONG
    product: Product = Product.MIS
    lots: int = Field(default=1, ge=1)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    signal_cooldown: float = Field(default=0.0, ge=0)
    max_position_size: float = Field(default=0.0, ge=0)
    stop: StopPlan = StopPlan.BROKER
    stop_loss_pct: float = Field(default=0.0, ge=0, lt=1)
    take_profit_pct: float = Field(default=0.0, ge=0)
    intraday: bool | None = None
    group: str = Field(default="main", pattern=r"^[a-z][a-z0-9_]*$")
    accounts: Names = ()
    orphan_legs: OrphanLegs = OrphanLegs.UNWIND
    orphan_tries: int = Field(default=2, ge=0, le=10)
    sizing: str = "fixed"
    risk_per_trade: float = Field(default=0.0, ge=0)
    max_lots: int = Field(default=0, ge=0)
    confidence_scaling: bool = False
    allocation: Allocation = Allocation.EQUAL
    allocation_factors: Names = ()
    roll_days: int = Field(default=0, ge=0, le=20)
    roll_first: Literal["far", "near"] = "far"
    max_daily_loss: float = Field(default=0.0, ge=0)
    max_drawdown: float = Field(default=0.0, ge=0, lt=1)
    daily_stop_r: float = Field(default=0.0, ge=0)
    daily_target_r: float = Field(default=0.0, ge=0)
    limit_action: LimitAction = LimitAction.NO_ENTRIES
    parameters: dict[str, int | float | str | bool] = Field(default_factory=dict)

    @field_validator("trade_long", "trade_short")
    @classmethod
    def _rule(cls, text: str) -> str:
        parse_trade(text, long=True)
        return text

    @field_validator("options")
    @classmethod
    def _range(cls, text: str) -> str:
        parse_options(text)
        return text

    @field_validator("allocation_factors")
    @classmethod
    def _factors(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        parse_factors(words)
        return words

    @property
    def sizing_rule(self) -> SizingRule:
        """How many lots a wish gets."""
        return SizingRule(
            by=self.sizing.strip(),
            risk_per_trade=self.risk_per_trade,
            max_lots=self.max_lots,
            confidence_scaling=self.confidence_scaling,
            allocation=self.allocation,
            factors=parse_factors(self.allocation_factors),
        )

    @field_validator("symbols")
    @classmethod
    def _some(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if not symbols:
            raise ValueError("expected at least one instrument, say NIFTY or NSE:SBIN; ENABLED_STRATEGIES switches off")
        return symbols

    @field_validator("timeframes")
    @classmethod
    def _frames(cls, frames: tuple[str, ...]) -> tuple[str, ...]:
        if not frames or any(frame not in BAR_TIMEFRAMES for frame in frames):
            ticks = "; for every quote write `subscribe_quotes = True` in the class" if "tick" in frames else ""
            raise ValueError(f"expected some of {', '.join(BAR_TIMEFRAMES)}{ticks}")
        return frames

    @property
    def option_range(self) -> OptionRange | None:
        """Options that are watched by rule."""
        return parse_options(self.options)

    @property
    def long(self) -> TradeRule | None:
        """What a long wish trades."""
        return parse_trade(self.trade_long, long=True)

    @property
    def short(self) -> TradeRule | None:
        """What a short wish trades."""
        return parse_trade(self.trade_short, long=False)


FIELDS: tuple[str, ...] = tuple(name for name in StrategyConfig.model_fields if name not in ("name", "parameters"))


def convert(kind: type, raw: Any) -> int | float | str | bool:
    """A raw value as a parameter of this type; `ValueError` says what was expected."""
    text = str(raw).strip()
    if kind is bool and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    if kind is str and isinstance(raw, str):
        return raw
    if kind in (int, float) and not isinstance(raw, bool):
        number = _number(text)
        if number is not None and (kind is float or number.is_integer()):
            return int(number) if kind is int else number
    raise ValueError({bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "text"))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None
