"""Tables, times and log lines as people read them, and what the command line loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import pytest

from mytrading.cli.main import run
from mytrading.cli.shell.failures import ERROR, OK, TIMED_OUT
from mytrading.cli.shell.output import print_rows
from mytrading.cli.stack.commands import status_headline
from mytrading.cli.stack.logs import follow_lines, format_log_line
from mytrading.cli.stack.viewer import detached_state, run_summary
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.time import format_ist
from mytrading.messages.ops import StatusQuery
from mytrading.runtime.observability.log_lines import last_lines
from mytrading.runtime.streams.ops_client import Ops, OpsRefused, OpsTimedOut
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config


def test_print_rows_aligns_columns_and_shows_indian_time(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"at_ns": 1795406969415886980, "price": 32.9, "note": None}]
    print_rows(rows, ("at_ns", "price", "note"), False, "none")
    assert capsys.readouterr().out.splitlines() == ["at                   price  note", "2026-11-23 09:39:29  32.90  –"]


def test_print_rows_without_rows_says_so_or_prints_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], ("a",), False, "no orders")
    print_rows([], ("a",), True, "no orders")
    assert capsys.readouterr().out == "no orders\n[]\n"


def test_clock_time_is_indian_whatever_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert format_ist(0, "%Y-%m-%d %H:%M") == "1970-01-01 05:30"


def test_headline_gives_a_reason_for_the_trading_level_only_if_there_is_one() -> None:
    control = ControlMachine()
    body = {"system": "S", "profile": "paper", "mode": "paper", "market_ns": 0, "speed": 1.0}
    current = control.overall_level()
    assert status_headline({**body, "trading": {"level": current.level.value, "reason": current.reason}}).endswith(
        " normal"
    )
    assert status_headline({**body, "trading": {"level": "halt", "reason": "lunch"}}).endswith(" halt (lunch)")
    reported = {"trading": {"level": "halt", "reason": "lunch", "by": "asha"}, "kill": {"word": "reduce"}}
    assert status_headline({**body, **reported}).endswith(" halt (lunch, by asha) · KILL says reduce")


def test_closing_words_of_a_dry_run_say_that_nothing_was_sent() -> None:
    orders = {"placed": 0, "filled": 0, "recorded": 3}
    pnl = {"realised": 0.0, "unrealised": 0.0}
    body = {"quotes": 9, "bars": 2, "signals": 3, "positions": [], "strategies": [], "pnl": pnl}
    assert "0 orders placed, 3 recorded and not sent, 0 filled" in run_summary({**body, "orders": orders})
    assert "recorded" not in run_summary({**body, "orders": {**orders, "recorded": 0}})


def test_render_structured_line_shows_time_component_event_and_fields() -> None:
    line = json.dumps(
        {"time": "2026-11-21T08:30:25.155028+05:30", "level": "info", "component": "risk", "event": "a.b", "n": 1}
    )
    assert format_log_line(line) == "08:30:25.155 info     risk       a.b n=1"
    assert format_log_line("Traceback") == "Traceback"


def test_new_lines_gives_whole_lines_only_and_goes_on_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    path.write_text("old\n")
    lines = follow_lines(path)
    assert next(lines) is None
    with path.open("a") as file:
        file.write("one\ntw")
    assert [next(lines), next(lines)] == ["one", None]
    path.rename(tmp_path / "main.log.1")
    path.write_text("three\n")
    assert [next(lines), next(lines)] == ["three", None]


def test_tail_of_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log") == []


def test_ops_without_a_gateway_times_out_naming_the_verb(tmp_path: Path) -> None:
    with Ops(run_config(tmp_path)) as ops, pytest.raises(OpsTimedOut, match="'status'"):
        ops.ask(StatusQuery(), timeout_s=0.05)
    assert not issubclass(OpsTimedOut, OpsRefused)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, mytrading.cli.main as main\n"
        f"try:\n    main.run({arguments!r})\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'pandas', 'numpy', 'numba', 'pydantic', 'rich', 'zmq', 'duckdb', 'openalgo', 'structlog', 'psutil'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["loaded []"]), done.stderr


def environment_of(folder: Path) -> dict[str, str]:
    """An environment without anything of the person who tests."""
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    return {"PATH": "/usr/bin:/bin", "MYTRADING_HOME": str(ROOT), **home}


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "word"),
    [
        (["statu"], {}, 2, "status"),
        (["up", "--for", "x"], {}, 2, "--for"),
        (["up", "--speed", "5"], {}, 2, "--simulator"),
        (["up", "--speed", "0"], {}, 2, "--simulator"),
        (["up", "--simulator", "--speed=-1"], {}, 2, "--speed"),
        (["up", "--simulator", "--speed", "0", "--dry-run"], {}, 2, "--speed 0"),
        (["up", "--replay", "/no/such/file"], {}, 2, "/no/such/file"),
        (["simulator", "--rest-port", "99999999"], {}, 2, "expected a port from 0 to 65535"),
        (["status"], {}, 3, "up"),
        (["down"], {}, 3, "up"),
        (["up"], {}, 4, "OPENALGO_API_KEY"),
        (["up"], {"TRADING_MODE": "live", "OPENALGO_API_KEY": "k"}, 4, "LIVE_CONFIRM"),
        (["up", "--simulator"], {"MAX_POSITION_SIZE": "-5"}, 4, "MAX_POSITION_SIZE"),
        (["config", "check"], {"OPENALGO_API_KEY": "k", "LOG_LEVEL": "LOUD"}, 4, "LOG_LEVEL"),
        (["config", "check", "--profile", "paper"], {}, 0, ""),
        (["config", "check", "--profile", "paper"], {"SMA_FAST_PERIOD": "60"}, 4, "60 must be below slow_period"),
    ],
)
def test_cli_failure_exits_with_its_code_and_says_why(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    code: int,
    word: str,
) -> None:
    whole = patch.dict(os.environ, {**environment_of(tmp_path), **environment}, clear=True)
    with whole, chdir(ROOT), pytest.raises(SystemExit) as ended:
        run(arguments)
    said = capsys.readouterr().err
    assert (ended.value.code, word in said) == (code, True), said


@pytest.mark.slow
def test_failure_is_the_exit_code_of_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mytrading.cli.main", "status"],
        env=environment_of(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, "up" in done.stderr) == (3, True), done.stderr


def test_detached_start_says_that_the_stack_runs_only_when_it_is_ready() -> None:
    assert detached_state(OK, True) == "the stack runs"
    others = (detached_state(ERROR, False), detached_state(TIMED_OUT, False), detached_state(OK, False))
    assert others[0].startswith("the start failed")
    assert others[1] == others[2] == "the stack is not ready yet and goes on starting"
