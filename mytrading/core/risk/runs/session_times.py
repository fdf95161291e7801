"""Times of day of a run: when a strategy may enter, and when what it holds is closed.

What is MIS or intraday is flat by the venue's square-off in any case. Closing for a deadline begins a lead before it;
an exit time is when closing begins.
"""

from __future__ import annotations

from collections.abc import Iterator

from mytrading.core.calendar.square_off import LEAD_NS, MACHINE_LEAD_NS
from mytrading.core.risk.runs.run import Run, RunLeg
from mytrading.core.risk.runs.run_events import Breach
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import SECOND, hhmm, second_of_day
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.risk_events import RiskKind
from mytrading.messages.run_config import StrategyRun


def lead_seconds(speed: float) -> int:
    """Market seconds before a deadline at which closing begins."""
    return int(max(LEAD_NS, MACHINE_LEAD_NS * speed)) // SECOND


def due(run: Run, environment: RiskEnvironment, now: int) -> Iterator[tuple[Breach, list[RunLeg]]]:
    """The first time of day that has come for a run and has not been acted on, with the legs it is for."""
    legs = list(run.legs.values())
    if not legs:
        return
    at, rules = second_of_day(now), run.rules
    exit_time, deadline = rules.exit_time, rules.square_off_time
    if _exits(rules, at) and (timed := [leg for leg in legs if counts(exit_time, leg.instrument, environment, now)]):
        yield Breach(RiskKind.EXIT_TIME, exit_time, at, f"exit_time {hhmm(exit_time)} has come"), timed
    elif _squares_off(rules, at, environment) and (
        timed := [x for x in legs if counts(deadline, x.instrument, environment, now)]
    ):
        yield Breach(RiskKind.SQUARE_OFF, deadline, at, f"square-off: to be flat by {hhmm(deadline)}"), timed
    else:
        yield from _forced(run, legs, environment, now)


def _forced(
    run: Run, legs: list[RunLeg], environment: RiskEnvironment, now: int
) -> Iterator[tuple[Breach, list[RunLeg]]]:
    """What is MIS or intraday, once the venue's own time is near."""
    strategy = environment.strategies.get(run.strategy)
    intraday = strategy is not None and strategy.intraday
    forced = [
        leg
        for leg in legs
        if (intraday or leg.position.product is Product.MIS) and environment.square_off_begun(leg.instrument, now)
    ]
    if forced:
        ends = min(environment.square_off.deadline(leg.instrument.partition(":")[0], now) for leg in forced)
        until = second_of_day(ends)
        breach = Breach(RiskKind.SQUARE_OFF, until, second_of_day(now), f"square-off: to be flat by {hhmm(until)}")
        yield breach, forced


def is_over(strategy: StrategyRun, instrument: str, product: Product, environment: RiskEnvironment, now: int) -> bool:
    """True once nothing more of an instrument may be entered today: by the strategy's times, or as it is intraday."""
    at, rules = second_of_day(now), strategy.rules
    if _exits(rules, at) and counts(rules.exit_time, instrument, environment, now):
        return True
    if _squares_off(rules, at, environment) and counts(rules.square_off_time, instrument, environment, now):
        return True
    return strategy.intraday and product is not Product.MIS and environment.square_off_begun(instrument, now)


def counts(time_of_day: int, instrument: str, environment: RiskEnvironment, now: int) -> bool:
    """True if a time of day (seconds) lies in today's session of the instrument's exchange, or after it.

    On a holiday none does; in an evening session those of an ordinary day lie before its open, and mean nothing.
    """
    calendar, exchange = environment.calendar, instrument.partition(":")[0]
    if exchange not in calendar.exchanges:
        return True
    session = calendar.session(exchange, calendar.trading_day(now))
    return session is not None and second_of_day(session.open_ns) < time_of_day


def _exits(rules: StrategyRules, at: int) -> bool:
    return 0 < rules.exit_time <= at


def _squares_off(rules: StrategyRules, at: int, environment: RiskEnvironment) -> bool:
    return 0 < rules.square_off_time <= at + lead_seconds(environment.square_off.speed)
