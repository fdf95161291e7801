"""Stops in words, before contracts and prices are known: who holds each, where it lies, which setting says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mytrading.core.options.leg_grammar import spell_stop
from mytrading.core.orders import price_band
from mytrading.core.risk.pretrade import stop_plan
from mytrading.core.risk.protection.hedges import Cover, hedging_units, match_rule_covers
from mytrading.messages.leg_plan import LegKind, LegPlan, LegRule, LegStop, StopKind
from mytrading.messages.run_config import RiskLimits, StopPlan, StrategyRun

_BANDS = {
    LegKind.OPTION: price_band.OPTION_BAND * stop_plan.OPTION_ROOM,
    LegKind.FUTURE: price_band.FUTURE_BAND,
    LegKind.EQUITY: price_band.SHARE_BAND,
}
OF_SIGNAL = "the signal's own stop_price"


class PlannedStop(NamedTuple):
    """The stop of one leg or kind of position.

    `holder` is broker, engine (risk) or none; `level` and `origin` say where it lies and which setting put it there,
    empty without a stop; `note` is what else decides.
    """

    position: str
    holder: str
    level: str = ""
    origin: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The stop in words: `broker, 25 % of premium: default, DEFAULT_STOP_LOSS_OPTIONS`."""
        text = ", ".join(part for part in (self.holder, self.level) if part)
        text = f"{text}: {self.origin}" if self.origin else text
        return f"{text}; {self.note}" if self.note else text


class StopRules(NamedTuple):
    """Holder of a strategy's stops, and their distance (a fraction of the price) where a leg sets none.

    `own` is the strategy's `stop_loss_percent`, 0 for none; then the defaults of the risk settings count.
    """

    plan: StopPlan
    own: float
    shares: float
    options: float

    def stop_of(self, stop: LegStop, *, option: bool) -> LegStop:
        """Return the stop of a leg: its own, or the default."""
        share = self.own or (self.options if option else self.shares)
        return stop if stop.value else LegStop(kind=StopKind.PERCENT, value=round(share * 100, 9))

    def origin_of(self, stop: LegStop, *, option: bool) -> str:
        """Return which setting puts a stop where it lies."""
        if stop.value:
            return "the leg's own stop"
        if self.own:
            return "stop_loss_percent of the strategy"
        return f"default, DEFAULT_STOP_LOSS{'_OPTIONS' if option else ''}"


def stop_rules(run: StrategyRun, limits: RiskLimits) -> StopRules:
    """Return the stop rules of a strategy under these risk limits."""
    return StopRules(run.stop, run.stop_loss_pct, limits.default_stop_loss, limits.default_stop_loss_options)


def planned_stops(plan: LegPlan, rules: StopRules) -> list[PlannedStop]:
    """Return the stop of each leg of a plan, in its order."""
    covers = match_rule_covers(plan.legs)
    return [_planned(f"legs[{number}]", leg, covers, rules) for number, leg in enumerate(plan.legs, 1)]


def _planned(name: str, leg: LegRule, covers: Sequence[Cover], rules: StopRules) -> PlannedStop:
    position = f"{name} {'BUY' if leg.lots > 0 else 'SELL'}"
    sold = ", ".join(cover.sold for cover in covers if cover.bought == name)
    if rules.plan is not StopPlan.NONE and leg.lots > 0 and hedging_units(covers, name) >= leg.lots:
        return PlannedStop(position, "none", note=f"it hedges {sold}, and needs no stop until that is gone")
    return _stop_of_kind(position, leg.kind, leg.stop, rules, covered=sold)


def stops_of_signals(
    rules: StopRules, *, options: frozenset[bool] | None, others: frozenset[bool] | None, hedges: bool = False
) -> Iterator[PlannedStop]:
    """Yield the stops of the positions of a class: of options, of shares and futures, and of legs that hedge.

    `options` and `others` hold True if a signal gave a stop of its own and False if one did not, nothing where that is
    not known; None without such positions.
    """
    for given, kind, position in (
        (options, LegKind.OPTION, "options"),
        (others, LegKind.EQUITY, "shares and futures"),
    ):
        if given is not None:
            stop = _stop_of_kind(position, kind, LegStop(), rules)
            if rules.plan is not StopPlan.NONE and given == {True}:
                stop = PlannedStop(position, rules.plan.value, origin=OF_SIGNAL)
            elif rules.plan is not StopPlan.NONE and given != {False}:
                stop = stop._replace(note="; ".join(filter(None, (f"or {OF_SIGNAL}", stop.note))))
            yield stop
    if hedges and rules.plan is not StopPlan.NONE:
        yield PlannedStop("bought legs that hedge sold ones", "none", note="until what they hedge is gone")


def _stop_of_kind(position: str, kind: LegKind, own: LegStop, rules: StopRules, *, covered: str = "") -> PlannedStop:
    """A stop whose level is a share of the price, or what the leg says."""
    if rules.plan is StopPlan.NONE:
        return PlannedStop(position, "none", origin='stop = "none"')
    option = kind is LegKind.OPTION
    stop, origin = rules.stop_of(own, option=option), rules.origin_of(own, option=option)
    percent = stop.kind is StopKind.PERCENT
    level = spell_stop(stop) + (f" of {'premium' if option else 'the price'}" if percent else "")
    band = _BANDS[kind]
    if covered:
        return PlannedStop(position, "engine", level, origin, f"it covers {covered}, which is bought back first")
    if rules.plan is StopPlan.ENGINE:
        return PlannedStop(position, "engine", level, origin)
    limit = f"{band:.0%} of its price"
    if option:
        limit += f", or ₹{price_band.OPTION_REACH * stop_plan.OPTION_ROOM:g} of one up to ₹{price_band.OPTION_SMALL:g}"
    if not percent:
        return PlannedStop(position, "broker", level, origin, f"within {limit}; the engine holds it beyond")
    if stop.value <= band * 100:
        return PlannedStop(position, "broker", level, origin)
    return PlannedStop(position, "engine", level, origin, f"it lies beyond what the exchange takes ({limit})")
