"""The audit log: what was changed about accounts, by an operator or by the stack, one JSON line each in the state
folder.

Written by commands that change accounts, and by the feed when another account's server takes over; read by `mytrading
account audit`. Orders of an operator to a running stack are rows of the gateway's journal. A line names who, when, what
and with which result, and holds no secret.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "audit.jsonl"


def record(state: Path, action: str, subject: str, result: str, *, user: str = "", **details: Any) -> None:
    """Append a line to the audit log of a state folder, which only its owner can read; `user` is a daemon's name."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "user": user or _user(),
        "action": action,
        "subject": subject,
        "result": result,
        **details,
    }
    descriptor = os.open(state / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def rows(state: Path) -> list[dict[str, Any]]:
    """The lines of a state folder's audit log, oldest first; one that was cut off by a crash is left out."""
    try:
        lines = (state / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [row for line in lines if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
