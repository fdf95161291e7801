"""From the rules of legs to contracts: expiry, strike and stop level, chosen from what is listed and quoted.

Used by the engine's machine when a wish with rules is made, and by `mytrading legs show`. The one rule: what cannot be
chosen as it is written is refused with the reason; there is no second best, such as the strike at the money for a
premium that nobody quotes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from mytrading.core.calendar import day_of
from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.core.symbology import split_id
from mytrading.messages.enums import OrderType
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import DayKind, LegKind, LegRule, LegStop, StopKind
from mytrading.messages.runconfig import ExpiryRule
from mytrading.messages.signals import Leg

if TYPE_CHECKING:
    from mytrading.core.options.chain import ChainView

BY_QUOTES = ("PREMIUM", "DELTA")
"""Strike rules that need the chain's quotes."""
AROUND = 20
"""Listed strikes each side of the money among which a premium or delta is looked for."""

Chain = Callable[[str, str], "ChainView | None"]
"""From underlying and expiry to the chain as it stands; None while there is none."""


def needs_chain(rule: LegRule) -> bool:
    """True if the strike is chosen by what options cost."""
    return rule.strike.partition(" ")[0] in BY_QUOTES


def underlying_of(rule: LegRule, watch: str, book: InstrumentBook) -> str:
    """The underlying whose contracts a leg trades, `watch` being what the wish is about."""
    name = rule.watch or watch
    listed = book.get(name)
    return listed.underlying if listed is not None else split_id(name)[1]


def expiry_of(rule: LegRule, watch: str, book: InstrumentBook, now: int) -> str:
    """The expiry (ISO date) of a leg, empty of a share; `NoSuchContract` says which are listed."""
    if rule.kind is LegKind.EQUITY:
        return ""
    kind = InstrumentKind.FUT if rule.kind is LegKind.FUTURE else InstrumentKind(rule.right)
    return book.expiry(ExpiryRule(rule.expiry), underlying_of(rule, watch, book), kind, now)


def contract_of(
    rule: LegRule, watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int, chain: Chain
) -> Instrument:
    """The listed contract a leg names at these prices; raises `NoSuchContract`."""
    if rule.kind is LegKind.EQUITY:
        return _share(rule.watch or watch, book)
    underlying, expiry = underlying_of(rule, watch, book), expiry_of(rule, watch, book, now)
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
    from mytrading.core.options.chain import nearest_delta, nearest_premium  # numba, for rules that need it alone

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
    """The legs of a wish, all chosen at the same prices; `NoSuchContract` names the leg that cannot be had."""
    legs: list[Leg] = []
    for number, rule in enumerate(rules, 1):
        try:
            contract = contract_of(rule, watch, prices, book, now, chain)
            limit = limit_of(rule, contract, prices.get(contract.id, 0.0))
            price = limit or prices.get(contract.id, 0.0)
            stop, target = (level_of(rule.stop, -rule.lots, price), level_of(rule.target, rule.lots, price))
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


def limit_of(rule: LegRule, contract: Instrument, price: float) -> float:
    """Rupees at which a LIMIT leg rests, on the tick and never worse than the rule says; 0 for a MARKET leg."""
    if rule.order_type is not OrderType.LIMIT:
        return 0.0
    level = level_of(rule.limit, -rule.lots, price)
    tick = contract.tick_size or 0.05
    ticks = level / tick
    whole = math.floor(ticks + 1e-6) if rule.lots > 0 else math.ceil(ticks - 1e-6)
    if whole < 1:
        raise NoSuchContract(f"its limit would lie at {level:g} while {contract.id} trades at {price:g}; ask for less")
    return round(whole * tick, 4)


def level_of(at: LegStop, way: int, price: float) -> float:
    """The level so far from `price`, above it with a `way` above 0, else below; 0 where none is asked for."""
    if not at.value:
        return 0.0
    if at.kind is StopKind.PRICE:
        return at.value
    if not price:
        raise NoSuchContract("its limit, stop or target is counted from its price, and there is no quote of it yet")
    away = price * at.value / 100 if at.kind is StopKind.PERCENT else at.value
    return round(max(price + away if way > 0 else price - away, 0.0), 4)


def candidates(
    rules: Sequence[LegRule], watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int
) -> tuple[str, ...]:
    """What to have quotes of before a wish: the contract where it is known, else all among which it is looked for."""
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
    underlying, expiry = underlying_of(rule, watch, book), expiry_of(rule, watch, book, now)
    spot = prices.get(rule.watch or watch, 0.0)
    if not spot:
        return []
    near = book.option(underlying, expiry, "ATM", InstrumentKind(rule.right), spot).strike
    strikes = sorted({item.strike for item in book.options(underlying, expiry)})
    centre = strikes.index(near)
    wanted = set(strikes[max(centre - AROUND, 0) : centre + AROUND + 1])
    return [item.id for item in book.options(underlying, expiry) if item.strike in wanted]


def is_its_day(days: DayKind, rules: Sequence[LegRule], watch: str, book: InstrumentBook, now: int) -> bool:
    """Whether a plan for such days is entered on the day of `now`: the first leg that expires decides."""
    dated = next((rule for rule in rules if rule.kind is not LegKind.EQUITY), None)
    if days is DayKind.ANY or dated is None:
        return True
    expires = date.fromisoformat(expiry_of(dated, watch, book, now)) == day_of(now)
    return expires == (days is DayKind.EXPIRY)
