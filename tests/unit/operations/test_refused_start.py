"""A start at a refused broker: it ends at once only where ledger and books both show that nothing is held."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.config.brokers import load_brokers
from mytrading.messages.codec import encode_body
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.messages.run_config import AccountRun, RunConfig, ServerMode, SimulatorRules
from mytrading.operations.refused_start import refused_start
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal
from tests.kit.order_samples import order_of
from tests.kit.run_configs import run_config
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator

DAY = "2026-11-20"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("refused"), personality="live", broker="paytm") as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, server: RunningSimulator) -> RunConfig:
    plain = run_config(tmp_path)
    venue = replace(
        plain.venue, account="main", rest_url=server.rest, ws_url=server.ws, api_key=API_KEY,
        expected_mode=ServerMode.LIVE,
    )  # fmt: skip
    return replace(plain, venue=venue, simulator=SimulatorRules(), brokers=load_brokers(), accounts=())


def write(config: RunConfig, *rows: Any) -> None:
    journal = Journal(config.journal_dir("router"), "router", DAY, 4096)
    journal.append([Entry(OUTPUT, "orders", encode_body(row)) for row in rows], 1, 1)
    journal.close()


def position(quantity: int, account: str = "main") -> PositionChanged:
    level = Position(
        account=account, instrument="NSE:SBIN", product=Product.MIS, strategy="S", run="r", quantity=quantity,
        quantity_seen=quantity, opened_ns=1, updated_ns=1,
    )  # fmt: skip
    return PositionChanged(position=level, client_order_id="x", fill_quantity=quantity, fill_price=1.0, at_ns=1)


def test_nothing_held_ends_the_start_with_the_name_of_the_setting(config: RunConfig) -> None:
    assert "ACCEPTED_BROKERS=paytm" in refused_start(config)
    write(config, position(10), position(0))
    assert refused_start(config), "it was closed"


def test_units_of_the_ledger_start_the_stack(config: RunConfig) -> None:
    write(config, position(10))
    assert refused_start(config) == ""


def test_units_of_another_account_in_the_ledger_do_not(config: RunConfig) -> None:
    write(config, position(10, account="second"))
    assert refused_start(config)


def test_order_that_may_still_trade_starts_the_stack(config: RunConfig) -> None:
    order = order_of(
        client_order_id="e1", account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="S", run="r",
        cause="c", purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, price=1.0,
        state=OrderState.ACCEPTED, created_ns=1, updated_ns=1,
    )  # fmt: skip
    write(config, OrderChanged(event="accepted", order=order, machine_ns=1))
    assert refused_start(config) == ""


def test_units_of_the_position_book_start_the_stack(config: RunConfig, server: RunningSimulator) -> None:
    assert server.place(product="MIS", pricetype="MARKET", price=0)[0] == 200
    try:
        assert refused_start(config) == ""
    finally:
        server.place(action="SELL", product="MIS", pricetype="MARKET", price=0)


def test_books_that_cannot_be_read_start_the_stack(config: RunConfig, server: RunningSimulator) -> None:
    server.call("/sim/fault", kind="book_500", route="positionbook")
    assert refused_start(config) == ""
    down = replace(config, venue=replace(config.venue, rest_url="http://127.0.0.1:1"))
    assert refused_start(down) == ""


def test_one_of_several_accounts_ends_nothing(config: RunConfig, server: RunningSimulator) -> None:
    second = AccountRun(id="second", rest_url="http://127.0.0.1:1", ws_url=server.ws, api_key="k")
    assert refused_start(replace(config, accounts=(replace(second, role="trading"),))) == ""  # type: ignore[arg-type]


def test_accepted_broker_and_analyze_mode_are_not_refused(config: RunConfig) -> None:
    assert refused_start(replace(config, accepted_brokers=("paytm",))) == ""
    paper = replace(config.venue, expected_mode=ServerMode.ANALYZE)
    assert refused_start(replace(config, venue=paper)) == ""
