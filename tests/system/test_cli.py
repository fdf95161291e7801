"""The command line on a running stack: every command's JSON, and the ways in which `up` ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.warehouse import Warehouse
from tests.golden.json_commands import missing_keys, paths
from tests.kit.project import ROOT, copy_project
from tests.kit.stack import Stack
from tests.kit.waiting import PATIENCE, eventually

pytestmark = pytest.mark.system

SUMMARY = {
    "mode",
    "daemons",
    "quotes",
    "bars",
    "signals",
    "orders",
    "positions",
    "pnl",
    "latency_ms",
    "strategies",
    "alerts",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("cli")) as stack:
        stack.up("--simulator")
        eventually(lambda: stack.ask("orders"), 40)
        yield stack


@pytest.mark.parametrize("verb", ["orders", "positions", "trades", "signals", "alerts", "strategies"])
def test_book_as_json_is_a_list_of_objects(running: Stack, verb: str) -> None:
    rows = running.ask(verb)
    assert isinstance(rows, list)
    assert all(isinstance(row, dict) for row in rows)


@pytest.mark.parametrize("verb", ["orders", "positions", "trades", "signals", "alerts", "strategies", "status", "perf"])
def test_table_prints_lines_and_exits_0(running: Stack, verb: str) -> None:
    done = running.run(verb)
    assert (done.returncode, bool(done.stdout.strip())) == (0, True), done.stderr


def test_status_lists_every_process_with_pid_and_restarts(running: Stack) -> None:
    rows = {row["daemon"]: row for row in running.ask("status")["daemons"]}
    assert set(rows) == {"simulator", "feed", "engine", "risk", "router", "reconciler", "gateway", "watchdog"}
    assert all(row["pid"] == running.pid(name) for name, row in rows.items())
    assert all(row["restarts"] == 0 for row in rows.values())


def test_status_table_has_the_coverage_of_the_feed(running: Stack) -> None:
    def fresh() -> str:
        head, *rows = running.run("status").stdout.splitlines()[1:]
        return next(row for row in rows if row.startswith("feed "))[head.index("fresh") :]

    def expected() -> float:
        return float(running.beat("feed")["figures"].get("expected", 0.0))

    reported = eventually(lambda: (found := fresh()).startswith(f"{expected():g} of ") and expected() and found, 20)
    fresh_now, _, watched = reported.split(maxsplit=3)[:3]
    assert fresh_now == watched


def test_perf_has_figures_of_every_process(running: Stack) -> None:
    components = {"data_manager", "strategy_engine", "engine", "risk", "router", "reconciler", "gateway", "watchdog"}
    assert eventually(lambda: {name.split(".")[0] for name in running.ask("perf")} >= components | {"simulator"}, 10)


def test_trace_of_a_signal_reaches_engine_risk_and_router(running: Stack) -> None:
    order = running.ask("orders")[0]
    done = running.run("journal", "show", "--trace", order["cause"], "--json", "--limit", "0")
    daemons = {json.loads(line)["daemon"] for line in done.stdout.splitlines()}
    assert daemons >= {"engine", "risk", "router"}


def test_faults_of_the_stacks_simulator_are_switched_and_shown(running: Stack) -> None:
    (row,) = running.ask("simulator", "fault", "delay_ms:x5,ms=1,route=ping")
    assert (row["kind"], row["left"], row["ms"]) == ("delay_ms", 5, 1.0)
    assert running.ask("simulator", "fault", "--clear") == []


def test_faults_of_no_stack_say_that_none_runs(tmp_path: Path) -> None:
    done = Stack(tmp_path).run("simulator", "fault")
    assert done.returncode == 3, done.stderr
    assert "up --simulator" in done.stderr


def test_journal_verify_while_running_finds_nothing(running: Stack) -> None:
    assert running.ask("journal", "verify")["ok"] is True


def test_journal_export_writes_a_parquet_file(running: Stack, tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    assert running.run("journal", "export", str(target)).returncode == 0
    assert target.read_bytes()[:4] == b"PAR1"


def test_logs_of_a_process_and_of_trades_have_lines(running: Stack) -> None:
    assert "order." in running.run("logs", "trade").stdout
    assert "daemon.started" in running.run("logs", "router", "-n", "500").stdout
    assert running.run("logs", "nosuch").returncode == 2


def command(stack: Stack, *arguments: str, **streams: Any) -> Any:
    """A command that goes on beside the test; a forked one hears Ctrl-C wherever the tests run."""
    return stack.start(*arguments, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams})


def test_tail_prints_each_stream_as_objects_by_name(running: Stack) -> None:
    wanted = {"status": 30, "market": 20, "orders": 1, "signals": 1}
    limit = str(60 * PATIENCE)
    tails = {name: command(running, "tail", name, "--json", "-n", str(n), "--for", limit) for name, n in wanted.items()}
    seen: dict[str, list[Any]] = {}
    for name, process in tails.items():
        out, problems = process.communicate(timeout=90 * PATIENCE)
        assert process.returncode == 0, problems
        seen[name] = [json.loads(line) for line in out.splitlines()]
        assert len(seen[name]) == wanted[name] and {row["stream"] for row in seen[name]} == {name}
    assert {row["topic"] for row in seen["status"]} >= {"clock", "router"}
    assert all("market_ns" in row["message"] or "end_ns" in row["message"] for row in seen["market"])
    assert not any(row["topic"].startswith("shown/") for row in seen["market"])
    (order,), (signal,) = seen["orders"], seen["signals"]
    assert (order["topic"], order["sequence"] > 0, signal["topic"]) == ("router", True, "engine")
    assert {"type", "strategy"} <= set(signal["message"])


def test_tail_ends_in_order_on_ctrl_c_a_closed_pipe_and_a_topic_that_is_silent(running: Stack) -> None:
    interrupted, closed = command(running, "tail", "status", "risk"), command(running, "tail", "status", "clock")
    silent = command(running, "tail", "market", "NSE:NOBODY")
    late = command(running, "tail", "market", "NSE:NOBODY", "-n", "1", "--for", "0.5")
    assert interrupted.stdout is not None and closed.stdout is not None and silent.stdout is not None
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3} risk  +\w+ \w+=", interrupted.stdout.readline())
    interrupted.send_signal(signal.SIGINT)
    assert (interrupted.wait(30 * PATIENCE), interrupted.communicate()[1]) == (0, "")
    assert " clock        ClockTick market=" in closed.stdout.readline()
    for process in (closed, silent):
        process.stdout.close()  # type: ignore[union-attr]
        assert process.wait(30 * PATIENCE) == 0
        assert process.stderr is not None and process.stderr.read() == ""
    assert "0 of 1 messages came within 0.5 s" in late.communicate(timeout=30 * PATIENCE)[1] and late.returncode == 5


def test_example_of_the_documents_reads_a_running_stack_with_pyzmq_and_msgpack_alone(running: Stack) -> None:
    places = running.ask("endpoints")
    assert places["running"] and Path(places["named_dir"]).resolve() == Path(places["runtime_dir"]).resolve()
    rows = {(row["stream"], row["writer"]): row["endpoint"] for row in places["streams"]}
    assert rows["orders", "router"].startswith("ipc://") and rows["signals", "engine"] is None
    example = [sys.executable, "-I", str(ROOT / "docs" / "examples" / "watch_stack.py"), "status"]
    process = subprocess.Popen(
        [*example, Path(places["named_dir"]).name], env=running.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    topics: set[str] = set()
    try:
        while not topics >= {"clock", "feed", "engine", "risk", "router", "reconciler", "gateway", "watchdog"}:
            topic, sequence, message = process.stdout.readline().split(" ", 2)
            assert int(sequence) > 0 and "'type': " in message
            topics.add(topic)
    finally:
        process.terminate()
        process.wait()


def test_halt_and_resume_show_in_status(running: Stack) -> None:
    running.ask("halt", "lunch")
    trading = running.ask("status")["trading"]
    assert (trading["level"], trading["reason"]) == ("halt", "lunch")
    assert trading["by"], "who said it is kept"
    running.ask("resume")
    assert running.ask("status")["trading"]["level"] == "normal"


def test_instruments_of_the_day_come_into_the_warehouse_by_themselves(running: Stack) -> None:
    snapshot = InstrumentFile(running.state).snapshot()
    warehouse = Warehouse(running.state)
    assert eventually(warehouse.instrument_days, 40) == [snapshot.day]
    assert {item.id for item in warehouse.instruments(snapshot.day)} == {item.id for item in snapshot.instruments}


def test_second_up_and_fresh_are_refused_with_the_pid(running: Stack) -> None:
    for option in ((), ("--fresh",), ("--detach",)):
        done = running.run("up", "--simulator", *option)
        assert done.returncode == 1
        assert str(running.pid("supervisord")) in done.stderr


def viewer(stack: Stack, *arguments: str, **streams: Any) -> Any:
    """`up --simulator` in the foreground."""
    return stack.start("up", "--simulator", *arguments, **streams)


def test_up_for_seconds_ends_with_the_summary_as_last_line(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        done = stack.run("up", "--simulator", "--for", "5", "--json")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1
        body = json.loads(done.stdout)
        assert set(body) >= SUMMARY
        assert missing_keys("up --for", set(paths(body))) == []
        assert set(body["orders"]) == {"placed", "filled", "rejected", "cancelled", "unknown", "denied", "recorded"}
        assert all(set(row) >= {"state", "restarts", "rss_mb", "cpu_s"} for row in body["daemons"].values())
        assert stack.run("status").returncode == 3
        measured = stack.run("logs", "performance", "-n", "9999", "--json").stdout
        lines = [json.loads(line) for line in measured.splitlines()]
        assert {line["component"] for line in lines} == set(body["daemons"])
        counts = {line["operation"]: line["count"] for line in lines}
        assert all(counts[name] for name in ("strategy_engine.execute", "simulator.step", "simulator.instruments"))
        assert all(line["p50_ms"] <= line["p99_ms"] <= line["max_ms"] for line in lines)


def test_newcomer_with_an_empty_home_sees_a_first_fill_within_twenty_seconds(tmp_path: Path) -> None:
    """In a folder with blanks, a quote and a per cent sign in its name, the interpreter's included."""
    folder = tmp_path / "my 'paper' money, 100 %"
    (folder / "home").mkdir(parents=True)
    copy_project(folder / "a project")
    (folder / "a project" / ".venv").symlink_to(sys.prefix)
    here = {"HOME": str(folder / "home"), "MYTRADING_HOME": str(folder / "a project")}
    with Stack(folder, forked=False, **here, XDG_STATE_HOME="", XDG_RUNTIME_DIR="") as stack:
        stack.command = [str(folder / "a project" / ".venv" / "bin" / "python"), "-m", "mytrading"]
        done = stack.run("up", "--simulator", "--for", "20", "--json")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout.strip().splitlines()[-1])
        assert summary["orders"]["filled"] >= 1
        assert summary["mode"] == "paper"


def test_up_names_a_faulted_strategy_when_ready_and_at_the_end_until_it_is_mended(tmp_path: Path) -> None:
    fault = "strategy SMA_Crossover is faulted and does nothing: strategies/sma_crossover.py:"
    with Stack(tmp_path, SMA_FAST_PERIOD="9") as stack:
        shown = stack.run("up", "--simulator", "--for", "1").stdout
        assert [line[: len(fault)] for line in shown.splitlines()].count(fault) == 2, shown
        assert "strategies: SMA_Crossover faulted" in shown
        body = stack.ask("up", "--simulator", "--detach")
        assert [row["state"] for row in body["strategies"]] == ["FAULTED"]
        stack.down()
    with Stack(tmp_path) as mended:
        body = mended.ask("up", "--simulator", "--for", "1")
        assert [row["state"] for row in body["strategies"]] == ["RUNNING"]
        assert not any(alert["code"] == "STRATEGY_FAULTED" for alert in body["alerts"])


def test_up_ctrl_c_stops_the_stack(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        process = viewer(stack, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: stack.run("status").returncode == 0, 40)
        watching = command(stack, "tail", "status")
        assert watching.stdout is not None and watching.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60 * PATIENCE) == 0
        assert stack.pid("supervisord") == 0
        assert watching.communicate(timeout=30 * PATIENCE)[1].endswith("stack was stopped\n")
        assert watching.returncode == 3


@pytest.mark.parametrize("shared", [False, True], ids=["stdout", "stdout and stderr"])
def test_up_whose_reader_goes_away_stops_the_stack(tmp_path: Path, shared: bool) -> None:
    with Stack(tmp_path) as stack:
        errors = subprocess.STDOUT if shared else subprocess.PIPE
        process = viewer(stack, "--for", "60", stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        assert "paper stack" in "".join(process.stdout.readline() for _ in range(3))
        process.stdout.close()
        assert process.wait(45 * PATIENCE) == 0
        assert process.stderr is None or "the reader of the output is gone: stopping the stack" in process.stderr.read()
        assert stack.run("status").returncode == 3
        assert stack.pid("supervisord") == 0


def test_up_hang_up_leaves_the_stack_running(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        process = viewer(stack, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: stack.run("status").returncode == 0, 40)
        process.send_signal(signal.SIGHUP)
        assert process.wait(30 * PATIENCE) == 0
        assert stack.run("status").returncode == 0


def test_up_on_a_terminal_shows_profit_positions_and_processes_and_stops_on_q(tmp_path: Path) -> None:
    with Stack(tmp_path, forked=False, TERM="xterm", COLUMNS="140", LINES="45") as stack:
        ours, theirs = pty.openpty()
        process = viewer(stack, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        os.set_blocking(ours, False)
        seen = bytearray()
        parts = (b"P&L", b"positions", b"processes run and are ready")
        eventually(lambda: all(part in _read(ours, seen) for part in parts), 60)
        os.write(ours, b"q")
        eventually(lambda: _read(ours, seen) is not None and process.poll() is not None, 60)
        os.close(ours)
        assert process.returncode == 0
        assert stack.pid("supervisord") == 0


def _read(descriptor: int, seen: bytearray) -> bytearray:
    try:
        seen += os.read(descriptor, 65536)
    except OSError:
        return seen
    return seen


def test_down_after_supervisor_and_watchdog_died_leaves_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--simulator")
        for name in ("watchdog", "supervisord"):
            stack.kill(name)
        stack.run("down")
        names = ("simulator", "feed", "engine", "risk", "router", "reconciler", "gateway", "watchdog", "supervisord")
        eventually(lambda: not any(stack.pid(name) for name in names), 20)
        assert stack.run("status").returncode == 3
