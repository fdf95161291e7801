"""The process `webhooks` killed at each boundary that an alert for three stocks passes: each stock has one order.

A sender that got no answer sends its alert again, as TradingView does after a closed connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.runtime.supervision import control
from tests.kit.kill_launcher import ALERT_BOUNDARIES
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import CLOSED, AlertSender, make_home

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

STOCKS = ("HDFCBANK", "ICICIBANK", "AXISBANK")
HELD = dict.fromkeys(STOCKS, 5)


class Killed:
    """A stack whose process `webhooks` has a trap."""

    def __init__(self, stack: Stack, traps: Path) -> None:
        self.stack, self.trap = stack, traps / "webhooks"
        self.hooks = AlertSender(stack)
        self.sent = 0

    def scan(self, action: str) -> int:
        """Send one alert for the three stocks until it is answered; returns the first status."""
        self.sent += 1
        body = {"stocks": ",".join(STOCKS), "scan_name": f"{action} them", "triggered_at": f"alert {self.sent}"}
        first = self.hooks.post("scan", body).status
        if first in (CLOSED, 503):
            eventually(self._starts, 20)
            eventually(lambda: self.hooks.post("scan", body).status in (200, 202), 20)
        return first

    def _starts(self) -> bool:
        """True once another process runs; one that died five times within a minute is started by hand."""
        program = control.programs(self.stack.config).get("webhooks")
        if program is not None and program.state == "FATAL":
            control.start_program(self.stack.config, "webhooks")
        return self.stack.pid("webhooks") != 0


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    folder = tmp_path_factory.mktemp("kills")
    traps = folder / "traps"
    traps.mkdir()
    environment = make_home(folder / "home") | {"KILL_TRAPS": str(traps), "KILL_PERSONALITY": "sandbox"}
    conf, launcher = folder / "home" / "supervisord.conf", ROOT / "tests" / "kit" / "kill_launcher.py"
    conf.write_text(conf.read_text().replace("-m mytrading.daemons.webhooks\n", f'"{launcher}" webhooks\n'))
    with Stack(folder, **environment) as stack:
        made = Killed(stack, traps)
        words = [word for name in STOCKS for word in ("--map", f"{name}=NSE:{name},MIS,5")]
        made.hooks.add("scan", *words, sender="chartink")
        stack.up("--simulator", "--speed", "1")
        eventually(lambda: made.hooks.is_taken("scan"), 20)
        yield made


@pytest.mark.parametrize("boundary", ALERT_BOUNDARIES)
def test_killed_at_a_boundary_each_stock_has_one_order(killed: Killed, boundary: str) -> None:
    before, pid = len(killed.hooks.entries("scan")), killed.stack.pid("webhooks")
    killed.trap.write_text(f"{boundary} alert")
    first = killed.scan("BUY")
    assert first == CLOSED or boundary == "answered", first
    assert eventually(lambda: not killed.trap.exists(), 5)  # sprung after the answer it may be later than that
    assert eventually(lambda: killed.hooks.net("scan") == HELD, 20)
    assert len(killed.hooks.entries("scan")) == before + len(STOCKS)
    eventually(lambda: killed.stack.pid("webhooks") not in (0, pid) or killed._starts(), 20)
    eventually(lambda: killed.hooks.is_taken("scan"), 20)
    assert killed.scan("SELL") == 202
    assert eventually(lambda: killed.hooks.net("scan") == {}, 20)


def test_journals_are_in_order_after_all_kills(killed: Killed) -> None:
    done = killed.stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout


def test_lost_journal_is_made_again_from_its_reader_and_alerts_go_on(killed: Killed) -> None:
    stack = killed.stack

    def alerted(daemon: str, code: str) -> bool:
        return any((row["daemon"], row["code"]) == (daemon, code) for row in stack.ask("alerts"))

    assert killed.scan("BUY") == 202
    assert eventually(lambda: killed.hooks.net("scan") == HELD, 20)
    assert killed.scan("SELL") == 202
    assert eventually(lambda: killed.hooks.net("scan") == {}, 20)
    (journal,) = (stack.state / "journal" / "webhooks").glob("*.journal")
    journal.unlink()
    stack.kill("webhooks")
    eventually(killed._starts, 20)
    eventually(lambda: killed.hooks.is_taken("scan"), 30)
    assert eventually(lambda: alerted("webhooks", "JOURNAL_TAIL_LOST"), 10)
    assert killed.scan("BUY") == 202  # the next signal tells risk that its writer began anew: entries are denied
    assert eventually(lambda: alerted("risk", "UPSTREAM_LOST_ROWS"), 10)
    assert killed.hooks.net("scan") == {}
    assert stack.run("resume").returncode == 0
    assert eventually(lambda: not alerted("risk", "UPSTREAM_LOST_ROWS"), 10)
    assert killed.scan("BUY") == 202
    assert eventually(lambda: killed.hooks.net("scan") == HELD, 20)
    assert killed.scan("SELL") == 202
    assert eventually(lambda: killed.hooks.net("scan") == {}, 20)
