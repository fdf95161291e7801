"""Lots of legs that name a profile or grade instead of lots: what a share of an account's free margin pays for.

Legs that say their lots are paid first; legs of one profile are sized together, as a whole intent with that sizing
would be. What one profile has taken is free for no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from mytrading.core.accounting.margin import MarginLeg, alone, by_margin, requirement
from mytrading.core.accounting.margin_tables import BY_RISK, FIXED, RiskTables, Source
from mytrading.core.risk.sizing.lots import LotMultiple, basket_cost, is_bought_only, plan_by_margin
from mytrading.messages.run_config import StrategyRun

Trim = Callable[[LotMultiple], LotMultiple]


class FreeFunds(NamedTuple):
    """Rupees free in an account: of cash, and with collateral. `buffer` is what is kept free beyond the margin of legs
    with lots, `learnt` what refusals have added to it, both as fractions of a requirement."""

    cash: float
    available: float
    buffer: float = 0.0
    learnt: float = 0.0


class MarginNeed(NamedTuple):
    """Rupees that legs take: all of it, and what of it is the premium of bought options, which comes from cash."""

    whole: float = 0.0
    premium: float = 0.0

    def plus(self, other: MarginNeed) -> MarginNeed:
        """Both together."""
        return MarginNeed(self.whole + other.whole, self.premium + other.premium)


def unknown_shares(runs: Iterable[StrategyRun], tables: RiskTables) -> list[str]:
    """What strategies or their legs are sized by and the tables do not have, each with its strategy."""
    found = []
    for run in runs:
        words = [leg.profile for leg in run.plan.legs if leg.profile] if run.plan is not None else []
        for word in dict.fromkeys([*words, run.sizing.by]):
            if word in (FIXED, BY_RISK):
                continue
            try:
                tables.share_of(word)
            except ValueError as error:
                found.append(f"{run.name}: {error}")
    return found


def plan_profiles(
    fixed: Sequence[MarginLeg],
    profiles: Mapping[str, Sequence[MarginLeg]],
    purse: FreeFunds,
    whose: str,
    tables: RiskTables,
    day: date,
    trim: Trim = lambda plan: plan,
) -> dict[str, LotMultiple]:
    """How many lots each leg of a profile gets in the account `whose`, in the order in which the profiles are given.

    `fixed` are the legs with lots, as many as there will be; those of `profiles` are one lot each. The first profile
    that gets none is the last one in the answer: the intent is not to be had in this account. `trim` lowers or scales a
    plan before it is paid for.
    """
    free = _after(fixed, purse, tables, day)
    taken, plans = MarginNeed(), dict[str, LotMultiple]()
    for profile, legs in profiles.items():
        plan = plans[profile] = trim(_plan(profile, legs, free, taken, whose, tables, day))
        if not plan.times:
            break
        taken = taken.plus(_taken(legs, plan.times, tables, day))
    return plans


def _after(fixed: Sequence[MarginLeg], purse: FreeFunds, tables: RiskTables, day: date) -> FreeFunds:
    """What legs with lots leave: their requirement with its buffer is set aside."""
    needed = requirement(fixed, tables, day).initial
    if any(by_margin(leg.instrument, leg.units) for leg in fixed):
        needed *= 1 + purse.buffer
    available = purse.available - needed
    return purse._replace(cash=min(purse.cash - _premium(fixed, tables, day), available), available=available)


def _plan(
    profile: str,
    legs: Sequence[MarginLeg],
    free: FreeFunds,
    taken: MarginNeed,
    whose: str,
    tables: RiskTables,
    day: date,
) -> LotMultiple:
    try:
        share = tables.share_of(profile)
    except ValueError as error:
        return LotMultiple(0, str(error))
    bought = is_bought_only(legs)
    if bought and share.source is Source.AVAILABLE:
        return LotMultiple(
            0, f"{profile} is of available margin, which does not size what only buys options; use another"
        )
    from_cash = share.source is Source.CASH or (share.source is Source.FITTING and bought)
    cost = basket_cost(legs, tables, day)
    if cost <= 0:
        return LotMultiple(0, "a lot is not valued: no price and no figure in config/risk.toml; wait for a quote")
    base = free.cash if from_cash else free.available
    left = free.available / (1 + free.learnt) - taken.whole
    if from_cash:
        left = min(left, free.cash / (1 + free.learnt) - taken.premium)
    kept = min(share.share, max(left, 0.0) / base) if base > 0 else share.share
    return plan_by_margin(base, kept, cost, whose)


def _taken(legs: Sequence[MarginLeg], times: int, tables: RiskTables, day: date) -> MarginNeed:
    """What a profile's legs use up: their budget, or their requirement where that is more."""
    made = [leg._replace(units=leg.units * times) for leg in legs]
    cost = basket_cost(legs, tables, day) * times
    premium = cost if is_bought_only(legs) else _premium(made, tables, day)
    return MarginNeed(max(cost, requirement(made, tables, day).initial), premium)


def _premium(legs: Sequence[MarginLeg], tables: RiskTables, day: date) -> float:
    """Rupees paid for bought options."""
    return sum(alone(leg, tables, day) for leg in legs if leg.instrument.kind.is_option and leg.units > 0)
