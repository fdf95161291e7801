"""The whole stack, as an operator runs it: real processes under supervisor, the real exchange over HTTP."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.messages.ops import WithdrawCommand
from mytrading.messages.streams import ALL
from mytrading.runtime.host.clock import read_clock_file
from mytrading.runtime.streams.ops_client import Ops, new_request_id
from mytrading.runtime.supervision import control
from tests.kit.project import ROOT, copy_project
from tests.kit.simulator_process import API_KEY, start_simulator
from tests.kit.stack import Stack
from tests.kit.stack_project import make_busy_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

TICKS = ROOT / "tests" / "data" / "ticks-2024-03-13.csv.gz"


def tick_files() -> list[Path]:
    """The shipped day, and the real ones where `MYTRADING_TEST_DATA` names a folder with them."""
    folder = os.environ.get("MYTRADING_TEST_DATA")
    return [TICKS, *(sorted(Path(folder).glob("*ticks*.csv.gz")) if folder else [])]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose strategy trades each minute; each test leaves it running, resumed and trading."""
    folder = tmp_path_factory.mktemp("busy")
    with Stack(folder, **make_busy_project(folder / "home")) as stack:
        stack.up("--simulator")
        yield stack


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack as it is shipped; the last of its tests stops it."""
    with Stack(tmp_path_factory.mktemp("plain")) as stack:
        stack.up("--simulator")
        yield stack


@pytest.mark.parametrize("ticks", tick_files(), ids=lambda path: path.name.split(".")[0])
def test_replayed_day_ends_with_round_trips_and_equal_books(tmp_path: Path, ticks: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--replay", str(ticks), "--speed", "1200")
        last = eventually(lambda: stack.market_time() >= "15:31" and stack.is_settled(), 90)
        assert last
        summary = json.loads(json.dumps(stack.ask("status")))
        trades = stack.ask("trades")
        assert len(trades) >= 3, summary
        assert stack.disagreements() == []
        assert stack.broker_net() == {}
        assert stack.run("journal", "verify").returncode == 0


SELDOM = ("feed", "engine", "reconciler", "gateway", "watchdog")
"""Killed here by `make test-all` only: `make test` kills three in the kill matrix, the others in tests of their own."""
VICTIMS = [
    pytest.param(name, marks=pytest.mark.long if name in SELDOM else ()) for name in (*ALL, "simulator", "supervisord")
]


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_process_comes_back_and_books_stay_equal(busy: Stack, victim: str) -> None:
    eventually(lambda: len(busy.ask("orders", "-n", "0")) >= 1, 60)
    old = busy.kill(victim)
    new = eventually(lambda: (pid := busy.pid(victim)) not in (0, old) and pid, 30)
    assert new != old
    eventually(busy.is_ready, 40)
    before = len(busy.ask("orders", "-n", "0"))
    eventually(lambda: len(busy.ask("orders", "-n", "0")) > before and busy.is_settled(), 90)
    assert eventually(lambda: not busy.disagreements() or None, 20), busy.disagreements()
    verified = busy.run("journal", "verify")
    assert verified.returncode == 0, verified.stdout


def test_halt_denies_entries_and_resume_allows_them(busy: Stack) -> None:
    def entries() -> int:
        return sum(row["purpose"] == "entry" for row in busy.ask("orders", "-n", "0"))

    eventually(busy.is_ready, 40)
    assert busy.run("halt", "looking into it").returncode == 0
    eventually(lambda: any("HALTED" in text for row in busy.ask("signals") for text in row["denied"]), 60)
    placed = entries()
    assert busy.run("resume").returncode == 0
    eventually(lambda: entries() > placed, 60)


def test_second_start_continues_where_the_first_stopped(busy: Stack) -> None:
    eventually(lambda: len(busy.ask("orders", "-n", "0")) >= 1 and busy.is_settled(), 60)
    placed = {row["client_order_id"] for row in busy.ask("orders", "-n", "0")}
    busy.down()
    again = busy.run("up", "--detach", "--simulator")
    assert again.returncode == 0
    assert "continues" in again.stderr + again.stdout
    eventually(lambda: placed <= {row["client_order_id"] for row in busy.ask("orders", "-n", "0")}, 10)
    assert eventually(lambda: not busy.disagreements() or None, 30), busy.disagreements()


ENGINE = """
import runpy

{first}
runpy.run_module("mytrading.daemons.engine", run_name="__main__", alter_sys=True)
"""
BROKEN = """
from mytrading.core.engine.machine import EngineMachine


def broken(*_, **__):
    raise RuntimeError("no engine today")


EngineMachine.__init__ = broken
"""
SLOW = """
import time

time.sleep(3)
"""


def with_engine(folder: Path, first: str) -> Stack:
    """A stack whose engine does something else first."""
    project = copy_project(folder / "project")
    (folder / "engine.py").write_text(ENGINE.format(first=first), encoding="utf-8")
    conf = project / "supervisord.conf"
    text = conf.read_text(encoding="utf-8")
    changed = text.replace("-m mytrading.daemons.engine\n", f'"{folder / "engine.py"}"\n')
    assert changed != text
    conf.write_text(changed, encoding="utf-8")
    return Stack(folder, MYTRADING_HOME=str(project))


def test_daemon_that_dies_before_its_first_heartbeat_is_given_up_and_fails_the_start(tmp_path: Path) -> None:
    with with_engine(tmp_path, BROKEN) as stack:
        done = stack.run("up", "--detach", "--simulator")
        assert done.returncode == 1
        assert "engine gave up (exit 70): RuntimeError: no engine today" in done.stderr
        assert "the stack runs" not in done.stdout
        assert "the start failed; what did start is still there; `mytrading status`" in done.stdout
        assert control.start_counts(stack.config)["engine"] == control.EXITS
        (alert,) = eventually(lambda: [row for row in stack.ask("alerts") if row["code"] == "DAEMON_GIVEN_UP"], 15)
        assert (alert["subject"], "no engine today" in alert["message"]) == ("engine", True)


def test_market_begins_when_the_slowest_process_is_ready_and_the_log_holds_no_key(tmp_path: Path) -> None:
    with with_engine(tmp_path, SLOW) as stack:
        stack.up("--simulator")
        engine = next(row for row in stack.ask("status")["daemons"] if row["daemon"] == "engine")
        (begins,) = read_clock_file(stack.config.clock_path).segments
        assert begins.machine_ns > engine["started_machine_ns"], "a market second passed while the engine started"
        said = (Path(stack.config.log_dir) / "simulator.out").read_text(encoding="utf-8")
        assert "the market begins, all processes are ready" in said
        assert "simulator serves http://" in said and stack.config.venue.api_key not in said


def test_second_stack_on_the_same_server_and_key_is_refused_whatever_it_calls_its_account(tmp_path: Path) -> None:
    for name in ("server", "one", "two"):
        (tmp_path / name).mkdir()
    with start_simulator(tmp_path / "server", speed=60) as server:
        host, port = server.ws.rsplit("/", 1)[1].split(":")
        environment = {
            "OPENALGO_API_KEY": API_KEY,
            "OPENALGO_API_HOST": server.rest,
            "OPENALGO_WS_HOST": host,
            "OPENALGO_WS_PORT": port,
            "ENABLED_SYMBOLS": "NIFTY",
        }
        other = {**environment, "OPENALGO_API_HOST": server.rest.replace("127.0.0.1", "localhost")}
        with (
            Stack(tmp_path / "one", **environment) as first,
            Stack(tmp_path / "two", OPENALGO_ACCOUNT="b", **other) as b,
        ):
            first.up()
            assert [one["problem"] for one in first.ask("broker", "funds")] == [""]
            refused = b.run("up", "--detach")
            assert refused.returncode == 1
            assert f"already running as pid {first.pid('router')} " in refused.stderr
            assert not any(b.base.glob("*/run.msgpack"))


def test_no_entry_is_sent_once_down_has_begun_while_exits_are_and_the_next_start_trades(tmp_path: Path) -> None:
    """The strategy signals each second; risk and router are killed and start again within the same `down`."""
    with Stack(tmp_path, **make_busy_project(tmp_path / "home")) as stack:

        def entered() -> set[str]:
            rows = [row for row in stack.ask("orders") if row["purpose"] == "entry"]
            return {row["client_order_id"] for row in rows if row["state"] not in ("DENIED", "CANCELLED")}

        def denied() -> int:
            return sum(any("STOPPING" in text for text in row["denied"]) for row in stack.ask("signals"))

        stack.up("--simulator", "--speed", "60")
        eventually(lambda: len(entered()) >= 2 and stack.held(), 60)
        with Ops(stack.config) as gateway:
            gateway.ask(WithdrawCommand(request_id=new_request_id(), reason="down", stopping=True))
        before = eventually(lambda: denied() >= 2 and entered(), 30)
        eventually(lambda: not stack.held(), 30)
        for name in ("risk", "router"):
            stack.kill(name)
        known = denied()
        eventually(lambda: denied() >= known + 2, 60)
        assert entered() == before
        assert stack.down().returncode == 0
        stack.up("--simulator", "--speed", "60")
        eventually(lambda: len(entered()) > len(before), 60)


def test_dry_run_places_nothing_and_records_what_it_would_send(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_busy_project(tmp_path / "home")) as stack:
        stack.up("--simulator", "--dry-run")
        rows = eventually(lambda: [row for row in stack.ask("orders") if row["state"] == "RECORDED"], 60)
        assert all("would send" in row["message"] for row in rows)
        router = next(row for row in stack.ask("status")["daemons"] if row["daemon"] == "router")
        assert "rejected" not in router["figures"]
        assert eventually(lambda: stack.ask("perf").get("router.place"), 20)["errors"] == 0
        assert stack.rest("orderbook")["orders"] == []
        assert stack.broker_net() == {}


def test_full_disk_stops_entries_and_says_so(tmp_path: Path) -> None:
    reported = tmp_path / "reported"
    command = f"sh -c 'echo $ALERT_CODE $ALERT_STATE >> {reported}'"
    settings = {"MYTRADING_MIN_FREE_BYTES": str(1 << 60), "ALERT_COMMAND": command}
    with Stack(tmp_path, **make_busy_project(tmp_path / "home", **settings)) as stack:
        stack.up("--simulator")
        eventually(lambda: any("DISK_LOW" in text for row in stack.ask("signals") for text in row["denied"]), 60)
        assert stack.ask("orders") == []
        eventually(lambda: any(alert["code"] == "DISK_LOW" for alert in stack.ask("alerts")), 10)
        eventually(lambda: "DISK_LOW raised" in reported.read_text() if reported.exists() else None, 10)


@pytest.mark.parametrize(
    ("key", "toggle", "expected"),
    [("not-the-key", None, "key"), (API_KEY, False, "mode")],
    ids=["wrong key", "server in live mode"],
)
def test_server_that_must_not_be_traded_at_is_named_and_nothing_is_placed(
    tmp_path: Path, key: str, toggle: bool | None, expected: str
) -> None:
    (tmp_path / "server").mkdir()
    with start_simulator(tmp_path / "server", speed=60) as server:
        if toggle is not None:
            assert server.call("analyzer/toggle", mode=toggle)[0] == 200
        host, port = server.ws.rsplit("/", 1)[1].split(":")
        environment = {
            "OPENALGO_API_KEY": key,
            "OPENALGO_API_HOST": server.rest,
            "OPENALGO_WS_HOST": host,
            "OPENALGO_WS_PORT": port,
        }
        with Stack(tmp_path, **environment) as stack:
            starting = stack.begin()
            alerts = eventually(lambda: [row for row in stack.ask("alerts") if expected in row["message"].lower()], 30)
            assert alerts
            assert stack.ask("orders") == []
            assert not stack.is_ready()
            starting.kill()
            starting.wait()


def test_daemon_that_the_gateway_has_not_seen_yet_is_not_ready(plain: Stack) -> None:
    """Router and reconciler stand still, so that the gateway's successor hears nothing of them."""
    assert plain.is_ready()
    held = [plain.kill(name, signal.SIGSTOP) for name in ("watchdog", "router", "reconciler")]
    try:
        before = plain.kill("gateway")
        eventually(lambda: plain.pid("gateway") not in (0, before), 20)
        rows = {row["daemon"]: row for row in plain.ask("status")["daemons"]}
        assert not plain.is_ready()
        assert "age_s" not in rows["router"] and "age_s" not in rows["reconciler"]
        assert (rows["router"]["state"], rows["reconciler"]["state"]) == ("STARTING", "STARTING")
    finally:
        for pid in held:
            os.kill(pid, signal.SIGCONT)
    eventually(plain.is_ready, 30)


def test_down_leaves_no_process_behind(plain: Stack) -> None:
    pids = {name: plain.pid(name) for name in (*ALL, "supervisord")}
    assert all(pids.values())
    assert plain.down().returncode == 0
    assert {name: plain.pid(name) for name in pids} == dict.fromkeys(pids, 0)
    assert plain.run("status").returncode == 3


def test_unreachable_server_is_named_and_retried(tmp_path: Path) -> None:
    environment = {
        "OPENALGO_API_KEY": "some-key",
        "OPENALGO_API_HOST": "http://127.0.0.1:9",
        "OPENALGO_WS_PORT": "9999",
    }
    with Stack(tmp_path, **environment) as stack:
        starting = stack.begin()
        eventually(lambda: any("cannot connect" in row["message"] for row in stack.ask("alerts")), 30)
        assert not stack.is_ready()
        starting.kill()
        starting.wait()
