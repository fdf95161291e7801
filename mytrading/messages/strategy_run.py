"""What a strategy runs with: what it trades for what it watches, how much, on which side, and how it is guarded.

Part of the run file, and imported from `runconfig`, which holds the rest of it. The one rule is the same: a value that
stands here is already valid.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mytrading.messages.enums import LimitAction, Product, Side
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.strategy_rules import StrategyRules

Parameter = int | float | str | bool


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
    """Which wishes of a strategy count; an excluded one wishes flat."""

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
    `right` CE or PE, both empty unless the kind is option. `side` is how the direction is entered: a long wish may
    buy a call or sell a put.
    """

    kind: TradeKind
    side: Side
    underlying: str = ""
    expiry: ExpiryRule = ExpiryRule.NEAREST
    strike: str = ""
    right: str = ""


class Allocation(StrEnum):
    """How a wish is spread over accounts: the same in each, by free margin, or by factors that are written down."""

    EQUAL = "equal"
    PROPORTIONAL = "proportional"
    CUSTOM = "custom"


class SizingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many lots a wish gets. `by` is fixed (the lots of the wish), risk, or a profile or grade of the risk file.

    With `risk` the lots lose at most `risk_per_trade` rupees at their stop. `max_lots` of a leg (0: the limit of the
    risk file alone). `factors` count with a custom allocation, by account; an account without one has 1.
    """

    by: str = "fixed"
    risk_per_trade: float = 0.0
    max_lots: int = 0
    confidence_scaling: bool = False
    allocation: Allocation = Allocation.EQUAL
    factors: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """True if every account gets the lots of the wish as they are."""
        return self.by == "fixed" and self.allocation is Allocation.EQUAL and not self.confidence_scaling


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


class StrategyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy as it runs. `file` holds its class, `name` is how it is called everywhere.

    `symbols` are the instrument ids it watches. A `long` or `short` of None means that nothing is traded for that
    direction. `lots` per entry, `stop_loss` a fraction of the entry price (0: the default of the risk limits),
    `cooldown` in seconds of market time, `max_position_size` in rupees (0: the limit of the risk section alone),
    `accounts` those it trades in, each the same lots (empty: the first), `orphan_tries` how often a leg of several that
    failed is ordered again where `orphan_legs` is retry, `sizing` how many times the lots are taken, `roll`
    when futures move on. What is `intraday` is closed by the clock, whatever its product; `rules` are what ends its
    runs. Its limits of a day (rupees, a fraction of the equity of its accounts, R; 0: none) count over all its accounts
    and lead to `limit_action`; `square_off` is its own time (HH:MM in India; empty: none).
    """

    name: str
    file: str
    symbols: tuple[str, ...]
    long: TradeRule | None
    short: TradeRule | None
    timeframes: tuple[str, ...] = ("1m",)
    direction: Direction = Direction.LONG
    product: Product = Product.MIS
    lots: int = 1
    min_confidence: float = 0.0
    cooldown: float = 0.0
    stop: StopPlan = StopPlan.BROKER
    stop_loss: float = 0.0
    take_profit: float = 0.0
    max_position_size: float = 0.0
    intraday: bool = False
    group: str = "main"
    parameters: dict[str, Parameter] = {}
    accounts: tuple[str, ...] = ()
    orphan_legs: OrphanLegs = OrphanLegs.UNWIND
    orphan_tries: int = 2
    sizing: SizingRule = SizingRule()
    roll: RollRule = RollRule()
    rules: StrategyRules = StrategyRules()
    max_daily_loss: float = 0.0
    max_drawdown: float = 0.0
    daily_stop_r: float = 0.0
    daily_target_r: float = 0.0
    limit_action: LimitAction = LimitAction.NO_ENTRIES
    square_off: str = ""
    plan: LegPlan | None = None
    """What a strategy without code trades, and when; `file` then holds no class but these legs."""
    options: OptionRange | None = None
    """Watched besides `symbols`, chosen anew each day about the last close of the first symbol before its open."""
