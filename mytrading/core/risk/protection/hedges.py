"""Which bought legs cover which sold ones: hedges that need no stop of their own, and cover that keeps one.

A unit covers one sold unit, never two; what is bought beyond what is sold covers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import LegKind, LegRule

_FUT, _CALL = InstrumentKind.FUT, InstrumentKind.CE
_EXPIRY_RANKS = {"nearest": 1, "next": 2, "monthly": 2, "next_monthly": 3}
"""Order of expiries before contracts are chosen; whether `next` lies before `monthly` depends on the day."""


class Contract(NamedTuple):
    """What a leg trades, as far as cover depends on it. `expiry` orders contracts; a share has an empty one."""

    kind: InstrumentKind
    underlying: str
    expiry: str
    strike: float

    @property
    def is_option(self) -> bool:
        """True for a call or put."""
        return self.kind.is_option


class Cover(NamedTuple):
    """Units of a bought leg that cover as many of a sold one, both by name. `hedge`: it is an option."""

    bought: str
    sold: str
    units: int
    hedge: bool


def contract_of(instrument: Instrument) -> Contract:
    """A listed instrument."""
    return Contract(instrument.kind, instrument.underlying, instrument.expiry, instrument.strike)


def _contract_of_rule(rule: LegRule) -> Contract:
    """A leg whose contract is not chosen yet; its strike is not known."""
    if rule.kind is LegKind.EQUITY:
        return Contract(InstrumentKind.EQ, rule.watch, "", 0.0)
    kind = InstrumentKind(rule.right) if rule.kind is LegKind.OPTION else _FUT
    return Contract(kind, rule.watch, str(_EXPIRY_RANKS[rule.expiry]), 0.0)


def match_rule_covers(rules: Sequence[LegRule]) -> list[Cover]:
    """`match_covers` of the legs of a plan, named `legs[1]`, `legs[2]`, …, each of which says what it is about."""
    named = {f"legs[{number}]": rule for number, rule in enumerate(rules, 1)}
    return match_covers(
        {name: rule.lots for name, rule in named.items()},
        {name: _contract_of_rule(rule) for name, rule in named.items()},
    )


def match_covers(units: Mapping[str, int], contracts: Mapping[str, Contract]) -> list[Cover]:
    """What covers what among legs of one owner in one account: signed units by name. Unlisted ones are left out.

    Options cover sold options of the same underlying and right that expire no later; the sold leg of the latest expiry
    chooses first, and takes the nearest expiry and strike. Bought shares and futures cover calls that are left.
    """
    left = {name: size for name, size in units.items() if size > 0 and name in contracts}
    sold = [name for name, size in units.items() if size < 0 and name in contracts and contracts[name].is_option]
    if not left or not sold:
        return []
    sold.sort(key=lambda name: (contracts[name].expiry, name), reverse=True)
    bare, found = {name: -units[name] for name in sold}, []
    for hedge in (True, False):
        for name in sold:
            for cover in sorted(left, key=lambda one: _distance(one, contracts[one], contracts[name])):
                if contracts[cover].is_option is hedge and _covers(contracts[cover], contracts[name]):
                    size = min(left[cover], bare[name])
                    if size:
                        found.append(Cover(cover, name, size, hedge))
                        left[cover], bare[name] = left[cover] - size, bare[name] - size
    return found


def _covers(bought: Contract, sold: Contract) -> bool:
    """True if a bought contract is there as long as the sold option, and gains what that loses."""
    same = bought.underlying == sold.underlying
    if bought.is_option:
        return same and bought.kind is sold.kind and bought.expiry >= sold.expiry
    return same and sold.kind is _CALL and (bought.kind is not _FUT or bought.expiry >= sold.expiry)


def _distance(name: str, bought: Contract, sold: Contract) -> tuple[str, float, str]:
    return bought.expiry, abs(bought.strike - sold.strike), name


def hedging_units(covers: Iterable[Cover], name: str) -> int:
    """Units of a bought option that hedge something sold."""
    return sum(cover.units for cover in covers if cover.bought == name and cover.hedge)


def sold_legs_exposed(units: Mapping[str, int], contracts: Mapping[str, Contract], name: str) -> set[str]:
    """The sold legs that would be covered by less if a bought leg were gone."""
    without = _covered(match_covers({**units, name: 0}, contracts))
    return {sold for sold, size in _covered(match_covers(units, contracts)).items() if without.get(sold, 0) < size}


def _covered(covers: Iterable[Cover]) -> dict[str, int]:
    found: dict[str, int] = {}
    for cover in covers:
        found[cover.sold] = found.get(cover.sold, 0) + cover.units
    return found
