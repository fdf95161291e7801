"""Sold legs that stand without the bought leg that covered them, however that went: an operator, the broker, a stop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.risk.state.state import RiskState
from mytrading.messages.enums import Product
from mytrading.messages.journal_rows import LostCover
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Position


class BareLeg(NamedTuple):
    """A sold leg with `units` that nothing covers, and the bought legs that were `lost` to it."""

    position: Position
    units: int
    lost: tuple[str, ...]
    since_ns: int


def record_change(state: RiskState, before: Position, now: Position, at_ns: int) -> None:
    """Record what an owner held before a bought leg became smaller beside sold ones; forget sold ones that are flat."""
    place = (before.account, before.strategy)
    if before.quantity < 0 and not now.open_units:
        for key, lost in list(state.lost_covers.items()):
            if (lost.account, lost.strategy) == place and before.instrument in lost.units:
                left = {name: size for name, size in lost.units.items() if name != before.instrument}
                state.lost_covers[key] = replace(lost, units=left)
                if all(size >= 0 for size in left.values()):
                    del state.lost_covers[key]
    elif before.quantity > max(now.quantity, 0):
        units = {before.instrument: before.quantity}
        for held in state.positions.of_strategy(before.strategy):
            if held.account == before.account and held.quantity and held.instrument != before.instrument:
                units[held.instrument] = units.get(held.instrument, 0) + held.quantity
        if any(size < 0 for size in units.values()):
            lost = LostCover(
                account=before.account, instrument=before.instrument, product=before.product.value,
                strategy=before.strategy, units=units, at_ns=at_ns,
            )  # fmt: skip
            state.lost_covers.setdefault(before.owner, lost)


def restore(state: RiskState, rows: Iterable[LostCover]) -> None:
    """Take over what was carried into a day."""
    found = ((OwnerKey(one.account, one.instrument, Product(one.product), one.strategy), one) for one in rows)
    state.lost_covers = dict(found)


def bare_legs(state: RiskState) -> list[BareLeg]:
    """Return the sold legs that have less cover than they had; those that are being closed are left out."""
    found: dict[OwnerKey, BareLeg] = {}
    for lost in state.lost_covers.values():
        after = state.units_held(lost.account, lost.strategy)
        bare = state.legs_left_bare(lost.units, after)
        for held in state.positions.of_strategy(lost.strategy) if bare else ():
            key = held.owner
            if held.account != lost.account or held.open_units >= 0 or key in state.closing:
                continue
            if size := bare.get(held.instrument, 0):
                known = found.get(key, BareLeg(held, size, (), lost.at_ns))
                since_ns = min(known.since_ns, lost.at_ns)
                found[key] = known._replace(lost=(*known.lost, lost.instrument), since_ns=since_ns)
    return list(found.values())


def bare_leg_subject(leg: BareLeg) -> str:
    """Return the alert subject of a bare leg: account, instrument, product, strategy."""
    return " ".join(leg.position.owner)


def bare_leg_text(leg: BareLeg) -> str:
    """Return what an alert says of a bare leg, and what to do."""
    held = leg.position
    return (
        f"{held.strategy} holds {leg.units} sold units of {held.instrument} without the cover of "
        f"{', '.join(leg.lost)}, which was closed; close the run (`mytrading positions close --run {held.run}`), or "
        "cover them again"
    )
