"""A run in a process of its own, ours or a peer's, and its last line of JSON."""

from __future__ import annotations

import json
import subprocess
from typing import Any


class NotThereError(Exception):
    """A peer that is not installed; the message says what is missing."""


def last_line(command: list[str]) -> dict[str, Any]:
    """The JSON object of a run's last line; `NotThereError` without its library, `SystemExit` if it failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotThereError(f"no {command[0]}") from error
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: expected a run, found\n{done.stderr[-2000:]}\nsee `make bench-peers`")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "missing" in found:
        raise NotThereError(found["missing"])
    return found
