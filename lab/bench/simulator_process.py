"""The real simulator as a process of a benchmark, its market at ten in the morning of a trading day.

It is the program that users start, with nothing left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from mytrading.runtime.host.paths import project_home

API_KEY = "bench-key"


class Exchange(NamedTuple):
    """Addresses of a simulator in a process of its own."""

    rest: str
    ws: str
    api_key: str

    def get(self, path: str, query: str = "") -> Any:
        """`data` of the answer to a GET with the key."""
        with urlopen(f"{self.rest}{path}?apikey={self.api_key}{query}", timeout=30) as answer:
            return json.loads(answer.read())["data"]


@contextmanager
def exchange(folder: Path, *options: str) -> Iterator[Exchange]:
    """The simulator with its books and clock in `folder`, and these options more."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mytrading.simulator", "--json", "--api-key", API_KEY,
            "--start", "2026-11-20 10:00", "--state-dir", f"{folder}/state", "--clock", f"{folder}/clock.json",
            "--config-dir", str(project_home() / "config"), *options,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Exchange(said["rest"], said["ws"], said["api_key"])
    finally:
        process.kill()
        process.wait()
