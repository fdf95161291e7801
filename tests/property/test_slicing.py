"""Slices of one parent: whole lots, within the freeze quantity, all different, as few as can be."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mytrading.core.orders.slicing import Sizes, Unsliceable, closing_slice_quantities, slice_quantities

SIZES = st.builds(lambda lot, lots, over: Sizes(lot, lot * lots + over % lot), st.integers(1, 75), st.integers(1, 40),
                  st.integers(0, 74)).filter(lambda sizes: sizes.freeze > 1)  # fmt: skip


@given(sizes=SIZES, share=st.floats(0.0, 1.0))
def test_slices_sum_to_the_quantity_in_different_whole_lots_within_the_freeze(sizes: Sizes, share: float) -> None:
    lots = max(1, round(share * sizes.most_units / sizes.lot))
    parts = slice_quantities(lots * sizes.lot, sizes)
    assert sum(parts) == lots * sizes.lot
    assert all(0 < part <= sizes.freeze and part % sizes.lot == 0 for part in parts)
    assert len(set(parts)) == len(parts) and list(parts) == sorted(parts, reverse=True)
    assert parts == slice_quantities(lots * sizes.lot, sizes)


@given(sizes=SIZES, lots=st.integers(1, 900))
def test_slices_are_as_few_as_different_sizes_allow(sizes: Sizes, lots: int) -> None:
    assume(lots * sizes.lot <= sizes.most_units)
    count = len(slice_quantities(lots * sizes.lot, sizes))
    fewer = count - 1
    assert sum(range(sizes.most_lots, sizes.most_lots - fewer, -1)) < lots


@given(sizes=SIZES, quantity=st.integers(1, 60_000))
def test_closing_slices_leave_nothing_but_what_no_slices_can_carry(sizes: Sizes, quantity: int) -> None:
    parts = closing_slice_quantities(quantity, sizes)
    assert all(0 < part <= sizes.freeze for part in parts) and len(set(parts)) == len(parts)
    assert sum(parts) == quantity or sum(parts) - quantity % sizes.lot == sizes.most_units


@pytest.mark.parametrize(
    ("quantity", "sizes", "parts"),
    [
        (1755, Sizes(65, 1755), (1755,)),
        (1800, Sizes(75, 1800), (1800,)),
        (2250, Sizes(75, 1800), (1800, 450)),
        (1050, Sizes(35, 900), (875, 175)),
        (2400, Sizes(20, 1000), (1000, 980, 420)),
        (3600, Sizes(75, 1800), (1800, 1725, 75)),
        (5000, Sizes(75, 0), (5000,)),
        (5000, Sizes(75, 1), (5000,)),
        (100, Sizes(65, 1800), (100,)),
    ],
)
def test_slices_of_known_contracts(quantity: int, sizes: Sizes, parts: tuple[int, ...]) -> None:
    assert slice_quantities(quantity, sizes) == parts


@pytest.mark.parametrize(
    ("quantity", "sizes", "text"),
    [
        (0, Sizes(65, 1800), "must be positive"),
        (1850, Sizes(65, 1800), "1850 is no multiple of lot size 65"),
        (130, Sizes(65, 60), "less than a lot of 65"),
        (6 * 65 + 65, Sizes(65, 195), "use at most 390"),
    ],
)
def test_slices_that_cannot_be_say_what_would_do(quantity: int, sizes: Sizes, text: str) -> None:
    with pytest.raises(Unsliceable, match=text):
        slice_quantities(quantity, sizes)


def test_closing_slices_send_the_odd_units_last_and_alone() -> None:
    assert closing_slice_quantities(1850, Sizes(65, 1800)) == (1755, 65, 30)


def test_single_units_are_sliced_as_lots_of_one() -> None:
    assert closing_slice_quantities(11, Sizes(1, 5)) == (5, 4, 2)
    assert closing_slice_quantities(11, Sizes(0, 5)) == (5, 4, 2)


def test_largest_order_is_unknown_without_a_freeze_quantity() -> None:
    assert [Sizes(65, freeze).most_lots for freeze in (0, 1, 64, 65, 1800)] == [0, 0, 0, 1, 27]
