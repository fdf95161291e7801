"""Files of legs, strategies without code: `config/strategies/NAME.toml` with `[[legs]]` and keys of every strategy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from mytrading.config.problems import expectation, hint, nearest
from mytrading.config.sources import Lines, key_lines, locate_key
from mytrading.config.strategies import FIELDS, StrategyConfig
from mytrading.config.symbols import SymbolConfig, UnknownSymbol
from mytrading.config.validation import pydantic_model_of
from mytrading.core.options.leg_grammar import (
    clamp_strike_offset,
    normalize_word,
    parse_conditions,
    parse_range,
    parse_roll,
    parse_stop,
    parse_strike,
    parse_time_of_day,
)
from mytrading.core.risk.protection.hedges import hedging_units, match_rule_covers
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.leg_plan import Breakout, DayKind, LegKind, LegPlan, LegRoll, LegRule, RangeRule
from mytrading.messages.run_config import ExpiryRule

MOST_LEGS = 20
NOT_OF_LEGS = ("symbols", "trade", "trade_long", "trade_short", "direction", "lots")
"""Keys of other strategies that mean nothing here, since each leg says for itself what it trades."""
Upper = BeforeValidator(lambda value: value.strip().upper() if isinstance(value, str) else value)
Word = BeforeValidator(normalize_word)


def _time(value: Any) -> Any:
    seconds = parse_time_of_day(value)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds else ""


def _readable(read: Callable[[str], Any]) -> BeforeValidator:
    """A check that a text can be read, which keeps the text."""

    def check(value: Any) -> str:
        read(str(value))
        return str(value)

    return BeforeValidator(check)


DayTime = Annotated[str, BeforeValidator(_time)]
StopText = Annotated[str, _readable(parse_stop)]


class LegConfig(BaseModel):
    """One `[[legs]]` table. An equity leg has a `quantity` of shares, the others `lots`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Annotated[LegKind, Word] = Field(default=LegKind.OPTION, description="option, future or equity.")
    action: Annotated[Literal["BUY", "SELL"], Upper] = Field(description="BUY or SELL.")
    instrument: str = Field(default="", description="NIFTY, NSE:RELIANCE …; default: the file's underlying.")
    expiry: Annotated[ExpiryRule, Word] = Field(
        default=ExpiryRule.NEAREST, description="nearest, next, monthly or next_monthly."
    )
    strike: Annotated[str, _readable(lambda text: parse_strike(clamp_strike_offset(text)))] = Field(
        default="ATM", description="ATM, ITM n, OTM n (1 to 20), STRIKE n, PREMIUM n (rupees) or DELTA n (0.3)."
    )
    right: Annotated[Literal["CE", "PE", ""], Upper] = Field(default="", description="CE or PE; only for options.")
    lots: int = Field(default=1, ge=1, le=100, description="Lots; the strategy's `sizing` may multiply them.")
    profile: Annotated[str, AfterValidator(str.strip)] = Field(
        default="",
        description="Instead of lots: a profile or grade of config/risk.toml (Balanced, A). The lots of this leg "
        "follow from the free margin of each account.",
    )
    quantity: int = Field(default=0, ge=0, description="Number of shares; only for an equity leg.")
    product: Annotated[Literal["MIS", "NRML", "CNC", ""], Upper] = Field(
        default="", description="MIS, NRML or CNC of this leg; default: the strategy's product."
    )
    order_type: Annotated[Literal["MARKET", "LIMIT"], Upper] = Field(
        default="MARKET", description="MARKET, or LIMIT with the price `limit`."
    )
    limit: StopText = Field(
        default="", description="Price of a LIMIT leg: 'price 150', or '5%' or '3 points' better than the market price."
    )
    stop: StopText = Field(default="", description="The leg's own stop: '30%', '20 points' or 'price 150'.")
    target: StopText = Field(default="", description="Take-profit of the leg: '50%', '40 points' or 'price 60'.")
    roll_at: Annotated[str, _readable(parse_roll)] = Field(
        default="",
        description="Of a sold option: 'delta 0.45' or '50 points' (from its strike), at which it is rolled.",
    )
    roll_to: Annotated[str, _readable(lambda text: text and parse_strike(clamp_strike_offset(text)))] = Field(
        default="", description="The strike that takes its place, as for `strike`; default: the leg's own `strike`."
    )
    rolls: int = Field(default=1, ge=1, le=10, description="Times a day that the leg is rolled at most.")
    reentries: int = Field(
        default=0, ge=0, le=10, description="Times a day that the leg is entered again after its stop or target."
    )

    @model_validator(mode="after")
    def _fits(self) -> LegConfig:
        given = self.model_fields_set
        if self.kind is LegKind.OPTION and not self.right:
            raise ValueError("right: expected CE or PE for an option, found none")
        if self.kind is not LegKind.OPTION and given & {"right", "strike"}:
            raise ValueError(f"strike, right: expected none for kind {self.kind.value}; leave them out")
        if (self.kind is LegKind.EQUITY) != bool(self.quantity):
            raise ValueError("quantity: expected shares for an equity leg and none for the others, which have lots")
        if self.profile and self.kind is LegKind.EQUITY:
            raise ValueError(
                f"profile: expected none for an equity leg, which has a quantity of shares; found {self.profile!r}"
            )
        if self.profile and "lots" in given:
            raise ValueError(
                f"lots, profile: expected one of the two, found lots = {self.lots} and profile = {self.profile!r}"
            )
        if self.roll_at and (self.kind is not LegKind.OPTION or self.action != "SELL"):
            raise ValueError(f"roll_at: expected none but for a sold option, found {self.roll_at!r}")
        if self.roll_to and not self.roll_at:
            raise ValueError("roll_to: expected roll_at beside it, say roll_at = 'delta 0.45'")
        if (self.order_type == "LIMIT") != bool(self.limit):
            raise ValueError(
                "limit: expected 'price 150', '5%' or '3 points' for order_type LIMIT, and none for MARKET"
            )
        return self

    def rule(self, watch: str) -> LegRule:
        """Convert the leg to its rule in the run configuration; `watch` is the id of the instrument it follows."""
        return LegRule(
            lots=(self.quantity or self.lots) * (1 if self.action == "BUY" else -1),
            kind=self.kind,
            strike=parse_strike(clamp_strike_offset(self.strike)) if self.kind is LegKind.OPTION else "",
            right=self.right,
            expiry=self.expiry.value,
            watch=watch,
            stop=parse_stop(self.stop),
            target=parse_stop(self.target),
            order_type=OrderType(self.order_type),
            limit=parse_stop(self.limit),
            profile=self.profile,
            product=Product(self.product) if self.product else None,
            roll=self._roll(),
            reentries=self.reentries,
        )

    def _roll(self) -> LegRoll | None:
        found = parse_roll(self.roll_at)
        if found is None:
            return None
        to = parse_strike(clamp_strike_offset(self.roll_to or self.strike))
        return LegRoll(trigger=found[0], value=found[1], strike=to, times=self.rolls)


class LegPlanConfig(BaseModel):
    """The keys of a file of legs that other strategies do not have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    underlying: str = Field(default="NIFTY", description="Underlying of the strikes; its bars drive the strategy.")
    entry_time: DayTime = Field(description="Time of the daily entry: 09:20.")
    entry_minutes: int = Field(default=15, ge=1, le=375, description="Minutes of the entry window from entry_time.")
    exit_time: DayTime = Field(default="", description="Time at which the exit begins.")
    square_off_time: DayTime = Field(default="", description="Time to be flat; the exit begins 3 minutes before.")
    days: Annotated[DayKind, Word] = Field(
        default=DayKind.ANY, description="Days of entry: any, expiry or non_expiry, by the first leg that expires."
    )
    when: Annotated[str, _readable(parse_conditions)] = Field(
        default="always", description="Condition of the entry: always, or 'close above SMA(20) and RSI(14) below 70'."
    )
    range: Annotated[str, _readable(parse_range)] = Field(
        default="", description="Range of the underlying, 09:15-09:45: entered when a bar closes beyond it."
    )
    breakout: Annotated[Breakout, Word] = Field(
        default=Breakout.EITHER, description="The side of the range that enters: above, below or either."
    )
    legs: tuple[LegConfig, ...] = Field(min_length=1, max_length=MOST_LEGS)

    @model_validator(mode="after")
    def _ordered(self) -> LegPlanConfig:
        if not self.entry_time:
            raise ValueError("entry_time: expected a time of day in India, say 09:20; found none")
        times = [(name, getattr(self, name)) for name in ("entry_time", "exit_time", "square_off_time")]
        given = [(name, text) for name, text in times if text]
        for (earlier, first), (name, second) in pairwise(given):
            if second <= first:
                raise ValueError(f"{name}: expected a time after {earlier} {first}, found {second}")
        return self

    @model_validator(mode="after")
    def _ranged(self) -> LegPlanConfig:
        found = parse_range(self.range)
        if found is None and self.breakout is not Breakout.EITHER:
            raise ValueError("breakout: expected a range beside it, say range = '09:15-09:45'")
        if found is not None and parse_time_of_day(self.entry_time) < found[1]:
            raise ValueError(
                f"entry_time: expected a time from the end of the range {self.range} on, found {self.entry_time}"
            )
        return self

    @model_validator(mode="after")
    def _hedged(self) -> LegPlanConfig:
        rules = [leg.rule((leg.instrument or self.underlying).upper().rpartition(":")[2]) for leg in self.legs]
        covers = match_rule_covers(rules)
        for number, (leg, rule) in enumerate(zip(self.legs, rules, strict=True), 1):
            name = f"legs[{number}]"
            if (leg.stop or leg.target) and 0 < rule.lots <= hedging_units(covers, name):
                sold = ", ".join(cover.sold for cover in covers if cover.bought == name)
                raise ValueError(
                    f"{name}: stop, target: expected none for the hedge of {sold}; closing it would leave that bare"
                )
            if leg.reentries and 0 < rule.lots <= hedging_units(covers, name):
                raise ValueError(f"{name}: reentries: expected none for a hedge, which has neither stop nor target")
        return self

    def plan(self, symbols: SymbolConfig) -> LegPlan:
        """Convert to the plan in the run configuration; `UnknownSymbol` if an instrument's name does not exist."""
        ranged = parse_range(self.range)
        return LegPlan(
            legs=tuple(leg.rule(symbols.resolve(leg.instrument or self.underlying)) for leg in self.legs),
            entry_time=parse_time_of_day(self.entry_time),
            entry_minutes=self.entry_minutes,
            exit_time=parse_time_of_day(self.exit_time),
            square_off_time=parse_time_of_day(self.square_off_time),
            days=self.days,
            when=parse_conditions(self.when),
            range=RangeRule(begins=ranged[0], ends=ranged[1], breakout=self.breakout) if ranged else None,
        )

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that the strategy watches, as written, the underlying first."""
        return tuple(dict.fromkeys((self.underlying, *(leg.instrument for leg in self.legs if leg.instrument))))


OWN_KEYS = tuple(LegPlanConfig.model_fields)


def parse_leg_plan(values: Mapping[str, Any], text: str, file: str, problems: list[str]) -> LegPlanConfig | None:
    """Parse the legs in a TOML file's top-level `values`; None, appending to `problems`, if there are mistakes.
    `text` is the file's content, for line numbers. Keys of other settings are ignored."""
    before = len(problems)
    lines = key_lines(text)
    problems += [
        f"{locate_key(file, lines, (key,))}: {key}: a file of [[legs]] has none; each leg says what it trades"
        for key in NOT_OF_LEGS
        if key in values
    ]
    allowed = [name for name in (*OWN_KEYS, *FIELDS, "name", "risk", "parameters") if name not in NOT_OF_LEGS]
    problems += [
        f"{locate_key(file, lines, (key,))}: {key}: no such key{hint(key, allowed)}"
        for key in values
        if key not in (*allowed, *NOT_OF_LEGS)
    ]
    try:
        found = LegPlanConfig.model_validate({key: values[key] for key in OWN_KEYS if key in values})
    except ValidationError as error:
        problems += [
            _problem_of(detail, file, lines)
            for detail in error.errors()
            if detail["type"] != "too_short" or not values.get("legs")
        ]
        return None
    return found if len(problems) == before else None


def clamped_strike_warnings(plan: LegPlanConfig, text: str, file: str) -> list[str]:
    """Return a warning for each strike whose offset lies outside 1 to 20 and is therefore clamped."""
    lines, found = key_lines(text), []
    for number, leg in enumerate(plan.legs, 1):
        taken = clamp_strike_offset(leg.strike)
        if taken.split() != leg.strike.upper().split():
            place = locate_key(file, lines, ("legs", number - 1, "strike"))
            found.append(f"{place}: legs[{number}].strike = {leg.strike!r} is taken as {taken!r}: offsets are 1 to 20")
    return found


def unknown_symbol_problems(plan: LegPlanConfig, symbols: SymbolConfig, file: str) -> list[str]:
    """Return a problem for each name of an instrument that is unknown, with its key; empty if all are known."""
    named = {"underlying": plan.underlying}
    named |= {f"legs[{number}].instrument": leg.instrument for number, leg in enumerate(plan.legs, 1) if leg.instrument}
    problems = []
    for key, name in named.items():
        try:
            symbols.resolve(name)
        except UnknownSymbol as error:
            problems.append(f"{file}: {key}: {error}")
    return problems


def _problem_of(detail: ErrorDetails, file: str, lines: Lines) -> str:
    """One of pydantic's findings: place, key, value, and the expected value."""
    where = tuple(detail["loc"])
    message = expectation(detail["msg"])
    value = detail["input"]
    label = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    place = locate_key(file, lines, where)
    if detail["type"] == "extra_forbidden":
        return f"{place}: {label}: no such key{hint(str(where[-1]), LegConfig.model_fields)}"
    if detail["type"] == "missing":
        model = LegConfig if len(where) > 1 else LegPlanConfig
        return f"{place}: {label} is missing: {model.model_fields[str(where[-1])].description or 'expected a value'}"
    if detail["type"] in ("literal_error", "enum"):
        allowed = [word.strip("'") for word in re.split(r", | or ", str(detail.get("ctx", {}).get("expected", "")))]
        words = [word for word in allowed if word]
        near = nearest(str(value), words)
        return f"{place}: {label} = {value!r}: expected {', '.join(words)}" + (
            f"; did you mean {near}?" if near else ""
        )
    if isinstance(value, Mapping):
        return f"{place}: {label + ': ' if label else ''}{message}"
    shown = "" if "; found " in message or ", found " in message else f" = {value!r}"
    return f"{place}: {label}{shown}: {message}"


def schema() -> dict[str, Any]:
    """Return the JSON schema of a file of legs, for completion in an editor."""
    body = LegPlanConfig.model_json_schema()
    of_all = pydantic_model_of(StrategyConfig).model_json_schema()
    shared = {key: value for key, value in of_all["properties"].items() if key not in (*NOT_OF_LEGS, "parameters")}
    name = {"default": "", "description": "Name of the strategy; default: that of the file.", "type": "string"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A strategy of legs",
        "description": "config/strategies/NAME.toml with [[legs]]; see docs/leg-strategies.md.",
        **{key: value for key, value in body.items() if key in ("type", "required", "additionalProperties")},
        "properties": {"name": name, **shared, **body["properties"], "risk": {"type": "object"}},
        "$defs": {**of_all.get("$defs", {}), **body.get("$defs", {})},
    }
