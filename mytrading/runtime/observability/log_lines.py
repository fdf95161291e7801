"""Reading the structured logs: the end of a file, and the fields of a line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

_TAIL_BYTES = 1 << 20


def last_lines(path: Path) -> list[str]:
    """Return the lines in the last megabyte of a file; empty if it does not exist."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - _TAIL_BYTES, 0))
        return file.read().decode(errors="replace").splitlines()
    return []


def parse_log_line(line: str) -> dict[str, Any]:
    """Return the fields of a line of structured log; empty for any other line."""
    with suppress(ValueError):
        if isinstance(entry := json.loads(line), dict):
            return entry
    return {}
