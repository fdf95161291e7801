"""Files of legs whose legs name a profile instead of lots: what they make, and what is said of every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.messages.run_config import decode_run_config, write_run_config
from tests.kit.leg_project import leg_project
from tests.kit.project import ROOT

FILE = """name = "Condor"
entry_time = "09:20"

[[legs]]
action = "BUY"
strike = "OTM 5"
right = "CE"
lots = 2

[[legs]]
action = "SELL"
strike = "OTM 2"
right = "CE"
profile = "Balanced"
"""
SOLD = FILE.replace('profile = "Balanced"', "{}")
BOUGHT = FILE.replace("lots = 2", "{}")


def said(folder: Path, text: str, risk: str = "") -> str:
    project = leg_project(folder, text)
    if risk:
        path = project / "config" / "risk.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("C = 0.36", f"C = 0.36\n{risk}"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(project, environ={"ENABLED_STRATEGIES": "condor"})
    return str(caught.value)


def test_profile_of_a_leg_stands_in_the_run_file(tmp_path: Path) -> None:
    settings = load_settings(leg_project(tmp_path, FILE), "paper", environ={"ENABLED_STRATEGIES": "condor"})
    config = build_run_config(settings, tmp_path / "state", tmp_path / "run", tmp_path / "logs")
    write_run_config(tmp_path / "run.msgpack", config)
    (run,) = decode_run_config(tmp_path / "run.msgpack").strategies
    assert run.plan is not None
    assert [(leg.lots, leg.profile) for leg in run.plan.legs] == [(2, ""), (-1, "Balanced")]


@pytest.mark.parametrize("word", ["conservative", "Aggressive", "a", "C", "grade_B", "D"])
def test_every_profile_and_grade_of_the_risk_file_may_stand(tmp_path: Path, word: str) -> None:
    project = leg_project(tmp_path, SOLD.format(f'profile = "{word}"'))
    path = project / "config" / "risk.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("C = 0.36", "C = 0.36\nD = 0.5"), encoding="utf-8")
    assert load_settings(project, environ={"ENABLED_STRATEGIES": "condor"}).plan_of("Condor") is not None


def test_unknown_profile_names_key_value_and_those_there_are(tmp_path: Path) -> None:
    text = said(tmp_path, SOLD.format('profile = "Balansed"'))
    assert "config/strategies/condor.toml: legs[2].profile = 'Balansed'" in text
    assert "expected one of conservative, balanced, aggressive, A, B, C; did you mean balanced?" in text


def test_lots_and_profile_of_one_leg_are_refused_with_both_values(tmp_path: Path) -> None:
    text = said(tmp_path, SOLD.format('profile = "A"\nlots = 3'))
    assert "condor.toml:15: legs[2]: lots, profile: expected one of the two, found lots = 3 and profile = 'A'" in text


def test_profile_of_shares_is_refused(tmp_path: Path) -> None:
    leg = '[[legs]]\nkind = "equity"\naction = "BUY"\ninstrument = "NSE:SBIN"\nquantity = 100\nprofile = "A"\n'
    assert "profile: expected none for an equity leg" in said(tmp_path, FILE + leg)


def test_profile_beside_a_sizing_of_the_whole_strategy_is_refused(tmp_path: Path) -> None:
    text = said(tmp_path, 'sizing = "aggressive"\n' + FILE)
    assert "legs[2].profile = 'Balanced': all legs are sized by aggressive" in text
    assert 'expected sizing = "fixed" or lots' in text


def test_share_of_available_margin_is_refused_for_what_only_buys_options(tmp_path: Path) -> None:
    share = 'D = { share = 0.5, source = "available" }'
    text = said(tmp_path, BOUGHT.format('profile = "D"'), share)
    assert "legs[1].profile = 'D': it is of available margin, which does not size what only buys options" in text


def test_profile_stands_in_the_published_schema() -> None:
    legs = json.loads((ROOT / "docs" / "legs.schema.json").read_text(encoding="utf-8"))["$defs"]["LegConfig"]
    assert legs["properties"]["profile"]["type"] == "string"
