"""A disk that is really full: entries are denied, an exit still goes, and what cannot be journaled is not sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.project import ROOT
from tests.kit.waiting import PATIENCE

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def may_mount(folder: Path) -> bool:
    """True where a file system can be mounted in a namespace of one's own."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    return subprocess.run(probe, capture_output=True).returncode == 0


def seen_on_a_small_disk(
    module: str, mounted: Path, size: str, *arguments: str, timeout: float = 170
) -> dict[str, Any]:
    """Output of a module of `tests` run where a file system of so many bytes is mounted."""
    mounted.mkdir(parents=True, exist_ok=True)
    if not may_mount(mounted):
        pytest.skip("expected to be allowed to mount a tmpfs in a namespace of one's own")
    run = [sys.executable, "-m", module, *arguments]
    command = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", size, str(mounted), *run]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout * PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_exit_goes_out_on_a_full_disk_and_entries_do_not(tmp_path: Path) -> None:
    mounted = tmp_path / "run" / "journal" / "router"
    seen = seen_on_a_small_disk("tests.kit.full_disk", mounted, "8m", str(tmp_path))
    assert seen["denied"].startswith("DISK_LOW")
    assert (seen["orders"], seen["after_exit"]) == (1, 2)
    assert seen["after_nothing_could_be_written"] == 2


@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(2000)])])
def test_positions_are_closed_and_nobody_ends_while_the_disk_of_a_whole_stack_is_held_at_zero(
    tmp_path: Path, seconds: int
) -> None:
    """Each process died of the figures that it leaves, once a second, and supervisor of its own log; and whoever ended
    gave the reserve of its journal back, so that no other could start."""
    arguments = (str(tmp_path), str(seconds))
    seen = seen_on_a_small_disk("tests.kit.full_disk_stack", tmp_path, "200m", *arguments, timeout=200 + seconds)
    assert seen == {
        "resting": ["trigger pending"],
        "entries_while_full": 0,
        "free": 0,
        "ended": [],
        "alerts": [],
        "verify": 0,
    }
