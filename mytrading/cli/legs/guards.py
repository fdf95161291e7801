"""What guards each leg of a plan: a stop at the broker, one that the engine holds, or the sold leg it hedges.

It asks what risk asks, `core/risk/protection/hedges` and `core/risk/pretrade/stop_plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mytrading.config.settings import TradingSettings
from mytrading.config.strategies import StrategyConfig
from mytrading.core.engine.leg_selection import price_level
from mytrading.core.options.leg_grammar import spell_stop
from mytrading.core.risk.pretrade.stop_plan import (
    FUTURE_BAND,
    OPTION_BAND,
    OPTION_REACH,
    OPTION_ROOM,
    OPTION_SMALL,
    SHARE_BAND,
    rests,
)
from mytrading.core.risk.protection.hedges import Cover, contract_of, cover_of, cover_of_rules, hedging
from mytrading.messages.enums import Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegKind, LegPlan, LegRule, LegStop, StopKind
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg

_BANDS = {LegKind.OPTION: OPTION_BAND * OPTION_ROOM, LegKind.FUTURE: FUTURE_BAND, LegKind.EQUITY: SHARE_BAND}


class StopRules(NamedTuple):
    """Who holds a strategy's stops, and how far they lie (a share of the price) where a leg does not say."""

    plan: StopPlan
    shares: float
    options: float

    def of_leg(self, stop: LegStop, *, option: bool) -> LegStop:
        """The stop of a leg: its own, or the default."""
        share = self.options if option else self.shares
        return stop if stop.value else LegStop(kind=StopKind.PERCENT, value=share * 100)


def stop_rules(settings: TradingSettings, config: StrategyConfig) -> StopRules:
    """Those of a strategy: its own `stop_loss_pct`, else the defaults of the risk settings."""
    own, risk = config.stop_loss_pct, settings.risk
    return StopRules(config.stop, own or risk.default_stop_loss, own or risk.default_stop_loss_options)


def guards_of_plan(plan: LegPlan, rules: StopRules) -> list[str]:
    """One line for each leg, before its contract and price are known."""
    covers = cover_of_rules(plan.legs)
    return [
        f"legs[{number}] {'BUY' if leg.lots > 0 else 'SELL'}: {_planned(f'legs[{number}]', leg, covers, rules)}"
        for number, leg in enumerate(plan.legs, 1)
    ]


def _planned(name: str, leg: LegRule, covers: Sequence[Cover], rules: StopRules) -> str:
    if rules.plan is StopPlan.NONE:
        return 'no stop (stop = "none")'
    mine = [cover for cover in covers if cover.bought == name]
    sold = ", ".join(cover.sold for cover in mine)
    if leg.lots > 0 and hedging(covers, name) >= leg.lots:
        return f"hedges {sold}, and needs no stop until that is gone"
    stop = rules.of_leg(leg.stop, option=leg.kind is LegKind.OPTION)
    what = f"its stop ({spell_stop(stop)})"
    if mine:
        return f"{what} is held by the engine, since it covers {sold}, which is bought back first"
    if rules.plan is StopPlan.ENGINE:
        return f'{what} is held by the engine (stop = "engine")'
    band = _BANDS[leg.kind]
    limit = f"{band:.0%} of its price"
    if leg.kind is LegKind.OPTION:
        limit += f", or ₹{OPTION_REACH * OPTION_ROOM:g} of one up to ₹{OPTION_SMALL:g}"
    if stop.kind is not StopKind.PERCENT:
        return f"{what} rests at the broker within {limit}; the engine holds it beyond"
    if stop.value <= band * 100:
        return f"{what} rests at the broker"
    return f"{what} is held by the engine: it lies beyond what the exchange takes ({limit})"


def guards_of_legs(
    legs: Sequence[Leg], contracts: Sequence[Instrument], prices: Mapping[str, float], rules: StopRules
) -> list[str]:
    """For each leg at present prices: `broker 130.00`, `engine 180.00`, `hedge of …`, or `none`."""
    units = {one.id: leg.lots * one.lot_size for leg, one in zip(legs, contracts, strict=True)}
    covers = cover_of(units, {one.id: contract_of(one) for one in contracts})
    return [_held(leg, one, units[one.id], prices, covers, rules) for leg, one in zip(legs, contracts, strict=True)]


def _held(
    leg: Leg, contract: Instrument, units: int, prices: Mapping[str, float], covers: Sequence[Cover], rules: StopRules
) -> str:
    if rules.plan is StopPlan.NONE:
        return "none"
    mine = [cover.sold for cover in covers if cover.bought == contract.id]
    if units > 0 and hedging(covers, contract.id) >= units:
        return f"hedge of {', '.join(mine)}"
    price = leg.limit_price or prices[contract.id]
    default = rules.of_leg(LegStop(), option=contract.kind.is_option)
    level = leg.stop_price or price_level(default, -leg.lots, price)
    side = Side.BUY if units > 0 else Side.SELL
    engine = bool(mine) or rules.plan is StopPlan.ENGINE or not rests(contract, side, level, price, None)
    return f"{'engine' if engine else 'broker'} {level:,.2f}"
