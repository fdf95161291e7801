"""Contracts that expire while they are held: a settlement is no order of anybody, and no error of the broker."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.time import DAY, to_ns
from mytrading.messages.brokers import PLAIN
from mytrading.messages.enums import Product, Severity, Side
from mytrading.messages.orders import PositionAdjusted, TradeClosed
from mytrading.messages.reports import BrokerPosition
from tests.kit.fake_broker import ACCOUNT, NEVER, SECOND, OrderBench
from tests.kit.state_digest import state_digest

CALL = "NFO:NIFTY24NOV2625600CE"
LATER = "NFO:NIFTY01DEC2625600CE"
EXPIRY = date(2026, 11, 24)
CLOSE = to_ns(EXPIRY, time(15, 40))


class Afternoon(OrderBench):
    """A bench on the afternoon of the expiry: it trades from 9:15 to 15:40, and all of the day before."""

    def __init__(self, limits: OmsLimits | None = None, begins: time = time(15, 20)) -> None:
        self.ahead = to_ns(EXPIRY, begins) - 1000 * SECOND
        super().__init__(limits)

    @property
    def now(self) -> int:
        return self.time + self.ahead

    def _is_open(self, _exchange: str, now: int) -> bool:
        return to_ns(EXPIRY, time(9, 15)) <= now < CLOSE or now < to_ns(EXPIRY, time(0, 0))

    def at(self, clock: time) -> None:
        self.tick(to_ns(EXPIRY, clock) - self.now)


def held_to(bench: Afternoon, instrument: str = CALL, *, carried: bool = False, **fields: Any) -> None:
    """Fifty units at 184.5 with 215.5 as the last price before the close."""
    bench.broker.net["NFO:Z", Product.NRML] = 10
    bench.ahead -= DAY if carried else 0
    bench.hold("e1", price=184.5, instrument=instrument, product=Product.NRML, **fields)
    if carried:
        bench.ahead += DAY
        bench.open_day(EXPIRY.isoformat())
        for placed in bench.broker.orders.values():
            placed.booked_at = NEVER
    for clock, price in ((time(15, 25), 300.0), (time(15, 36), 214.0), (time(15, 39), 215.5)):
        bench.at(clock)
        bench.read(positions=shown(bench, price), funds_live=True)


def shown(bench: OrderBench, price: float) -> tuple[BrokerPosition, ...]:
    return tuple(replace(row, last_price=price) for row in bench.broker.books(bench.time).positions or ())


def settled(bench: Afternoon, **fields: Any) -> None:
    """The exchange settles at the close: no order, no trade, and the row is gone."""
    bench.at(time(15, 40, 2))
    bench.broker.net.pop((CALL, Product.NRML), None)
    for _ in range(20):
        bench.tick(6 * SECOND)
        bench.read(**{"funds_live": True} | fields)


def adjusted(bench: OrderBench) -> list[tuple[str, int, float, bool]]:
    rows = [row for row in bench.rows if isinstance(row, PositionAdjusted)]
    return [(row.cause, row.quantity, row.price, row.estimated) for row in rows]


def realised(bench: OrderBench) -> float:
    found = bench.machine.position(ACCOUNT, CALL, Product.NRML, "s1")
    assert found is not None and found.quantity == 0
    return found.realised


@pytest.mark.parametrize(("side", "profit"), [(Side.BUY, 1550.0), (Side.SELL, -1550.0)])
def test_settlement_is_an_expiry_at_the_last_price_and_no_correction_with_no_profit(side: Side, profit: float) -> None:
    bench = Afternoon()
    held_to(bench, side=side)
    settled(bench)
    assert adjusted(bench) == [("expiry", -50 * side.sign, 215.5, True)]
    assert realised(bench) == pytest.approx(profit), "50 units at 184.5, and 215.5 is 31 more"
    (alert,) = [alert for alert in bench.alerts if alert.code == "POSITION_EXPIRED"]
    assert alert.severity is Severity.WARNING and "215.5" in alert.message
    assert "POSITION_CORRECTED" not in bench.codes()
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert trade.realised == pytest.approx(profit)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_carried_contract_that_was_settled_is_an_expiry_after_its_session_too() -> None:
    bench = Afternoon()
    held_to(bench, carried=True)
    settled(bench)
    assert adjusted(bench) == [("expiry", -50, 215.5, True)]


def test_carried_contract_of_an_account_that_is_empty_now_is_an_expiry_beside_live_funds() -> None:
    bench = Afternoon()
    held_to(bench, carried=True)
    bench.broker.net.clear()
    settled(bench)
    assert adjusted(bench) == [("expiry", -50, 215.5, True)]


def test_estimate_gives_way_to_the_profit_of_the_brokers_row() -> None:
    """The row of the closed position comes later: 50 units won 30 each, so that they were settled at 214.5."""
    bench = Afternoon()
    held_to(bench, carried=True)
    settled(bench)
    row = BrokerPosition(instrument=CALL, product=Product.NRML, quantity=0, pnl=1500.0)
    for _ in range(3):
        bench.tick(6 * SECOND)
        bench.read(positions=(row,))
    assert adjusted(bench) == [("expiry", -50, 215.5, True), ("expiry", 0, 214.5, False)]
    assert realised(bench) == pytest.approx(1500.0)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_sold_contract_is_settled_at_what_the_brokers_row_says() -> None:
    """Sold at 184.5; the row lost 500 with 50 units: 194.5."""
    bench = Afternoon()
    held_to(bench, carried=True, side=Side.SELL)
    row = BrokerPosition(instrument=CALL, product=Product.NRML, quantity=0, pnl=-500.0)
    settled(bench, positions=(row, BrokerPosition(instrument="NFO:Z", product=Product.NRML, quantity=10)))
    assert adjusted(bench) == [("expiry", 50, 194.5, False)]
    assert realised(bench) == pytest.approx(-500.0)


def test_profit_of_a_row_that_counts_trades_of_today_says_no_settlement_price() -> None:
    bench = Afternoon()
    held_to(bench)
    row = BrokerPosition(instrument=CALL, product=Product.NRML, quantity=0, pnl=9999.0)
    settled(bench, positions=(row, BrokerPosition(instrument="NFO:Z", product=Product.NRML, quantity=10)))
    assert adjusted(bench) == [("expiry", -50, 215.5, True)]


def test_average_that_is_not_that_of_the_purchase_says_no_settlement_price() -> None:
    bench = Afternoon(OmsLimits(unlisted=replace(PLAIN, carried_average=False)))
    held_to(bench, carried=True)
    row = BrokerPosition(instrument=CALL, product=Product.NRML, quantity=0, pnl=1500.0)
    settled(bench, positions=(row, BrokerPosition(instrument="NFO:Z", product=Product.NRML, quantity=10)))
    assert adjusted(bench) == [("expiry", -50, 215.5, True)]


def test_contract_that_expires_later_and_is_gone_after_the_close_did_not_expire() -> None:
    bench = Afternoon()
    held_to(bench, LATER)
    bench.at(time(15, 40, 2))
    bench.broker.by_hand(0, LATER, Product.NRML)
    for _ in range(20):
        bench.tick(6 * SECOND)
        bench.read(funds_live=True)
    assert [row.cause for row in bench.rows if isinstance(row, PositionAdjusted)] == ["correction"]
    assert "POSITION_EXPIRED" not in bench.codes()


def test_last_price_is_kept_near_the_close_alone() -> None:
    """Rows of the journal for each read of a whole day would be noise."""
    bench = Afternoon()
    held_to(bench)
    assert bench.machine.state.last_prices.sorted_items() == [((ACCOUNT, CALL), 215.5)]
    kept = [row.price for row in bench.rows if type(row).__name__ == "LastPriceSeen"]
    assert kept == [214.0, 215.5]


def test_expiry_that_the_books_never_settled_is_booked_at_the_turn_of_the_day_with_its_last_price() -> None:
    bench = Afternoon()
    held_to(bench)
    after = to_ns(date(2026, 11, 25), time(8, 0))
    bench._commit(bench.machine.expire_day(after, "2026-11-25"))
    assert adjusted(bench) == [("expiry", -50, 215.5, True)] and realised(bench) == pytest.approx(1550.0)


def test_expiry_of_which_no_price_is_known_counts_no_profit_and_is_critical() -> None:
    bench = Afternoon()
    bench.hold("e1", price=184.5, instrument=CALL, product=Product.NRML)
    bench._commit(bench.machine.expire_day(to_ns(date(2026, 11, 25), time(8, 0)), "2026-11-25"))
    assert adjusted(bench) == [("expiry", -50, 0.0, False)] and realised(bench) == 0.0
    (alert,) = [alert for alert in bench.alerts if alert.code == "POSITION_EXPIRED"]
    assert alert.severity is Severity.CRITICAL and "not known here" in alert.message
