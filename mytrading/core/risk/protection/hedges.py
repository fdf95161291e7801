"""Matching of bought legs to sold ones: hedges that need no stop of their own, and cover that keeps one.

A unit covers one sold unit, never two; units bought beyond those sold cover nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import LegKind, LegRule

_FUT, _CALL = InstrumentKind.FUT, InstrumentKind.CE
_EXPIRY_RANKS = {"nearest": 1, "next": 2, "monthly": 2, "next_monthly": 3}
"""Order of expiries before contracts are chosen; whether `next` lies before `monthly` depends on the day."""


class Cover(NamedTuple):
    """Units of a bought leg that cover as many of a sold one, both by name. `hedge`: it is an option."""

    bought: str
    sold: str
    units: int
    hedge: bool


def _contract_of_rule(rule: LegRule) -> Instrument:
    """A leg whose contract is not chosen yet; its strike is not known, and its expiry a rank among those of others."""
    kind, expiry = InstrumentKind.EQ, ""
    if rule.kind is not LegKind.EQUITY:
        kind = InstrumentKind(rule.right) if rule.kind is LegKind.OPTION else _FUT
        expiry = str(_EXPIRY_RANKS[rule.expiry])
    return Instrument(id="", exchange="", symbol="", kind=kind, underlying=rule.watch, expiry=expiry)


def match_rule_covers(rules: Sequence[LegRule]) -> list[Cover]:
    """Return `match_covers` of the leg rules of a plan, with `legs[1]`, `legs[2]`, … as their names."""
    named = {f"legs[{number}]": rule for number, rule in enumerate(rules, 1)}
    return match_covers(
        {name: rule.lots for name, rule in named.items()},
        {name: _contract_of_rule(rule) for name, rule in named.items()},
    )


def match_covers(units: Mapping[str, int], contracts: Mapping[str, Instrument]) -> list[Cover]:
    """Match bought legs of one owner and account to the sold options they cover; `units`: signed, by name.

    Options cover sold options of the same underlying and right that expire no later; the sold leg of the latest expiry
    chooses first, and takes the nearest expiry and strike. Bought shares and futures cover calls that are left.
    """
    left = {name: size for name, size in units.items() if size > 0 and name in contracts}
    sold = [name for name, size in units.items() if size < 0 and name in contracts and contracts[name].kind.is_option]
    if not left or not sold:
        return []
    sold.sort(key=lambda name: (contracts[name].expiry, name), reverse=True)
    bare, found = {name: -units[name] for name in sold}, []
    for hedge in (True, False):
        for name in sold:
            strike, bought = contracts[name].strike, [(contracts[one], one) for one in left]
            for _, cover in sorted(bought, key=lambda one: (one[0].expiry, abs(one[0].strike - strike), one[1])):
                if contracts[cover].kind.is_option is hedge and _covers(contracts[cover], contracts[name]):
                    size = min(left[cover], bare[name])
                    if size:
                        found.append(Cover(cover, name, size, hedge))
                        left[cover], bare[name] = left[cover] - size, bare[name] - size
    return found


def _covers(bought: Instrument, sold: Instrument) -> bool:
    """True if a bought contract is there as long as the sold option, and gains what that loses."""
    same = bought.underlying == sold.underlying
    if bought.kind.is_option:
        return same and bought.kind is sold.kind and bought.expiry >= sold.expiry
    return same and sold.kind is _CALL and (bought.kind is not _FUT or bought.expiry >= sold.expiry)


def hedging_units(covers: Iterable[Cover], name: str) -> int:
    """Units of the bought option `name` that hedge sold options, according to `covers`; 0 if none."""
    return sum(cover.units for cover in covers if cover.bought == name and cover.hedge)


def sold_legs_exposed(units: Mapping[str, int], contracts: Mapping[str, Instrument], name: str) -> set[str]:
    """Return the sold legs that would have less cover without the bought leg `name`; `units`: signed, by name."""
    without = _covered(match_covers({**units, name: 0}, contracts))
    return {sold for sold, size in _covered(match_covers(units, contracts)).items() if without.get(sold, 0) < size}


def bare_units(units: Mapping[str, int], contracts: Mapping[str, Instrument]) -> dict[str, int]:
    """Return by name how many units of each sold leg no bought leg covers; `units`: signed, by name."""
    covered = _covered(match_covers(units, contracts))
    return {name: -size - covered.get(name, 0) for name, size in units.items() if size < 0}


def legs_left_bare(
    before: Mapping[str, int], after: Mapping[str, int], contracts: Mapping[str, Instrument]
) -> dict[str, int]:
    """Return legs sold `before` and `after` (signed units by name) with more bare units after, and how many these are.

    This alone decides whether a leg loses its cover: for a change of legs, an operator's close and an alert.
    """
    known = bare_units(before, contracts)
    return {name: size for name, size in bare_units(after, contracts).items() if name in known and size > known[name]}


def _covered(covers: Iterable[Cover]) -> dict[str, int]:
    found: dict[str, int] = {}
    for cover in covers:
        found[cover.sold] = found.get(cover.sold, 0) + cover.units
    return found
