"""The audit log of accounts: each change by an operator or by the stack, one JSON line in the state folder.

Read by `mytrading account audit`; a line holds no secret. Requests to a running stack stand in the gateway's journal.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE = "audit.jsonl"


def record(state: Path, action: str, subject: str, result: str, *, user: str = "", **details: Any) -> None:
    """Append a JSON line to the audit log in the folder `state`, readable by its owner only; `user` is a daemon's name,
    by default the user of this process; `details` become fields."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(KeyError, OSError):
        user = user or getpass.getuser()
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "user": user or str(os.getuid()),
        "action": action,
        "subject": subject,
        "result": result,
        **details,
    }
    descriptor = os.open(state / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def rows(state: Path) -> list[dict[str, Any]]:
    """Return the lines of the audit log in folder `state`, oldest first, but one cut by a crash; [] without a log."""
    found: list[dict[str, Any]] = []
    with suppress(FileNotFoundError):
        for line in (state / FILE).read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                if isinstance(row := json.loads(line), dict):
                    found.append(row)
    return found
