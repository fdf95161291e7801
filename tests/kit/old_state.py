"""A state folder of release 9f71261, as `tests/data/make_old_state.py` made it, and a stack of this tree on it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mytrading.messages.run_config import RunConfigError
from tests.kit.lockstep_stack import LockStepped
from tests.kit.project import ROOT, unpack
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

STOPPED, KILLED = "state-9f71261.tar.xz", "state-9f71261-killed.tar.xz"
DAY, UNTIL = "2026-11-20", "09:44:00"
"""Market day and time of both states."""


class OldState:
    """The unpacked folder. `picture` is what the old code showed of it, by command."""

    def __init__(self, folder: Path, archive: str) -> None:
        folder.mkdir(exist_ok=True)
        unpack(ROOT / "tests" / "data" / archive, folder)
        words = (folder / "environment.json").read_text(encoding="utf-8")
        environment = json.loads(words.replace("@FOLDER@", str(folder)))
        self.picture: dict[str, Any] = json.loads((folder / "picture.json").read_text(encoding="utf-8"))
        self.state = folder / "state" / "paper"
        for path in (folder / "state", self.state):
            path.chmod(0o700)
        shipped = folder / "home" / "config"
        without = shutil.ignore_patterns("strategies", "settings.toml", "accounts.toml")
        shutil.copytree(ROOT / "config", shipped, ignore=without, dirs_exist_ok=True)
        shutil.copy(ROOT / "supervisord.conf", folder / "home")
        run = self.state / "run.msgpack"
        config = _moved(msgspec.msgpack.decode(run.read_bytes()), str(folder))
        run.write_bytes(msgspec.msgpack.encode(config))
        self.stack = Stack(folder, **environment)

    @contextmanager
    def started(self) -> Iterator[LockStepped]:
        """The stack on it, in lock-step; the market stands where it stood."""
        with self.stack as stack:
            up = stack.start("up", "--detach", "--simulator", "--speed", "0", stdout=subprocess.DEVNULL)
            eventually(lambda: _stands(stack, moment(UNTIL)), 30)
            assert up.wait(120) == 0, stack.log()
            market = LockStepped(stack)
            market.await_rest(UNTIL)
            eventually(lambda: stack.ask("risk")["known"], 20)
            yield market

    def files(self) -> dict[str, bytes]:
        """Return the files of the folder without those that reading a database makes: an index, and an empty log."""
        paths = (path for path in self.state.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
        found = {str(path.relative_to(self.state)): path.read_bytes() for path in paths}
        return {name: content for name, content in found.items() if content or not name.endswith("-wal")}


def moment(clock: str) -> int:
    """An Indian time of the day in nanoseconds."""
    return int(datetime.fromisoformat(f"{DAY}T{clock}+05:30").timestamp()) * 1_000_000_000


def _stands(stack: Stack, at: int) -> bool:
    with suppress(OSError, RunConfigError):  # nobody serves yet, under the run file of before
        return bool(stack.sim("pause", paused=False, at=at))
    return False


def _moved(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace("@FOLDER@", folder).replace("@CODE@", str(ROOT))
    if isinstance(value, dict):
        return {key: _moved(item, folder) for key, item in value.items()}
    return [_moved(item, folder) for item in value] if isinstance(value, list) else value
