"""The file of `--faults`, looked at again while the simulator serves: who edits it sets and ends faults.

Used by the simulator's own process. The one rule: a file that cannot be used changes nothing, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mytrading.simulator.edited_file import EditedFile
from mytrading.simulator.fault_settings import from_file
from mytrading.simulator.faults import Faults, Setting
from mytrading.simulator.options import BadOption


class FaultFile(EditedFile):
    """What a file says of faults, and how the switches follow it. `problem_of` judges a setting: "" if it will do."""

    def __init__(self, path: Path, faults: Faults, problem_of: Callable[[Setting], str]) -> None:
        super().__init__(path, "the faults stay as they are")
        self._faults = faults
        self._problem_of = problem_of
        self._known = {setting.name: setting for setting in from_file(path)}

    def read(self) -> None:
        """Faults that are new or other are set anew, those that are gone end."""
        wanted = {setting.name: setting for setting in from_file(self._path)}
        for setting in wanted.values():
            if problem := self._problem_of(setting):
                raise BadOption(f"--faults {self._path}: fault {setting.name}: {problem}")
        for name in self._known.keys() - wanted.keys():
            self._faults.end(name)
        for name, setting in wanted.items():
            if self._known.get(name) != setting:
                self._faults.set(setting)
        self._known = wanted
