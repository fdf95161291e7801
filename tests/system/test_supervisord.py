"""The supervisor process on programs of the test's own: who is started again, how soon, and who no more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mytrading.messages.runconfig import RunConfig
from mytrading.runtime import supervision
from mytrading.runtime.supervision import EXITS, GivenUp
from tests.feed_support import runtime_folder
from tests.support import eventually
from tests.unit.cli.stacks import run_config

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
command=sh -c '{command}'
autorestart=unexpected
exitcodes=0,78
startsecs=0
redirect_stderr=true
stdout_logfile={logs}/{name}.out
"""
COMMANDS = {"engine": "echo boom; exit 70", "feed": "exit 78", "router": "sleep 0.05; exit 75", "risk": "sleep 600"}


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    """A running supervisor of four programs."""
    with runtime_folder() as runtime:
        made = msgspec.structs.replace(run_config(tmp_path), home=str(tmp_path), runtime_dir=str(runtime))
        text = HEAD.format(state=made.state_dir, runtime=runtime)
        for name, command in COMMANDS.items():
            text += PROGRAM.format(name=name, command=command, logs=made.log_dir)
        (tmp_path / "supervisord.conf").write_text(text)
        assert supervision.revive(made)
        yield made
        supervision.shut_down(made)
        eventually(lambda: not supervision.supervisor_pid(made), 15)


def state(config: RunConfig, name: str) -> str:
    found = supervision.programs(config).get(name)
    return found.state if found else ""


def test_program_that_ends_at_once_is_started_ever_later_and_given_up_at_the_fifth_end(config: RunConfig) -> None:
    began = time.monotonic()
    assert eventually(lambda: state(config, "engine") == "FATAL", 20)
    assert time.monotonic() - began > 1.0
    assert supervision.spawns(config)["engine"] == EXITS
    assert supervision.programs(config)["engine"].exit_code == 70
    assert supervision.last_words(config, "engine") == "boom"
    assert state(config, "risk") == "RUNNING"


def test_expected_end_stays_ended_and_a_taken_lock_is_tried_again_without_end(config: RunConfig) -> None:
    assert eventually(lambda: supervision.spawns(config).get("router", 0) > EXITS + 1, 20)
    assert state(config, "router") != "FATAL"
    assert (state(config, "feed"), supervision.spawns(config)["feed"]) == ("EXITED", 1)


def test_given_up_follows_the_log_and_forgets_a_program_started_by_hand(config: RunConfig) -> None:
    given_up = GivenUp(config)
    assert eventually(lambda: given_up.look() == {"engine"}, 20)
    supervision.connect(config).supervisor.startProcess("engine", False)
    assert eventually(lambda: given_up.look() == set(), 10)
    assert eventually(lambda: given_up.look() == {"engine"}, 20)
    assert supervision.spawns(config)["engine"] == 2 * EXITS
