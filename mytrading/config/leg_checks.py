"""Whether the legs of a plan fit the rest of the settings: enabled exchanges and types, the product, the risk file.

A leg that risk would deny at every entry is refused before the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mytrading.config.problems import nearest
from mytrading.config.settings import TradingSettings
from mytrading.config.symbols import exchange_of, kind_of
from mytrading.core.accounting.margin_tables import FIXED, RiskTables, Source, share_word
from mytrading.core.risk.pretrade.rules_order import product_refusal, short_lived_hedge
from mytrading.core.risk.protection.hedges import cover_of_rules
from mytrading.messages.enums import Product
from mytrading.messages.leg_plan import LegKind, LegPlan, LegRule

DERIVATIVES_OF = {"NSE": "NFO", "NSE_INDEX": "NFO", "BSE": "BFO", "BSE_INDEX": "BFO"}


def leg_problems(settings: TradingSettings, name: str, plan: LegPlan, product: Product) -> Iterator[str]:
    """What stands against each leg of a strategy."""
    yield from _bare_legs(settings, name, plan, product)
    for number, leg in enumerate(plan.legs, 1):
        label = f"{settings.file_of(name)}: legs[{number}]"
        if leg.product is not None and leg.product not in settings.risk.enabled_products:
            allowed = f"{settings.origin('risk.enabled_products')}: {','.join(settings.risk.enabled_products)}"
            yield f"{label}.product = {leg.product.value!r}: not in ENABLED_PRODUCTS ({allowed}); add it there"
        exchange, kind = _traded(leg)
        if kind == "INDEX":
            yield f"{label}: {leg.watch} is an index, which cannot be bought; expected kind option or future"
            continue
        for word, given in (("exchanges", exchange), ("instrument_types", kind)):
            allowed = getattr(settings.data, word)
            if given not in allowed:
                yield (
                    f"{label} trades {given}, which is not in ENABLED_{word.upper()} "
                    f"({settings.origin(f'data.{word}')}: {','.join(allowed)}); add it there"
                )
        mine = leg.product or product
        if why := product_refusal(leg.watch, mine, leg.kind is not LegKind.EQUITY, sold=leg.lots < 0):
            yield f"{label}: {why}"


def _bare_legs(settings: TradingSettings, name: str, plan: LegPlan, product: Product) -> Iterator[str]:
    """Bought legs that would end before a sold one that they cover."""
    products = {f"legs[{number}]": leg.product or product for number, leg in enumerate(plan.legs, 1)}
    for cover in cover_of_rules(plan.legs):
        if products[cover.bought] is Product.MIS and products[cover.sold] is not Product.MIS:
            yield f"{settings.file_of(name)}: {short_lived_hedge(cover.bought, cover.sold, products[cover.sold])}"


def profile_problems(
    settings: TradingSettings, name: str, plan: LegPlan, sizing: str, tables: RiskTables
) -> Iterator[str]:
    """What stands against the profiles that legs name instead of lots."""
    groups: dict[str, list[LegRule]] = {}
    for leg in plan.legs:
        groups.setdefault(share_word(leg.profile), []).append(leg)
    for number, leg in enumerate(plan.legs, 1):
        label = f"{settings.file_of(name)}: legs[{number}].profile = {leg.profile!r}"
        word = share_word(leg.profile)
        if not word:
            continue
        if word not in tables.profiles and word.upper() not in tables.grades:
            known = (*tables.profiles, *tables.grades)
            near = f"; did you mean {found}?" if (found := nearest(word, known)) else ""
            yield f"{label}: expected one of {', '.join(known)}{near}; add a grade to config/risk.toml"
        elif _only_buys(groups[word]) and tables.share_of(word).source is Source.AVAILABLE:
            yield f"{label}: it is of available margin, which does not size what only buys options; use another"
        if sizing != FIXED:
            origin = settings.origin(f"strategies.{name}.sizing")
            yield f'{label}: all legs are sized by {sizing} ({origin}); expected sizing = "fixed" or lots'


def _only_buys(legs: Iterable[LegRule]) -> bool:
    return all(leg.kind is LegKind.OPTION and leg.lots > 0 for leg in legs)


def _traded(leg: LegRule) -> tuple[str, str]:
    """Exchange and type of what a leg trades."""
    exchange = exchange_of(leg.watch)
    if leg.kind is LegKind.EQUITY:
        return exchange, kind_of(leg.watch)
    return DERIVATIVES_OF.get(exchange, exchange), leg.right or "FUT"
