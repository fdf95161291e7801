"""Live money needs every gate open, whatever one field of a run file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.orders.live_gate import live_run_problem
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import AccountRole, AccountRun, RunConfig, ServerMode, VenueKind
from tests.kit.feed_process import feed_config

LIVE: dict[str, Any] = {"mode": Mode.LIVE, "trade_execution": True, "live_confirm": "main"}


def a_run(expected: ServerMode, kind: VenueKind = VenueKind.OPENALGO, **fields: Any) -> RunConfig:
    config = feed_config(Path("/state"), Path("/run"), "http://x", "ws://x", ())
    venue = msgspec.structs.replace(config.venue, expected_mode=expected, kind=kind)
    return msgspec.structs.replace(config, venue=venue, **fields)


def test_paper_run_at_an_analyzing_server_and_a_wholly_confirmed_live_run_may_send() -> None:
    assert live_run_problem(a_run(ServerMode.ANALYZE)) == ""
    assert live_run_problem(a_run(ServerMode.LIVE, **LIVE)) == ""


@pytest.mark.parametrize(
    ("expected", "changed", "said"),
    [
        (ServerMode.LIVE, {"mode": Mode.PAPER}, "found a paper run and a server in mode live"),
        (ServerMode.ANALYZE, {}, "found a live run and a server in mode analyze"),
        (ServerMode.LIVE, {"trade_execution": False}, "ENABLE_TRADE_EXECUTION=true"),
        (ServerMode.LIVE, {"live_confirm": ""}, "LIVE_CONFIRM=main, found nothing"),
        (ServerMode.LIVE, {"live_confirm": "other"}, "LIVE_CONFIRM=main, found other"),
    ],
)
def test_run_with_one_gate_closed_may_not_send(expected: ServerMode, changed: dict[str, Any], said: str) -> None:
    assert said in live_run_problem(a_run(expected, **{**LIVE, **changed}))


def test_live_run_names_every_account_that_takes_orders() -> None:
    roles = {"main": AccountRole.PRIMARY, "third": AccountRole.TRADING, "spare": AccountRole.BACKUP}
    accounts = tuple(AccountRun(id=name, rest_url="", ws_url="", api_key="", role=role) for name, role in roles.items())
    assert "LIVE_CONFIRM=main,third, found main" in live_run_problem(a_run(ServerMode.LIVE, **LIVE, accounts=accounts))
    named = {**LIVE, "live_confirm": " third, main"}
    assert live_run_problem(a_run(ServerMode.LIVE, **named, accounts=accounts)) == ""


def test_dry_run_sends_nothing_and_needs_no_gate() -> None:
    assert live_run_problem(a_run(ServerMode.LIVE, VenueKind.DRY_RUN, mode=Mode.DRY_RUN)) == ""
