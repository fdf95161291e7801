"""One bad line in each table of `config/`, then every daemon killed: all come back on what was accepted before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.stack import Stack
from tests.kit.stack_project import make_busy_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

TABLES = ("calendar.toml", "instruments.toml", "risk.toml", "webhook_senders.toml")
KILLED = ("feed", "engine", "risk", "router", "reconciler", "gateway", "webhooks", "console", "simulator")
BAD = "\nspoilt = [\n"


def test_bad_line_in_each_table_costs_no_daemon_its_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = make_busy_project(home, CONSOLE_ENABLED="true", CONSOLE_PORT="0", WEBHOOK_PORT="0")
    with Stack(tmp_path, **environment) as stack:
        added = stack.run("webhook", "add", "own", "--sender", "generic", "--map", "INFY=NSE:INFY,MIS,1", "--json")
        assert added.returncode == 0, added.stderr
        stack.up("--simulator")
        for name in TABLES:
            with (home / "config" / name).open("a", encoding="utf-8") as file:
                file.write(BAD)
        running = {name: stack.pid(name) for name in KILLED}
        assert all(running.values()), running
        killed = {name: stack.kill(name) for name in KILLED}
        eventually(lambda: all(stack.pid(name) not in (0, pid) for name, pid in killed.items()), 40)
        eventually(stack.is_ready, 60)
        lost = [name for name in KILLED if not stack.beat(name)["ready"]]
        assert not lost, stack.log()
