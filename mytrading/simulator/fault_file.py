"""The file of `--faults`, looked at again while the simulator serves: who edits it sets and ends faults.

Used by the simulator's own process. The one rule: a file that cannot be used changes nothing, and says why.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from mytrading.simulator.fault_settings import from_file
from mytrading.simulator.faults import Faults, Setting
from mytrading.simulator.options import BadOption

LOOK_S = 0.5


class FaultFile:
    """What a file says of faults, and how the switches follow it. `problem_of` judges a setting: "" if it will do."""

    def __init__(self, path: Path, faults: Faults, problem_of: Callable[[Setting], str]) -> None:
        self._path = path
        self._faults = faults
        self._problem_of = problem_of
        self._stamp = self._stamp_now()
        self._known = {setting.name: setting for setting in from_file(path)}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Follow the file if it changed: faults that are new or other are set anew, those that are gone end."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            wanted = {setting.name: setting for setting in from_file(self._path)}
            for setting in wanted.values():
                if problem := self._problem_of(setting):
                    raise BadOption(f"--faults {self._path}: fault {setting.name}: {problem}")
        except BadOption as error:
            sys.stderr.write(f"{error}; the faults stay as they are\n")
            return
        for name in self._known.keys() - wanted.keys():
            self._faults.end(name)
        for name, setting in wanted.items():
            if self._known.get(name) != setting:
                self._faults.set(setting)
        self._known = wanted

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)
