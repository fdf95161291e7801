"""The supervisor process on programs of the test's own: who is started again, how soon, and who no more."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from mytrading.cli.main import run
from mytrading.messages.run_config import RUN_FILE, RunConfig, write_run_config
from mytrading.orchestrator import StackFailed, TradingOrchestrator
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.control import EXITS, EndedPrograms, SupervisorFailed
from tests.kit.feed_process import runtime_folder
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually

HEAD = """
[supervisord]
nodaemon=true
silent=true
logfile={state}/supervisord.log
pidfile={runtime}/supervisord.pid

[unix_http_server]
file={runtime}/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = """
[program:{name}]
command={command}
autorestart=unexpected
exitcodes=78
startsecs=0
redirect_stderr=true
stdout_logfile={logs}/{name}.out
"""
COMMANDS = {
    "engine": "echo boom; exit 70",
    "gateway": "exit 0",
    "feed": "exit 78",
    "router": "sleep 0.05; exit 75",
    "reconciler": "exit 74",
    "risk": "sleep 600",
}


@contextmanager
def supervised(tmp_path: Path, commands: Mapping[str, str]) -> Iterator[RunConfig]:
    """A running supervisor of some programs."""
    with runtime_folder() as runtime:
        made = msgspec.structs.replace(run_config(tmp_path), home=str(tmp_path), runtime_dir=str(runtime))
        text = HEAD.format(state=made.state_dir, runtime=runtime)
        for name, command in commands.items():
            shell = command if command.startswith("/") else f"sh -c '{command}'"
            text += PROGRAM.format(name=name, command=shell, logs="%(ENV_MYTRADING_LOG_DIR)s")
        (tmp_path / "supervisord.conf").write_text(text)
        assert control.revive(made)
        yield made
        control.shut_down(made)
        eventually(lambda: not control.supervisor_pid(made.state), 15)


def supervisorctl(folder: Path, *words: str) -> str:
    """Output of `supervisorctl` typed in the folder, without a variable of ours in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MYTRADING_")}
    command = [str(Path(sys.executable).with_name("supervisorctl")), "-c", "supervisord.conf", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout + done.stderr


def as_shipped(section: str) -> str:
    """A section of the shipped `supervisord.conf`."""
    text = (ROOT / "supervisord.conf").read_text(encoding="utf-8")
    return re.search(rf"^\[{section}\].*?(?=^\[|\Z)", text, re.DOTALL | re.MULTILINE)[0]  # type: ignore[index]


def test_supervisorctl_by_hand_shows_the_stack_of_the_project_folder(tmp_path: Path) -> None:
    with supervised(tmp_path, {"risk": "sleep 600"}):
        with (tmp_path / "supervisord.conf").open("a") as conf:
            conf.write(f"\n{as_shipped('supervisorctl')}")
        assert re.search(r"risk +RUNNING", supervisorctl(tmp_path, "status"))
    assert "no such file" in supervisorctl(tmp_path, "status")


def test_supervisorctl_by_hand_reads_the_shipped_file_without_a_stack(tmp_path: Path) -> None:
    copied = tmp_path / "supervisord.conf"
    copied.write_text((ROOT / "supervisord.conf").read_text(encoding="utf-8"))
    assert "logs/supervisor.sock no such file" in supervisorctl(tmp_path, "status")


def test_default_stack_takes_the_link_of_supervisorctl_and_no_other_takes_it_from_one_that_runs(tmp_path: Path) -> None:
    link = tmp_path / control.LINK
    with supervised(tmp_path, {"risk": "sleep 600"}) as first:
        assert first.profile == "paper" and link.resolve() == control.socket_path(first)
        other = msgspec.structs.replace(first, runtime_dir=str(tmp_path))
        control._link_socket(other)
        assert link.resolve() == control.socket_path(first)
        control._link_socket(msgspec.structs.replace(other, profile="default-live"))
        assert link.resolve() == control.socket_path(other)
    control._link_socket(first)
    assert link.resolve() == control.socket_path(first), "nobody answers behind the other"


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    """A running supervisor of programs that end in each way."""
    with supervised(tmp_path, COMMANDS) as made:
        yield made


def state(config: RunConfig, name: str) -> str:
    found = control.programs(config).get(name)
    return found.state if found else ""


def test_program_that_ends_at_once_is_started_ever_later_and_given_up_at_the_fifth_end(config: RunConfig) -> None:
    began = time.monotonic()
    assert eventually(lambda: state(config, "engine") == "FATAL", 20)
    assert time.monotonic() - began > 1.0
    assert control.start_counts(config)["engine"] == EXITS
    assert control.programs(config)["engine"].exit_code == 70
    assert control.last_output(config, "engine") == "boom"
    assert state(config, "risk") == "RUNNING"


def test_program_that_ends_with_0_unasked_is_started_again_and_counted(config: RunConfig) -> None:
    """An engine whose strategy called `os._exit(0)` stayed down, and nobody said so."""
    assert eventually(lambda: state(config, "gateway") == "FATAL", 20)
    assert control.start_counts(config)["gateway"] == EXITS


def test_program_that_found_the_disk_full_is_tried_again_later_and_never_given_up(config: RunConfig) -> None:
    assert eventually(lambda: control.start_counts(config).get("reconciler", 0) == 2, 20)
    assert eventually(lambda: control.programs(config)["reconciler"].exit_code == 74, 20), "it runs for a moment"
    assert state(config, "engine") == "FATAL", "five ends took less time than the wait for room"


def test_program_that_found_its_lock_taken_is_tried_again_later_and_never_given_up(config: RunConfig) -> None:
    """Guards against starts without a pause for as long as the other process holds the lock."""
    assert eventually(lambda: state(config, "engine") == "FATAL", 20)
    assert control.start_counts(config)["router"] == 1, "five ends took less time than the wait for the lock"
    assert eventually(lambda: control.start_counts(config)["router"] == 2, 20)
    assert state(config, "router") != "FATAL"


def test_expected_end_stays_ended(config: RunConfig) -> None:
    assert eventually(lambda: state(config, "feed") == "EXITED", 20)
    assert (state(config, "feed"), control.start_counts(config)["feed"]) == ("EXITED", 1)
    ended = EndedPrograms(config)
    ended.poll()
    assert (ended.stopped, ended.began) == ({"feed"}, 1)


def test_given_up_follows_the_log_and_forgets_a_program_started_by_hand(config: RunConfig) -> None:
    given_up = EndedPrograms(config)
    assert eventually(lambda: given_up.poll() == {"engine", "gateway"}, 20)
    with suppress(xmlrpc.client.Fault):  # it may have ended before the call returns
        control.connect(config).supervisor.startProcess("engine", False)
    assert eventually(lambda: given_up.poll() == {"gateway"}, 10)
    assert eventually(lambda: given_up.poll() == {"engine", "gateway"}, 20)
    assert control.start_counts(config)["engine"] == 2 * EXITS


def test_program_runs_and_is_started_again_where_no_console_can_be_written(tmp_path: Path) -> None:
    """A folder of logs that was read-only or full kept a killed router from ever coming back."""
    with supervised(tmp_path, {"risk": "sleep 600"}) as config:
        eventually(lambda: state(config, "risk") == "RUNNING", 20)
        console = Path(config.log_dir) / "risk.out"
        console.unlink()
        console.mkdir()
        os.kill(control.programs(config)["risk"].pid, signal.SIGKILL)
        assert eventually(lambda: control.start_counts(config)["risk"] == 2 and state(config, "risk") == "RUNNING", 20)
        assert "risk runs without a console" in (config.state / "supervisord.log").read_text()


def test_program_that_cannot_be_started_fails_the_start_at_once_and_logs_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A minute passed in silence, and `mytrading logs` had no lines."""
    with supervised(tmp_path, {"engine": "/no such place/python -m engine", "risk": "sleep 600"}) as config:
        eventually(lambda: control.start_failures(config), 20)
        began = time.monotonic()
        with pytest.raises(StackFailed, match="engine could not be started: can't find command '/no'; see `mytrading"):
            TradingOrchestrator(config).wait_ready(60.0)
        assert time.monotonic() - began < 20
        write_run_config(config.state / RUN_FILE, config)
        monkeypatch.setenv("MYTRADING_STATE_DIR", str(config.state.parent))
        for name, reported in (("", True), ("engine", True), ("risk", False)):
            with pytest.raises(SystemExit) as ended:
                run(["logs", *([name] if name else []), "--profile", config.state.name])
            said = capsys.readouterr()
            shown = "process.not_started process=engine why=can't find command '/no'" in said.out
            assert (ended.value.code, shown) == (0, reported), said


def test_supervisor_starts_where_the_folder_of_logs_is_none(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with supervised(tmp_path, {"risk": "sleep 600"}) as config:
        assert eventually(lambda: state(config, "risk") == "RUNNING", 20)


def test_what_a_stack_writes_is_unseen_by_others_whatever_the_operators_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with supervised(tmp_path, {"risk": "umask; sleep 600"}) as config:
            console = Path(config.log_dir) / "risk.out"
            eventually(lambda: console.exists() and console.read_text(), 20)
            assert console.read_text().strip() == "0027"
            assert [
                path.name for path in (console, config.state / "supervisord.log") if path.stat().st_mode & 0o027
            ] == []
    finally:
        os.umask(before)


def test_shell_that_allows_too_few_open_files_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervisor ended with an AttributeError of its own."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 64))
    with pytest.raises(SupervisorFailed, match=r"allows 64 open files, expected 256 .*ulimit -n 1024"):
        control.revive(run_config(tmp_path))
    assert f"minfds={control.OPEN_FILES}\n" in (ROOT / "supervisord.conf").read_text()


def test_supervisor_that_takes_no_requests_is_shut_down_all_the_same(tmp_path: Path) -> None:
    with supervised(tmp_path, {"risk": "sleep 600"}) as made:
        control.socket_path(made).unlink()
        control.shut_down(made)
        eventually(lambda: not control.supervisor_pid(made.state), 15)
        assert not control.programs(made)
