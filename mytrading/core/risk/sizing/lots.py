"""From an intent to lots, from lots to units, and from a quote to the price an entry is valued at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from mytrading.core.accounting.margin import MarginLeg, is_margined, leg_requirement, margin_per_lot, margin_requirement
from mytrading.core.accounting.margin_tables import BY_RISK, FIXED, RiskTables, Source, TradeType
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import AllocationMode, SizingRule, StrategyRun
from mytrading.messages.signals import Leg


def side_of(units: int) -> Side:
    """Side of an order for these signed units: BUY above 0, else SELL."""
    return Side.BUY if units > 0 else Side.SELL


def reference_price(quote: Quote, side: Side) -> float:
    """Rupees a market order of this side should trade at: best ask or bid, else the last price; 0.0 without one."""
    best = quote.ask if side is Side.BUY else quote.bid
    price = best if best is not None and best > 0 else quote.ltp
    return price if price > 0 else 0.0


def entry_price(leg: Leg, quote: Quote, side: Side) -> float:
    """Rupees a unit of this entry is valued at: the market price, for a limit order its limit if that is better; 0.0 if
    none. A stop-limit counts with its limit if bought (its worst price), with its trigger if sold (its best)."""
    market = reference_price(quote, side)
    if leg.order_type is OrderType.LIMIT and leg.limit_price > 0:
        best = min if side is Side.BUY else max
        return best(leg.limit_price, market) if market else leg.limit_price
    if leg.order_type is OrderType.SL and leg.limit_price > 0:
        return leg.limit_price if side is Side.BUY else leg.trigger_price
    return market


class LotMultiple(NamedTuple):
    """The multiple of an intent's lots, with reason and numbers; 0: no entry."""

    times: int
    why: str


def lots_at_risk(risk: float, distance: float, lot_size: int, most: int) -> int:
    """Whole lots, at most `most`, whose loss over a stop `distance` rupees away is at most `risk` rupees."""
    if risk <= 0 or distance <= 0:
        return 0
    return min(math.floor(risk / (distance * lot_size) + 1e-9), most)


def scale_by_confidence(lots: int, confidence: float) -> int:
    """Return lots × confidence (0 to 1), rounded down, but at least 1 unless `lots` is 0."""
    return max(math.floor(lots * min(max(confidence, 0.0), 1.0) + 1e-9), min(lots, 1))


def adjust_multiple(plan: LotMultiple, rule: SizingRule, account: str, confidence: float, most: int) -> LotMultiple:
    """Return the multiple scaled by signal confidence and account factor where `rule` says so, at most `most`."""
    if rule.confidence_scaling and plan.times:
        times = scale_by_confidence(plan.times, confidence)
        plan = LotMultiple(times, f"{plan.why}; × confidence {confidence:.2f} = {times}")
    if rule.allocation is AllocationMode.CUSTOM and plan.times:
        factor = rule.factors.get(account, 1.0)
        times = int(plan.times * factor + 1e-9)
        plan = LotMultiple(times, f"{plan.why}; × {factor:g} in {account} = {times}")
    return plan if plan.times <= most else LotMultiple(most, f"{plan.why}; at most {most}")


def split_lots(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Split `total` lots among accounts by weight; lots left by rounding go to the largest fractions."""
    counted = {name: max(weight, 0.0) for name, weight in weights.items()}
    whole = sum(counted.values())
    if total <= 0 or whole <= 0:
        return dict.fromkeys(weights, 0)
    exact = {name: total * weight / whole for name, weight in counted.items()}
    lots = {name: math.floor(part + 1e-9) for name, part in exact.items()}
    for name in sorted(exact, key=lambda name: lots[name] - exact[name])[: total - sum(lots.values())]:
        lots[name] += 1
    return lots


def basket_cost(legs: Sequence[MarginLeg], tables: RiskTables, day: date) -> float:
    """Rupees that an intent's lots cost when sized by margin: a sold call and put count once, bought options by budget,
    and nothing where options of the underlying are sold too: they take the quantity of those."""
    sold = [leg for leg in legs if leg.instrument.kind.is_option and leg.units < 0]
    bought = [leg for leg in legs if leg.instrument.kind.is_option and leg.units > 0]
    futures = [leg for leg in legs if leg.instrument.kind is InstrumentKind.FUT]
    shares = [leg for leg in legs if not leg.instrument.kind.is_derivative]
    cost = sum(leg.lots * _each(TradeType.FUTURE, leg, tables, day) for leg in futures)
    cost += sum(leg_requirement(leg, tables, day) for leg in shares)
    for underlying in sorted({leg.instrument.underlying for leg in sold}):
        mine = [leg for leg in sold if leg.instrument.underlying == underlying]
        kind = TradeType.BOTH_SOLD if len({leg.instrument.kind for leg in mine}) > 1 else TradeType.SOLD
        cost += max(leg.lots * _each(kind, leg, tables, day) for leg in mine)
    covering = {leg.instrument.underlying for leg in sold}
    return cost + sum(
        leg.lots * _each(TradeType.BOUGHT, leg, tables, day)
        for leg in bought
        if leg.instrument.underlying not in covering
    )


def _each(kind: TradeType, leg: MarginLeg, tables: RiskTables, day: date) -> float:
    """Rupees per lot; a bought option never less than its premium."""
    figure = margin_per_lot(kind, leg.instrument, leg.price, tables, day)
    return max(figure, leg.price * leg.instrument.lot_size) if kind is TradeType.BOUGHT else figure


def is_bought_only(legs: Sequence[MarginLeg]) -> bool:
    """True if all legs are bought options, which are sized from cash, without collateral."""
    return all(leg.units > 0 and leg.instrument.kind.is_option for leg in legs)


def plan_by_margin(margin: float, share: float, cost: float, account: str) -> LotMultiple:
    """Return how often `cost` rupees fit into `share` (a fraction) of an account's free `margin`, with the reason."""
    times = math.floor(margin * share / cost + 1e-9) if margin > 0 and cost > 0 else 0
    used = margin * share
    if times:
        return LotMultiple(times, f"{used:,.0f} of {margin:,.0f} free ({share:.0%}) / {cost:,.0f} = {used / cost:.2f}")
    return LotMultiple(
        0,
        f"insufficient margin in {account}: {share:.0%} of ₹{margin:,.0f} free is ₹{max(used, 0):,.0f}, "
        f"one lot needs ₹{cost:,.0f}; add funds or use a larger share",
    )


def lot_ratio(lots: Sequence[int]) -> tuple[int, ...]:
    """The smallest whole ratio of signed lots: (-2, -2, 4) is (-1, -1, 2)."""
    common = math.gcd(*lots) or 1
    return tuple(one // common for one in lots)


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


def unknown_sizings(runs: Iterable[StrategyRun], tables: RiskTables) -> list[str]:
    """Return an error text for each sizing profile or grade of a strategy or leg that the margin tables lack."""
    found = []
    for run in runs:
        named = [leg.profile for leg in run.plan.legs if leg.profile] if run.plan is not None else []
        for name in dict.fromkeys([*named, run.sizing.by]):
            if name in (FIXED, BY_RISK):
                continue
            try:
                tables.margin_share_of(name)
            except ValueError as error:
                found.append(f"{run.name}: {error}")
    return found


def plan_profiles(
    fixed: Sequence[MarginLeg],
    profiles: Mapping[str, Sequence[MarginLeg]],
    funds: FreeFunds,
    account: str,
    tables: RiskTables,
    day: date,
    trim: Trim = lambda plan: plan,
) -> dict[str, LotMultiple]:
    """Return how many lots each profile's legs get in `account`, in the order of the profiles, up to the first that
    gets 0, with which the intent cannot be entered here. `fixed` are all legs with lots; those of `profiles` are one
    lot each. `trim` lowers or scales a plan before its cost is taken."""
    needed = margin_requirement(fixed, tables, day).initial  # set aside with its buffer
    if any(is_margined(leg.instrument, leg.units) for leg in fixed):
        needed *= 1 + funds.buffer
    available = funds.available - needed
    free = funds._replace(cash=min(funds.cash - _premium(fixed, tables, day), available), available=available)
    taken, plans = MarginNeed(), dict[str, LotMultiple]()
    for profile, legs in profiles.items():
        plan = plans[profile] = trim(_plan(profile, legs, free, taken, account, tables, day))
        if not plan.times:
            break
        made = [leg._replace(units=leg.units * plan.times) for leg in legs]
        cost = basket_cost(legs, tables, day) * plan.times
        premium = cost if is_bought_only(legs) else _premium(made, tables, day)
        whole = max(cost, margin_requirement(made, tables, day).initial)
        taken = MarginNeed(taken.whole + whole, taken.premium + premium)
    return plans


def _plan(
    profile: str,
    legs: Sequence[MarginLeg],
    free: FreeFunds,
    taken: MarginNeed,
    account: str,
    tables: RiskTables,
    day: date,
) -> LotMultiple:
    try:
        share = tables.margin_share_of(profile)
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
    return plan_by_margin(base, kept, cost, account)


def _premium(legs: Sequence[MarginLeg], tables: RiskTables, day: date) -> float:
    """Rupees paid for bought options."""
    return sum(leg_requirement(leg, tables, day) for leg in legs if leg.instrument.kind.is_option and leg.units > 0)
