"""The section `[backtest]` of settings.toml: what options cost in a backtest where nobody recorded it.

Read by `mytrading backtest`, whose options beat it. The one rule: the words are those of `core/options/surface`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from mytrading.config.sections import Section, lower


class BacktestSettings(Section):
    """What options cost in a backtest where nobody recorded it: the surface of `core/options/surface`, and its level.

    `iv` is the volatility at the money, a fraction of a year, or `realised`: of the underlying's own last `iv_sessions`
    days times `iv_factor`. With `bhavcopy = same_day` a file of the exchange shapes the prices of its own day, whose
    close it knows.
    """

    iv: str = "realised"
    iv_sessions: int = Field(default=20, ge=1, le=500)
    iv_factor: float = Field(default=1.0, ge=0.1, le=10)
    iv_least_sessions: int = Field(default=5, ge=1, le=500)
    skew: float = Field(default=-0.12, ge=-0.5, le=0.5)
    smile: float = Field(default=0.05, ge=0, le=0.5)
    near: float = Field(default=0.08, ge=-0.5, le=2)
    near_days: float = Field(default=10.0, gt=0)
    carry: float = Field(default=0.065, ge=-0.2, le=0.5)
    rate: float = Field(default=0.065, ge=-0.2, le=0.5)
    spread_ticks: float = Field(default=2.0, ge=0, le=1000)
    wing_ticks: float = Field(default=1.0, ge=0, le=1000)
    settle_minutes: int = Field(default=30, ge=1, le=400)
    bhavcopy: Annotated[Literal["before", "same_day"], BeforeValidator(lower)] = "before"

    @field_validator("iv")
    @classmethod
    def _is_a_volatility(cls, text: str) -> str:
        parse_iv(text)
        return text


def parse_iv(text: str) -> float:
    """The volatility at the money that `0.14`, `14%` or `realised` says, 0 for the realised one; `ValueError`."""
    word = text.strip().lower()
    if word in ("realised", "realized"):
        return 0.0
    try:
        level = float(word.removesuffix("%")) / (100.0 if word.endswith("%") else 1.0)
    except ValueError:
        level = -1.0
    if not 0.01 <= level <= 3.0:
        raise ValueError(f"expected realised, or a volatility of a year such as 0.14 or 14%, found {text!r}")
    return level
