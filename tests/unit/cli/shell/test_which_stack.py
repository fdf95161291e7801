"""Choice of the stack by commands where several were started, and the error on one that cannot be read."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from mytrading.cli.main import run
from mytrading.cli.shell.failures import CONFIGURATION, NOT_RUNNING, OK, USAGE
from mytrading.cli.shell.options import log_names, profile_names, strategy_classes
from mytrading.messages.run_config import RUN_FILE, write_run_config
from mytrading.orchestrator import TradingOrchestrator, ended_stop_lines, remaining_stop_lines
from mytrading.runtime.streams.endpoints import runtime_dir
from mytrading.runtime.supervision.instance_lock import InstanceLock
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all profiles, of which `paper` and `replay` were started."""
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "all"))
    monkeypatch.chdir(ROOT)
    for profile, replay in (("paper", ""), ("replay", "/days/a day.csv.gz")):
        config = run_config(tmp_path / profile, replay)
        state = tmp_path / "all" / profile
        state.mkdir(parents=True)
        run_file = msgspec.structs.replace(config, state_dir=str(state), runtime_dir=str(runtime_dir(state)))
        write_run_config(state / RUN_FILE, run_file)
        os.utime(state / RUN_FILE, (1, 1 if profile == "paper" else 2))
    return tmp_path / "all"


def code_of(arguments: list[str]) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    return int(ended.value.code or 0)


def running(*folders: Path) -> ExitStack:
    """The stacks of these folders as good as run: this process holds the locks of their supervisors."""
    held = ExitStack()
    for folder in folders:
        lock = InstanceLock(folder / "lock" / "supervisord.lock")
        lock.acquire()
        held.callback(lock.release)
    return held


@pytest.mark.parametrize("command", ["status", "orders", "down", "perf", "calendar", "margin", "simulator fault"])
def test_two_running_stacks_are_a_question_of_usage(
    base: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(base / "paper", base / "replay"):
        assert code_of(command.split()) == USAGE
    assert "several stacks run (replay, paper): name one with --profile" in capsys.readouterr().err


@pytest.mark.parametrize("profile, start", [
    ("paper", "mytrading up --simulator"),
    ("replay", "mytrading up --replay '/days/a day.csv.gz'"),
])  # fmt: skip
@pytest.mark.parametrize("command", ["status", "orders", "chain NIFTY", "halt"])
def test_stack_that_does_not_run_is_reported_with_the_command_that_starts_it(
    base: Path, profile: str, start: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of([*command.split(), "--profile", profile]) == NOT_RUNNING
    assert f"the {profile} stack is not running; `{start}` starts it" in capsys.readouterr().err


@pytest.mark.parametrize("profile, embedded, start", [
    ("default", False, "mytrading up"),
    ("default-live", False, "mytrading up"),
    ("second", False, "mytrading up --profile second"),
    ("second-dry-run", False, "mytrading up --profile second --dry-run"),
    ("paper-dry-run", True, "mytrading up --simulator --dry-run"),
])  # fmt: skip
def test_start_command_names_profile_and_dry_run(tmp_path: Path, profile: str, embedded: bool, start: str) -> None:
    config = run_config(tmp_path)
    rules = msgspec.structs.replace(config.simulator, embedded=embedded)
    stack = TradingOrchestrator(msgspec.structs.replace(config, profile=profile, simulator=rules))
    assert stack.start_command == start


def test_shell_is_offered_logs_and_profiles(base: Path) -> None:
    assert log_names("r") == ["reconciler", "risk", "router"] and "error" in log_names("")
    (base / "paper").rename(base / "second")
    assert profile_names("") == ["default", "paper", "replay", "second"]
    assert profile_names("s") == ["second"]


def test_profile_that_was_never_started_is_reported_beside_those_that_were(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["orders", "--profile", "papre"]) == NOT_RUNNING
    assert "--profile: expected one that was started (paper, replay), found papre" in capsys.readouterr().err


def test_kill_for_a_misspelt_profile_is_refused_and_writes_nothing(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["kill", "halt", "--profile", "papre"]) == USAGE
    assert "(paper, replay), found papre" in capsys.readouterr().err
    assert not (base / "papre").exists()


def test_running_stack_with_a_damaged_run_file_is_reported_with_how_to_end_it(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base / "paper" / RUN_FILE).write_bytes(b"\x00of another version")
    with running(base / "paper"):
        assert code_of(["down"]) == CONFIGURATION
        said = capsys.readouterr().err
        assert "is not a run file of this version" in said and f"`kill {os.getpid()}` ends it" in said
        assert code_of(["kill", "halt"]) == OK
    assert (base / "paper" / "KILL").exists()


def test_damaged_run_file_of_a_stack_that_does_not_run_keeps_no_other_from_being_found(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base / "replay" / RUN_FILE).write_bytes(b"\x00")
    assert code_of(["status"]) == NOT_RUNNING
    assert "the paper stack is not running" in capsys.readouterr().err
    assert code_of(["status", "--profile", "replay"]) == CONFIGURATION
    assert "`mytrading up` writes it again" in capsys.readouterr().err


def test_shell_completes_strategies_that_a_backtest_can_run() -> None:
    assert strategy_classes("SMA") == ["SMA_Crossover"]
    assert {"Options_Straddle", "Swing_Break_Seller"} < set(strategy_classes(""))


@pytest.mark.parametrize(("other", "where"), [("main", ""), ("second", " in main")])
def test_stop_that_stays_is_reported_with_its_account_where_there_are_several(other: str, where: str) -> None:
    stop = {"account": "main", "strategy": "S", "side": "SELL", "quantity": 20, "instrument": "NSE:A"}
    rows = [{**stop, "trigger_price": 98.5}, {**stop, "account": other, "trigger_price": 97.0, "filled_seen": 5}]
    first, second = remaining_stop_lines(rows)
    assert first == f"the stop of S{where} stays at the broker: SELL 20 NSE:A at 98.5"
    assert "SELL 15 NSE:A at 97" in second


@pytest.mark.parametrize(("other", "where"), [("main", ""), ("second", " in main")])
def test_stop_of_the_engine_is_reported_as_ended_with_the_position_that_it_leaves(other: str, where: str) -> None:
    row = {"account": "main", "strategy": "S", "instrument": "NSE:A", "quantity": 20, "stop": 98.5}
    first, second = ended_stop_lines([row, {**row, "account": other, "quantity": -5, "stop": 103.0}])
    assert first.startswith(f"the stop of S{where} is held by the engine and ends: +20 NSE:A has no stop at 98.5")
    assert "-5 NSE:A has no stop at 103" in second
