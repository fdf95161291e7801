"""The typed endpoints against the simulator."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.rest.errors import BrokerDisconnected, InvalidRequest, RateLimited, SymbolNotFound
from mytrading.daemons.reconciler.margin_queries import query_margin
from mytrading.messages.enums import Product, Side
from mytrading.messages.reports import MarginLine, MarginRequest
from tests.kit.simulator_process import start_simulator
from tests.kit.waiting import eventually


def test_endpoints_give_types_over_one_connection(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        client = OpenAlgoClient(running.rest, running.api_key, time.monotonic_ns)
        assert endpoints.ping(client).message == "pong"
        assert endpoints.analyzer(client).analyze_mode is True
        assert endpoints.quote(client, "SBIN", "NSE").ltp > 0
        (found,) = endpoints.quotes(client, [("SBIN", "NSE")])
        assert found.data is not None and found.data.ltp > 0
        assert endpoints.symbol(client, "SBIN", "NSE").symbol == "SBIN"
        assert endpoints.search(client, "RELIANCE", "NSE")
        assert endpoints.expiries(client, "NIFTY", "NFO", "options")
        contract = {"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "product": "MIS", "pricetype": "MARKET"}
        assert client.call("placeorder", {"strategy": "T", "quantity": 5, **contract}, Deadline.ORDER).status == 200
        assert endpoints.margin(client, [{**contract, "quantity": 5}]).total_margin_required > 0
        days = ("1h", "2026-11-18", "2026-11-19")
        assert len(endpoints.ticker(client, "SBIN", "NSE", *days)) == 12
        assert endpoints.ticker(client, "SBIN", "NSE", *days) != endpoints.ticker(client, "RELIANCE", "NSE", *days)
        for symbol in ("", "NSE:SBIN", "A/B"):
            with pytest.raises(ValueError, match="expected an exchange and a symbol"):
                endpoints.ticker(client, symbol, "NSE", *days)
        (row,) = endpoints.pnl_by_symbol(client)
        assert (row["symbol"], row["exchange"], row["product"], row["quantity"]) == ("SBIN", "NSE", "MIS", 5)
        assert row["pnl"] == row["total_pnl_today"] == row["unrealized_pnl"]
        client.call("analyzer/toggle", {"mode": False}, Deadline.BOOK)
        with pytest.raises(InvalidRequest, match="analyzer mode only"):
            endpoints.pnl_by_symbol(client)
        client.call("analyzer/toggle", {"mode": True}, Deadline.BOOK)
        with pytest.raises(SymbolNotFound):
            endpoints.quote(client, "NOSUCH", "NSE")
        assert client.opened == 1
        with pytest.raises(BrokerDisconnected):
            endpoints.ping(OpenAlgoClient(running.rest, "wrong", time.monotonic_ns))


def ping(client: OpenAlgoClient) -> bool:
    """False if the server counted too many calls in this second."""
    try:
        return endpoints.ping(client).message == "pong"
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
        found = query_margin(client, request)
        assert (found.id, found.total) == ("q", pytest.approx(5 * 800 * 0.2))
        nowhere = msgspec.structs.replace(request, lines=(msgspec.structs.replace(line, instrument="NSE:NOSUCH"),))
        refused = query_margin(client, nowhere)
        assert refused.total is None and "Symbol NOSUCH not found" in refused.problem
