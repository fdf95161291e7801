"""The scan of storms: what a finding is called, which acts are drawn, and that a seed gives the same storm again."""

from __future__ import annotations

import pytest

from tests.kit.oms_storms import ACTS, NIGHT_ACTS, OLD_NIGHTS, Storm
from tests.kit.storm_scan import Finding, find, kind_of, scan, table, weights_of


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("NFO:A was reversed by 20, ghosts {}", "reversed"),
        ("{1: 50, -1: 0} of NFO:A is guarded by {1: 0, -1: 0}", "stop of a wrong size"),
        ("Protection(id='p'): stops rest at {91.0}", "level not in force"),
        ("NFO:A: 50, 0 owned, {}", "ledger is not the broker's"),
        ("an order was placed twice", "placed twice"),
        ("[Goal(id='g', state='stuck')]", "goal open"),
        ("x1 took a stranger's order, 80 s after its call", "took a stranger's order"),
        ("KeyError: 'B1'", "other"),
    ],
)
def test_finding_is_named_by_what_the_judge_said(message: str, kind: str) -> None:
    assert kind_of(message) == kind


def test_draws_are_tables_and_single_acts_of_which_the_last_holds() -> None:
    assert weights_of("day") == {}
    assert weights_of("nights,stranger=2") == {**OLD_NIGHTS, "stranger": 2.0}
    assert weights_of("all,night=0")["night"] == 0.0
    with pytest.raises(ValueError, match="or one of"):
        weights_of("tempest")


def test_new_acts_are_off_unless_they_are_asked_for() -> None:
    new = set(NIGHT_ACTS) - set(OLD_NIGHTS)
    assert new and {ACTS[act] for act in new} == {0.0}


def test_seed_gives_the_same_storm_again_with_all_draws() -> None:
    storms = [Storm(8, acts=NIGHT_ACTS) for _ in range(2)]
    for storm in storms:
        storm.run(60)
    assert storms[0].bench.rows == storms[1].bench.rows
    assert len(storms[0].bench.machine.orders()) > 10, "the storm was none"


def test_scan_runs_every_seed_once_and_says_what_it_found_by_kind() -> None:
    assert sum(count for count, _ in scan(range(1, 7), {}, 2)) == 6
    assert find(1, {}) is None
    shown = table(5, [Finding(7, "reversed", ""), Finding(3, "reversed", "")]).splitlines()
    assert shown[0] == "5 storms, 2 with a finding"
    assert shown[1].split() == ["reversed", "2", "3", "7"]
