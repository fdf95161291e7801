"""Units that a person closed: the day has their profit, by the trades that tell it, else by risk's price."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.commands import PriceUnits
from mytrading.messages.enums import BrokerStatus, Product, Side
from mytrading.messages.orders import PositionAdjusted, TradeClosed
from tests.kit.fake_broker import SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

A = ("NFO:A", Product.MIS)


@pytest.fixture
def bench() -> OrderBench:
    """650 bought at 100."""
    made = OrderBench()
    made.check_purity = True
    made.hold("e1", 650)
    made.tick(10 * SECOND)
    return made


def closed_by_hand(bench: OrderBench, units: int, price: float, name: str = "H1") -> None:
    """A person sells units at the terminal: an order and a trade of nobody here."""
    sold = Placed(name, name, "NFO:A", Side.SELL, units, Product.MIS)
    bench.broker.orders[name] = sold
    bench.broker.trade(sold, units, price)


def apart(bench: OrderBench, **books: Any) -> None:
    """Two reads further apart than a difference needs."""
    bench.read(**books)
    bench.tick(6 * SECOND)
    bench.read(**books)


def without_prices_of(bench: OrderBench, *names: str) -> dict[str, Any]:
    """The trade book as one that tells units of these orders, and no price yet."""
    rows = bench.broker.books(bench.time).trades or ()
    return {"trades": tuple(replace(row, value=0.0) if row.broker_order_id in names else row for row in rows)}


def test_loss_of_units_closed_by_hand_is_that_of_the_persons_trades(bench: OrderBench) -> None:
    closed_by_hand(bench, 650, 75.0)
    apart(bench)
    position = bench.position()
    assert (position.quantity, position.realised, position.realised_estimated) == (0, -16_250.0, False)
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert (trade.quantity, trade.exit_price, trade.realised) == (650, 75.0, -16_250.0)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_part_closed_by_hand_is_booked_and_the_rest_keeps_its_cost(bench: OrderBench) -> None:
    closed_by_hand(bench, 150, 80.0)
    apart(bench)
    position = bench.position()
    assert (position.quantity, position.average_price, position.realised) == (500, 100.0, -3_000.0)


def test_two_strategies_closed_by_one_order_of_a_person_both_lose(bench: OrderBench) -> None:
    bench.hold("e2", 350, 90.0, strategy="s2")
    bench.tick(10 * SECOND)
    closed_by_hand(bench, 1000, 80.0)
    apart(bench)
    assert (bench.position("s1").realised, bench.position("s2").realised) == (-13_000.0, -3_500.0)


def test_trades_of_a_person_explain_one_correction_only(bench: OrderBench) -> None:
    closed_by_hand(bench, 300, 80.0)
    apart(bench)
    bench.tick(10 * SECOND)
    closed_by_hand(bench, 300, 60.0, "H2")
    apart(bench, **without_prices_of(bench, "H2"))
    position = bench.position()
    assert (position.quantity, position.realised, position.realised_estimated) == (50, -6_000.0, True)


def test_units_that_a_person_traded_hours_before_explain_nothing(bench: OrderBench) -> None:
    bench.broker.net[A] = 1_300
    closed_by_hand(bench, 650, 300.0, "H1")
    bench.read()
    bench.tick(3600 * SECOND)
    closed_by_hand(bench, 650, 75.0, "H2")
    apart(bench, **without_prices_of(bench, "H2"))
    assert (bench.position().quantity, bench.position().realised_estimated) == (0, True)


def test_order_that_rested_for_an_hour_before_it_closed_ours_explains_it(bench: OrderBench) -> None:
    resting = Placed("H1", "H1", "NFO:A", Side.SELL, 650, Product.MIS, status=BrokerStatus.OPEN)
    bench.broker.orders["H1"] = resting
    bench.read()
    bench.tick(3600 * SECOND)
    bench.broker.trade(resting, 650, 75.0)
    apart(bench)
    assert (bench.position().quantity, bench.position().realised) == (0, -16_250.0)


def test_untold_price_is_that_of_risk_and_marked_as_a_guess(bench: OrderBench) -> None:
    closed_by_hand(bench, 650, 75.0)
    apart(bench, **without_prices_of(bench, "H1"))
    (row,) = [row for row in bench.rows if isinstance(row, PositionAdjusted)]
    assert row.gone is not None and (row.price, row.gone.units, row.gone.before.average_price) == (0.0, -650, 100.0)
    for price in (74.0, 12.0):  # a price told twice counts once
        bench.step(PriceUnits(id=f"p{price}", gone=row.gone.id, account="main", price=price))
    position = bench.position()
    assert (position.realised, position.realised_estimated) == (-16_900.0, True)
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert (trade.exit_price, trade.realised) == (74.0, -16_900.0)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_late_trade_book_corrects_the_guess(bench: OrderBench) -> None:
    closed_by_hand(bench, 650, 75.0)
    apart(bench, **without_prices_of(bench, "H1"))
    (gone,) = bench.machine.state.gone
    bench.step(PriceUnits(id="p1", gone=gone, account="main", price=74.0))
    bench.tick(20 * SECOND)
    bench.read()
    bench.read()
    position = bench.position()
    assert (position.realised, position.realised_estimated) == (-16_250.0, False)
    assert len([row for row in bench.rows if isinstance(row, TradeClosed)]) == 1
    assert state_digest(bench.replayed()) == state_digest(bench.machine)
