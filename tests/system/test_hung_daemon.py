"""A daemon that hangs, stopped by a signal: noticed by its silence, killed, started anew. One stack for all."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

NOTICED_S = 8.0
"""Five seconds without a heartbeat, of which one is sent a second and looked for twice a second; the rest is load."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("hung")) as running:
        running.up("--simulator")
        yield running


OFTEN, SELDOM = ("risk", "feed", "watchdog"), ("engine", "router", "reconciler", "gateway")


@pytest.mark.parametrize("victim", [*OFTEN, *(pytest.param(name, marks=pytest.mark.long) for name in SELDOM)])
def test_hung_daemon_is_noticed_and_replaced(stack: Stack, victim: str) -> None:
    stopped = time.monotonic()
    old = stack.kill(victim, signal.SIGSTOP)
    eventually(lambda: stack.pid(victim) != old, NOTICED_S)
    assert time.monotonic() - stopped > 3, "killed by something else than its silence"
    eventually(lambda: stack.pid(victim) not in (0, old), 30)
    eventually(stack.is_ready, 40)
    eventually(lambda: victim in {row["subject"] for row in alerts(stack) if row["code"] == "DAEMON_HUNG"}, 20)


@pytest.mark.long
def test_watchdog_and_gateway_that_hang_together_are_both_replaced(stack: Stack) -> None:
    """Each watched the other, so that nobody noticed, and from then on nobody was watched."""
    old = {name: stack.kill(name, signal.SIGSTOP) for name in ("gateway", "watchdog")}
    eventually(lambda: stack.pid("watchdog") not in (0, old["watchdog"]), 30)
    eventually(lambda: stack.pid("gateway") not in (0, old["gateway"]), 60)
    eventually(stack.is_ready, 40)
    reported = [row for row in alerts(stack) if (row["code"], row["subject"]) == ("DAEMON_HUNG", "watchdog")]
    assert "feed" in {row["daemon"] for row in reported}


def alerts(stack: Stack) -> list[dict[str, Any]]:
    """Those that ended too: the daemon that keeps them may have been the one that hung."""
    return stack.ask("alerts", "--all")
