"""A stack on an account of config/accounts.toml: it trades, survives its supervisor, and its API key is in no file."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mytrading.messages.run_config import decode_run_config
from mytrading.runtime.host.run_key import is_sealed
from tests.kit.project import copy_project
from tests.kit.simulator_process import API_KEY, start_simulator
from tests.kit.stack import COMMAND, Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@contextmanager
def own_project(folder: Path) -> Iterator[Stack]:
    """A project folder of this test with a simulator's account in it, and the stack that runs on it."""
    home = folder / "home"
    copy_project(home)
    places = {"MYTRADING_HOME": str(home), "MYTRADING_KEY_FILE": str(folder / "keys" / "key")}
    with start_simulator(folder) as simulator, Stack(folder, forked=False, **places, LOG_LEVEL="DEBUG") as stack:
        stack.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
        given = ("--host", simulator.rest, "--ws-url", simulator.ws, "--key-stdin")
        subprocess.run(
            [COMMAND, "account", "add", "main", *given], env=stack.environment, input=API_KEY, text=True, check=True
        )
        yield stack


def files_with(secret: str, *folders: Path) -> list[str]:
    """Files below these folders that hold a text."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in paths if secret.encode() in path.read_bytes()]


def connected(stack: Stack) -> bool:
    if stack.run("status").returncode:
        return False
    return any(row.get("connected") and row["account"] == "main" for row in stack.ask("status")["accounts"])


def test_api_key_is_in_no_file_and_no_environment_shows_it(tmp_path: Path) -> None:
    with own_project(tmp_path) as stack:
        started = stack.begin()
        try:
            eventually(lambda: connected(stack), 30)
            config = decode_run_config(stack.state / "run.msgpack")
            assert (is_sealed(config), config.venue.account) == (True, "main")
            folders = (stack.state, tmp_path / "logs", tmp_path / "home", tmp_path / "keys", Path(config.runtime_dir))
            assert files_with(API_KEY, *folders) == []
            assert files_with(config.venue.api_key, stack.state) == [str(stack.state / "run.msgpack")]
            for name in ("router", "engine", "gateway"):
                environment = Path(f"/proc/{stack.pid(name)}/environ").read_bytes()
                assert API_KEY.encode() not in environment
            stack.kill("supervisord", signal.SIGKILL)
            eventually(lambda: stack.pid("supervisord") and connected(stack), 40)
            assert stack.ask("account", "test")[0]["ok"]
            stack.down()
            assert files_with(API_KEY, *folders) == []
        finally:
            started.kill()
            started.wait()
