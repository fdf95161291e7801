"""The paper exchange: fills by order type, refusals, positions, cash, the venue's clockwork."""

from __future__ import annotations

import tomllib
from datetime import date, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.calendar import Calendar
from mytrading.core.exchange.books import apply_fill, opening_units, required_cash, shortage_text
from mytrading.core.exchange.exchange import Exchange
from mytrading.core.exchange.model import Account, BookOrder, BooksSnapshot, ExchangeRefusal, Mark, OrderRequest
from mytrading.core.exchange.order_rules import ANALYZER, exchange_fill_price, is_triggered
from mytrading.core.instruments.contract_specs import ContractFacts, MarginRates, make_derivative, make_spot
from mytrading.core.time import SECOND, to_ns
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.hypothesis_budget import examples
from tests.kit.project import ROOT

DAY = date(2025, 12, 2)  # a Tuesday: a weekly expiry
NOON = to_ns(DAY, time(12))
SBIN = "NSE:SBIN"
CAPITAL = 1_000_000.0


def toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "config" / name).read_text(encoding="utf-8"))


CALENDAR = Calendar.from_dict(toml("calendar.toml"))
FACTS = ContractFacts.from_dict(toml("instruments.toml"))
CALL = make_derivative("NIFTY", FACTS.underlyings["NIFTY"], InstrumentKind.CE, DAY, 26000.0, DAY)
LISTED: dict[str, Instrument] = {
    item.id: item for item in (CALL, *(make_spot(name, facts) for name, facts in FACTS.underlyings.items()))
}
MARK = Mark(1000.0, 999.95, 1000.05)


def opened(now: int = NOON, capital: float = CAPITAL, **rules: Any) -> Exchange:
    """An exchange whose day has begun."""
    exchange = Exchange(CALENDAR, FACTS, LISTED.get, BooksSnapshot(account=Account(capital=capital)), **rules)
    exchange.advance(now, {}.get, lambda _: 0.0)
    return exchange


def request(**changes: Any) -> OrderRequest:
    return OrderRequest(**{"instrument": SBIN, "side": Side.BUY, "quantity": 10, **changes})


def placed(exchange: Exchange, mark: Mark = MARK, now: int = NOON, **changes: Any) -> BookOrder:
    result, _ = exchange.place(request(**changes), mark, now)
    assert isinstance(result, BookOrder), result
    return result


def refused(exchange: Exchange, mark: Mark = MARK, now: int = NOON, **changes: Any) -> str:
    result, changes_made = exchange.place(request(**changes), mark, now)
    assert isinstance(result, ExchangeRefusal)
    assert changes_made.is_empty
    return result.reason


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 1000.05), (Side.SELL, 999.95)])
def test_market_order_fills_at_the_other_side(side: Side, price: float) -> None:
    order = placed(opened(), side=side)
    assert (order.status, order.average_price, order.filled) == (BrokerStatus.COMPLETE, price, 10)


def test_market_order_fills_at_ltp_where_nobody_stands() -> None:
    assert placed(opened(), Mark(1000.0)).average_price == 1000.0


def test_marketable_limit_gets_the_better_price_and_resting_one_its_own() -> None:
    exchange = opened()
    assert placed(exchange, order_type=OrderType.LIMIT, price=1001.0).average_price == 1000.05
    resting = placed(exchange, order_type=OrderType.LIMIT, price=990.0)
    assert resting.status is BrokerStatus.OPEN
    assert exchange.on_mark(SBIN, Mark(990.1, 990.05, 990.1), NOON + 1).is_empty  # type: ignore[union-attr]
    exchange.on_mark(SBIN, Mark(988.0, 987.95, 988.05), NOON + 2)
    assert exchange.books.orders[resting.order_id].average_price == 990.0


def test_stop_market_waits_for_ltp_then_fills_at_the_other_side() -> None:
    exchange = opened()
    order = placed(exchange, order_type=OrderType.SL_M, side=Side.SELL, trigger_price=990.0)
    assert order.status is BrokerStatus.TRIGGER_PENDING
    exchange.on_mark(SBIN, Mark(990.05, 980.0, 990.1), NOON + 1)
    assert exchange.books.orders[order.order_id].status is BrokerStatus.TRIGGER_PENDING
    exchange.on_mark(SBIN, Mark(990.0, 989.9, 990.1), NOON + 2)
    assert exchange.books.orders[order.order_id].average_price == 989.9


def test_stop_limit_that_is_gapped_through_rests_as_a_limit_and_fills_later() -> None:
    exchange = opened()
    order = placed(exchange, order_type=OrderType.SL, trigger_price=1010.0, price=1011.0)
    exchange.on_mark(SBIN, Mark(1020.0, 1019.95, 1020.05), NOON + 1)
    after = exchange.books.orders[order.order_id]
    assert (after.status, after.triggered) == (BrokerStatus.OPEN, True)
    exchange.on_mark(SBIN, Mark(1005.0, 1004.95, 1005.05), NOON + 2)
    assert exchange.books.orders[order.order_id].average_price == 1011.0


def test_stop_whose_trigger_has_passed_acts_at_once() -> None:
    assert placed(opened(), order_type=OrderType.SL_M, trigger_price=999.0).status is BrokerStatus.COMPLETE


@pytest.mark.parametrize(("side", "at"), [(Side.BUY, 1010.0), (Side.SELL, 990.0)])
def test_stop_acts_at_its_trigger_and_a_limit_at_its_price_and_not_a_tick_before(side: Side, at: float) -> None:
    before = at - side.sign * 0.05
    stop = request(side=side, order_type=OrderType.SL_M, trigger_price=at)
    assert [is_triggered(stop, ltp) for ltp in (before, at, at + side.sign)] == [False, True, True]
    limit = request(side=side, order_type=OrderType.LIMIT, price=at)
    assert [exchange_fill_price(limit, Mark(price), fresh=False) for price in (at + side.sign * 0.05, at)] == [None, at]
    assert exchange_fill_price(limit, Mark(before), fresh=True) == before


def test_cash_of_just_what_is_required_is_enough() -> None:
    assert (shortage_text(100.0, 100.0), shortage_text(99.0, 100.0)) == ("", "")
    assert shortage_text(100.5, 100.0) == "Insufficient funds. Required: ₹100.5, Available: ₹100.0, Shortage: ₹0.5"


def test_sold_option_blocks_a_share_of_its_strike_and_a_bought_one_its_premium() -> None:
    rates = MarginRates(option_sold=0.1)
    assert required_cash(CALL, Product.NRML, -75, 120.0, rates) == pytest.approx(0.1 * 75 * 26_000.0)
    assert required_cash(CALL, Product.NRML, 75, 120.0, rates) == pytest.approx(75 * 120.0)


def call_at(strike: float) -> Instrument:
    made = make_derivative("NIFTY", FACTS.underlyings["NIFTY"], InstrumentKind.CE, DAY, strike, DAY)
    LISTED[made.id] = made
    return made


ON_EXPIRY_DAY = 0.04
"""Exposure of hedged options on an index on the day of their expiry."""


def option_order(
    exchange: Exchange, side: Side, strike: float, market: float = 100.0, **changes: Any
) -> BookOrder | ExchangeRefusal:
    listed = call_at(strike)
    sent = request(instrument=listed.id, side=side, quantity=listed.lot_size, product=Product.NRML, **changes)
    return exchange.place(sent, Mark(market, market, market), NOON)[0]


def with_spread(capital: float, **rules: Any) -> Exchange:
    """A sold 26000 call of one lot with a bought 26250 call; naked it blocks ₹2,34,000, hedged ₹1,05,000 in all."""
    exchange = opened(capital=capital, **rules)
    for side, strike in ((Side.BUY, 26_250.0), (Side.SELL, 26_000.0)):
        assert isinstance(option_order(exchange, side, strike), BookOrder)
    return exchange


def test_hedge_is_not_sold_from_under_its_short_without_the_margin_of_the_naked_one() -> None:
    exchange = with_spread(200_000.0)
    before = exchange.books.snapshot()
    found = option_order(exchange, Side.SELL, 26_250.0)
    assert isinstance(found, ExchangeRefusal) and "Insufficient funds" in found.reason
    assert exchange.books.snapshot() == before
    exchange = with_spread(300_000.0)
    assert isinstance(option_order(exchange, Side.SELL, 26_250.0), BookOrder)
    assert exchange.books.blocked_cash() == pytest.approx(0.12 * 26_000 * CALL.lot_size)


def test_resting_sale_of_a_hedge_blocks_what_will_be_charged_when_it_is_gone() -> None:
    exchange = with_spread(300_000.0)
    lot = CALL.lot_size
    resting = option_order(exchange, Side.SELL, 26_250.0, order_type=OrderType.LIMIT, price=110.0)
    assert isinstance(resting, BookOrder) and resting.is_live
    naked, hedged = 0.12 * 26_000 * lot, (250 + ON_EXPIRY_DAY * 26_250) * lot
    assert resting.blocked == pytest.approx(naked - hedged - 110 * lot)
    exchange.cancel(resting.order_id, NOON)
    assert exchange.books.blocked_cash() == pytest.approx(hedged + 100 * lot)


def test_hedge_is_sold_freely_once_its_short_is_bought_back_or_another_one_covers_it() -> None:
    exchange = with_spread(200_000.0)
    assert isinstance(option_order(exchange, Side.BUY, 26_300.0), BookOrder)
    assert isinstance(option_order(exchange, Side.SELL, 26_250.0), BookOrder)
    assert isinstance(option_order(exchange, Side.BUY, 26_000.0), BookOrder)
    assert isinstance(option_order(exchange, Side.SELL, 26_300.0), BookOrder)
    assert exchange.books.blocked_cash() == 0.0


def test_account_that_has_lost_all_may_still_close_what_it_has_sold() -> None:
    exchange = with_spread(110_000.0)
    assert isinstance(option_order(exchange, Side.SELL, 26_000.0), ExchangeRefusal)
    settled = option_order(exchange, Side.BUY, 26_000.0, market=9_000.0)
    assert isinstance(settled, BookOrder) and exchange.books.available_cash() < 0
    assert isinstance(option_order(exchange, Side.SELL, 26_250.0), BookOrder)


def test_hedged_options_block_exposure_by_underlying_day_and_price_of_the_underlying() -> None:
    day = DAY.isoformat()
    assert FACTS.exposure_of("NIFTY", day, day) == ON_EXPIRY_DAY
    assert FACTS.exposure_of("NIFTY", day, "2025-12-01") == 0.02
    assert FACTS.exposure_of("NIFTY", "2024-11-14", "2024-11-14") == 0.02
    assert FACTS.exposure_of("RELIANCE", day, day) == 0.05
    spot = with_spread(200_000.0, spot_of=lambda _option: 24_000.0)
    assert spot.books.blocked_cash() == pytest.approx((250 + ON_EXPIRY_DAY * 24_000 + 100) * CALL.lot_size)


def test_sold_option_with_a_bought_one_blocks_the_most_that_both_can_lose_and_the_exposure() -> None:
    exchange = opened(capital=200_000.0)
    lot = CALL.lot_size
    refused = option_order(exchange, Side.SELL, 26_000.0)
    assert isinstance(refused, ExchangeRefusal) and "Insufficient funds" in refused.reason
    assert isinstance(option_order(exchange, Side.BUY, 26_250.0), BookOrder)
    sold = option_order(exchange, Side.SELL, 26_000.0)
    assert isinstance(sold, BookOrder) and sold.status is BrokerStatus.COMPLETE
    blocked = 250 * lot + ON_EXPIRY_DAY * 26_250 * lot + 100 * lot
    assert exchange.books.blocked_cash() == pytest.approx(blocked)
    assert isinstance(option_order(exchange, Side.BUY, 26_000.0), BookOrder)
    assert isinstance(option_order(exchange, Side.SELL, 26_250.0), BookOrder)
    assert exchange.books.available_cash() == pytest.approx(200_000.0)


def test_bought_option_hedges_one_resting_order_and_not_a_second_one() -> None:
    exchange = opened(capital=200_000.0)
    assert isinstance(option_order(exchange, Side.BUY, 26_250.0), BookOrder)
    first = option_order(exchange, Side.SELL, 26_000.0, order_type=OrderType.LIMIT, price=110.0)
    assert isinstance(first, BookOrder) and first.is_live
    assert first.blocked == pytest.approx((250 + ON_EXPIRY_DAY * 26_250) * CALL.lot_size)
    second = option_order(exchange, Side.SELL, 26_050.0, order_type=OrderType.LIMIT, price=110.0)
    assert isinstance(second, ExchangeRefusal)
    found, _ = exchange.modify(first.order_id, CALL.lot_size, 111.0, 0.0, Mark(100.0, 100.0, 100.0), NOON)
    assert isinstance(found, BookOrder) and found.blocked == pytest.approx(first.blocked)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instrument": "NSE:NOSUCH"}, "Symbol NOSUCH not found on NSE"),
        ({"instrument": "NSE_INDEX:NIFTY"}, "cannot be traded"),
        ({"order_type": OrderType.LIMIT, "price": 980.03}, "use 980.00 or 980.05"),
        ({"order_type": OrderType.SL, "price": 980.0, "trigger_price": 980.01}, "trigger_price must be a multiple"),
        ({"quantity": 0}, "positive"),
        ({"product": Product.NRML}, "NRML product not allowed"),
        ({"instrument": CALL.id, "quantity": 74, "product": Product.NRML}, "multiples of lot size 75"),
        ({"instrument": CALL.id, "quantity": 1875, "product": Product.NRML}, "slices of at most 1800"),
        ({"instrument": CALL.id, "quantity": 75, "product": Product.CNC}, "CNC product not allowed"),
        ({"quantity": 5001}, "Insufficient funds. Required: ₹1000250.01, Available: ₹1000000.0, Shortage: ₹250.01"),
    ],
)
def test_refused_order_leaves_the_books_alone(changes: dict[str, Any], words: str) -> None:
    exchange = opened()
    before = exchange.books.snapshot()
    assert words in refused(exchange, **changes)
    assert exchange.books.snapshot() == before


def test_analyzer_fills_a_limit_at_ltp_when_placed_and_at_its_own_price_later() -> None:
    exchange = opened(rules=ANALYZER)
    assert placed(exchange, order_type=OrderType.LIMIT, price=1000.0).average_price == 1000.0
    resting = placed(exchange, order_type=OrderType.LIMIT, price=999.97)
    assert resting.status is BrokerStatus.OPEN
    modified, _ = exchange.modify(resting.order_id, 10, 1002.0, 0.0, MARK, NOON)
    assert isinstance(modified, BookOrder)
    assert modified.average_price == 1002.0
    assert placed(exchange).average_price == 1000.05


def test_analyzer_stop_limit_fills_only_while_trigger_and_limit_both_hold() -> None:
    exchange = opened(rules=ANALYZER)
    stop = placed(exchange, order_type=OrderType.SL, trigger_price=1005.0, price=1006.0)
    seen = []
    for ltp in (1004.0, 1008.0, 1004.5, 1005.5):
        exchange.on_mark(SBIN, Mark(ltp, ltp - 0.05, ltp + 0.05), NOON + 1)
        order = exchange.books.orders[stop.order_id]
        seen.append((order.status, order.average_price))
    waits, rests, done = BrokerStatus.TRIGGER_PENDING, BrokerStatus.OPEN, BrokerStatus.COMPLETE
    assert seen == [(waits, 0.0), (rests, 0.0), (rests, 0.0), (done, 1005.5)]


def test_analyzer_stop_market_fills_at_ltp() -> None:
    exchange = opened(rules=ANALYZER)
    stop = placed(exchange, side=Side.SELL, order_type=OrderType.SL_M, trigger_price=995.0)
    exchange.on_mark(SBIN, Mark(994.0, 993.5, 994.5), NOON + 1)
    assert exchange.books.orders[stop.order_id].average_price == 994.0


def test_analyzer_checks_neither_tick_nor_freeze_nor_hours_but_intraday_ones() -> None:
    night = to_ns(DAY, time(5, 10))
    exchange = opened(night, rules=ANALYZER)
    assert placed(exchange, order_type=OrderType.LIMIT, price=1000.013, product=Product.CNC, now=night).filled == 10
    assert placed(exchange, instrument="NSE_INDEX:NIFTY", product=Product.CNC, now=night).filled == 10
    assert "MIS orders cannot be placed" in refused(exchange, now=night)
    huge = CALL.lot_size * (CALL.freeze_qty // CALL.lot_size + 1)
    cheap = Mark(1.0, 0.95, 1.05)
    assert placed(exchange, cheap, night, instrument=CALL.id, quantity=huge, product=Product.NRML).filled == huge


def test_part_of_an_order_fills_and_the_rest_at_the_next_mark() -> None:
    exchange = opened(part_of=lambda order: 4 if order.filled == 0 else 0)
    order = placed(exchange)
    assert (order.status, order.filled, order.pending_units) == (BrokerStatus.OPEN, 4, 6)
    assert exchange.books.position(SBIN, Product.MIS).quantity == 4
    exchange.on_mark(SBIN, Mark(1010.0, 1009.95, 1010.05), NOON + 1)
    order = exchange.books.orders[order.order_id]
    assert (order.status, order.filled, order.blocked) == (BrokerStatus.COMPLETE, 10, 0.0)
    assert order.average_price == pytest.approx((4 * 1000.05 + 6 * 1010.05) / 10)
    assert [trade.quantity for trade in exchange.books.trades] == [4, 6]


def test_rest_of_a_partly_filled_order_can_be_cancelled_and_holds_its_share_of_cash() -> None:
    exchange = opened(part_of=lambda order: 4)
    order = placed(exchange)
    whole = opened()
    resting = placed(whole, order_type=OrderType.LIMIT, price=900.0)
    assert 0 < order.blocked < resting.blocked
    refusal, _ = exchange.modify(order.order_id, 4, 0.0, 0.0, MARK, NOON)
    assert isinstance(refusal, ExchangeRefusal)
    assert "above the 4 that are filled" in refusal.reason
    ended, _ = exchange.cancel(order.order_id, NOON)
    assert isinstance(ended, BookOrder)
    assert (ended.status, ended.filled, ended.blocked) == (BrokerStatus.CANCELLED, 4, 0.0)
    assert exchange.books.position(SBIN, Product.MIS).quantity == 4


def test_order_outside_the_session_is_refused() -> None:
    before = to_ns(DAY, time(9, 5))
    assert "has not opened" in refused(opened(before), now=before)
    after = to_ns(DAY, time(15, 45))
    assert "closed" in refused(opened(after), now=after, product=Product.CNC)
    sunday = to_ns(date(2025, 12, 7), time(12))
    assert "does not trade" in refused(opened(sunday), now=sunday)


def test_limit_before_the_open_waits_for_it() -> None:
    early = to_ns(DAY, time(9, 5))
    exchange = opened(early)
    order = placed(exchange, now=early, order_type=OrderType.LIMIT, price=1002.0)
    assert order.status is BrokerStatus.OPEN
    assert exchange.on_mark(SBIN, MARK, early + 1) is None
    exchange.on_mark(SBIN, MARK, to_ns(DAY, time(9, 15)))
    assert exchange.books.orders[order.order_id].status is BrokerStatus.COMPLETE


def test_modify_and_cancel_answer_for_orders_that_ended() -> None:
    exchange = opened()
    order = placed(exchange, order_type=OrderType.LIMIT, price=990.0)
    changed, _ = exchange.modify(order.order_id, 20, 1001.0, 0.0, MARK, NOON + 1)
    assert isinstance(changed, BookOrder)
    assert (changed.status, changed.filled, changed.average_price) == (BrokerStatus.COMPLETE, 20, 1000.05)
    again, _ = exchange.cancel(order.order_id, NOON + 2)
    assert again == ExchangeRefusal("Cannot cancel order in complete status")
    missing, _ = exchange.cancel("nope", NOON + 2)
    assert isinstance(missing, ExchangeRefusal)
    assert missing.not_found


def test_square_off_cancels_and_closes_intraday_only() -> None:
    exchange = opened(capital=50_000_000.0)
    placed(exchange)
    resting = placed(exchange, order_type=OrderType.LIMIT, price=900.0)
    placed(exchange, instrument=CALL.id, quantity=75, product=Product.NRML)
    due = to_ns(DAY, time(15, 15))
    changes = exchange.advance(due, lambda _: MARK, lambda _: 0.0)
    assert changes is not None
    assert [trade.strategy for trade in changes.trades] == ["AUTO_SQUARE_OFF"]
    assert exchange.books.orders[resting.order_id].status is BrokerStatus.CANCELLED
    assert [position.instrument for position in exchange.books.open_positions()] == [CALL.id]
    assert exchange.advance(due + 1, lambda _: MARK, lambda _: 0.0) is None
    assert "square-off time (15:15 IST)" in refused(exchange, now=due + 1)


def test_late_intraday_order_in_an_index_that_stands_in_for_its_future_is_refused_in_words() -> None:
    late = to_ns(DAY, time(15, 20))
    said = opened()._session_problem(request(product=Product.MIS), "NSE_INDEX", late)
    assert "square-off time (15:15 IST)" in said


def test_intraday_orders_are_taken_in_an_evening_session_and_not_squared_off_at_its_opening() -> None:
    """Muhurat trading begins after the hour at which the venue closes MIS on other days."""
    muhurat = to_ns(date(2026, 11, 8), time(18, 30))
    exchange = opened(muhurat)
    placed(exchange, now=muhurat)
    assert exchange.advance(muhurat + 1, lambda _: MARK, lambda _: 0.0) is None
    assert [position.quantity for position in exchange.books.open_positions()] == [10]
    analyzer = opened(muhurat, rules=ANALYZER)
    assert "square-off time (15:15 IST)" in refused(analyzer, now=muhurat), "it goes by the hour alone"


def test_expiry_settles_at_the_close_without_order_or_trade() -> None:
    exchange = opened()
    placed(exchange, Mark(100.0, 99.0, 101.0), instrument=CALL.id, quantity=75, product=Product.NRML)
    changes = exchange.advance(to_ns(DAY, time(15, 40)), lambda _: MARK, lambda _: 150.0)
    assert changes is not None
    assert changes.trades == ()
    assert exchange.books.positions == {}
    assert exchange.books.account.realised == pytest.approx(49.0 * 75)
    assert exchange.books.available_cash() == pytest.approx(CAPITAL + 49.0 * 75)


def test_contract_that_is_settled_late_stands_with_its_stop_until_then() -> None:
    late = 10 * 60 * SECOND
    exchange = opened(outlives_day=lambda order: order.request.product is Product.NRML, settles_after=lambda: late)
    placed(exchange, Mark(100.0, 99.0, 101.0), instrument=CALL.id, quantity=75, product=Product.NRML)
    terms = {"order_type": OrderType.SL, "price": 49.0, "trigger_price": 50.0, "product": Product.NRML}
    stop = placed(exchange, Mark(100.0, 99.0, 101.0), instrument=CALL.id, quantity=75, side=Side.SELL, **terms)
    exchange.advance(to_ns(DAY, time(15, 39, 59)), lambda _: MARK, lambda _: 150.0)
    assert exchange.books.orders[stop.order_id].status is BrokerStatus.TRIGGER_PENDING
    assert [position.quantity for position in exchange.books.open_positions()] == [75]
    exchange.advance(to_ns(DAY, time(15, 40)), lambda _: MARK, lambda _: 150.0)
    assert exchange.books.orders[stop.order_id].status is BrokerStatus.CANCELLED
    assert exchange.books.account.realised == pytest.approx(49.0 * 75)


def test_order_that_outlives_its_day_fills_on_the_next_and_its_trade_is_of_that_day() -> None:
    exchange = opened(outlives_day=lambda order: order.request.instrument == SBIN)
    kept = placed(exchange, order_type=OrderType.LIMIT, price=900.0, product=Product.CNC)
    ended = placed(exchange, order_type=OrderType.LIMIT, price=900.0, instrument="NSE:INFY", product=Product.CNC)
    tomorrow = to_ns(date(2025, 12, 3), time(12))
    exchange.advance(tomorrow, lambda _: MARK, lambda _: 0.0)
    assert (kept.order_id in exchange.books.orders, ended.order_id in exchange.books.orders) == (True, False)
    assert exchange.books.account.kept == (kept.order_id,)
    exchange.on_mark(SBIN, Mark(899.0, 898.95, 899.05), tomorrow)
    assert [(trade.order_id, trade.day) for trade in exchange.books.trades] == [(kept.order_id, "2025-12-03")]


def test_square_off_that_nobody_saw_is_done_at_the_prices_of_its_time() -> None:
    exchange = opened()
    placed(exchange)
    asked: list[int] = []

    def at(_instrument: str, moment: int) -> Mark:
        asked.append(moment)
        return Mark(990.0, 989.95, 990.05)

    exchange.advance(to_ns(date(2025, 12, 3), time(12)), lambda _: MARK, lambda _: 0.0, at)
    assert asked == [to_ns(DAY, time(15, 15))]
    assert exchange.books.positions == {}
    assert exchange.books.account.realised == pytest.approx((989.95 - 1000.05) * 10)


def test_delivered_shares_become_holdings_and_can_be_sold() -> None:
    exchange = opened()
    placed(exchange, product=Product.CNC)
    tomorrow = to_ns(date(2025, 12, 3), time(12))
    exchange.advance(tomorrow, lambda _: MARK, lambda _: 0.0)
    assert exchange.books.positions == {}
    assert exchange.books.held_shares(SBIN) == 10
    placed(exchange, now=tomorrow, product=Product.CNC, side=Side.SELL)
    result, _ = exchange.place(request(product=Product.CNC, side=Side.SELL, quantity=11), MARK, tomorrow)
    assert isinstance(result, ExchangeRefusal)
    assert exchange.books.orders[result.order_id].status is BrokerStatus.REJECTED


def test_restored_books_go_on_where_they_stopped() -> None:
    exchange = opened()
    placed(exchange)
    resting = placed(exchange, order_type=OrderType.LIMIT, price=990.0)
    again = Exchange(CALENDAR, FACTS, LISTED.get, exchange.books.snapshot())
    assert again.books.available_cash() == exchange.books.available_cash()
    again.on_mark(SBIN, Mark(980.0, 979.95, 980.05), NOON + 1)
    assert again.books.orders[resting.order_id].status is BrokerStatus.COMPLETE
    assert again.books.position(SBIN, Product.MIS).quantity == 20


ORDERS = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(1, 40), st.sampled_from(list(OrderType)), st.integers(-40, 40)),
    max_size=30,
)


@settings(max_examples=examples(80), deadline=None)
@given(ORDERS)
def test_books_agree_whatever_is_traded(steps: list[tuple[Side, int, OrderType, int]]) -> None:
    exchange = opened()
    ltp = 1000.0
    for side, quantity, kind, move in steps:
        price = round(ltp + move * 0.05, 2)
        mark = Mark(ltp, ltp - 0.05, ltp + 0.05)
        limited = price if kind in (OrderType.LIMIT, OrderType.SL) else 0.0
        trigger = price if kind in (OrderType.SL, OrderType.SL_M) else 0.0
        asked = request(side=side, quantity=quantity, order_type=kind, price=limited, trigger_price=trigger)
        exchange.place(asked, mark, NOON)
        ltp = round(ltp + move * 0.05, 2)
        exchange.on_mark(SBIN, Mark(ltp, ltp - 0.05, ltp + 0.05), NOON)
    books = exchange.books
    net = sum(trade.side.sign * trade.quantity for trade in books.trades)
    paid = sum(trade.side.sign * trade.quantity * trade.price for trade in books.trades)
    position = books.position(SBIN, Product.MIS)
    assert position.quantity == net
    assert books.account.realised + position.unrealised(ltp) == pytest.approx(net * ltp - paid, abs=1e-6)
    assert {trade.order_id for trade in books.trades} == {
        order.order_id for order in books.orders.values() if order.status is BrokerStatus.COMPLETE
    }
    assert len(books.orders) == len(set(books.orders))
    assert set(books.resting.get(SBIN, {})) == {order.order_id for order in books.orders.values() if order.is_live}


@given(st.integers(-100, 100), st.integers(-100, 100).filter(bool))
def test_opening_part_is_what_enlarges_the_position(held: int, signed: int) -> None:
    after = held + signed
    beyond_flat = after if after * signed > 0 else 0
    assert opening_units(held, signed) == (signed if held * signed >= 0 else beyond_flat)


def test_reversal_realises_the_old_part_and_starts_at_the_new_price() -> None:
    exchange = opened()
    placed(exchange, Mark(100.0, 100.0, 100.0))
    position, realised = apply_fill(exchange.books.position(SBIN, Product.MIS), -25, 110.0)
    assert (position.quantity, position.average_price, realised) == (-15, 110.0, 100.0)


BAND = Mark(1000.0, 999.95, 1000.05, lower=800.0, upper=1200.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order_type": OrderType.LIMIT, "price": 799.95}, "price must be inside the price band 800.00 to 1200.00"),
        ({"order_type": OrderType.LIMIT, "price": 1200.05}, "1200.05 is not (SBIN)"),
        ({"order_type": OrderType.SL, "price": 1200.0, "trigger_price": 1300.0}, "trigger_price must be inside"),
    ],
)
def test_price_outside_the_band_is_refused(changes: dict[str, object], words: str) -> None:
    assert words in refused(opened(), BAND, **changes)


def test_price_at_the_edge_of_the_band_is_taken_and_modified_only_inside_it() -> None:
    exchange = opened()
    order = placed(exchange, BAND, order_type=OrderType.LIMIT, price=800.0)
    result, _ = exchange.modify(order.order_id, 10, 790.0, 0.0, BAND, NOON)
    assert isinstance(result, ExchangeRefusal)
    assert "price band" in result.reason
    assert exchange.books.orders[order.order_id].request.price == 800.0
