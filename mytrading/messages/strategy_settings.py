"""The settings of one strategy: what it trades for what it watches, how much, on which side, and with which limits.

Part of the run file; `run_config` exports these names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from mytrading.messages.enums import LimitAction, Product, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.run_settings import setting

Parameter = int | float | str | bool
TIMEFRAMES = ("tick", "1m", "3m", "5m", "15m", "30m", "1h", "1d")
BAR_TIMEFRAMES = TIMEFRAMES[1:]
"""Those that have bars; a strategy that wants each tick says `subscribe_quotes = True` in its class."""


def check_timeframes(frames: tuple[str, ...]) -> None:
    """`ValueError` unless these are frames of bars, and some."""
    if not frames or any(frame not in BAR_TIMEFRAMES for frame in frames):
        ticks = "; for every quote write `subscribe_quotes = True` in the class" if "tick" in frames else ""
        raise ValueError(f"expected some of {', '.join(BAR_TIMEFRAMES)}{ticks}")


class TradeKind(StrEnum):
    """What a strategy trades for what it watches."""

    SAME = "same"
    FUTURE = "future"
    OPTION = "option"


class ExpiryRule(StrEnum):
    """Which expiry that has not passed: the first, the second, or the last one of the first or second month."""

    NEAREST = "nearest"
    NEXT = "next"
    MONTHLY = "monthly"
    NEXT_MONTHLY = "next_monthly"


class Direction(StrEnum):
    """Which signals of a strategy count; an excluded one wants flat."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"


class StopPlan(StrEnum):
    """Who holds the protective stop: an order at the broker, risk, or nobody (which must be written)."""

    BROKER = "broker"
    ENGINE = "engine"
    NONE = "none"


class OrphanLegs(StrEnum):
    """What follows when a leg of several cannot be had: try again and then close the others, close them, or alarm."""

    RETRY = "retry"
    UNWIND = "unwind"
    REPORT = "report"


class TradeRule(msgspec.Struct, frozen=True, kw_only=True):
    """What is traded for one direction.

    `underlying` empty means that of the watched instrument. `strike` is "ATM", "ITM n", "OTM n" or "STRIKE n" and
    `right` CE or PE, both empty unless the kind is option. `side` is how the direction is entered: a long signal may
    buy a call or sell a put.
    """

    kind: TradeKind
    side: Side
    underlying: str = ""
    expiry: ExpiryRule = ExpiryRule.NEAREST
    strike: str = ""
    right: str = ""


class AllocationMode(StrEnum):
    """How a signal is spread over accounts: the same in each, by free margin, or by factors that are written down."""

    EQUAL = "equal"
    PROPORTIONAL = "proportional"
    CUSTOM = "custom"


class SizingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many lots a signal gets. `by` is fixed (the lots of the signal), risk, or a profile or grade of the risk
    file.

    With `risk` the lots lose at most `risk_per_trade` rupees at their stop. `max_lots` of a leg (0: the limit of the
    risk file alone). `factors` count with a custom allocation, by account; an account without one has 1.
    """

    by: str = "fixed"
    risk_per_trade: float = 0.0
    max_lots: int = 0
    confidence_scaling: bool = False
    allocation: AllocationMode = AllocationMode.EQUAL
    factors: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """True if every account gets the lots of the signal as they are."""
        return self.by == "fixed" and self.allocation is AllocationMode.EQUAL and not self.confidence_scaling


class RollRule(msgspec.Struct, frozen=True, kw_only=True):
    """Futures held overnight move to the next contract `days` trading days before they expire (0: never).

    `first` is far (the next contract is had before the near one goes, which needs margin for both) or near.
    """

    days: int = 0
    first: str = "far"


class OptionRange(msgspec.Struct, frozen=True, kw_only=True):
    """Options watched by rule: calls and puts of `strikes` listed strikes either side of the money, of one expiry."""

    strikes: int
    expiry: ExpiryRule = ExpiryRule.NEAREST


class StrategySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a strategy that the run file has as they are written; the others stand in config/strategies.py.

    Limits of a day (0: none) count over all accounts of the strategy and lead to `limit_action`.
    """

    timeframes: Annotated[
        tuple[str, ...],
        setting(note="the bars it is given; the first of them drives on_data", check=check_timeframes),
    ] = ("1m",)
    direction: Annotated[Direction, setting(note="which signals count: long, short or both")] = Direction.LONG
    product: Annotated[Product, setting(note="MIS, NRML or CNC; that of the primary account if not set")] = Product.MIS
    lots: Annotated[int, setting(note="of an entry", ge=1)] = 1
    min_confidence: Annotated[float, setting(note="of a signal; lower ones are denied", ge=0, le=1)] = 0.0
    signal_cooldown: Annotated[float, setting(note="seconds of market time between signals", ge=0)] = 0.0
    max_position_size: Annotated[float, setting(note="rupees; 0: MAX_POSITION_SIZE alone", ge=0)] = 0.0
    stop: Annotated[StopPlan, setting(note="broker: an order there; engine: risk watches; none")] = StopPlan.BROKER
    stop_loss_pct: Annotated[float, setting(note="fraction of the entry price; 0: DEFAULT_STOP_LOSS", ge=0, lt=1)] = 0.0
    take_profit_pct: Annotated[float, setting(note="fraction of the entry price; 0: none", ge=0)] = 0.0
    accounts: Annotated[
        tuple[str, ...], setting(note="where it trades, in each the same lots; empty: the primary account")
    ] = ()
    orphan_legs: Annotated[
        OrphanLegs, setting(note="when one of several legs fails: retry and then unwind, unwind, or report")
    ] = OrphanLegs.UNWIND
    orphan_tries: Annotated[int, setting(note="how often such a leg is ordered again", ge=0, le=10)] = 2
    max_daily_loss: Annotated[float, setting(note="rupees", ge=0)] = 0.0
    max_drawdown: Annotated[float, setting(note="a fraction of the equity of its accounts", ge=0, lt=1)] = 0.0
    daily_stop_r: Annotated[float, setting(note="R it may lose in a day", ge=0)] = 0.0
    daily_target_r: Annotated[float, setting(note="R after which it has won enough", ge=0)] = 0.0
    limit_action: Annotated[LimitAction, setting(note="alert, no_entries, close_legs, flatten or halt")] = (
        LimitAction.NO_ENTRIES
    )


class StrategyRun(StrategySettings, frozen=True, kw_only=True):
    """One strategy as it runs. `file` holds its class, `name` identifies it everywhere.

    `symbols` are the instrument ids it watches. A `long` or `short` of None means that nothing is traded for that
    direction. `sizing` says how many times the lots are taken, `roll` when futures move on. An `intraday` strategy is
    closed by the clock, whatever its product; `rules` end its runs. `square_off` is its own time (HH:MM in India;
    empty: none).
    """

    name: str
    file: str
    symbols: tuple[str, ...]
    long: TradeRule | None
    short: TradeRule | None
    intraday: bool = False
    parameters: dict[str, Parameter] = {}
    sizing: SizingRule = SizingRule()
    roll: RollRule = RollRule()
    rules: StrategyRules = StrategyRules()
    square_off: str = ""
    plan: LegPlan | None = None
    """Legs and times of a strategy without code; `file` then holds no class but these legs."""
    options: OptionRange | None = None
    """Watched besides `symbols`, chosen each day about the last close of the first symbol before its open."""
