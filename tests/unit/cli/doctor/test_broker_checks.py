"""Doctor on the account's broker: its limits are named, and one in no row is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.cli.doctor.broker_checks import check_broker
from mytrading.cli.doctor.checks import CheckContext, Finding, Verdict
from mytrading.config.brokers import load_brokers
from mytrading.messages.run_config import AccountRole, AccountRun, ServerMode, SimulatorRules
from mytrading.orchestrator import TradingOrchestrator
from tests.kit.run_configs import run_config
from tests.kit.simulator_process import API_KEY, start_simulator

Found = Callable[..., Finding]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folders = (tmp_path_factory.mktemp("paytm"), tmp_path_factory.mktemp("zerodha"))
    with (
        start_simulator(folders[0], personality="live", broker="paytm") as paytm,
        start_simulator(folders[1], personality="live", broker="zerodha") as zerodha,
    ):
        yield {"paytm": paytm, "zerodha": zerodha}


@pytest.fixture
def found(tmp_path: Path, servers: dict[str, Any]) -> Found:
    def of(name: str, mode: ServerMode = ServerMode.LIVE, **fields: Any) -> Finding:
        plain, server = run_config(tmp_path), servers[name]
        venue = replace(plain.venue, rest_url=server.rest, ws_url=server.ws, api_key=API_KEY, expected_mode=mode)
        fields = {"brokers": load_brokers(), **fields}
        config = replace(plain, venue=venue, simulator=SimulatorRules(), **fields)
        return check_broker(CheckContext(TradingOrchestrator(config)))

    return of


def test_refused_broker_fails_with_reason_and_setting(found: Found) -> None:
    row = found("paytm")
    assert row.verdict is Verdict.FAILED
    assert "MARKET order" in row.found and "2026-11-25" in row.found and "ACCEPTED_BROKERS=paytm" in row.found


def test_broker_that_a_busy_server_does_not_name_is_asked_for_again(found: Found, servers: dict[str, Any]) -> None:
    servers["zerodha"].call("/sim/fault", kind="rate_limited", route="ping", count=1)
    row = found("zerodha")
    assert row.verdict is Verdict.FAILED and "per 1 second" in row.found
    assert row.cure.startswith("run `mytrading doctor` again")


def test_accepted_broker_is_looked_at_since_the_engine_holds_its_stops(found: Found) -> None:
    row = found("paytm", accepted_brokers=("paytm",))
    assert row.verdict is Verdict.WARNING and "the engine holds all stops" in row.found


def test_limits_of_the_broker_are_named(found: Found) -> None:
    row = found("zerodha")
    assert row.verdict is Verdict.OK and row.found.startswith("zerodha, with limits")
    assert all(note in row.found for note in load_brokers()["zerodha"].notes)


def test_broker_that_is_in_no_row_gets_a_line(found: Found) -> None:
    row = found("zerodha", brokers={"paytm": load_brokers()["paytm"]})
    assert row.verdict is Verdict.WARNING
    assert "zerodha is not in the table of brokers" in row.found and "brokers check" in row.cure


def test_limits_do_not_count_where_no_order_reaches_the_broker(found: Found) -> None:
    row = found("paytm", mode=ServerMode.ANALYZE)
    assert row.verdict is Verdict.OK and "do not count" in row.found


def test_prices_and_history_of_a_source_are_named_in_analyze_mode_too(found: Found) -> None:
    assert "It has no history" in found("paytm", mode=ServerMode.ANALYZE).found
    assert "It has no history" in found("paytm").found
    assert "CDS" in found("zerodha").found


def test_account_that_only_takes_orders_says_nothing_of_prices(tmp_path: Path, servers: dict[str, Any]) -> None:
    server, plain = servers["zerodha"], run_config(tmp_path)
    account = AccountRun(id="more", rest_url=server.rest, ws_url=server.ws, api_key=API_KEY, role=AccountRole.TRADING)
    venue = replace(plain.venue, rest_url=server.rest, ws_url=server.ws, api_key=API_KEY)
    config = replace(plain, venue=venue, simulator=SimulatorRules(), brokers=load_brokers(), accounts=(account,))
    for role, said in ((AccountRole.TRADING, False), (AccountRole.BACKUP, True)):
        context = CheckContext(TradingOrchestrator(config), account=replace(account, role=role))
        assert ("CDS" in check_broker(context).found) is said
