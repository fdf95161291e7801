"""A backup that is started beside its running original, at one exchange: nothing is sold or guarded twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.kit.project import unpack
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, LONG, WIDE, make_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(300)]
GUARDED = """
name = "Long"
symbols = ["INFY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 20
stop = "broker"
stop_loss_percent = 5
signal_cooldown = 0
"""
MODES = {
    "live": {"TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main"},
    "sandbox": {"TRADING_MODE": "paper"},
}


def book(server: RunningSimulator) -> list[tuple[str, str, int, str]]:
    rows = server.call("orderbook")[1]["data"]["orders"]
    return [(row["action"], row["pricetype"], int(row["quantity"]), row["order_status"]) for row in rows]


@contextmanager
def machine(folder: Path, environment: dict[str, str]) -> Iterator[Stack]:
    """A stack as on a machine of its own: with another runtime folder, short as sockets need it, no lock is shared."""
    folder.mkdir()
    with TemporaryDirectory() as runtime, Stack(folder, **environment, XDG_RUNTIME_DIR=runtime) as stack:
        yield stack


@pytest.mark.parametrize("mode", sorted(MODES))
def test_original_that_sells_out_leaves_no_stop_of_the_copy_over_nothing(tmp_path: Path, mode: str) -> None:
    (tmp_path / "server").mkdir()
    clock = tmp_path / "server" / "market.json"
    options: dict[str, Any] = {"speed": 60, "start": "2026-11-20 10:00", "personality": mode, "clock": clock}
    with start_simulator(tmp_path / "server", **options) as server:
        host, port = server.ws.rsplit("/", 1)[1].split(":")
        environment = make_project(
            tmp_path / "home", HEAD + LONG, {"Long": GUARDED}, WIDE,
            OPENALGO_API_KEY=API_KEY, OPENALGO_API_HOST=server.rest, OPENALGO_WS_HOST=host, OPENALGO_WS_PORT=port,
            SIMULATOR_CLOCK=str(clock), **MODES[mode],
        )  # fmt: skip
        with machine(tmp_path / "one", environment) as one, machine(tmp_path / "two", environment) as two:
            one.up()
            eventually(lambda: one.held() == {"Long": 20}, 90)
            eventually(lambda: ("SELL", "SL", 20, "trigger pending") in book(server), 30)
            assert one.run("strategies", "disable", "Long").returncode == 0
            unpack(Path(one.ask("state", "backup")["file"]), tmp_path / "copy")
            two.base.mkdir(exist_ok=True)
            (tmp_path / "copy" / "state").rename(two.base / one.state.name)
            two.up()
            assert two.held() == {"Long": 20}
            done = one.run("positions", "close", "NSE:INFY", "--strategy", "Long", "--yes")
            assert done.returncode == 0, done.stderr
            eventually(lambda: one.held() == {}, 60)
            eventually(lambda: two.held() == {}, 60)
            assert server.call("positionbook")[1]["data"][0]["quantity"] == 0
            assert not [row for row in book(server) if row[3] in ("open", "trigger pending")]
            assert [row[:2] for row in book(server)].count(("SELL", "SL")) == 1, "no second stop"
            if mode == "live":
                return  # rows of live servers bear no tags
            found = eventually(lambda: [row for row in two.ask("alerts") if row["code"] == "OTHER_COPY"], 20)
            assert (found[0]["subject"], found[0]["severity"]) == ("main", "critical")
            assert "another copy of this state" in two.ask("status")["entries_closed"]
