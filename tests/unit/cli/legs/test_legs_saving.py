"""`mytrading legs save`: files of legs changed by a program, merged into what is there, mistakes at their field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.legs.saving import merge_legs
from mytrading.cli.shell.failures import ERROR, Failure
from tests.kit.leg_project import FILE, leg_project

TEXT = FILE.replace('[[legs]]\nkind = "future"', '# against the index\n[[legs]]\nkind = "future"')


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    leg_project(tmp_path, TEXT)
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def save(values: dict[str, Any], *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["legs", "save", *words, "--json"], input=json.dumps(values))
    if done.exception is not None:
        raise done.exception
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def test_legs_keep_what_is_not_named_change_places_and_go_with_their_comments() -> None:
    legs = [{"from": 4}, {"from": 3}, {"from": None, "action": "BUY", "right": "PE"}, {"from": 2, "stop": "40%"}]
    made = merge_legs(TEXT, "Condor", {"legs": legs, "range": "09:15-09:30"})
    before = TEXT.split("[[legs]]")
    shares, future, new, sold = made.split("[[legs]]")[1:]
    assert shares.split() == [*before[4].split(), "#", "against", "the", "index"]
    assert future.strip() == before[3].strip()
    assert new.split() == ["action", "=", '"BUY"', "right", "=", '"PE"']
    assert sold.split() == before[2].replace("30%", "40%").partition("#")[0].split()
    assert made.index('range = "09:15-09:30"') < made.index("[[legs]]")
    assert merge_legs(TEXT, "Condor", {"legs": [{}, {}, {}, {}]}) == TEXT


def test_keys_of_a_table_of_risk_are_changed_there() -> None:
    made = merge_legs(TEXT + "\n[risk]\nmax_loss = 5000 # a day's pay\n", "Condor", {"risk_max_loss": 4000})
    assert made == TEXT + "\n[risk]\nmax_loss = 4000 # a day's pay\n"


def test_key_of_risk_is_changed_where_the_file_has_it() -> None:
    text = 'name = "Condor"\nrisk_max_loss = 5000\n\n[risk]\nmax_profit = 9000\n'
    made = merge_legs(text, "Condor", {"risk_max_loss": 4000, "risk_max_profit": None, "risk_trailing": 20})
    assert made == 'name = "Condor"\nrisk_max_loss = 4000\n\n[risk]\ntrailing = 20\n'


@pytest.mark.parametrize(
    ("text", "legs", "error"),
    [(TEXT, [{"from": 9}], r"legs\[1\].from: expected the number of a leg of the file \(1 to 4\), each once; found 9"),
     (TEXT, [{"from": 1}, {"from": 1}], r"legs\[2\].from"), (TEXT, [{"from": "2"}], "found '2'"),
     ('legs = [{action = "BUY"}]', [{}], "edit the file"), (TEXT, 7, "expected keys with plain values")],
)  # fmt: skip
def test_legs_that_name_none_of_the_file_are_refused(text: str, legs: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        merge_legs(text, "Condor", {"legs": legs})


def test_mistake_is_reported_at_its_field_and_a_good_file_is_written_beside_its_version(home: Path) -> None:
    path = home / "config" / "strategies" / "condor.toml"
    wrong = save({"legs": [{}, {"stop": "nonsense"}, {}, {}]}, "--check", "Condor")
    assert [one["field"] for one in wrong["problems"]] == ["legs[2].stop"] and not wrong["saved"]
    made = save({"legs": [{}, {"stop": "40%"}, {}, {}]}, "--expected", wrong["digest"], "Condor")
    assert made["saved"] and path.read_text(encoding="utf-8") == made["text"] == TEXT.replace("30%", "40%")
    with pytest.raises(Failure, match="MOVED") as refused:
        save({}, "--expected", wrong["digest"], "Condor")
    assert refused.value.code == ERROR
    back = save({}, "--version", made["kept_version"], "Condor")
    assert back["saved"] and path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("change", "leg", "fields"),
    [({"exit_time": "09:10"}, {}, ["exit_time"]), ({"breakout": "above"}, {}, ["breakout"]),
     ({"accounts": ["nobody"]}, {}, ["accounts"]), ({"max_lots": "many"}, {}, ["max_lots"]),
     ({"sizing": "Bold"}, {}, ["sizing"]), ({"sizing": "risk"}, {}, ["risk_per_trade"]),
     ({"risk_max_loss": -1}, {}, ["risk_max_loss"]), ({"enabled": False}, {}, ["enabled"]),
     ({"underlying": "NIFTI"}, {}, ["underlying"]), ({"intraday": False}, {}, ["intraday"]),
     ({}, {"order_type": "LIMIT"}, ["legs[2].limit"]), ({}, {"roll_to": "OTM 3"}, ["legs[2].roll_to"]),
     ({}, {"lots": None, "profile": "Bold"}, ["legs[2].profile"]), ({}, {"profile": "A"}, ["legs[2].lots"]),
     ({}, {"product": "CNC"}, ["legs[2].product"]), ({}, {"instrument": "NIFTI"}, ["legs[2].instrument"]),
     ({}, {"right": None}, ["legs[2].right"]), ({}, {"reentries": 99}, ["legs[2].reentries"])],
)  # fmt: skip
def test_each_mistake_names_its_field_and_no_file_beside_it(
    home: Path, change: dict[str, Any], leg: dict[str, Any], fields: list[str]
) -> None:
    problems = save({**change, "legs": [{}, leg, {}, {}]}, "--check", "Condor")["problems"]
    assert [one["field"] for one in problems] == fields
    assert not [one for one in problems if one["text"].startswith("config/")]


def test_all_mistakes_of_a_file_are_told_at_once_each_at_its_field(home: Path) -> None:
    """Values, what does not fit together in a leg and in the file, and what only the settings contradict."""
    change = {"exit_time": "09:10", "breakout": "above", "max_lots": "many", "sizing": "Bold", "risk_max_loss": -1,
              "risk_trailing": 120, "enabled": False, "accounts": ["nobody"], "allocation_factors": ["other=2"],
              "intraday": False, "timeframes": ["7m"], "risk_trailng": 5}  # fmt: skip
    legs = [{"roll_to": "OTM 2", "product": "CNC"}, {"stop": "a third", "order_type": "LIMIT", "reentries": 99},
            {"right": "CE"}, {"quantity": None, "instrument": "NSE:NOBODY"}]  # fmt: skip
    problems = save({**change, "legs": legs}, "--check", "Condor")["problems"]
    assert sorted(one["field"] for one in problems) == sorted(
        ["exit_time", "breakout", "max_lots", "sizing", "risk_max_loss", "risk_trailing", "enabled", "accounts",
         "allocation_factors", "intraday", "timeframes", "risk_trailng", "legs[1].roll_to", "legs[1].product",
         "legs[2].stop", "legs[2].limit", "legs[2].reentries", "legs[3].strike", "legs[4].quantity"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "leg", "fields"),
    [({"range": "9 to 10", "breakout": "above"}, {}, ["range"]), ({"entry_time": "noon"}, {}, ["entry_time"]),
     ({"sizing": 7, "risk_per_trade": 0}, {}, ["sizing"]), ({"product": "NRM", "intraday": False}, {}, ["product"]),
     ({"risk_trailing": "x", "risk_trailing_activation": 900}, {}, ["risk_trailing"]),
     ({}, {"kind": "futur", "right": None}, ["legs[2].kind"]), ({}, {"action": "SEL", "roll_at": "delta 0.4"},
     ["legs[2].action"]), ({}, {"order_type": "LIMT", "limit": "5%"}, ["legs[2].order_type"]),
     ({}, {"instrument": "NIFTI", "product": "CNC"}, ["legs[2].instrument"]),
     ({"underlying": "NIFTI"}, {"product": "CNC"}, ["underlying"])],
)  # fmt: skip
def test_what_only_follows_from_a_wrong_value_is_not_told_as_a_mistake(
    home: Path, change: dict[str, Any], leg: dict[str, Any], fields: list[str]
) -> None:
    problems = save({**change, "legs": [{}, leg, {}, {}]}, "--check", "Condor")["problems"]
    assert [one["field"] for one in problems] == fields


def test_mistake_of_the_table_of_risk_names_its_field_and_line(home: Path) -> None:
    path = home / "config" / "strategies" / "condor.toml"
    path.write_text(TEXT + "\n[risk]\nmax_loss = 5000\n", encoding="utf-8")
    (wrong,) = save({"risk_max_loss": -1}, "--check", "Condor")["problems"]
    assert (wrong["field"], wrong["line"]) == ("risk.max_loss", len(TEXT.splitlines()) + 3)


def test_copy_is_a_file_of_its_own_and_no_file_that_is_there_is_taken_for_a_new_one(home: Path) -> None:
    made = save({"exit_time": "15:00"}, "--from", "Condor", "Template")
    assert made["saved"] and made["text"] == TEXT.replace("Condor", "Template").replace("15:10:00", '"15:00"')
    for words in (("--new", "Condor"), ("--from", "Template", "Condor")):
        with pytest.raises(Failure, match="is there already; open it first, or choose another name"):
            save({}, *words)
    assert (home / "config" / "strategies" / "condor.toml").read_text(encoding="utf-8") == TEXT
