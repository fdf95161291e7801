"""Leg selection: the contract, limit, stop and target of a leg by rule, from what is listed and quoted.

A leg that cannot be selected as written is refused with the reason; there is no second best, such as the strike at the
money for a premium that no quote has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from mytrading.core.engine.trade_rules import underlying_of
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.time import ist_date
from mytrading.messages.enums import OrderType
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import DayKind, LegKind, LegRule, LegStop, StopKind
from mytrading.messages.run_config import ExpiryRule
from mytrading.messages.signals import Leg

if TYPE_CHECKING:
    from mytrading.core.options.chain import ChainView

BY_QUOTES = ("PREMIUM", "DELTA")
"""Strike rules that need the chain's quotes."""
AROUND = 20
"""Listed strikes each side of the money that are searched for a premium or delta."""

Chain = Callable[[str, str], "ChainView | None"]
"""The chain of an underlying and expiry; None while there is none."""


def needs_chain(rule: LegRule) -> bool:
    """True if the strike is selected by premium or delta."""
    return rule.strike.partition(" ")[0] in BY_QUOTES


def expiry_of(rule: LegRule, watch: str, book: InstrumentBook, now: int) -> str:
    """The expiry (ISO date) of a leg, empty of a share; `NoSuchContract` says which are listed."""
    if rule.kind is LegKind.EQUITY:
        return ""
    kind = InstrumentKind.FUT if rule.kind is LegKind.FUTURE else InstrumentKind(rule.right)
    return book.expiry(ExpiryRule(rule.expiry), underlying_of(rule.watch or watch, book), kind, now)


def contract_of(
    rule: LegRule, watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int, chain: Chain
) -> Instrument:
    """The listed contract a leg names at these prices; raises `NoSuchContract`."""
    if rule.kind is LegKind.EQUITY:
        return _share(rule.watch or watch, book)
    underlying, expiry = underlying_of(rule.watch or watch, book), expiry_of(rule, watch, book, now)
    if rule.kind is LegKind.FUTURE:
        return book.future(underlying, book.expiries(underlying, InstrumentKind.FUT).index(expiry))
    right = InstrumentKind(rule.right)
    if needs_chain(rule):
        return _by_quotes(rule, underlying, expiry, right, book, chain)
    spot = prices.get(rule.watch or watch, 0.0)
    if not spot and not rule.strike.startswith("STRIKE"):
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying}: {rule.watch or watch} has no price yet")
    return book.option(underlying, expiry, rule.strike, right, spot)


def _share(name: str, book: InstrumentBook) -> Instrument:
    found = book.get(name)
    if found is None or found.kind is not InstrumentKind.EQ:
        raise NoSuchContract(f"{name} is not a listed share; write EXCHANGE:SYMBOL, say NSE:SBIN")
    return found


def _by_quotes(
    rule: LegRule, underlying: str, expiry: str, right: InstrumentKind, book: InstrumentBook, chain: Chain
) -> Instrument:
    from mytrading.core.options.chain import nearest_delta, nearest_premium  # numpy, for rules that need it alone

    word, _, number = rule.strike.partition(" ")
    view = chain(underlying, expiry)
    if view is None:
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying} {expiry}: no quotes of the chain yet")
    choose = nearest_premium if word == "PREMIUM" else nearest_delta
    found = book.get(choose(view, right, float(number)).instrument)
    if found is None:
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying} {expiry}: it is no longer listed")
    return found


def resolve_legs(
    rules: Sequence[LegRule], watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int, chain: Chain
) -> tuple[Leg, ...]:
    """The legs of a signal, all at the same prices; `NoSuchContract` names the leg that cannot be selected."""
    legs: list[Leg] = []
    for number, rule in enumerate(rules, 1):
        try:
            contract = contract_of(rule, watch, prices, book, now, chain)
            limit = limit_price_of(rule, contract, prices.get(contract.id, 0.0))
            price = limit or prices.get(contract.id, 0.0)
            stop, target = (price_level(rule.stop, -rule.lots, price), price_level(rule.target, rule.lots, price))
        except NoSuchContract as error:
            raise NoSuchContract(f"leg {number}: {error}") from None
        same = [place for place, leg in enumerate(legs, 1) if leg.instrument == contract.id]
        if same:
            raise NoSuchContract(f"legs {same[0]} and {number} both choose {contract.id}; give them different strikes")
        legs.append(
            Leg(
                instrument=contract.id,
                lots=rule.lots,
                order_type=rule.order_type,
                limit_price=limit,
                stop_price=stop,
                target_price=target,
                profile=rule.profile,
                product=rule.product,
            )
        )
    return tuple(legs)


def limit_price_of(rule: LegRule, contract: Instrument, price: float) -> float:
    """Limit price of a LIMIT leg, rounded to the tick in its favour; 0 for a MARKET leg."""
    if rule.order_type is not OrderType.LIMIT:
        return 0.0
    level = price_level(rule.limit, -rule.lots, price)
    tick = contract.tick_size or 0.05
    ticks = level / tick
    whole = math.floor(ticks + 1e-6) if rule.lots > 0 else math.ceil(ticks - 1e-6)
    if whole < 1:
        raise NoSuchContract(f"its limit would lie at {level:g} while {contract.id} trades at {price:g}; ask for less")
    return round(whole * tick, 4)


def price_level(at: LegStop, way: int, price: float) -> float:
    """The level at a distance from `price`, above it if `way` is positive, else below; 0 where the rule has none."""
    if not at.value:
        return 0.0
    if at.kind is StopKind.PRICE:
        return at.value
    if not price:
        raise NoSuchContract("its limit, stop or target is counted from its price, and there is no quote of it yet")
    away = price * at.value / 100 if at.kind is StopKind.PERCENT else at.value
    return round(max(price + away if way > 0 else price - away, 0.0), 4)


def candidate_contracts(
    rules: Sequence[LegRule], watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int
) -> tuple[str, ...]:
    """Contracts to quote before a signal: the one a rule names, else all among which it is searched."""
    found: list[str] = []
    for rule in rules:
        try:
            found += _candidates(rule, watch, prices, book, now)
        except NoSuchContract:
            continue
    return tuple(dict.fromkeys(found))


def _candidates(rule: LegRule, watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int) -> list[str]:
    if not needs_chain(rule):
        return [contract_of(rule, watch, prices, book, now, lambda _underlying, _expiry: None).id]
    underlying, expiry = underlying_of(rule.watch or watch, book), expiry_of(rule, watch, book, now)
    spot = prices.get(rule.watch or watch, 0.0)
    if not spot:
        return []
    near = book.option(underlying, expiry, "ATM", InstrumentKind(rule.right), spot).strike
    strikes = sorted({item.strike for item in book.options(underlying, expiry)})
    centre = strikes.index(near)
    wanted = set(strikes[max(centre - AROUND, 0) : centre + AROUND + 1])
    return [item.id for item in book.options(underlying, expiry) if item.strike in wanted]


def is_entry_day(days: DayKind, rules: Sequence[LegRule], watch: str, book: InstrumentBook, now: int) -> bool:
    """True if a plan for such days enters on the day of `now`; its first leg with an expiry decides."""
    dated = next((rule for rule in rules if rule.kind is not LegKind.EQUITY), None)
    if days is DayKind.ANY or dated is None:
        return True
    expires = date.fromisoformat(expiry_of(dated, watch, book, now)) == ist_date(now)
    return expires == (days is DayKind.EXPIRY)
