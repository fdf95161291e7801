"""What the reader asks the gateway for, and when: lists once they have changed, for all pages together."""

from __future__ import annotations

from pathlib import Path

from mytrading.messages.enums import OrderState
from mytrading.messages.market import Quote
from mytrading.messages.orders import OrderChanged
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.order_samples import order


def test_list_is_read_again_once_the_books_have_changed_and_not_before(tmp_path: Path) -> None:
    made = ConsoleOfTest(tmp_path)
    try:
        page, view = made.browser("asha"), made.gateway.server.context.view
        lists = made.server.reader._lists
        assert page.get("/api/orders").json()["rows"] == {}
        known = lists["orders"]
        view.apply(Quote(instrument="NSE:SBIN", ltp=800.0, market_ns=1, received_ns=1))
        assert page.get("/api/orders").status_code == 200 and lists["orders"] is known, "a quote changes no order"
        rests, filled = (order(client_order_id="o1", state=state) for state in (OrderState.ACCEPTED, OrderState.FILLED))
        view.apply(OrderChanged(order=rests, event="accepted", machine_ns=1))
        assert page.get("/api/needs").status_code == 200 and lists["orders"] is not known
        assert page.get("/api/orders").json()["rows"]["o1"]["state"] == "ACCEPTED"
        view.apply(OrderChanged(order=filled, event="filled", machine_ns=2))
        assert page.get("/api/orders").json()["rows"]["o1"]["state"] == "FILLED"
    finally:
        made.stop()
