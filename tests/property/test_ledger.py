"""The ledger conserves money and units under any sequence of fills."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from mytrading.core.accounting.position_ledger import book_fill, reprice
from mytrading.messages.enums import Product
from mytrading.messages.orders import Position

FLAT = Position(account="main", instrument="NFO:A", product=Product.MIS, strategy="s", run="r")
UNITS = st.integers(-200, 200).filter(bool)
PRICES = st.integers(1, 20_000).map(lambda paise: paise * 0.05)
FILLS = st.lists(st.tuples(UNITS, PRICES), max_size=30)


@given(FILLS, PRICES)
def test_ledger_realised_and_open_equal_the_cash_flow(fills: list[tuple[int, float]], last: float) -> None:
    position, cash, trips = FLAT, 0.0, 0.0
    for at, (units, price) in enumerate(fills):
        position, trade = book_fill(position, units, price, at)
        cash -= units * price
        trips += trade.realised if trade else 0.0
    assert position.quantity == sum(units for units, _ in fills) == position.bought - position.sold
    unrealised = position.quantity * (last - position.average_price)
    assert position.realised + unrealised == approx(cash + position.quantity * last, abs=1e-4)
    if position.quantity == 0:
        assert trips == approx(position.realised, abs=1e-4)


@given(FILLS, PRICES, st.data())
def test_ledger_split_fills_equal_one_fill(fills: list[tuple[int, float]], price: float, data: st.DataObject) -> None:
    position = FLAT
    for at, (units, at_price) in enumerate(fills):
        position = book_fill(position, units, at_price, at).position
    units = data.draw(st.integers(2, 100))
    part = data.draw(st.integers(1, units - 1))
    whole = book_fill(position, units, price, 99).position
    split = book_fill(book_fill(position, part, price, 99).position, units - part, price, 99).position
    assert split.quantity == whole.quantity
    assert split.average_price == approx(whole.average_price)
    assert split.realised == approx(whole.realised)


@given(FILLS.filter(bool), st.floats(-500, 500))
def test_ledger_reprice_moves_the_result_by_exactly_the_difference(
    fills: list[tuple[int, float]], rupees: float
) -> None:
    position = FLAT
    for at, (units, price) in enumerate(fills):
        position = book_fill(position, units, price, at).position
    last, units = 100.0, fills[-1][0]
    after = reprice(position, units, rupees, 99)

    def worth(held: Position) -> float:
        return held.realised + held.quantity * (last - held.average_price)

    assert worth(after) == approx(worth(position) - rupees, abs=1e-6)
