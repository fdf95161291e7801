"""Results of conformance as people, programs and the page of brokers read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.brokers import campaign
from lab.brokers.__main__ import main
from lab.brokers.campaign import LISTED, REFUSED, conformed_brokers
from lab.brokers.cases import CASES, Case
from lab.brokers.results import (
    FAILED,
    LEFT_OUT,
    PASSED,
    BrokerResult,
    CaseResult,
    body_of,
    fragment,
    table,
    write_results,
)
from tests.kit.project import ROOT

GOOD = CaseResult("upstox", "exit", PASSED, {"closed": 0, "late": 0}, (), 3.0)
BAD = CaseResult("dhan", "exit", FAILED, {"closed": 1, "late": 1}, ("sold 10", "logs in /tmp/x"), 7.0)
SILENT = CaseResult("dhan", "night", LEFT_OUT, {}, ("no fact on the night",))
RESULTS = [BrokerResult("upstox", [GOOD]), BrokerResult("dhan", [BAD, SILENT], ("form of trade times",))]


def test_file_has_neither_times_nor_folders_and_does_not_depend_on_the_order(tmp_path: Path) -> None:
    slower = [BrokerResult("upstox", [GOOD._replace(seconds=99.0)]), RESULTS[1]]
    write_results(tmp_path / "a", body_of(RESULTS, LISTED))
    write_results(tmp_path / "b", body_of(reversed(slower), tuple(reversed(LISTED))))
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert "/tmp/x" not in text
    dhan = json.loads(text)["brokers"]["dhan"]
    assert dhan["cases"] == {"exit": "failed", "night": "left out: no fact on the night"}
    assert (dhan["good"], dhan["counts"]["closed"], dhan["counts"]["bare"]) == (False, 1, 0)
    assert dhan["not_known"] == ["form of trade times"]


def test_table_counts_cases_and_shows_what_a_failure_saw() -> None:
    shown = table(RESULTS, LISTED)
    rows = {line.split()[0]: line.split() for line in shown.splitlines()[:3]}
    assert rows["dhan"][1:6] == ["0", "1", "1", "1", "1"]
    assert rows["upstox"][1:6] == ["1", "0", "0", "0", "0"]
    assert "    sold 10\n    logs in /tmp/x" in shown


def test_fragment_of_the_page_names_findings() -> None:
    lines = fragment(body_of(RESULTS, LISTED)).splitlines()
    assert lines[2] == "| dhan | 0 | 1 | 1 | closed without a reason: 1; exit not within 5 s: 1 |"
    assert lines[3] == "| upstox | 1 | 0 | 0 | none |"


def test_every_broker_is_conformed_or_listed_and_cases_have_names_of_their_own() -> None:
    assert len(conformed_brokers()) == 34 and set(REFUSED) < set(conformed_brokers())
    assert len({case.name for case in CASES}) == len(CASES)


def test_chapter_of_prices_is_one_case_at_every_broker_and_chosen_by_its_name_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[tuple[str, str, float, str]] = []

    def play(
        chapter: str, home: Path, folder: Path, broker: str, left: Sequence[tuple[Case, str]], _: object
    ) -> list[CaseResult]:
        stage = campaign._stage(chapter, home, tmp_path / folder.parent.name / folder.name, broker)
        played.extend((broker, case.name, stage.speed, share) for case, share in left)
        return [CaseResult(broker, case.name, PASSED) for case, _ in left]

    monkeypatch.setattr(campaign, "_play_on_a_stage", play)
    told: list[str] = []
    hour = ("an hour of prices at twenty times the speed", 20.0, "NSE:INFY")
    plain = campaign.Wanted(ROOT, ("groww", "dhan"), side_by_side=1)
    for wanted in (plain._replace(chapters=("prices",)), plain._replace(cases=("prices",))):
        results = campaign.run(wanted, told.append)
        assert played == [("groww", *hour), ("dhan", *hour)]
        assert [(one.broker, len(one.cases), one.is_good) for one in results] == [("groww", 1, True), ("dhan", 1, True)]
        played.clear()
    campaign.run(campaign.Wanted(ROOT, ("dhan",), cases=("rows of a stranger",)), told.append)
    assert {speed for _, _, speed, _ in played} == {1.0}
    assert "prices [2/2] dhan: good, 0 left out" in told


def test_unknown_broker_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dahn"]) == 2
    assert "found dahn" in capsys.readouterr().err
