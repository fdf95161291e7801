"""Square-off of webhooks by the market's clock: intraday ones are closed on time, also after a restart of the whole
stack and one that was removed too; positional ones are kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.stack import Stack
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import AlertSender, make_home

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertSender]:
    folder = tmp_path_factory.mktemp("square-off")
    with Stack(folder, **make_home(folder / "home")) as stack:
        sender = AlertSender(stack)
        times = ("--window", "09:15-09:18", "--square-off", "09:23")
        sender.add("day", "--map", "SBIN=NSE:SBIN,MIS,5", *times)
        sender.add("gone", "--map", "TCS=NSE:TCS,MIS,5", *times)
        sender.add("kept", "--map", "INFY=NSE:INFY,CNC,5", "--positional")
        stack.up("--simulator", "--speed", "6")
        eventually(lambda: all(sender.is_taken(name) for name in ("day", "gone", "kept")), 20)
        yield sender


def test_intraday_webhook_is_closed_on_time_over_a_restart_and_a_positional_one_is_kept(hooks: AlertSender) -> None:
    stack = hooks.stack
    assert eventually(lambda: hooks.post("day", {"symbol": "SBIN", "action": "buy"}).status in (200, 202), 10)
    assert eventually(lambda: hooks.post("kept", {"symbol": "INFY", "action": "buy"}).status in (200, 202), 10)
    assert eventually(lambda: (hooks.net("day"), hooks.net("kept")) == ({"SBIN": 5}, {"INFY": 5}), 15)
    assert eventually(lambda: hooks.post("gone", {"symbol": "TCS", "action": "buy"}).status in (200, 202), 10)
    assert eventually(lambda: hooks.net("gone") == {"TCS": 5}, 15)
    assert stack.run("webhook", "remove", "gone", "--yes").returncode == 0
    assert eventually(lambda: hooks.post("gone", b"").status == 404, 5)
    before = stack.market_time()
    stack.down()
    stack.up("--simulator", "--speed", "6")
    assert before < stack.market_time() < "09:20:00"
    assert (hooks.net("day"), hooks.net("gone")) == ({"SBIN": 5}, {"TCS": 5})
    assert {row["name"]: row["state"] for row in stack.ask("strategies")}["gone"] == "CLOSING"
    eventually(lambda: hooks.is_taken("day"), 20)
    assert eventually(lambda: stack.market_time() >= "09:18:00", 60)
    assert hooks.post("day", {"symbol": "SBIN", "action": "buy", "id": "late"}).code == "OUTSIDE_WINDOW"
    assert eventually(lambda: (hooks.net("day"), hooks.net("gone")) == ({}, {}), 60)
    assert "09:20:00" <= stack.market_time() < "09:23:00"
    assert hooks.net("kept") == {"INFY": 5}
    assert eventually(lambda: "CLOSING" not in [row["state"] for row in stack.ask("strategies")], 30)
    assert hooks.post("kept", {"symbol": "INFY", "action": "sell"}).status == 202
    assert eventually(lambda: hooks.net("kept") == {}, 15)
