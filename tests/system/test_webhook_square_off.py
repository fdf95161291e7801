"""Square-off of webhooks by the market's clock: intraday ones are closed on time, also after a restart of the whole
stack; positional ones are kept."""

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
        sender.add("kept", "--map", "INFY=NSE:INFY,CNC,5", "--positional")
        stack.up("--simulator", "--speed", "6")
        eventually(lambda: sender.is_taken("day") and sender.is_taken("kept"), 20)
        yield sender


def test_intraday_webhook_is_closed_on_time_over_a_restart_and_a_positional_one_is_kept(hooks: AlertSender) -> None:
    stack = hooks.stack
    assert eventually(lambda: hooks.post("day", {"symbol": "SBIN", "action": "buy"}).status in (200, 202), 10)
    assert eventually(lambda: hooks.post("kept", {"symbol": "INFY", "action": "buy"}).status in (200, 202), 10)
    assert eventually(lambda: (hooks.net("day"), hooks.net("kept")) == ({"SBIN": 5}, {"INFY": 5}), 15)
    before = stack.market_time()
    stack.down()
    stack.up("--simulator", "--speed", "6")
    assert before < stack.market_time() < "09:20:00"
    assert hooks.net("day") == {"SBIN": 5}
    eventually(lambda: hooks.is_taken("day"), 20)
    assert eventually(lambda: stack.market_time() >= "09:18:00", 60)
    assert hooks.post("day", {"symbol": "SBIN", "action": "buy", "id": "late"}).code == "OUTSIDE_WINDOW"
    assert eventually(lambda: hooks.net("day") == {}, 60)
    assert "09:20:00" <= stack.market_time() < "09:23:00"
    assert hooks.net("kept") == {"INFY": 5}
    assert hooks.post("kept", {"symbol": "INFY", "action": "sell"}).status == 202
    assert eventually(lambda: hooks.net("kept") == {}, 15)
