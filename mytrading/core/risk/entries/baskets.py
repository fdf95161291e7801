"""Legs that belong together: which may be ordered now, and what follows when one cannot be had.

No sold leg is ordered before every bought one of its account, its hedges, is held in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.messages.run_config import OrphanLegs


class LegStatus(NamedTuple):
    """One leg in one account, in signed units: wanted, confirmed, and what live entries may still bring.

    Of its `attempts` entries `failed` ended short of their units, or were stopped out while hedges stayed (`stopped`).
    """

    instrument: str
    target: int
    held: int
    coming: int
    attempts: int = 0
    failed: int = 0
    stopped: bool = False

    @property
    def is_complete(self) -> bool:
        """True if the leg's position has its target quantity and no entry order is working."""
        return self.held == self.target and not self.coming

    @property
    def is_orderable(self) -> bool:
        """True if an order of the leg may be placed now: it lacks units and no entry of it is working."""
        return not self.is_complete and not self.coming and self.attempts == self.failed


class BasketMove(NamedTuple):
    """Next step of a basket: legs to order, or why it is given up (`broken`), and if what it holds is closed."""

    enter: tuple[str, ...] = ()
    broken: str = ""
    unwind: bool = False


def next_basket_move(
    legs: Sequence[LegStatus], orphans: OrphanLegs, tries: int, late: bool = False, adjusts: bool = False
) -> BasketMove:
    """Return what to do with an account's legs: enter some, or give up (`broken`); `tries`: retries of a failed leg.
    `late`: it is too late to order a leg. A single leg never breaks and is not tried again, unless it `adjusts` what
    is held."""
    if len(legs) == 1 and not adjusts:
        leg = legs[0]
        return BasketMove(enter=(leg.instrument,) if leg.is_orderable and not leg.failed else ())
    most = tries if orphans is OrphanLegs.RETRY else 0
    if broken := _broken(legs, most, late):
        return BasketMove(broken=broken, unwind=orphans is not OrphanLegs.REPORT)
    covered = all(leg.is_complete for leg in hedge_legs(legs))
    return BasketMove(
        enter=tuple(
            leg.instrument for leg in legs if leg.is_orderable and leg.failed <= most and (covered or leg.target > 0)
        )
    )


def hedge_legs(legs: Sequence[LegStatus]) -> list[LegStatus]:
    """Return the bought legs of an intent that also sells; empty if it sells nothing."""
    return [leg for leg in legs if leg.target > 0] if any(leg.target < 0 for leg in legs) else []


def _broken(legs: Sequence[LegStatus], most: int, late: bool) -> str:
    for leg in legs:
        if leg.failed > most and not leg.is_complete and not leg.coming:
            kind = "hedge" if leg in hedge_legs(legs) else "leg"
            return _stopped(leg) or f"{kind} {leg.instrument} could not be had: {leg.held:+d} of {leg.target:+d} units"
    missing = [leg for leg in legs if not leg.is_complete and leg.attempts == leg.failed]
    if late and missing and any(leg.held or leg.coming for leg in legs):
        return _stopped(missing[0]) or f"leg {missing[0].instrument} was not ordered in time"
    return ""


def _stopped(leg: LegStatus) -> str:
    return f"the stop of leg {leg.instrument} fired, its hedges cover nothing any more" if leg.stopped else ""


def count_earlier_legs(cases: list[PreTradeContext]) -> list[PreTradeContext]:
    """Return the contexts of one basket's legs, each with the positions that the legs before it would open counted."""
    if len(cases) < 2:
        return cases
    opened: dict[str, str] = {}
    found = []
    for case in cases:
        mine = case.instrument.underlying if case.instrument is not None else ""
        before = [underlying for name, underlying in opened.items() if name != case.leg.instrument]
        found.append(
            replace(
                case,
                positions_symbol=case.positions_symbol + before.count(mine),
                positions_total=case.positions_total + len(before),
            )
            if before
            else case
        )
        if case.adds_position:
            opened[case.leg.instrument] = mine
    return found
