"""A short chaos on fixed seeds: whatever is killed, hung or lied about, nothing is doubled, lost or bare."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.golden.json_commands import missing_keys, paths
from tests.kit.fork_server import COMMAND, PIPE, Process, start
from tests.kit.in_process_command import asked
from tests.kit.project import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
SEEDS = {"sandbox": 11, "live": 12}
MINUTES = "0.7"


class Ended(NamedTuple):
    """Exit code, report and findings of a run."""

    code: int
    body: dict[str, Any]
    findings: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Process]]:
    """Chaos for each personality, side by side; docs/chaos-runs.md lists longer runs."""
    folder = tmp_path_factory.mktemp("chaos")
    options = ("--minutes", MINUTES, "--json", "--keep", str(folder), "--report", str(folder / "reports"))
    started = {
        name: start(
            [COMMAND, "chaos", "--seed", str(seed), "--personality", name, *options],
            stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT,
        )
        for name, seed in SEEDS.items()
    }  # fmt: skip
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@functools.cache
def ended(process: Process) -> Ended:
    said, troubles = process.communicate(timeout=380)
    assert said, troubles
    body: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return Ended(process.returncode, body, (Path(body["kept"]) / "findings.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("personality", SEEDS)
def test_short_chaos_leaves_nothing_doubled_lost_or_bare(running: dict[str, Process], personality: str) -> None:
    code, body, findings = ended(running[personality])
    reported = f"seed {body['seed']}\n{findings}"
    assert {name: value for name, value in body["must_be_zero"].items() if value} == {}, reported
    assert body["problems"] == [], reported
    assert missing_keys("chaos", set(paths(body))) == []
    assert code == 0
    assert body["kills"] >= 1
    assert body["faults"] >= 20
    assert body["accounts"] == 2
    assert body["filled"]["entry"] >= 1  # a busy machine spends most of the time starting processes


def test_summary_of_both_has_the_keys_of_a_campaign(running: dict[str, Process]) -> None:
    kept = {Path(ended(process).body["kept"]).parent for process in running.values()}
    done = asked(dict(os.environ), "chaos", "--summary", str(kept.pop() / "reports"), "--json")
    assert done.returncode == 0, done.stderr
    assert missing_keys("chaos --summary", set(paths(json.loads(done.stdout)))) == []
