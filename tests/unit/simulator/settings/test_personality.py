"""Personalities: brokers' words against what the adapter reads, and the protection of market orders."""

from __future__ import annotations

from datetime import datetime

import pytest

from mytrading.adapters.openalgo.rest.broker_quirks import with_refusal_code
from mytrading.core.exchange.model import Holding, Mark, OrderRequest
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.formats.live_rows import LiveRows
from mytrading.simulator.settings.broker_profile import ALIASES, SentOrders, broker_profile, broker_profiles
from mytrading.simulator.settings.personality import as_sent, trigger_problem
from tests.kit.project import ROOT

PROTECTS = SentOrders(market="LIMIT", stop_market="SL")


def test_document_names_every_broker() -> None:
    text = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert [name for name in (*broker_profiles(), *ALIASES) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", broker_profiles())
def test_order_time_of_a_broker_can_be_read_back(name: str) -> None:
    moment, stamp = datetime(2026, 11, 20, 10, 31, 33), broker_profiles()[name].orders.stamp
    assert datetime.strptime(moment.strftime(stamp), stamp) == moment


def test_broker_is_known_by_the_names_of_others_too() -> None:
    found = {name: profile.name for name in ALIASES if (profile := broker_profile(name)) is not None}
    assert found == {"5paisa": "fivepaisa", "5paisaxts": "fivepaisaxts", "indiabulls": "ibulls"}
    assert broker_profile("banana") is None


def share(kind: InstrumentKind = InstrumentKind.EQ) -> Instrument:
    return Instrument(id="NSE:SBIN", exchange="NSE", symbol="SBIN", kind=kind, underlying="SBIN", tick_size=0.05)


def asked(side: Side, kind: OrderType, trigger: float = 0.0) -> OrderRequest:
    return OrderRequest(instrument="NSE:SBIN", side=side, quantity=1, order_type=kind, trigger_price=trigger)


@pytest.mark.parametrize(
    ("kind", "ltp", "side", "price"),
    [
        (InstrumentKind.CE, 8.0, Side.BUY, 8.4),
        (InstrumentKind.PE, 50.0, Side.SELL, 48.5),
        (InstrumentKind.CE, 200.0, Side.BUY, 204.0),
        (InstrumentKind.CE, 600.0, Side.SELL, 594.0),
        (InstrumentKind.EQ, 50.0, Side.BUY, 51.0),
        (InstrumentKind.FUT, 200.0, Side.BUY, 202.0),
        (InstrumentKind.EQ, 1000.0, Side.SELL, 995.0),
        (InstrumentKind.CE, 0.05, Side.SELL, 0.05),
    ],
)
def test_market_order_is_protected_by_the_slab_of_its_price(
    kind: InstrumentKind, ltp: float, side: Side, price: float
) -> None:
    made = as_sent(asked(side, OrderType.MARKET), share(kind), Mark(ltp), PROTECTS)
    assert (made.order_type, made.price) == (OrderType.LIMIT, price)


def test_stop_market_is_protected_beyond_its_trigger_and_limits_stay() -> None:
    made = as_sent(asked(Side.SELL, OrderType.SL_M, 980.0), share(), Mark(1000.0), PROTECTS)
    assert (made.order_type, made.trigger_price, made.price) == (OrderType.SL, 980.0, 975.1)
    limit = OrderRequest(instrument="NSE:SBIN", side=Side.BUY, quantity=1, order_type=OrderType.LIMIT, price=3.0)
    assert as_sent(limit, share(), Mark(1000.0), PROTECTS) == limit


def test_market_order_without_a_quote_goes_as_it_is() -> None:
    order = asked(Side.BUY, OrderType.MARKET)
    assert as_sent(order, share(), None, PROTECTS) == order


def test_live_holding_has_no_last_price() -> None:
    rows = LiveRows(broker_profiles()["zerodha"])
    row = rows.holding(Holding(instrument="NSE:SBIN", quantity=100, average_price=900.0), 985.0)
    assert (row["pnl"], row["pnlpercent"], "ltp" in row) == (8500.0, 9.44, False)


@pytest.mark.parametrize(
    ("side", "trigger", "refused"),
    [(Side.SELL, 99.95, False), (Side.SELL, 100.0, True), (Side.BUY, 100.05, False), (Side.BUY, 99.0, True)],
)
def test_stop_whose_trigger_is_passed_is_refused_in_words_that_the_adapter_knows(
    side: Side, trigger: float, refused: bool
) -> None:
    problem = trigger_problem(asked(side, OrderType.SL, trigger), Mark(100.0))
    assert bool(problem) == refused
    assert with_refusal_code(problem).startswith("TRIGGER_CROSSED") == refused
