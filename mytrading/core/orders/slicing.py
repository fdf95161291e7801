"""One quantity as several orders, where an exchange takes no order above its freeze quantity.

The slices of one parent differ pairwise in quantity, so that each has a fingerprint of its own when its fate has to be
read from the order book.
"""

from __future__ import annotations

from typing import NamedTuple

UNKNOWN_FREEZE = 1
"""Servers tell 1 (or 0) where they know no freeze quantity."""


class Sizes(NamedTuple):
    """Units of a lot (0 counts as 1), and the most units that one order may have (0: no limit known)."""

    lot: int = 1
    freeze: int = 0

    @property
    def most_lots(self) -> int:
        """Lots of the largest legal order, which may have the freeze quantity itself; 0 where no limit is known."""
        return self.freeze // max(self.lot, 1) if self.freeze > UNKNOWN_FREEZE else 0

    @property
    def most_units(self) -> int:
        """Units that slices of one parent can carry together; 0 where no limit is known."""
        most = self.most_lots
        return most * (most + 1) // 2 * max(self.lot, 1)

    def fits(self, quantity: int) -> bool:
        """True if one order may carry this quantity."""
        return self.freeze <= UNKNOWN_FREEZE or quantity <= self.freeze


class Unsliceable(ValueError):
    """A quantity that no set of whole-lot slices of different sizes can make up; the text says what would do."""


def slice_quantities(quantity: int, sizes: Sizes) -> tuple[int, ...]:
    """Return the units of each slice, largest first: whole lots, all different. Raises `Unsliceable`."""
    lot = max(sizes.lot, 1)
    if quantity <= 0:
        raise Unsliceable(f"quantity must be positive: found {quantity}")
    if sizes.fits(quantity):
        return (quantity,)
    if quantity % lot:
        raise Unsliceable(f"quantity must be whole lots to be sliced: {quantity} is no multiple of lot size {lot}")
    if not sizes.most_lots:
        raise Unsliceable(f"freeze quantity {sizes.freeze} is less than a lot of {lot}; no order can be sent")
    if quantity > sizes.most_units:
        raise Unsliceable(
            f"quantity {quantity} is beyond what different slices of at most {sizes.most_lots * lot} can carry; "
            f"use at most {sizes.most_units}"
        )
    return tuple(lots * lot for lots in _different(quantity // lot, sizes.most_lots))


def closing_slice_quantities(quantity: int, sizes: Sizes) -> tuple[int, ...]:
    """Return the units of each slice of an exit; never raises: what one parent cannot carry is left for later.

    Units that are no whole lot are a slice of their own, since an exchange refuses the whole of an order with them."""
    odd = quantity % max(sizes.lot, 1)
    if odd == quantity or (sizes.fits(quantity) and not odd) or (sizes.freeze > UNKNOWN_FREEZE and not sizes.most_lots):
        return (quantity,)
    most = sizes.most_units if sizes.most_lots else quantity
    whole = slice_quantities(min(quantity - odd, most), sizes)
    return (*whole, odd) if odd else whole


def _different(total: int, most: int) -> tuple[int, ...]:
    """The fewest different whole numbers from 1 to `most` that sum to `total`, each as large as those after it allow.

    k numbers reach from k(k+1)/2 to k·most - k(k-1)/2; the ranges of neighbouring k overlap, so the least k whose
    largest sum suffices always fits.
    """
    count = 1
    while count * most - count * (count - 1) // 2 < total:
        count += 1
    parts: list[int] = []
    for after in reversed(range(count)):
        largest = parts[-1] - 1 if parts else most
        parts.append(min(largest, total - after * (after + 1) // 2))
        total -= parts[-1]
    return tuple(parts)
