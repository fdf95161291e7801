"""The audit log: what a person changed outside the running stack, one JSON line each, in the state folder.

Written by commands that change accounts; orders of a person to a running stack are rows of the gateway's journal. The
one rule: a line names who, when, what and with which result, and holds no secret.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "audit.jsonl"


def record(state: Path, action: str, subject: str, result: str, **details: Any) -> None:
    """Append a line to the audit log of a state folder, which only its owner can read."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "user": _user(),
        "action": action,
        "subject": subject,
        "result": result,
        **details,
    }
    descriptor = os.open(state / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
