"""Alerts of the router while risk, which holds stops itself, is away or has a journal in doubt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.core.time import SECOND
from mytrading.daemons.router.daemon import TradeManager
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState, Product, Severity
from mytrading.messages.level_names import stop_level_name
from mytrading.messages.orders import Position, PositionChanged
from tests.kit.feed_process import runtime_folder
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

AWAY = 10 * SECOND
HELD = Position(
    account="paper", instrument="NSE:SBIN", product=Product.MIS, strategy="T", run="r", quantity=10, quantity_seen=10,
    average_price=800.0, held_stop=784.0,
)  # fmt: skip


@pytest.fixture
def router(tmp_path: Path) -> Iterator[TradeManager]:
    """A router whose strategy holds ten shares, the stop with risk."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    with runtime_folder() as runtime, ExitStack() as stack:
        config = replace(run_config(tmp_path), home=str(tmp_path), runtime_dir=str(runtime))
        router = TradeManager(replace(config, venue=replace(config.venue, rest_url="http://127.0.0.1:1")))
        stack.callback(router.context.destroy, linger=0)
        router.setup()
        stack.callback(router.teardown)
        router.record([PositionChanged(position=HELD, client_order_id="", fill_quantity=10, fill_price=800.0, at_ns=1)])
        yield router


def beat(router: TradeManager, at_ns: int, *stops: str, ready: bool = True) -> None:
    router._entry_guard.on_heartbeat(
        Heartbeat(
            daemon="risk", pid=1, state=DaemonState.RUNNING, ready=ready, machine_ns=at_ns, market_ns=1,
            started_machine_ns=1, figures=dict.fromkeys(stops, 784.0),
        ),
        at_ns,
    )  # fmt: skip


def blind(router: TradeManager, at_ns: int) -> Alert | None:
    router._guard(at_ns)
    return next((alert for alert in router.alerts.active if alert.code == "ENGINE_STOP_BLIND"), None)


def now(router: TradeManager) -> int:
    return router._entry_guard._well["risk"]


def test_position_whose_stop_an_absent_risk_holds_is_named_until_risk_is_back(router: TradeManager) -> None:
    """Before its first heartbeat the entry tells that it holds the stop."""
    began, name = now(router), stop_level_name(HELD.owner)
    assert blind(router, began + AWAY - 1) is None
    reported = blind(router, began + AWAY)
    assert reported is not None and reported.severity is Severity.CRITICAL
    assert reported.message.startswith("risk is silent for 10 s, and it holds the stop of T in NSE:SBIN")
    beat(router, began + AWAY + SECOND, name)
    assert blind(router, began + AWAY + SECOND) is None
    assert blind(router, began + 2 * AWAY + SECOND) is not None


def test_risk_that_comes_back_with_a_journal_in_doubt_and_no_figures_ends_no_alert(router: TradeManager) -> None:
    """Its first heartbeats hold no stops: the alert was cleared while nobody guarded the position."""
    began, name = now(router), stop_level_name(HELD.owner)
    beat(router, began + SECOND, name)
    assert blind(router, began + SECOND + AWAY) is not None
    beat(router, began + 2 * AWAY, ready=False)
    reported = blind(router, began + 2 * AWAY)
    assert reported is not None and reported.message.startswith("risk is not well for 19 s, and it holds the stop of T")


def test_position_whose_stop_risk_no_longer_holds_is_not_named(router: TradeManager) -> None:
    began = now(router)
    beat(router, began + SECOND)
    assert blind(router, began + SECOND + AWAY) is None
