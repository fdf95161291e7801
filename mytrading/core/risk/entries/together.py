"""Legs that are ordered together, each judged as if those before it were held: a limit counts the whole basket.

What a leg takes is only ever added for the legs behind it.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.messages.signals import Leg

Judged = tuple[Leg, PreTradeContext]


def together(cases: list[Judged]) -> list[Judged]:
    """The cases of one decision, each with the positions that the legs before it open in the same account."""
    if len(cases) < 2:
        return cases
    opened: dict[str, str] = {}
    found = []
    for leg, case in cases:
        mine = case.instrument.underlying if case.instrument is not None else ""
        before = [underlying for name, underlying in opened.items() if name != leg.instrument]
        found.append((leg, _behind(case, before.count(mine), len(before))))
        if case.adds_position:
            opened[leg.instrument] = mine
    return found


def _behind(case: PreTradeContext, same: int, all_of_them: int) -> PreTradeContext:
    """A case with positions of legs before it, so many of the same underlying."""
    if not all_of_them:
        return case
    return replace(
        case, positions_symbol=case.positions_symbol + same, positions_total=case.positions_total + all_of_them
    )
