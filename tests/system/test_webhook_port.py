"""A port for alerts that another program has: this process ends with what to do, and nothing else waits for it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mytrading.runtime.supervision import control
from tests.kit.simulator_process import API_KEY, start_simulator
from tests.kit.stack import Stack
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import AlertSender, make_home

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_stack_at_a_server_runs_without_alerts_while_their_port_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken, start_simulator(folder) as server:
        port = taken.getsockname()[1]
        host, ws_port = server.ws.rsplit("/", 1)[1].split(":")
        where = {"OPENALGO_API_HOST": server.rest, "OPENALGO_WS_HOST": host, "OPENALGO_WS_PORT": ws_port}
        environment = make_home(tmp_path / "home", OPENALGO_API_KEY=API_KEY, **where, WEBHOOK_PORT=str(port))
        with Stack(tmp_path, **environment) as stack:
            hooks = AlertSender(stack)
            hooks.add("alerts", "--map", "SBIN=NSE:SBIN,MIS,5")
            stack.up()
            ended = eventually(lambda: (found := programs(stack)["webhooks"]).state == "EXITED" and found, 20)
            assert ended.exit_code == 78
            others = {name: row.state for name, row in programs(stack).items() if name not in ("webhooks", "console")}
            assert {state for name, state in others.items() if name != "simulator"} == {"RUNNING"}, others
            assert stack.ask("endpoints")["webhooks"] is None
            log = (Path(stack.config.log_dir) / "webhooks.out").read_text()
            assert f"port {port} of 127.0.0.1 cannot be had" in log
            assert "set WEBHOOK_PORT to another one" in log


def programs(stack: Stack) -> dict[str, control.Program]:
    return control.programs(stack.config)
