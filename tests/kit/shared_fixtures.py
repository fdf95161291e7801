"""Values made once in a run of the tests, by the worker that needs them first: the others read its answer.

Used by fixtures whose making takes seconds of a core. Rule: what is made is JSON, and nobody changes it.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_shared: dict[str, Path] = {}


def share(folder: Path) -> None:
    """Keep answers in this folder, which all workers of a run have."""
    _shared["folder"] = folder


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Any]) -> Any:
    """Return the value of `make`, called by the first worker that comes; an exception is raised for each of them."""
    folder = _shared.get("folder") or factory.getbasetemp()
    kept = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))
