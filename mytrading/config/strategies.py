"""The settings of one strategy, `config/strategies/*.toml` and `STRATEGY_<NAME>_<SETTING>`, and their checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import time
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal

from mytrading.config.sources import Value
from mytrading.config.validation import build_section, declarations
from mytrading.core.options.leg_grammar import parse_option_range, parse_time_of_day, parse_trade
from mytrading.messages import exit_rules
from mytrading.messages.enums import Product
from mytrading.messages.run_config import AllocationMode, Parameter, SizingRule, StrategySettings, TradeRule
from mytrading.messages.run_settings import setting

_MINUTES = {"3m": 3, "5m": 5, "10m": 10, "15m": 15, "30m": 30, "1h": 60}


def parse_factors(words: Iterable[str]) -> dict[str, float]:
    """Parse texts `account=factor` into lot factors (at least 0) by account; otherwise `ValueError`."""
    factors = {}
    for word in words:
        name, _, number = word.partition("=")
        factor = _number(number.strip())
        if not name.strip() or factor is None or factor < 0:
            raise ValueError(f"expected account=factor with a factor of at least 0, say second=0.5; found {word!r}")
        factors[name.strip()] = factor
    return factors


def _day_time(value: Any) -> str:
    """A time of day, quoted or not, as text."""
    parse_time_of_day(value)
    return value.strftime("%H:%M:%S") if isinstance(value, time) else str(value).strip()


def _check_symbols(symbols: tuple[str, ...]) -> None:
    if not symbols:
        raise ValueError("expected at least one instrument, say NIFTY or NSE:SBIN; ENABLED_STRATEGIES switches off")


_trade_check = partial(parse_trade, long=True)
_LEVEL = "percentage or points from the entry price, or premium (a price)"


class StrategyConfig(StrategySettings, frozen=True, kw_only=True):
    """Settings of a strategy; the keys `risk_…` stand in its table `[risk]`. A zero or nothing switches a rule off."""

    name: str
    parameters: dict[str, Parameter]
    enabled: Annotated[bool, setting(note="false: not run, even if ENABLED_STRATEGIES names it")] = True
    symbols: Annotated[tuple[str, ...], setting(note="instruments watched", check=_check_symbols)] = ("NIFTY",)
    options: Annotated[
        str, setting(note="options watched around the last close, such as ATM 20 nearest", check=parse_option_range)
    ] = ""
    trade_long: Annotated[
        str,
        setting(
            note="bought on a long signal: same, future, or an option such as NIFTY ATM CE nearest", check=_trade_check
        ),
    ] = "same"
    trade_short: Annotated[
        str, setting(note="traded on a short signal: the same forms, or none", check=_trade_check)
    ] = "same"
    stop_loss_percent: Annotated[
        float, setting(note="stop-loss, per cent of the entry price (2 is 2 %); 0: DEFAULT_STOP_LOSS", ge=0, lt=100)
    ] = 0.0
    take_profit_percent: Annotated[
        float, setting(note="take-profit, per cent of the entry price (2 is 2 %); 0: none", ge=0)
    ] = 0.0
    intraday: Annotated[bool | None, setting(note="true: closed each day; default: true for product MIS")] = None
    sizing: Annotated[str, setting(note="fixed, risk (risk_per_trade), or a profile or grade of risk.toml")] = "fixed"
    risk_per_trade: Annotated[
        float, setting(note="rupees that an entry loses at its stop, for sizing = risk", ge=0)
    ] = 0.0
    max_lots: Annotated[int, setting(note="largest lots of a leg; 0: only the limit of config/risk.toml", ge=0)] = 0
    confidence_scaling: Annotated[bool, setting(note="fewer lots for a signal of less confidence")] = False
    allocation: Annotated[
        AllocationMode,
        setting(note="lots over accounts: equal, by free margin (proportional), or by allocation_factors (custom)"),
    ] = AllocationMode.EQUAL
    allocation_factors: Annotated[
        tuple[str, ...], setting(note="factors of a custom allocation: second=0.5", check=parse_factors)
    ] = ()
    roll_days: Annotated[int, setting(note="trading days before expiry at which futures roll", ge=0, le=20)] = 0
    roll_first: Annotated[Literal["far", "near"], setting(note="first traded leg of a roll")] = "far"
    square_off: Annotated[str, setting(note="older name of risk_square_off_time", read=_day_time)] = ""
    risk_max_loss: Annotated[float, setting(note="loss of one run in rupees", ge=0)] = 0.0
    risk_max_profit: Annotated[float, setting(note="profit of one run in rupees", ge=0)] = 0.0
    risk_auto_exit: Annotated[bool, setting(note="false: a breach raises an alert and closes nothing")] = True
    risk_auto_exit_on_max_loss: Annotated[bool, setting(note="likewise for risk_max_loss only")] = True
    risk_auto_exit_on_max_profit: Annotated[bool, setting(note="likewise for risk_max_profit only")] = True
    risk_trailing: Annotated[float, setting(note="trailing distance of the stop on a run's profit", ge=0)] = 0.0
    risk_trailing_type: Annotated[
        exit_rules.TrailKind, setting(note="percentage of the peak, points per unit, or amount in rupees")
    ] = exit_rules.TrailKind.PERCENTAGE
    risk_trailing_activation: Annotated[float, setting(note="profit in rupees at which trailing begins", ge=0)] = 0.0
    risk_trailing_from_entry: Annotated[bool, setting(note="true: trailing begins at the entry")] = False
    risk_leg_stop_loss: Annotated[float, setting(note="stop-loss of each leg", ge=0)] = 0.0
    risk_leg_stop_loss_type: Annotated[exit_rules.LevelKind, setting(note=_LEVEL)] = exit_rules.LevelKind.PERCENTAGE
    risk_leg_take_profit: Annotated[float, setting(note="take-profit of each leg", ge=0)] = 0.0
    risk_leg_take_profit_type: Annotated[exit_rules.LevelKind, setting(note=_LEVEL)] = exit_rules.LevelKind.PERCENTAGE
    risk_leg_trailing_enabled: Annotated[
        bool, setting(note="true: stops of legs trail, by risk_leg_trailing or TRAILING_STOP_DISTANCE")
    ] = False
    risk_leg_trailing: Annotated[float, setting(note="trailing distance of a leg's stop", ge=0)] = 0.0
    risk_leg_trailing_type: Annotated[
        Literal["percentage", "points"], setting(note="percentage of the best price, or points")
    ] = "percentage"
    risk_stop_to_cost: Annotated[
        bool, setting(note="true: once a stop closed one leg, the stops of the others move to their entry prices")
    ] = False
    risk_stop_to_cost_profit: Annotated[
        float, setting(note="profit of a run in rupees at which the stops of its legs move to their entry prices", ge=0)
    ] = 0.0
    risk_supertrend: Annotated[
        Literal["off", "breakout", "breakdown"], setting(note="turn of the Supertrend that ends a run")
    ] = "off"
    risk_supertrend_period: Annotated[int, setting(note="bars of its average true range", ge=2, le=100)] = 7
    risk_supertrend_multiplier: Annotated[float, setting(note="width of its bands in average ranges", gt=0, le=20)] = (
        3.0
    )
    risk_supertrend_timeframe: Annotated[
        Literal["3m", "5m", "10m", "15m", "30m", "1h"], setting(note="length of its bars")
    ] = "5m"
    risk_supertrend_on: Annotated[
        exit_rules.TrendSource,
        setting(note="bars of the Supertrend: the underlying's, or the premium of the held legs"),
    ] = exit_rules.TrendSource.UNDERLYING
    risk_supertrend_require_cross: Annotated[
        bool, setting(note="true: only a turn after the entry ends the run; false: the direction is enough")
    ] = True
    risk_entry_time: Annotated[str, setting(note="no entry before this time of day in India", read=_day_time)] = ""
    risk_exit_time: Annotated[str, setting(note="time at which exits begin", read=_day_time)] = ""
    risk_square_off_time: Annotated[
        str, setting(note="time by which every product is flat; empty: MIS only, at the venue's time", read=_day_time)
    ] = ""

    @property
    def stop_loss_share(self) -> float:
        """The stop-loss as a fraction of the entry price, from either key; 0.0: the risk settings' default."""
        return _share(self.stop_loss_percent) or self.stop_loss_pct

    @property
    def take_profit_share(self) -> float:
        """The take-profit as a fraction of the entry price, from either key; 0.0: none."""
        return _share(self.take_profit_percent) or self.take_profit_pct

    @property
    def sizing_rule(self) -> SizingRule:
        """The rule by which the lots of a signal are computed."""
        return SizingRule(
            by=self.sizing.strip(),
            risk_per_trade=self.risk_per_trade,
            max_lots=self.max_lots,
            confidence_scaling=self.confidence_scaling,
            allocation=self.allocation,
            factors=parse_factors(self.allocation_factors),
        )

    @property
    def long(self) -> TradeRule | None:
        """The rule that chooses the instrument a long signal trades; None if a long signal trades nothing."""
        return parse_trade(self.trade_long, long=True)

    @property
    def short(self) -> TradeRule | None:
        """The rule that chooses the instrument a short signal trades; None if a short signal trades nothing."""
        return parse_trade(self.trade_short, long=False)

    @property
    def own_square_off_time(self) -> str:
        """The square-off time (HH:MM IST), from either of its two keys; "": none."""
        return self.risk_square_off_time or self.square_off


PERCENT_KEYS = {"stop_loss_pct": "stop_loss_percent", "take_profit_pct": "take_profit_percent"}
"""Keys of fractions, which go with release 0.3, and the keys of per cent that replace them."""
_SMALL_PERCENT, _SMALL_PERCENT_OF_PREMIUM = 0.05, 1.0
"""Levels below these are taken for fractions that were meant: of prices, and of options' premiums."""


def _share(percent: float) -> float:
    return round(percent / 100, 12)  # 0.7 % is 0.007


def names_option(trade: object) -> bool:
    """True if the raw value of a `trade_long` or `trade_short` names a call or a put."""
    return not {"CE", "PE"}.isdisjoint(str(trade).upper().split())


def judge_percent_keys(
    name: str, given: Mapping[str, Value], problems: list[str], warnings: list[str], *, options: bool = False
) -> None:
    """Append to `problems` each level given both as fraction and per cent, to `warnings` doubtful values.
    `given` are the raw values by key, `options`: the strategy trades options. Each warning begins with the strategy's
    `name` and a colon."""
    small = _SMALL_PERCENT_OF_PREMIUM if options else _SMALL_PERCENT
    for old, new in PERCENT_KEYS.items():
        fraction, percent = given.get(old), given.get(new)
        if fraction is not None and percent is not None:
            problems.append(
                f"{percent.where} = {percent.raw!r}: {fraction.where} = {fraction.raw!r} sets the same, as a fraction; "
                f"keep {new} alone"
            )
        elif fraction is not None and (share := _number(str(fraction.raw))):
            warnings.append(
                f"{name}: {fraction.where} = {share:g} is a fraction, {100 * share:g} % of the entry price; write "
                f"{new} = {100 * share:g}, since {old} goes with release 0.3"
            )
        elif percent is not None and 0 < (shown := _number(str(percent.raw)) or 0.0) < small:
            what = "premium" if options else "entry price"
            warnings.append(
                f"{name}: {percent.where} = {shown:g} is {shown:g} % of the {what}; for {100 * shown:g} % write "
                f"{100 * shown:g}"
            )


FIELDS: tuple[str, ...] = tuple(declarations(StrategyConfig))


def strategy_config(name: str, values: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> StrategyConfig:
    """Build and validate a strategy's settings; pydantic's `ValidationError` lists what is wrong."""
    return build_section(StrategyConfig, values, name=name, parameters=dict(parameters))


def exit_rules_of(config: StrategyConfig, underlying: str) -> exit_rules.StrategyRules:
    """Build a strategy's exit rules for the run configuration; its Supertrend may use the bars of `underlying`."""
    return exit_rules.StrategyRules(
        max_loss=config.risk_max_loss,
        max_profit=config.risk_max_profit,
        auto_exit=config.risk_auto_exit,
        auto_exit_on_max_loss=config.risk_auto_exit_on_max_loss,
        auto_exit_on_max_profit=config.risk_auto_exit_on_max_profit,
        trailing=exit_rules.TrailRule(
            kind=config.risk_trailing_type,
            value=config.risk_trailing,
            activation=config.risk_trailing_activation,
            from_entry=config.risk_trailing_from_entry,
        ),
        leg_stop_loss=exit_rules.LevelRule(kind=config.risk_leg_stop_loss_type, value=config.risk_leg_stop_loss),
        leg_take_profit=exit_rules.LevelRule(kind=config.risk_leg_take_profit_type, value=config.risk_leg_take_profit),
        leg_trailing=exit_rules.LevelRule(
            kind=exit_rules.LevelKind(config.risk_leg_trailing_type), value=config.risk_leg_trailing
        ),
        leg_trailing_enabled=config.risk_leg_trailing_enabled,
        stop_to_cost=config.risk_stop_to_cost,
        stop_to_cost_profit=config.risk_stop_to_cost_profit,
        trend=exit_rules.TrendRule()
        if config.risk_supertrend == "off"
        else exit_rules.TrendRule(
            exit=exit_rules.TrendExit(config.risk_supertrend),
            period=config.risk_supertrend_period,
            multiplier=config.risk_supertrend_multiplier,
            minutes=_MINUTES[config.risk_supertrend_timeframe],
            instrument=underlying if config.risk_supertrend_on is exit_rules.TrendSource.UNDERLYING else "",
            require_cross=config.risk_supertrend_require_cross,
        ),
        entry_time=parse_time_of_day(config.risk_entry_time),
        exit_time=parse_time_of_day(config.risk_exit_time),
        square_off_time=parse_time_of_day(config.own_square_off_time),
    )


def find_rule_conflicts(
    config: StrategyConfig, product: Product, intraday: bool | None, symbols: int, trailing_enabled: bool
) -> Iterator[tuple[str, str]]:
    """Yield (key of StrategyConfig, problem) for settings of a strategy that contradict each other.
    `symbols` is how many it watches, `trailing_enabled` is TRAILING_STOP_ENABLED, `intraday` None if not given."""
    for name, value, kind in (  # a loss of 100 % or more is never reached, nor is a stop so far behind
        ("risk_trailing", config.risk_trailing, config.risk_trailing_type.value),
        ("risk_leg_stop_loss", config.risk_leg_stop_loss, config.risk_leg_stop_loss_type.value),
        ("risk_leg_trailing", config.risk_leg_trailing, config.risk_leg_trailing_type),
    ):
        if kind == "percentage" and value >= 100:
            yield name, f"expected less than 100 per cent, found {value:g}; for points set {_key(name)}_type"
    yield from _time_problems(config)
    trailing = config.risk_trailing or config.risk_leg_trailing or config.risk_leg_trailing_enabled
    if trailing and not trailing_enabled:
        name = "risk_trailing" if config.risk_trailing else "risk_leg_trailing"
        yield name, "expected TRAILING_STOP_ENABLED = true beside it, found false: no stop would trail"
    for name in ("risk_trailing_activation", "risk_trailing_from_entry"):
        if getattr(config, name) and not config.risk_trailing:
            yield name, "expected a value for risk.trailing beside it: without one nothing trails"
    if 0 < config.risk_max_profit <= config.risk_stop_to_cost_profit:
        most = f"less than risk.max_profit {config.risk_max_profit:g}, which ends the run"
        yield "risk_stop_to_cost_profit", f"expected {most}; found {config.risk_stop_to_cost_profit:g}"
    if config.risk_trailing_from_entry and config.risk_trailing_activation:
        yield "risk_trailing_activation", "a stop from entry needs none: expected one of the two"
    on_underlying = config.risk_supertrend != "off" and config.risk_supertrend_on is exit_rules.TrendSource.UNDERLYING
    if on_underlying and symbols > 1:
        yield (
            "risk_supertrend",
            f"expected one watched symbol whose bars count, found {symbols}; name one, "
            'or set supertrend_on = "premium"',
        )
    if intraday is False and product is Product.MIS:
        yield "intraday", "the broker squares MIS off every day: expected product NRML or CNC for intraday = false"


def _time_problems(config: StrategyConfig) -> Iterator[tuple[str, str]]:
    own, other = config.risk_square_off_time, config.square_off
    if own and other and parse_time_of_day(own) != parse_time_of_day(other):
        text = f"expected the same time as risk.square_off_time {own}, or one of the two alone; found {other}"
        yield "square_off", text
    last = "risk_square_off_time" if own or not other else "square_off"
    times = [(name, getattr(config, name)) for name in ("risk_entry_time", "risk_exit_time", last)]
    found = [(name, parse_time_of_day(text), text) for name, text in times if text]
    for (earlier, first, text), (name, second, later) in pairwise(found):
        if second <= first:
            yield name, f"expected a time after {_key(earlier)} {text}, found {later}"


def _key(name: str) -> str:
    return f"risk.{name.removeprefix('risk_')}"


def convert_parameter(kind: type, raw: Any) -> int | float | str | bool:
    """Convert a raw value to a parameter's type `kind`; `ValueError` says what was expected."""
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
