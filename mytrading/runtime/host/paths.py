"""Paths on this machine: the project, its data, and the state folder of each profile. Nothing is created here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from mytrading.messages.run_config import RUN_FILE, AccountRun, RunConfig
from mytrading.runtime.host.clock import anchor_dir

MARKER = "supervisord.conf"
_PROFILE = re.compile(r"[A-Za-z0-9_-]{1,48}")


class NoProject(Exception):
    """No project folder; the message says how to name one."""


class BadProfile(Exception):
    """A profile's name that is none; the message says what one looks like."""


def project_home() -> Path:
    """Return `MYTRADING_HOME`, else the folder of supervisord.conf at or above the working folder.

    Raises `NoProject`.
    """
    if named := os.environ.get("MYTRADING_HOME"):
        home = Path(named).resolve()
        if (home / MARKER).is_file():
            return home
        raise NoProject(f"MYTRADING_HOME: expected a folder with {MARKER}, found {named}; name the project folder")
    here = Path.cwd().resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / MARKER).is_file():
            return folder
    raise NoProject(f"expected {MARKER} in {here} or above; change to the project folder or set MYTRADING_HOME")


def data_dir(home: Path) -> Path:
    """Return the folder of downloaded and imported market data: `MYTRADING_DATA_DIR`, else `data` of the project."""
    return Path(named).resolve() if (named := os.environ.get("MYTRADING_DATA_DIR")) else home / "data"


def state_dir(profile: str) -> Path:
    """Return a profile's state folder below `MYTRADING_STATE_DIR`, else the XDG state folder; raises `BadProfile`."""
    if not _PROFILE.fullmatch(profile):
        raise BadProfile(
            f"--profile: expected 1 to 48 letters, digits, _ or -, found {profile!r}; MYTRADING_STATE_DIR names "
            "another folder for the state"
        )
    return state_base() / profile


def state_key(state: Path) -> str:
    """Return eight hex digits that identify a state folder where its path would be too long."""
    return blake2b(str(state.resolve()).encode(), digest_size=4).hexdigest()


def stack_name(state: Path) -> str:
    """Return a stack's name in shared folders: its profile, with `state_key` if its state lies elsewhere."""
    return state.name if state.parent == _usual_base() else f"{state.name}-{state_key(state)}"


def files_of_others(config: RunConfig) -> Iterator[tuple[Path, str]]:
    """Yield what the stack must write but another user owns: (path, name of the setting that moves it)."""
    logs = Path(config.log_dir)
    wanted = [(nearest_existing(config.state), "MYTRADING_STATE_DIR"), (nearest_existing(logs), "MYTRADING_LOG_DIR")]
    wanted += [(path, "MYTRADING_LOG_DIR") for path in sorted(logs.glob("*.log"))] if os.access(logs, os.X_OK) else []
    for path, setting in wanted:
        allowed = os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)
        if not allowed and path.stat().st_uid != os.getuid():
            yield path, setting


def nearest_existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists for this user."""
    while not os.access(path, os.F_OK):  # which a folder that may not be entered does not fail
        path = path.parent
    return path


def account_lock_path(config: RunConfig, account: AccountRun) -> Path:
    """The lock file of a broker account: named by server and key, whatever account and profile are called."""
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
    return Path(named).resolve() if (named := os.environ.get("MYTRADING_STATE_DIR")) else _usual_base()


def _usual_base() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mytrading"
