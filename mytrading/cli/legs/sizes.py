"""The lots that legs with a profile would get now, in each account of a strategy, for `mytrading legs show`.

It asks what risk asks, `core/risk/sizing/margin_profiles`, with the money that risk counts as free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.accounting.margin_tables import RiskTables, share_word
from mytrading.core.risk.sizing.lots import LotMultiple, trimmed
from mytrading.core.risk.sizing.margin_profiles import FreeFunds, plan_profiles
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.run_config import SizingRule
from mytrading.messages.signals import Leg

Priced = Sequence[tuple[Leg, Instrument]]


def purses_of(status: Mapping[str, Any]) -> dict[str, FreeFunds]:
    """What is free by account, as risk publishes it with its heartbeat."""
    rows = status["daemons"]
    figures: dict[str, float] = next((row.get("figures", {}) for row in rows if row["daemon"] == "risk"), {})
    names = [name.removeprefix("margin_free:") for name in figures if name.startswith("margin_free:")]
    return {
        name: FreeFunds(
            figures.get(f"margin_cash:{name}", 0.0),
            figures[f"margin_free:{name}"],
            figures.get(f"margin_buffer:{name}", 0.0),
        )
        for name in names
    }


class LegSizes(NamedTuple):
    """How a strategy is sized, as what its legs trade if they do not say, in which accounts, and what is free there."""

    product: Product
    rule: SizingRule
    accounts: tuple[str, ...]
    purses: Mapping[str, FreeFunds]

    def fit(
        self,
        legs: tuple[Leg, ...],
        contracts: Sequence[Instrument],
        prices: Mapping[str, float],
        tables: RiskTables,
        day: date,
    ) -> tuple[tuple[Leg, ...], list[dict[str, Any]]]:
        """The legs with the lots of the first account that gets any, and for each account its lots in order, and why.

        Nothing is said where no leg has a profile.
        """
        if not any(leg.profile for leg in legs):
            return legs, []
        pairs, rows, chosen = list(zip(legs, contracts, strict=True)), [], legs
        for account in self.accounts:
            sized, why = self._in(account, pairs, prices, tables, day)
            rows.append({"account": account, "lots": [abs(leg.lots) for leg in sized], "why": why})
            chosen = sized if sized and chosen is legs else chosen
        return chosen, rows

    def _in(
        self, account: str, pairs: Priced, prices: Mapping[str, float], tables: RiskTables, day: date
    ) -> tuple[tuple[Leg, ...], str]:
        purse = self.purses.get(account)
        if purse is None:
            return (), "its broker has not reported its funds; see `mytrading margin`"
        purse = purse._replace(learnt=max(purse.buffer - tables.buffer.least, 0.0))
        groups: dict[str, list[MarginLeg]] = {}
        for leg, contract in pairs:
            groups.setdefault(share_word(leg.profile), []).append(
                MarginLeg(
                    contract,
                    leg.lots * contract.lot_size,
                    leg.limit_price or prices[contract.id],
                    leg.product or self.product,
                )
            )
        fixed = groups.pop("", [])
        most = min(self.rule.max_lots or tables.max_lots_per_leg, tables.max_lots_per_leg)

        def trim(plan: LotMultiple) -> LotMultiple:
            return trimmed(plan, self.rule, account, 1.0, most)

        plans = plan_profiles(fixed, groups, purse, account, tables, day, trim)
        why = "; ".join(f"{name}: {plan.why}" for name, plan in plans.items())
        if not all(plan.times for plan in plans.values()):
            return (), why
        times = {"": 1, **{name: plan.times for name, plan in plans.items()}}
        return tuple(replace(leg, lots=leg.lots * times[share_word(leg.profile)]) for leg, _ in pairs), why
