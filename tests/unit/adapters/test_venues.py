"""Orders on the wire, and their outcome at the dry-run venue."""

from typing import Any

from mytrading.adapters.venues import DryRunVenue, order_request_fields
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.orders import Order


def order(**fields: Any) -> Order:
    given: dict[str, Any] = {
        "client_order_id": "c" * 20,
        "account": "main",
        "instrument": "NFO:NIFTY30DEC2526000CE",
        "product": Product.NRML,
        "strategy": "sma",
        "run": "r",
        "cause": "s",
        "purpose": Purpose.ENTRY,
        "side": Side.BUY,
        "quantity": 65,
        "order_type": OrderType.MARKET,
        "state": OrderState.SUBMITTED,
        "created_ns": 1,
        "updated_ns": 1,
        "price": 101.05,
        "trigger_price": 99.0,
        "broker_order_id": "77",
    }
    return Order(**{**given, **fields})


def test_place_payload_holds_the_schema_and_nothing_else() -> None:
    assert order_request_fields(Call.PLACE, order()) == {
        "strategy": "c" * 20,
        "symbol": "NIFTY30DEC2526000CE",
        "exchange": "NFO",
        "action": "BUY",
        "quantity": 65,
        "pricetype": "MARKET",
        "product": "NRML",
        "price": 0,
        "trigger_price": 0,
        "disclosed_quantity": 0,
    }


def test_prices_go_only_where_the_type_has_them() -> None:
    sent = {
        kind: (
            order_request_fields(Call.PLACE, order(order_type=kind))["price"],
            order_request_fields(Call.PLACE, order(order_type=kind))["trigger_price"],
        )
        for kind in OrderType
    }
    assert sent == {
        OrderType.MARKET: (0, 0),
        OrderType.LIMIT: (101.05, 0),
        OrderType.SL: (101.05, 99.0),
        OrderType.SL_M: (0, 99.0),
    }


def test_price_is_sent_without_digits_of_arithmetic() -> None:
    assert order_request_fields(Call.PLACE, order(order_type=OrderType.LIMIT, price=0.1 + 0.2))["price"] == 0.3


def test_modify_and_cancel_name_the_broker_order() -> None:
    assert order_request_fields(Call.MODIFY, order())["orderid"] == "77"
    assert order_request_fields(Call.CANCEL, order()) == {"strategy": "c" * 20, "orderid": "77"}


def test_long_client_id_fits_the_servers_field() -> None:
    assert len(order_request_fields(Call.PLACE, order(client_order_id="x" * 300))["strategy"]) == 100


def test_dry_run_records_and_says_what_it_would_send() -> None:
    venue = DryRunVenue(lambda: 42)
    outcome = venue.finish(Call.PLACE, order(order_type=OrderType.SL, price=101.05, trigger_price=99.0), None)
    assert (outcome.call, outcome.outcome, outcome.broker_order_id) == (Call.PLACE, Outcome.RECORDED, "")
    assert outcome.message == "dry run: would send BUY 65 NFO:NIFTY30DEC2526000CE NRML SL at 101.05 trigger 99"
    assert venue.finish(Call.CANCEL, order(), None).outcome is Outcome.RECORDED
