"""Where things are on this machine: the project folder, and the state folder of each profile.

Used by the command line and the orchestrator; daemons read their places from the run file. The one rule: nothing is
created here.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from mytrading.messages.runconfig import RUN_FILE, AccountRun, RunConfig
from mytrading.runtime.clock import anchor_dir

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
    """The state folder of a profile: one of its own below `MYTRADING_STATE_DIR`, else below the XDG state folder."""
    return state_base() / profile


def account_lock_path(config: RunConfig, account: AccountRun) -> Path:
    """The lock of a broker account: named by server and key, whatever account, profile and state folder are called."""
    if not account.rest_url:
        return anchor_dir() / "accounts" / f"dry-run-{config.profile}.lock"
    host = urlsplit(account.rest_url).netloc.lower().rpartition("@")[2]
    name, _, port = host.partition(":")
    name = "127.0.0.1" if name == "localhost" else name
    key = blake2b(account.api_key.encode(), digest_size=8).hexdigest()
    return anchor_dir() / "accounts" / f"{name}_{port or 'default'}_{key}.lock"


def started_states() -> list[Path]:
    """Every state folder that a stack was ever started from, the latest first."""
    found = [folder for folder in state_base().glob("*") if (folder / RUN_FILE).is_file()]
    return sorted(found, key=lambda folder: (folder / RUN_FILE).stat().st_mtime, reverse=True)


def state_base() -> Path:
    """The folder that holds the state folders of all profiles."""
    if named := os.environ.get("MYTRADING_STATE_DIR"):
        return Path(named).resolve()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mytrading"
