"""The typed endpoints against the simulator."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from mytrading.adapters.openalgo.api import account, market, orders
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.adapters.openalgo.rest.error_types import BrokerDisconnected, InvalidRequest, RateLimited, SymbolNotFound
from mytrading.daemons.reconciler.margin_queries import answer_of
from mytrading.messages.enums import Product, Side
from mytrading.messages.reports import MarginLine, MarginRequest
from tests.kit.simulator_process import start_simulator
from tests.kit.waiting import eventually


def test_endpoints_give_types_over_one_connection(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        client = OpenAlgoClient(running.rest, running.api_key, time.monotonic_ns)
        assert account.ping(client).message == "pong"
        assert account.analyzer(client).analyze_mode is True
        assert market.quote(client, "SBIN", "NSE").ltp > 0
        assert market.depth(client, "SBIN", "NSE").bids[0].price > 0
        (found,) = market.quotes(client, [("SBIN", "NSE")])
        assert found.data is not None and found.data.ltp > 0
        assert market.symbol(client, "SBIN", "NSE").symbol == "SBIN"
        assert market.search(client, "RELIANCE", "NSE")
        assert market.expiries(client, "NIFTY", "NFO", "options")
        contract = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "product": "MIS", "pricetype": "MARKET"}
        placed = orders.place(client, strategy="T", quantity=5, **contract)
        assert orders.order_status(client, str(placed.orderid), "T")["orderid"] == placed.orderid
        assert orders.open_position(client, "T", "SBIN", "NSE", "MIS").quantity == 5
        assert account.margin(client, [{**contract, "quantity": 5}]).total_margin_required > 0
        days = ("1h", "2026-11-18", "2026-11-19")
        assert len(market.ticker(client, "SBIN", "NSE", *days)) == 12
        assert market.ticker(client, "SBIN", "NSE", *days) != market.ticker(client, "RELIANCE", "NSE", *days)
        for symbol in ("", "NSE:SBIN", "A/B"):
            with pytest.raises(ValueError, match="expected an exchange and a symbol"):
                market.ticker(client, symbol, "NSE", *days)
        (row,) = account.pnl_by_symbol(client)
        assert (row["symbol"], row["exchange"], row["product"], row["quantity"]) == ("SBIN", "NSE", "MIS", 5)
        assert row["pnl"] == row["total_pnl_today"] == row["unrealized_pnl"]
        account.toggle_analyzer(client, False)
        with pytest.raises(InvalidRequest, match="analyzer mode only"):
            account.pnl_by_symbol(client)
        account.toggle_analyzer(client, True)
        with pytest.raises(SymbolNotFound):
            orders.place(client, strategy="T", quantity=5, **{**contract, "symbol": "NOSUCH"})
        assert client.opened == 1
        with pytest.raises(BrokerDisconnected):
            account.ping(OpenAlgoClient(running.rest, "wrong", time.monotonic_ns))


def ping(client: OpenAlgoClient) -> bool:
    """False if the server counted too many calls in this second."""
    try:
        return account.ping(client).message == "pong"
    except RateLimited:
        return False


def test_hundred_calls_come_over_one_connection_as_the_server_counts_them(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        client = OpenAlgoClient(running.rest, running.api_key, time.monotonic_ns)
        ping(client)
        before = running.get("/sim/state")[1]["data"]["connections"]
        for _ in range(100):
            eventually(lambda: ping(client))
        after = running.get("/sim/state")[1]["data"]
        own = 1  # the reading of the count itself
        assert after["connections"] - before == own
        assert after["requests"]["ping 200"] == 101


def test_margin_answer_is_the_servers_figure_or_the_reason_why_there_is_none(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        client = OpenAlgoClient(running.rest, running.api_key, time.monotonic_ns)
        line = MarginLine(instrument="NSE:SBIN", side=Side.BUY, quantity=5, product=Product.MIS, price=800.0)
        request = MarginRequest(id="q", account="main", lines=(line,), machine_ns=1)
        found = answer_of(client, request)
        assert (found.id, found.total) == ("q", pytest.approx(5 * 800 * 0.2))
        nowhere = msgspec.structs.replace(request, lines=(msgspec.structs.replace(line, instrument="NSE:NOSUCH"),))
        refused = answer_of(client, nowhere)
        assert refused.total is None and "Symbol NOSUCH not found" in refused.problem
