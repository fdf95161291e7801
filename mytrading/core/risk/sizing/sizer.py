"""Lots of each leg of an intent in an account: as wanted, by risk, or by a share of the account's margin.

An account that cannot pay for one lot is left out with a reason; that changes no other account.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.accounting.margin_tables import BY_RISK, FIXED, Source, sizing_key
from mytrading.core.orders.leg_levels import priced_leg
from mytrading.core.risk.pretrade.context import Denial
from mytrading.core.risk.pretrade.readiness import why_funds_unknown
from mytrading.core.risk.sizing.lots import (
    FreeFunds,
    LotMultiple,
    adjust_multiple,
    entry_price,
    is_bought_only,
    lot_ratio,
    lots_at_risk,
    plan_profiles,
    reference_price,
    side_of,
    split_lots,
)
from mytrading.core.risk.sizing.margin_check import MarginCheck
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import RiskState
from mytrading.core.text.money import rupees
from mytrading.core.time import SECOND
from mytrading.messages.journal_rows import IntentSized
from mytrading.messages.run_config import AllocationMode, SizingRule
from mytrading.messages.signals import Leg

SHORT_OF_MARGIN = "INSUFFICIENT_MARGIN"
TOO_MANY_LOTS = "LOTS_PER_LEG"
OTHERS_NS = 10 * SECOND
"""Market time that accounts among which lots are shared wait for the funds of one of them, at most."""
ANY_TIMES = 1000
"""A factor beyond all that an account may have: shares have no most lots."""


class SizingResult(NamedTuple):
    """Lots by instrument with the row that keeps them, or why the account is left out; neither if all is as wanted."""

    row: IntentSized | None = None
    denial: Denial | None = None


class Sizer:
    """Reads the state, changes nothing."""

    def __init__(self, state: RiskState, margins: MarginCheck) -> None:
        self._state, self._environment = state, state.environment
        self._margins = margins

    def _rule(self, intent: Intent) -> SizingRule:
        """Return the sizing rule of the intent's strategy."""
        run = self._environment.strategies.get(intent.signal.strategy)
        return run.sizing if run is not None else SizingRule()

    def must_wait_for_funds(self, intent: Intent, account: str, now: int) -> bool:
        """True while sizing waits for a funds report of this account, or (briefly) of accounts that share the lots."""
        if account in intent.sized:
            return False
        rule = self._rule(intent)
        shares = rule.allocation is AllocationMode.PROPORTIONAL
        if not self._margins.funds_known(account):
            return rule.by not in (FIXED, BY_RISK) or shares or any(leg.profile for leg in intent.legs)
        signal, there = intent.signal, self._environment.accounts_of(intent.signal.strategy)
        if not shares or rule.by != FIXED:
            return False
        if all(name in intent.ended or name in intent.sized or self._margins.funds_known(name) for name in there):
            return False
        patience = min(OTHERS_NS, (signal.expires_ns - signal.created_ns) // 2)
        young = self._state.machine_ns < max(signal.expires_machine_ns - SECOND, self._environment.patient_until)
        return now < signal.created_ns + patience or (young and not self._environment.lock_step)

    def size_legs(self, intent: Intent, account: str, now: int) -> SizingResult:
        """Return the row that fixes an intent's lots in an account, or a denial; neither if the lots need no change."""
        if account in intent.sized:
            return SizingResult()
        rule = self._rule(intent)
        for leg in intent.legs:
            if leg.profile:
                return self._by_leg(intent, replace(rule, by=FIXED), account, now)
        if rule.is_plain:
            return SizingResult(denial=self._too_many(intent.legs, rule))
        units = lot_ratio([leg.lots for leg in intent.legs])
        plan = self._times(intent, units, rule, account, now)
        plan = self._trimmed(plan, intent, self._largest(intent.legs, units), rule, account)
        if not plan.times:
            return SizingResult(denial=Denial(SHORT_OF_MARGIN, plan.why))
        lots = {leg.instrument: unit * plan.times for leg, unit in zip(intent.legs, units, strict=True)}
        return SizingResult(IntentSized(signal=intent.signal.id, account=account, lots=lots, why=plan.why, at_ns=now))

    def rows_fixing_shared_lots(self, intent: Intent, rows: list[Any]) -> list[Any]:
        """Return `rows` if they fix lots shared among accounts, to be kept even if nothing is entered yet; else []."""
        rule = self._rule(intent)
        return rows if rule.by == FIXED and rule.allocation is AllocationMode.PROPORTIONAL else []

    def with_smallest_lots(self, intent: Intent, account: str) -> Intent:
        """Return the intent sized in an account with the fewest lots that keep its legs' ratio."""
        units = lot_ratio([leg.lots for leg in intent.legs])
        lots = {leg.instrument: unit for leg, unit in zip(intent.legs, units, strict=True)}
        return replace(intent, sized={**intent.sized, account: lots})

    def _by_leg(self, intent: Intent, rule: SizingRule, account: str, now: int) -> SizingResult:
        """Legs that name a profile get what its share pays for, the others their own lots; one without any ends it."""
        sizes = self._own_lots(intent, rule, account, now)
        if isinstance(sizes, Denial):
            return SizingResult(denial=sizes)
        legs: dict[str, list[Leg]] = {}
        for leg in intent.legs:
            if leg.profile:
                legs.setdefault(sizing_key(leg.profile), []).append(leg)
        if (funds := self._funds(account)) is None:
            return SizingResult(denial=Denial(SHORT_OF_MARGIN, self._unfunded(account)))
        fixed = [leg for leg in intent.legs if not leg.profile]
        plans = plan_profiles(
            self._valued(intent, [(leg, sizes[leg.instrument]) for leg in fixed]),
            {name: self._valued(intent, [(leg, leg.lots) for leg in mine]) for name, mine in legs.items()},
            funds, account, self._environment.tables, self._environment.calendar.trading_day(now),
            lambda plan: self._trimmed(plan, intent, 1, rule, account),
        )  # fmt: skip
        reasons = []
        for name, plan in plans.items():
            reasons.append(f"{legs[name][0].profile} ({', '.join(leg.instrument for leg in legs[name])}): {plan.why}")
            if not plan.times:
                return SizingResult(denial=Denial(SHORT_OF_MARGIN, reasons[-1]))
            sizes |= {leg.instrument: leg.lots * plan.times for leg in legs[name]}
        return SizingResult(
            IntentSized(signal=intent.signal.id, account=account, lots=sizes, why="; ".join(reasons), at_ns=now)
        )

    def _own_lots(self, intent: Intent, rule: SizingRule, account: str, now: int) -> dict[str, int] | Denial:
        """The lots of the legs that name them, spread over accounts as all lots of the strategy are."""
        legs = tuple(leg for leg in intent.legs if not leg.profile)
        if rule.is_plain or not legs:
            return self._too_many(legs, rule) or {leg.instrument: leg.lots for leg in legs}
        units = lot_ratio([leg.lots for leg in legs])
        plan = self._times(replace(intent, signal=replace(intent.signal, legs=legs)), units, rule, account, now)
        if any(self._is_contract(leg) for leg in legs):
            plan = self._trimmed(plan, intent, self._largest(legs, units), rule, account)
        else:
            plan = adjust_multiple(plan, rule, account, intent.signal.confidence, plan.times * ANY_TIMES)
        if not plan.times:
            return Denial(SHORT_OF_MARGIN, plan.why)
        return {leg.instrument: unit * plan.times for leg, unit in zip(legs, units, strict=True)}

    def _largest(self, legs: tuple[Leg, ...], units: tuple[int, ...]) -> int:
        """The most lots of a leg in the ratio; shares beside contracts are not lots."""
        lots = [abs(unit) for leg, unit in zip(legs, units, strict=True) if self._is_contract(leg)]
        return max(lots or [abs(unit) for unit in units])

    def _is_contract(self, leg: Leg) -> bool:
        instrument = self._environment.instruments.get(leg.instrument)
        return instrument is None or instrument.kind.is_derivative

    def _trimmed(self, plan: LotMultiple, intent: Intent, largest: int, rule: SizingRule, account: str) -> LotMultiple:
        return adjust_multiple(plan, rule, account, intent.signal.confidence, self._most(rule) // largest)

    def _times(self, intent: Intent, units: tuple[int, ...], rule: SizingRule, account: str, now: int) -> LotMultiple:
        if rule.by == BY_RISK:
            return self._by_risk(intent, units, rule)
        intended = abs(intent.legs[0].lots // units[0])
        if rule.by == FIXED:
            return self._fixed(intent, intended, rule, account)
        try:
            share = self._environment.tables.margin_share_of(rule.by)
        except ValueError as error:
            return LotMultiple(0, str(error))
        legs = self._valued(intent, list(zip(intent.legs, units, strict=True)))
        if share.source is Source.AVAILABLE and is_bought_only(legs):
            return LotMultiple(intended, f"{intended} as wanted: grade {rule.by} is not for what only buys options")
        funds = self._funds(account)
        if funds is None:
            return LotMultiple(0, self._unfunded(account))
        day = self._environment.calendar.trading_day(now)
        return plan_profiles((), {rule.by: legs}, funds, account, self._environment.tables, day)[rule.by]

    def _funds(self, account: str) -> FreeFunds | None:
        margins = self._margins
        cash, available = margins.cash(account), margins.available_margin(account)
        if cash is None or available is None:
            return None
        return FreeFunds(cash, available, margins.buffer(account), margins.learnt_buffer(account))

    def _by_risk(self, intent: Intent, units: tuple[int, ...], rule: SizingRule) -> LotMultiple:
        """Risk per trade over what one lot of each leg loses at its stop. Source: the baseline's sizing in R."""
        at_risk = sum(
            abs(unit) * self._distance(intent, leg) * self._environment.lot_of(leg.instrument)
            for leg, unit in zip(intent.legs, units, strict=True)
        )
        times = lots_at_risk(rule.risk_per_trade, at_risk, 1, self._most(rule))
        text = f"RISK_PER_TRADE {rupees(rule.risk_per_trade)} / {rupees(at_risk)} at the stop of one lot"
        return LotMultiple(times, f"{text} = {times}" if times else f"{text} is less than one lot; raise it, or wait")

    def _distance(self, intent: Intent, leg: Leg) -> float:
        """Rupees from the price of an entry to its stop; 0 without a price."""
        quote = self._state.quotes.get(leg.instrument)
        instrument = self._environment.instruments.get(leg.instrument)
        if quote is not None:
            leg = priced_leg(leg, quote.ltp, instrument.tick_size if instrument is not None else 0.0)
        price = entry_price(leg, quote, side_of(leg.lots)) if quote else 0.0
        if leg.stop_price and price:
            return abs(price - leg.stop_price)
        run = self._environment.strategies.get(intent.signal.strategy)
        limits = self._environment.limits
        option = instrument is not None and instrument.kind.is_option
        default = limits.default_stop_loss_options if option else limits.default_stop_loss
        return price * ((run.stop_loss_pct if run is not None else 0.0) or default)

    def _fixed(self, intent: Intent, intended: int, rule: SizingRule, account: str) -> LotMultiple:
        if rule.allocation is not AllocationMode.PROPORTIONAL:
            return LotMultiple(intended, f"{intended} as wanted")
        accounts = self._environment.accounts_of(intent.signal.strategy)
        lots, whole = intended * len(accounts), "shared"
        free = {name: self._margins.available_margin(name) or 0.0 for name in accounts if name not in intent.sized}
        leg = intent.legs[0]
        taken = sum(
            abs(intent.sized[name].get(leg.instrument, leg.lots)) * intended // abs(leg.lots)
            for name in accounts
            if name in intent.sized
        )
        if taken:
            lots, whole = max(lots - taken, 0), f"left of {lots}, shared"
        if unread := [name for name in free if name != account and not self._margins.funds_known(name)]:
            lots = max(lots - intended * len(unread), 0)
        times = split_lots(lots, free)[account]
        text = f"{lots} {whole} by free margin, {rupees(free[account])} of {rupees(sum(free.values()))}"
        return LotMultiple(times, f"{text} in {account}: {times}")

    def _valued(self, intent: Intent, lots: list[tuple[Leg, int]]) -> list[MarginLeg]:
        """Legs with so many lots each, at the price they should trade at."""
        legs = []
        for leg, unit in lots:
            quote = self._state.quotes.get(leg.instrument)
            price = reference_price(quote, side_of(unit)) if quote else 0.0
            size = unit * self._environment.lot_of(leg.instrument)
            made = self._margins.margin_leg(leg.instrument, size, price, intent.signal.product_of(leg))
            legs += [made] if made is not None else []
        return legs

    def _most(self, rule: SizingRule) -> int:
        most = self._environment.tables.max_lots_per_leg
        return min(rule.max_lots or most, most)

    def _too_many(self, legs: tuple[Leg, ...], rule: SizingRule) -> Denial | None:
        most = self._most(rule)
        for leg in legs:
            instrument = self._environment.instruments.get(leg.instrument)
            if instrument is not None and instrument.kind.is_derivative and abs(leg.lots) > most:
                what = f"{abs(leg.lots)} lots of {leg.instrument}"
                return Denial(TOO_MANY_LOTS, f"{what}: at most {most} a leg (max_lots_per_leg); lower the lots")
        return None

    def _unfunded(self, account: str) -> str:
        return f"margin of {account} is not known: {why_funds_unknown(self._state, account)}; see `mytrading alerts`"
