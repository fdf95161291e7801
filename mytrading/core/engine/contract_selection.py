"""Contract selection: legs by rule to listed contracts, option chains for it, and the quotes needed beforehand.

Contracts are selected once, for a signal that is new; strikes do not move with the price or with a restart. The
options that a strategy watches by rule are selected once a day, from the day's list and the last close before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mytrading.core.engine.leg_selection import (
    AROUND,
    candidate_contracts,
    expiry_of,
    is_entry_day,
    needs_chain,
    resolve_legs,
)
from mytrading.core.engine.trade_rules import underlying_of
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.time import second_of_day
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.leg_plan import LegPlan, LegRule
from mytrading.messages.market import Quote
from mytrading.messages.run_config import OptionRange, StrategyRun
from mytrading.messages.signals import Leg
from mytrading.strategies.signals import StrategySignal, duplicate_leg

if TYPE_CHECKING:
    from mytrading.core.options.chain import ChainView, OptionChain

LOOK_AHEAD = 300
"""Seconds before the entry time from which quotes of the contracts that may be traded are needed."""
RATE = 0.065
"""Interest a year at which premiums are discounted; deltas barely depend on it."""


def is_ruled(legs: Iterable[Leg | LegRule]) -> bool:
    """True if a leg still needs its contract."""
    return any(isinstance(leg, LegRule) for leg in legs)


class OptionChains:
    """Chains by underlying and expiry, opened on demand from the newest quotes of all instruments."""

    def __init__(self) -> None:
        self._chains: dict[tuple[str, str], OptionChain] = {}
        self._quotes: dict[str, Quote] = {}

    def apply(self, quote: Quote) -> None:
        """Record a quote."""
        self._quotes[quote.instrument] = quote
        for chain in self._chains.values():
            chain.apply(quote)

    def view(self, book: InstrumentBook, underlying: str, expiry: str, now: int) -> ChainView | None:
        """The chain at `now`; `NoSuchContract` where none is listed."""
        chain = self._chains.get((underlying, expiry))
        if chain is None:
            chain = self._chains[underlying, expiry] = self._open(book, underlying, expiry)
        return chain.view(now, AROUND)

    def _open(self, book: InstrumentBook, underlying: str, expiry: str) -> OptionChain:
        from mytrading.core.options.chain import OptionChain  # numba, for rules that need it alone

        options = book.options(underlying, expiry)
        if not options:
            raise NoSuchContract(f"no option of {underlying} expires on {expiry}")
        ends = book.ends_at(options[0].exchange, expiry)
        chain = OptionChain(underlying, expiry, options, book.spot(underlying).id, ends, RATE)
        for quote in self._quotes.values():
            chain.apply(quote)
        return chain

    def clear(self) -> None:
        """Close all chains: the list of contracts changed."""
        self._chains.clear()


class ContractSelector:
    """Selects contracts for legs by rule; `chains` must receive every quote."""

    def __init__(self) -> None:
        self.chains = OptionChains()
        self._requested: dict[tuple[str, str], tuple[LegRule, ...]] = {}
        """Rules of the newest draft by strategy and watched instrument."""
        self._book: InstrumentBook | None = None

    def select_legs(
        self, run: StrategyRun, draft: StrategySignal, prices: Mapping[str, float], book: InstrumentBook, now: int
    ) -> tuple[Leg, ...]:
        """The legs of a draft with their contracts; none on a day that its plan excludes. Raises `NoSuchContract`."""
        rules = tuple(leg for leg in draft.legs if isinstance(leg, LegRule))
        if not rules:
            return tuple(leg for leg in draft.legs if isinstance(leg, Leg))
        if len(rules) < len(draft.legs):
            raise NoSuchContract("a signal names contracts or rules, not both; write each leg the same way")
        self._requested[run.name, draft.instrument] = rules
        if run.plan is not None and not is_entry_day(run.plan.days, rules, draft.instrument, book, now):
            return ()
        self._follow(book)
        seen = {**prices, draft.instrument: draft.price or prices.get(draft.instrument, 0.0)}
        legs = resolve_legs(
            rules, draft.instrument, seen, book, now,
            lambda underlying, expiry: self.chains.view(book, underlying, expiry, now),
        )  # fmt: skip
        if problem := duplicate_leg(legs):
            raise NoSuchContract(problem)
        return legs

    def contracts_to_quote(
        self, runs: Iterable[StrategyRun], prices: Mapping[str, float], book: InstrumentBook, now: int
    ) -> list[str]:
        """Contracts whose quotes may soon be needed: of plans near their entry time and of rules in earlier drafts."""
        found: list[str] = []
        for run in runs:
            if run.plan is not None and _is_near(run.plan, now):
                found += candidate_contracts(run.plan.legs, run.symbols[0], prices, book, now)
                self._open_chains(run.plan.legs, run.symbols[0], book, now)
        for (name, watch), rules in self._requested.items():
            if not any(run.name == name and run.plan is not None for run in runs):
                found += candidate_contracts(rules, watch, prices, book, now)
        return found

    def _open_chains(self, rules: Iterable[LegRule], watch: str, book: InstrumentBook, now: int) -> None:
        """Open chains before the entry time, so that numba's code is loaded by then."""
        self._follow(book)
        for rule in rules:
            if needs_chain(rule):
                try:
                    expiry = expiry_of(rule, watch, book, now)
                    self.chains.view(book, underlying_of(rule.watch or watch, book), expiry, now)
                except NoSuchContract:
                    continue

    def _follow(self, book: InstrumentBook) -> None:
        if book is not self._book:
            self.chains.clear()
            self._book = book


def select_option_universe(
    rule: OptionRange, spot: str, price: float, book: InstrumentBook, now: int
) -> tuple[str, ...]:
    """The calls, then the puts, of the strikes about `price` of `spot`; `NoSuchContract` says what is listed.

    Fewer than the rule's number of strikes where the list ends before.
    """
    underlying = underlying_of(spot, book)
    found: list[str] = []
    for right in (InstrumentKind.CE, InstrumentKind.PE):
        expiry = book.expiry(rule.expiry, underlying, right, now)
        chain = sorted(
            (item for item in book.options(underlying, expiry) if item.kind is right), key=lambda item: item.strike
        )
        if not chain:
            raise NoSuchContract(f"no {right.value} of {underlying} is listed for {expiry}")
        atm = min(range(len(chain)), key=lambda index: (abs(chain[index].strike - price), chain[index].strike))
        found += [item.id for item in chain[max(0, atm - rule.strikes) : atm + rule.strikes + 1]]
    return tuple(found)


def _is_near(plan: LegPlan, now: int) -> bool:
    at = second_of_day(now)
    return plan.entry_time - LOOK_AHEAD <= at < plan.entry_time + plan.entry_minutes * 60
