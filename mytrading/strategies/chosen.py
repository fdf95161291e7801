"""Contracts for wishes whose legs are rules, and the quotes to have beforehand.

Used by the engine's machine. The one rule: nothing is chosen while the wish stands already; the machine asks only for
wishes that are new, so strikes move neither with the price nor with a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.core.leg_rules import candidates, expiry_of, is_its_day, needs_chain, resolve_legs, underlying_of
from mytrading.messages.leg_plan import LegPlan, LegRule
from mytrading.messages.runconfig import StrategyRun
from mytrading.messages.signals import Leg
from mytrading.strategies.chains import Chains
from mytrading.strategies.leg_strategy import second_of_day
from mytrading.strategies.wishes import Wish, twins

LOOK_AHEAD = 300
"""Seconds before the entry time from which the quotes of what may be traded are asked for."""


def is_ruled(legs: Iterable[Leg | LegRule]) -> bool:
    """True if a leg still needs its contract."""
    return any(isinstance(leg, LegRule) for leg in legs)


class Chosen:
    """Chooses; `chains` are to be fed every quote."""

    def __init__(self) -> None:
        self.chains = Chains()
        self._asked: dict[tuple[str, str], tuple[LegRule, ...]] = {}
        self._book: InstrumentBook | None = None

    def legs(
        self, run: StrategyRun, wish: Wish, prices: Mapping[str, float], book: InstrumentBook, now: int
    ) -> tuple[Leg, ...]:
        """The legs of a wish with their contracts; none on a day that its plan leaves out. Raises `NoSuchContract`."""
        rules = tuple(leg for leg in wish.legs if isinstance(leg, LegRule))
        if not rules:
            return tuple(leg for leg in wish.legs if isinstance(leg, Leg))
        if len(rules) < len(wish.legs):
            raise NoSuchContract("a wish names contracts or rules, not both; write each leg the same way")
        self._asked[run.name, wish.instrument] = rules
        if run.plan is not None and not is_its_day(run.plan.days, rules, wish.instrument, book, now):
            return ()
        self._follow(book)
        seen = {**prices, wish.instrument: wish.price or prices.get(wish.instrument, 0.0)}
        legs = resolve_legs(
            rules, wish.instrument, seen, book, now,
            lambda underlying, expiry: self.chains.view(book, underlying, expiry, now),
        )  # fmt: skip
        if problem := twins(legs):
            raise NoSuchContract(problem)
        return legs

    def wanted(
        self, runs: Iterable[StrategyRun], prices: Mapping[str, float], book: InstrumentBook, now: int
    ) -> list[str]:
        """Contracts whose quotes may soon be needed: of plans near their entry time, of rules wished for before."""
        found: list[str] = []
        for run in runs:
            if run.plan is not None and _is_near(run.plan, now):
                found += candidates(run.plan.legs, run.symbols[0], prices, book, now)
                self._open_chains(run.plan.legs, run.symbols[0], book, now)
        for (name, watch), rules in self._asked.items():
            if not any(run.name == name and run.plan is not None for run in runs):
                found += candidates(rules, watch, prices, book, now)
        return found

    def _open_chains(self, rules: Iterable[LegRule], watch: str, book: InstrumentBook, now: int) -> None:
        """Before the entry time, so that what chains need to be worked out with is loaded by then."""
        self._follow(book)
        for rule in rules:
            if needs_chain(rule):
                try:
                    expiry = expiry_of(rule, watch, book, now)
                    self.chains.view(book, underlying_of(rule, watch, book), expiry, now)
                except NoSuchContract:
                    continue

    def _follow(self, book: InstrumentBook) -> None:
        if book is not self._book:
            self.chains.forget()
            self._book = book


def _is_near(plan: LegPlan, now: int) -> bool:
    at = second_of_day(now)
    return plan.entry_time - LOOK_AHEAD <= at < plan.entry_time + plan.entry_minutes * 60
