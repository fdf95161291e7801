"""The server of a second account: a simulator of its own beside the stack, started again whenever it was killed.

It has the seed and a copy of the clock of the first, so that both see one market, and books of its own. It is ended
with the run, whatever happened in between.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mytrading.simulator.settings.options import CAPITAL_VARIABLE

_LOOK_S = 0.3
_NICE = 5


class Place(NamedTuple):
    """A simulator's folder, ports and options."""

    folder: Path
    rest_port: int
    ws_port: int
    api_key: str
    seed: int
    capital: float
    personality: str
    broker: str
    config_dir: Path

    @property
    def rest_url(self) -> str:
        """The address of its REST side."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def ws_url(self) -> str:
        """The address of its WebSocket."""
        return f"ws://127.0.0.1:{self.ws_port}"

    @property
    def books(self) -> Path:
        """Its books and record."""
        return self.folder / "simulator" / "books.sqlite"

    def command(self) -> list[str]:
        """The command that starts it."""
        return [
            sys.executable, "-m", "mytrading.simulator", "--rest-port", str(self.rest_port),
            "--ws-port", str(self.ws_port), "--api-key", self.api_key, "--seed", str(self.seed),
            "--state-dir", str(self.folder), "--clock", str(self.folder / "clock.json"),
            "--config-dir", str(self.config_dir), "--personality", self.personality, "--broker", self.broker,
            "--record",
        ]  # fmt: skip


class SecondServer:
    """The process, kept alive by a thread until `end`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="second-server", daemon=True)

    def start(self, clock: Path) -> None:
        """Begin, by a copy of the clock of the first server."""
        self.place.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(clock, self.place.folder / "clock.json")
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process that lives now, 0 without one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def end(self) -> None:
        """Stop it for good; may be called again."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _keep(self) -> None:
        environment = {**os.environ, CAPITAL_VARIABLE: str(self.place.capital)}
        with (self.place.folder / "server.log").open("ab") as log:
            while not self._ended.is_set():
                self._process = process = subprocess.Popen(
                    self.place.command(), env=environment, stdout=log, stderr=log, start_new_session=True
                )
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
                while process.poll() is None and not self._ended.wait(_LOOK_S):
                    pass
                if process.poll() is None:
                    process.kill()
                process.wait()
                self._ended.wait(_LOOK_S)
