"""The ledger: averages, what a reduction realises, flips, round trips, corrections."""

from __future__ import annotations

import pytest

from mytrading.core.accounting.position_ledger import book_fill, correct_quantity, reprice
from mytrading.messages.enums import Product, Side
from mytrading.messages.orders import Position

FLAT = Position(account="main", instrument="NFO:A", product=Product.MIS, strategy="s", run="")


def booked(*fills: tuple[int, float]) -> Position:
    position = FLAT
    for at, (units, price) in enumerate(fills, start=1):
        position = book_fill(position, units, price, at, run=f"run{at}").position
    return position


def test_adding_averages_by_weight() -> None:
    position = booked((50, 100.0), (150, 104.0))
    assert (position.quantity, position.average_price, position.realised) == (200, 103.0, 0.0)


def test_reducing_realises_and_keeps_the_average() -> None:
    position = booked((100, 100.0), (-40, 110.0))
    assert (position.quantity, position.average_price, position.realised) == (60, 100.0, 400.0)


def test_short_reducing_realises_the_other_way() -> None:
    position = booked((-100, 100.0), (40, 90.0))
    assert (position.quantity, position.realised) == (-60, 400.0)


def test_flat_ends_the_round_trip_with_its_averages() -> None:
    position = booked((50, 100.0), (50, 102.0), (-30, 105.0))
    result = book_fill(position, -70, 99.0, 9)
    trade = result.trade
    assert trade is not None
    assert (trade.side, trade.quantity, trade.entry_price) == (Side.BUY, 100, 101.0)
    assert trade.exit_price == pytest.approx(100.8)
    assert trade.realised == pytest.approx(-20.0) == pytest.approx(result.position.realised)
    assert (trade.run, trade.opened_ns, trade.closed_ns) == ("run1", 1, 9)
    assert (result.position.quantity, result.position.average_price) == (0, 0.0)


def test_crossing_zero_closes_one_trip_and_opens_another() -> None:
    result = book_fill(booked((50, 100.0)), -80, 110.0, 5, run="next")
    assert result.trade is not None and result.trade.quantity == 50 and result.trade.realised == 500.0
    position = result.position
    assert (position.quantity, position.average_price, position.run) == (-30, 110.0, "next")
    assert (position.bought, position.sold) == (50, 80)


def test_zero_units_change_nothing() -> None:
    assert book_fill(FLAT, 0, 5.0, 3) == (FLAT, None)


def test_reprice_of_open_units_moves_the_average() -> None:
    position = reprice(booked((50, 100.0)), 50, 25.0, 7)
    assert (position.average_price, position.realised) == (100.5, 0.0)


def test_reprice_of_a_short_moves_the_average() -> None:
    position = reprice(booked((-50, 100.0)), -50, -25.0, 7)  # the sale brought 25 rupees more than was booked
    assert (position.average_price, position.realised) == (100.5, 0.0)


def test_reprice_of_closed_units_is_realised() -> None:
    position = reprice(booked((50, 100.0), (-50, 101.0)), 50, 25.0, 7)
    assert position.realised == 25.0


def test_correct_to_zero_leaves_no_trip() -> None:
    position = correct_quantity(booked((50, 100.0), (-10, 120.0)), 0, 8)
    assert (position.quantity, position.trip_quantity, position.realised) == (0, 0, 200.0)


def test_position_that_is_corrected_to_nothing_is_flat_and_keeps_what_it_realised() -> None:
    position = correct_quantity(booked((100, 100.0), (-40, 110.0)), 0, 9)
    assert (position.quantity, position.average_price, position.realised, position.updated_ns) == (0, 0.0, 400.0, 9)
    assert (position.trip_quantity, position.trip_value, position.trip_exit_value, position.opened_ns) == (0, 0, 0, 0)
    assert book_fill(position, 10, 50.0, 10, run="next").position.average_price == 50.0
