"""Coverage of the lean engine: a feature unknown to it makes a run one for the machines.

Each term names what could otherwise deny an entry, end a position, move a fill or call the author's code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.assumptions import Models
from mytrading.core.calendar import Calendar
from mytrading.core.engine.leg_strategy import LegStrategy
from mytrading.core.engine.leg_tracker import closing_second
from mytrading.core.risk.runs.run import rules_in_force
from mytrading.core.time import DAY
from mytrading.messages.enums import Product, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegPlan, LegRule
from mytrading.messages.run_config import RateLimits, RiskLimits, RollRule, StrategyRun, TradeKind
from mytrading.strategies.base_strategy import BaseStrategy

_ENDLESS = 1e15
_TO_COST = "stops that move to the entry price"
_MOST_TRIPS = 400
"""Counts of a day that a limit must leave room for: more bars of a minute than a day's session has."""
_MOST_ORDERS = 4
"""Orders at once: an entry, its stop, an exit, and one to spare."""


class NotCoveredError(Exception):
    """The lean engine came to something that only the machines know; the text names it."""


@dataclass(frozen=True)
class LeanTerms:
    """Of a run that the lean engine covers: the rules in force, whether any of them ends a run or a leg, and trails.

    `levels`: legs have a stop or a target of their own. `free`: no setting limits size, number or confidence of
    entries.
    """

    rules: StrategyRules
    ruled: bool
    trails: bool
    levels: bool
    free: bool


def lean_terms(
    run: StrategyRun, strategy: type[BaseStrategy], data: Sequence[Columns], instrument: Instrument | None,
    limits: RiskLimits, rates: RateLimits, models: Models, calendar: Calendar, *, priced: bool,
) -> LeanTerms | str:  # fmt: skip
    """Return the terms of a run for the lean engine, or what keeps it with the machines.

    `priced`: contracts without data of their own are priced and traded.
    """
    reasons = (
        *_of_data(run, data, instrument, calendar, priced=priced),
        *_of_strategy(run, strategy),
        *_of_limits(run, limits, rates),
        *_of_models(models),
    )
    if reasons:
        return ", ".join(reasons)
    rules = rules_in_force(run, limits)
    trails = bool(rules.trailing.value) and limits.trailing_stop_enabled
    levels = bool(rules.leg_stop_loss.value or rules.leg_take_profit.value)
    ends = rules.max_loss, rules.max_profit, levels, trails
    return LeanTerms(rules, any(ends), trails, levels, _is_free(run, limits, rates))


def leg_terms(
    run: StrategyRun, strategy: type[BaseStrategy], data: Sequence[Columns], limits: RiskLimits, rates: RateLimits,
    models: Models,
) -> str:  # fmt: skip
    """Return what keeps the days of a file of legs with the machines; empty if the lean engine may make them."""
    plan = run.plan
    if plan is None or strategy.on_data is not LegStrategy.on_data:
        return "options without a file of legs"
    return ", ".join((
        *_of_leg_data(run, data), *_of_plan(run, plan), *_of_leg_rules(run, plan, limits),
        *_of_limits(run, limits, rates), *_of_models(models),
    ))  # fmt: skip


def _of_leg_data(run: StrategyRun, data: Sequence[Columns]) -> Iterator[str]:
    if len(data) != 1 or run.symbols != (data[0].instrument,):
        yield "several instruments"
    elif run.timeframes != (data[0].timeframe,) or data[0].span_ns >= DAY:
        yield "bars of another timeframe than the data's"


def _of_plan(run: StrategyRun, plan: LegPlan) -> Iterator[str]:
    """Yield the features of a plan beyond market orders for options, entered once and closed at a time of one day."""
    known = LegPlan(
        legs=plan.legs, entry_time=plan.entry_time, entry_minutes=plan.entry_minutes, exit_time=plan.exit_time,
        square_off_time=plan.square_off_time, days=plan.days, when=plan.when, range=plan.range,
    )  # fmt: skip
    closes = closing_second(plan)
    if plan != known:
        yield "adjustments of legs"
    if not closes or plan.entry_time + plan.entry_minutes * 60 > closes:
        yield "legs that are not closed at a time of the same day"
    if any(leg.roll is not None or leg.reentries for leg in plan.legs):
        yield "legs that are rolled or entered again"
    for leg in plan.legs:
        plain = LegRule(
            lots=leg.lots, strike=leg.strike, right=leg.right, expiry=leg.expiry, stop=leg.stop, target=leg.target,
            watch=leg.watch, roll=leg.roll, reentries=leg.reentries,
        )  # fmt: skip
        if leg != plain or leg.watch not in ("", *run.symbols[:1]):
            yield "legs that are no options, or rest at a limit, or have a product or a profile of their own"
            break
    sides = [leg.lots > 0 for leg in plan.legs]
    if sides != sorted(sides, reverse=True):
        yield "a sold leg that is named before a bought one"


def _of_leg_rules(run: StrategyRun, plan: LegPlan, limits: RiskLimits) -> Iterator[str]:
    rules = run.rules
    if run.product is not Product.MIS:
        yield "legs that may be held overnight"
    if run.accounts:
        yield "several accounts"
    if not run.sizing.is_plain:
        yield "sizing by risk, margin or confidence"
    if run.min_confidence or run.signal_cooldown:
        yield "a cooldown or a least confidence"
    if rules.trend.exit is not None or rules.leg_trailing.value or rules.leg_trailing_enabled:
        yield "trailing stops of single legs, or a Supertrend exit"
    if rules.trailing.value and limits.trailing_stop_enabled:
        yield "a trailing stop of the run"
    if rules.stop_to_cost or rules.stop_to_cost_profit:
        yield _TO_COST
    if not (rules.auto_exit and rules.auto_exit_on_max_loss and rules.auto_exit_on_max_profit):
        yield "rules that only alert"
    if run.square_off or rules.entry_time or rules.square_off_time or rules.exit_time not in (0, plan.exit_time):
        yield "times of the strategy's own"


def _of_data(
    run: StrategyRun, data: Sequence[Columns], instrument: Instrument | None, calendar: Calendar, *, priced: bool
) -> Iterator[str]:
    if priced:
        yield "options are priced"
    if len(data) != 1:
        yield "several instruments"
        return
    (columns,) = data
    if len(run.timeframes) > 1:
        yield "several timeframes"
    if columns.span_ns >= DAY:
        yield "bars of whole days"
    if run.symbols != (columns.instrument,):
        yield "an instrument that is not watched"
    if instrument is None or instrument.kind.is_derivative:
        yield "the margin of futures and options"
    if columns.instrument.partition(":")[0] not in calendar.exchanges:
        yield "an exchange without hours"


def _of_strategy(run: StrategyRun, strategy: type[BaseStrategy]) -> Iterator[str]:
    called = [name for name in ("on_fill", "on_trade", "on_timer", "generate_signals") if _overrides(strategy, name)]
    if called:
        yield f"{' and '.join(called)} of the strategy"
    if strategy.subscribe_quotes:
        yield "quotes for the strategy"
    if run.plan is not None or run.options is not None:
        yield "legs"
    for rule, side in ((run.long, Side.BUY), (run.short, Side.SELL)):
        if rule is not None and (rule.kind is not TradeKind.SAME or rule.side is not side):
            yield "another contract than the watched one"
    if run.accounts:
        yield "several accounts"
    if not run.sizing.is_plain:
        yield "sizing by risk, margin or confidence"
    if run.roll != RollRule():
        yield "rollover of futures"
    rules = run.rules
    if rules.trend.exit is not None:
        yield "a Supertrend exit"
    if rules.leg_trailing.value or rules.leg_trailing_enabled:
        yield "trailing stops of single legs"
    if rules.stop_to_cost or rules.stop_to_cost_profit:
        yield _TO_COST
    if run.square_off or rules.entry_time or rules.exit_time or rules.square_off_time:
        yield "times of the strategy's own"
    if run.intraday and run.product is not Product.MIS:
        yield "an intraday run that is not MIS"


def _overrides(strategy: type[BaseStrategy], name: str) -> bool:
    return getattr(strategy, name) is not getattr(BaseStrategy, name)


def _of_limits(run: StrategyRun, limits: RiskLimits, rates: RateLimits) -> Iterator[str]:
    day = (
        run.max_daily_loss, run.max_drawdown, run.daily_stop_r, run.daily_target_r, limits.daily_stop_r,
        limits.daily_target_r, limits.max_consecutive_losses,
    )  # fmt: skip
    if any(day) or limits.max_daily_loss < _ENDLESS or limits.max_drawdown < 1.0:
        yield "limits of the day"
    if limits.max_cancels_per_day < _MOST_TRIPS or limits.max_active_orders < _MOST_ORDERS:
        yield "limits on the number of orders"
    if rates.entries_per_minute < 1:
        yield "a limit of entries a minute"


def _is_free(run: StrategyRun, limits: RiskLimits, rates: RateLimits) -> bool:
    counts = (
        limits.min_order_size, limits.max_entries_per_session, run.max_position_size, run.min_confidence,
        run.signal_cooldown,
    )  # fmt: skip
    rupees = min(limits.max_position_size, limits.max_order_size)
    return not any(counts) and rupees >= _ENDLESS and rates.entries_per_minute > 1


def _of_models(models: Models) -> Iterator[str]:
    if models.at_close:
        yield "fills at the close"
    if models.latency_ns:
        yield "latency"
    if models.volume.share:
        yield "a share of the volume"
