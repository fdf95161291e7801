"""A strategy made of legs, from `config/strategies/NAME.toml` with `[[legs]]`; a rule names no contract."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mytrading.messages.enums import OrderType, Product


class LegKind(StrEnum):
    """Contract of a leg."""

    OPTION = "option"
    FUTURE = "future"
    EQUITY = "equity"


class StopKind(StrEnum):
    """The unit of a leg's stop: per cent or points from the price at its entry, or at this very price."""

    PERCENT = "percent"
    POINTS = "points"
    PRICE = "price"


class DayKind(StrEnum):
    """The trading days on which a plan is entered: all, those on which its first dated leg expires, or the others."""

    ANY = "any"
    EXPIRY = "expiry"
    NON_EXPIRY = "non_expiry"


class LegStop(msgspec.Struct, frozen=True, kw_only=True):
    """The stop, the target or the limit of one leg; a value of 0 is none of its own."""

    kind: StopKind = StopKind.PERCENT
    value: float = 0.0


class RollTrigger(StrEnum):
    """The trigger of a roll: the delta of the leg, or the points between the price of the underlying and its strike."""

    DELTA = "delta"
    POINTS = "points"


class LegRoll(msgspec.Struct, frozen=True, kw_only=True):
    """Roll of a sold option: when it is tested, and the strike that takes its place, at most `times` a day.

    By `delta` it is tested from that delta on (0.45), by `points` once the underlying is as near to its strike.
    """

    trigger: RollTrigger
    value: float
    strike: str
    times: int = 1


class LegRule(msgspec.Struct, frozen=True, kw_only=True):
    """One leg before its contract is known. `lots` are signed: below 0 is sold; of a share they are shares.

    `strike` is ATM, ITM n, OTM n, STRIKE n, PREMIUM n (rupees) or DELTA n (0.3 is a 30-delta call or put). `expiry` is
    the word of an `ExpiryRule`. `watch` is the instrument whose price strikes are counted from, empty for the one that
    the signal is about. `limit` is where a LIMIT entry rests: so far below its price if it is bought, above if sold.
    With a `profile` the lots are what its share of an account's free margin pays for, and `lots` is 1 or -1. `product`
    is what this leg is entered as, None for the product of its signal. After its stop or target closed it, it is
    entered again up to `reentries` times a day. `number` is its place among the legs of a plan, from 1, or 0.
    """

    lots: int
    kind: LegKind = LegKind.OPTION
    strike: str = ""
    right: str = ""
    expiry: str = "nearest"
    watch: str = ""
    stop: LegStop = LegStop()
    target: LegStop = LegStop()
    order_type: OrderType = OrderType.MARKET
    limit: LegStop = LegStop()
    profile: str = ""
    product: Product | None = None
    roll: LegRoll | None = None
    reentries: int = 0
    number: int = 0


class Breakout(StrEnum):
    """The side of the range on which a plan is entered."""

    ABOVE = "above"
    BELOW = "below"
    EITHER = "either"


class RangeRule(msgspec.Struct, frozen=True, kw_only=True):
    """The range of the underlying between two times of the day (seconds), and the breakout of it that enters."""

    begins: int
    ends: int
    breakout: Breakout = Breakout.EITHER


class Operand(msgspec.Struct, frozen=True, kw_only=True):
    """A side of a comparison: a number, or an indicator with its parameters, or a column such as close."""

    number: float = 0.0
    word: str = ""
    parameters: dict[str, float] = {}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """True while `left` is above `right`, or with `above` false below it."""

    left: Operand
    above: bool
    right: Operand


class LegPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The legs and their times, in seconds after midnight in India (0: none).

    It is entered once a day, from `entry_time` on for `entry_minutes`, while all comparisons of `when` hold and, with a
    `range`, a bar closes beyond that.
    """

    legs: tuple[LegRule, ...]
    entry_time: int
    entry_minutes: int = 15
    exit_time: int = 0
    square_off_time: int = 0
    days: DayKind = DayKind.ANY
    when: tuple[Comparison, ...] = ()
    range: RangeRule | None = None
