"""The people and processes behind a file or process: user names, and the supervisor of this run."""

from __future__ import annotations

import os
import pwd

SUPERVISOR = "SUPERVISORD_PID"
"""The pid of supervisor, in the environment of all that it starts."""


def user_name(uid: int) -> str:
    """The login name of a user id; an unknown user has its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def supervisor_of_this() -> int:
    """Return the pid of this process's supervisor; its parent's if no supervisor started it.

    Supervisor may be dead before a process can ask for its parent, which is then another.
    """
    pid = os.environ.get(SUPERVISOR, "")
    return int(pid) if pid.isdigit() else os.getppid()


def is_supervised() -> bool:
    """True if supervisor started this process."""
    return os.environ.get(SUPERVISOR, "").isdigit()
