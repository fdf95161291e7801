"""Files of legs, strategies without code: `config/strategies/NAME.toml` with `[[legs]]` and keys of every strategy."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mytrading.config.problems import expectation, hint, nearest
from mytrading.config.sources import KeyPath, Lines, key_lines, locate_key
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


Clash = tuple[tuple[str, ...], str]
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

    def clashes(self) -> Iterator[Clash]:
        """Yield what does not fit together: the keys, the wrong one first, and what was expected."""
        given = self.model_fields_set
        if self.kind is LegKind.OPTION and not self.right:
            yield ("right", "kind"), "right: expected CE or PE for an option, found none"
        if self.kind is not LegKind.OPTION and given & {"right", "strike"}:
            yield (
                ("strike", "right", "kind"),
                f"strike, right: expected none for kind {self.kind.value}; leave them out",
            )
        if (self.kind is LegKind.EQUITY) != bool(self.quantity):
            yield (
                ("quantity", "kind"),
                "quantity: expected shares for an equity leg and none for the others, which have lots",
            )
        if self.profile and self.kind is LegKind.EQUITY:
            yield (
                ("profile", "kind"),
                f"profile: expected none for an equity leg, which has a quantity of shares; found {self.profile!r}",
            )
        if self.profile and "lots" in given:
            yield (
                ("lots", "profile"),
                f"lots, profile: expected one of the two, found lots = {self.lots} and profile = {self.profile!r}",
            )
        if self.roll_at and (self.kind is not LegKind.OPTION or self.action != "SELL"):
            yield (
                ("roll_at", "kind", "action"),
                f"roll_at: expected none but for a sold option, found {self.roll_at!r}",
            )
        if self.roll_to and not self.roll_at:
            yield ("roll_to", "roll_at"), "roll_to: expected roll_at beside it, say roll_at = 'delta 0.45'"
        if (self.order_type == "LIMIT") != bool(self.limit):
            yield (
                ("limit", "order_type"),
                "limit: expected 'price 150', '5%' or '3 points' for order_type LIMIT, and none for MARKET",
            )

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

    def clashes(self) -> Iterator[Clash]:
        """Yield what does not fit together among the keys of the file, without its legs, as `LegConfig.clashes`."""
        if not self.entry_time:
            yield ("entry_time",), "entry_time: expected a time of day in India, say 09:20; found none"
        times = [(name, getattr(self, name)) for name in ("entry_time", "exit_time", "square_off_time")]
        given = [(name, text) for name, text in times if text]
        for (earlier, first), (name, second) in pairwise(given):
            if second <= first:
                yield (name, earlier), f"{name}: expected a time after {earlier} {first}, found {second}"
        found = parse_range(self.range)
        if found is None and self.breakout is not Breakout.EITHER:
            yield ("breakout", "range"), "breakout: expected a range beside it, say range = '09:15-09:45'"
        if found is not None and self.entry_time and parse_time_of_day(self.entry_time) < found[1]:
            yield (
                ("entry_time", "range"),
                f"entry_time: expected a time from the end of the range {self.range} on, found {self.entry_time}",
            )

    def hedge_clashes(self) -> Iterator[tuple[int, str]]:
        """Yield each leg, counted from 0, with keys that no hedge may have, and what was expected."""
        rules = [leg.rule((leg.instrument or self.underlying).upper().rpartition(":")[2]) for leg in self.legs]
        covers = match_rule_covers(rules)
        for place, (leg, rule) in enumerate(zip(self.legs, rules, strict=True)):
            name = f"legs[{place + 1}]"
            if (leg.stop or leg.target) and 0 < rule.lots <= hedging_units(covers, name):
                sold = ", ".join(cover.sold for cover in covers if cover.bought == name)
                yield place, f"stop, target: expected none for the hedge of {sold}; closing it would leave that bare"
            if leg.reentries and 0 < rule.lots <= hedging_units(covers, name):
                yield place, "reentries: expected none for a hedge, which has neither stop nor target"

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
OF_CONTRACT = ("action", "kind", "right", "expiry", "lots", "quantity", "instrument")
"""Keys of a leg that say what it trades, without the strike."""


class ParsedLegs(NamedTuple):
    """The legs of a file, less the keys that are wrong by themselves; and what is wrong, as `exit_time`,
    `legs[2].stop`, and `legs[2]` where its contract is not known. None: the legs are no list of tables."""

    plan: LegPlanConfig | None
    wrong: frozenset[str]


def parse_leg_plan(values: Mapping[str, Any], text: str, file: str, problems: list[str]) -> ParsedLegs:
    """Parse the legs in a TOML file's top-level `values`, appending all mistakes to `problems`.
    `text` is the file's content, for line numbers. Keys of other settings are ignored."""
    lines = key_lines(text)
    wrong: set[KeyPath] = {(key,) for key in NOT_OF_LEGS if key in values}
    problems += [
        f"{locate_key(file, lines, (key,))}: {key}: a file of [[legs]] has none; each leg says what it trades"
        for key in NOT_OF_LEGS
        if key in values
    ]
    allowed = [name for name in (*OWN_KEYS, *FIELDS, "name", "risk", "parameters") if name not in NOT_OF_LEGS]
    unknown = [key for key in values if key not in (*allowed, *NOT_OF_LEGS)]
    wrong |= {(key,) for key in unknown}
    problems += [f"{locate_key(file, lines, (key,))}: {key}: no such key{hint(key, allowed)}" for key in unknown]
    own = {key: values[key] for key in OWN_KEYS if key in values}
    try:
        plan = LegPlanConfig.model_validate(own)
    except ValidationError as error:
        details = [one for one in error.errors() if one["type"] != "too_short" or not values.get("legs")]
        problems += [_problem_of(detail, file, lines) for detail in details]
        wrong |= {tuple(detail["loc"]) for detail in details}
        try:
            plan = LegPlanConfig.model_validate(_without(own, wrong))
        except ValidationError:  # not a list of tables
            return ParsedLegs(None, _labels({*wrong, ("legs",)}))
    for key, said in _clashes(plan, frozenset(wrong)):
        problems.append(f"{locate_key(file, lines, key)}: {said}")
        wrong.add(key)
    return ParsedLegs(plan, _labels(wrong))


def first_clash(plan: LegPlanConfig) -> str:
    """Return the first thing that does not fit together in a plan, and what was expected; "" if all does."""
    return next((said for _, said in _clashes(plan, ())), "")


def _without(values: Mapping[str, Any], wrong: Collection[KeyPath]) -> dict[str, Any]:
    """The values less those that are wrong, so that the others can be judged."""
    made = {"entry_time": "09:15", **{key: value for key, value in values.items() if (key,) not in wrong}}
    legs = made.get("legs")
    made["legs"] = [
        {"action": "BUY", **{key: value for key, value in leg.items() if ("legs", place, key) not in wrong}}
        for place, leg in enumerate(legs if isinstance(legs, list) else ())
        if isinstance(leg, Mapping)
    ]
    return made if len(made["legs"]) == len(legs or ()) else {}


def _clashes(plan: LegPlanConfig, wrong: Collection[KeyPath]) -> list[tuple[KeyPath, str]]:
    """What does not fit together, by the key that is to change; keys that are wrong by themselves are not judged."""
    found: list[tuple[KeyPath, str]] = []

    def judge(before: KeyPath, label: str, clashes: Iterable[Clash]) -> None:
        for keys, text in clashes:
            paths: list[KeyPath] = [(*before, key) for key in keys]
            if not any(path in wrong for path in paths):
                found.append((paths[0], label + text))

    judge((), "", plan.clashes())
    for place, leg in enumerate(plan.legs):
        judge(("legs", place), f"legs[{place + 1}]: ", leg.clashes())
    if not _unknown_contracts({*wrong, *(path for path, _ in found)}):
        for place, text in plan.hedge_clashes():
            found.append((("legs", place, text.partition(":")[0].partition(",")[0]), f"legs[{place + 1}]: {text}"))
    return found


def _unknown_contracts(wrong: Collection[KeyPath]) -> set[int]:
    """The legs, counted from 0, of which it is not known what they trade: -1 for any."""
    legs = {int(path[1]) for path in wrong if path[0] == "legs" and len(path) > 2 and path[2] in OF_CONTRACT}
    return legs | ({-1} if ("underlying",) in wrong or ("legs",) in wrong else set())


def judgeable_plan(plan: LegPlanConfig, wrong: Collection[str]) -> LegPlanConfig:
    """Return the plan with any bought call in place of each leg of which `wrong` says that its contract is unknown."""
    any_call = LegConfig(action="BUY", right="CE")
    legs = tuple(any_call if f"legs[{number}]" in wrong else leg for number, leg in enumerate(plan.legs, 1))
    return plan.model_copy(update={"legs": legs, **({"underlying": "NIFTY"} if "underlying" in wrong else {})})


def legs_of(plan: LegPlanConfig, unknown: Collection[str]) -> set[str]:
    """Return the legs, as `legs[2]`, whose instrument is among the keys with `unknown` names."""
    return {
        f"legs[{number}]"
        for number, leg in enumerate(plan.legs, 1)
        if (f"legs[{number}].instrument" if leg.instrument else "underlying") in unknown
    }


def _labels(wrong: Collection[KeyPath]) -> frozenset[str]:
    unknown = {f"legs[{place + 1}]" for place in _unknown_contracts(wrong) if place >= 0}
    return frozenset({_label(path) for path in wrong} | unknown)


def clamped_strike_warnings(plan: LegPlanConfig, text: str, file: str) -> list[str]:
    """Return a warning for each strike whose offset lies outside 1 to 20 and is therefore clamped."""
    lines, found = key_lines(text), []
    for number, leg in enumerate(plan.legs, 1):
        taken = clamp_strike_offset(leg.strike)
        if taken.split() != leg.strike.upper().split():
            place = locate_key(file, lines, ("legs", number - 1, "strike"))
            found.append(f"{place}: legs[{number}].strike = {leg.strike!r} is taken as {taken!r}: offsets are 1 to 20")
    return found


def unknown_symbol_problems(plan: LegPlanConfig, symbols: SymbolConfig, file: str) -> dict[str, str]:
    """Return a problem for each name of an instrument that is unknown, by its key; empty if all are known."""
    named = {"underlying": plan.underlying}
    named |= {f"legs[{number}].instrument": leg.instrument for number, leg in enumerate(plan.legs, 1) if leg.instrument}
    problems = {}
    for key, name in named.items():
        try:
            symbols.resolve(name)
        except UnknownSymbol as error:
            problems[key] = f"{file}: {key}: {error}"
    return problems


def _label(where: KeyPath) -> str:
    """A key as it is shown: legs[2].stop, counted from 1."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")


def _problem_of(detail: ErrorDetails, file: str, lines: Lines) -> str:
    """One of pydantic's findings: place, key, value, and the expected value."""
    where = tuple(detail["loc"])
    message = expectation(detail["msg"])
    value = detail["input"]
    label = _label(where)
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
