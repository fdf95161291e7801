"""Where things are on this machine: the project folder, and the state folder of each profile.

Used by the command line and the orchestrator; daemons read their places from the run file. The one rule: nothing is
created here.
"""

from __future__ import annotations

import os
from pathlib import Path

from mytrading.messages.runconfig import RUN_FILE

MARKER = "supervisord.conf"


class NoProject(Exception):
    """No project folder; the message says how to name one."""


def project_home(start: Path | None = None) -> Path:
    """`MYTRADING_HOME`, or the nearest parent of `start` (the working folder) that holds supervisord.conf."""
    named = os.environ.get("MYTRADING_HOME")
    if named:
        home = Path(named).resolve()
        if (home / MARKER).is_file():
            return home
        raise NoProject(f"MYTRADING_HOME: expected a folder with {MARKER}, found {named}; name the project folder")
    here = (start or Path.cwd()).resolve()
    source = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, source):
        if (folder / MARKER).is_file():
            return folder
    raise NoProject(f"expected {MARKER} in {here} or above; change to the project folder or set MYTRADING_HOME")


def state_dir(profile: str) -> Path:
    """The state folder of a profile: `MYTRADING_STATE_DIR`, else below the XDG state folder."""
    named = os.environ.get("MYTRADING_STATE_DIR")
    return Path(named).resolve() if named else _state_base() / profile


def started_states() -> list[Path]:
    """Every state folder that a stack was ever started from, the latest first."""
    named = os.environ.get("MYTRADING_STATE_DIR")
    folders = [Path(named).resolve()] if named else list(_state_base().glob("*"))
    found = [folder for folder in folders if (folder / RUN_FILE).is_file()]
    return sorted(found, key=lambda folder: (folder / RUN_FILE).stat().st_mtime, reverse=True)


def _state_base() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mytrading"
