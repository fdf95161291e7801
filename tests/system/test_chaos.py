"""A short chaos on fixed seeds: whatever is killed, hung or lied about, nothing is doubled, lost or bare."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.system.stack import COMMAND

pytestmark = pytest.mark.timeout(400)


def broken(folder: Path, seed: int, personality: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and findings of half a minute of chaos; the campaign of docs/chaos is the long one."""
    command = [COMMAND, "chaos", "--minutes", "0.45", "--seed", str(seed), "--personality", personality, "--json"]
    done = subprocess.run(
        [*command, "--keep", str(folder)],
        capture_output=True,
        text=True,
        timeout=380,
        cwd=ROOT,
        check=False,
    )
    assert done.stdout, done.stderr
    body: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return done.returncode, body, (Path(body["kept"]) / "findings.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("seed", "personality"), [(11, "sandbox"), (12, "live")])
def test_short_chaos_leaves_nothing_doubled_lost_or_bare(tmp_path: Path, seed: int, personality: str) -> None:
    code, body, findings = broken(tmp_path, seed, personality)
    assert {name: value for name, value in body["must_be_zero"].items() if value} == {}, f"seed {seed}\n{findings}"
    assert body["problems"] == [], f"seed {seed}\n{findings}"
    assert code == 0
    assert body["kills"] >= 1
    assert body["faults"] >= 20
    assert body["accounts"] == 2
    assert body["filled"]["entry"] >= 1  # a busy machine spends most of the minute starting processes
