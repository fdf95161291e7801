"""`mytrading legs` and `mytrading strategies remove` on files, and the picture of a payoff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.legs.payoff_chart import chart
from mytrading.cli.legs.show import curve
from mytrading.cli.legs.templates import TEMPLATES
from mytrading.cli.output import CONFIGURATION, ERROR, USAGE, Failure
from mytrading.core.options.payoff import PayoffLeg
from tests.support import copy_project


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy_project(tmp_path)
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=True)
    if isinstance(done.exception, Failure):
        raise done.exception
    assert done.exception is None, done.exception
    return done.stdout


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_template_makes_a_file_that_checks(home: Path, template: str) -> None:
    run("legs", "new", "Mine", "--template", template)
    body = json.loads(run("legs", "check", "mine", "--json"))
    assert body["file"] == "config/strategies/Mine.toml"
    assert body["legs"] == len(TEMPLATES[template].legs)
    assert bool(body["notes"]) == (template == "short-straddle" or template == "covered-call")


def test_copy_is_independent_of_its_source(home: Path) -> None:
    run("legs", "new", "First", "--template", "strangle")
    run("legs", "new", "Second", "--from", "First")
    folder = home / "config" / "strategies"
    copy = (folder / "Second.toml").read_text()
    assert 'name = "Second"' in copy
    (folder / "First.toml").unlink()
    assert json.loads(run("legs", "check", "Second", "--json"))["name"] == "Second"


@pytest.mark.parametrize("name", ["Mine", "mine", "SMA_Crossover", "smacrossover"])
def test_name_in_use_is_refused(home: Path, name: str) -> None:
    run("legs", "new", "Mine")
    before = (home / "config" / "strategies" / "Mine.toml").read_text()
    with pytest.raises(Failure, match="already; choose another") as caught:
        run("legs", "new", name, "--template", "calendar")
    assert caught.value.code == ERROR
    assert (home / "config" / "strategies" / "Mine.toml").read_text() == before


def test_unknown_template_is_refused_with_the_near_one(home: Path) -> None:
    with pytest.raises(Failure, match="did you mean iron-condor") as caught:
        run("legs", "new", "Mine", "--template", "iron-kondor")
    assert caught.value.code == USAGE


def test_check_tells_every_mistake_of_the_file_and_no_other(home: Path) -> None:
    run("legs", "new", "Mine")
    path = home / "config" / "strategies" / "Mine.toml"
    path.write_text(path.read_text().replace('"SELL"', '"SELLL"').replace('"any"', '"some"'))
    with pytest.raises(Failure) as caught:
        run("legs", "check", "Mine")
    assert caught.value.code == CONFIGURATION
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and all(line.startswith("config/strategies/Mine.toml:") for line in lines)


def test_check_of_a_file_that_is_switched_off_says_so(home: Path) -> None:
    run("legs", "new", "Mine")
    path = home / "config" / "strategies" / "Mine.toml"
    path.write_text(path.read_text().replace("days =", "enabled = false\ndays ="))
    with pytest.raises(Failure, match="enabled = false, so it never runs"):
        run("legs", "check", "Mine")


def test_check_tells_apart_what_is_wrong_elsewhere(home: Path) -> None:
    run("legs", "new", "Mine")
    (home / "config" / "strategies" / "other.toml").write_text('name = "Nobody"\n')
    with pytest.raises(Failure, match=r"nothing is wrong with config/strategies/Mine.toml itself"):
        run("legs", "check", "Mine")


def test_check_of_a_product_that_legs_cannot_have_says_so(home: Path) -> None:
    run("legs", "new", "Mine")
    path = home / "config" / "strategies" / "Mine.toml"
    path.write_text(path.read_text().replace('"MIS"', '"CNC"'))
    with pytest.raises(Failure, match="product CNC is for shares"):
        run("legs", "check", "Mine")


def test_remove_without_a_stack_needs_force_and_keeps_the_files(home: Path) -> None:
    run("legs", "new", "Mine")
    with pytest.raises(Failure, match="what Mine holds is not known") as caught:
        run("strategies", "remove", "Mine")
    assert caught.value.code == ERROR
    body = json.loads(run("strategies", "remove", "Mine", "--force", "--json"))
    assert body["moved"] == ["config/strategies/removed/Mine.toml"]
    assert (home / body["moved"][0]).exists()
    run("legs", "new", "Mine")
    again = json.loads(run("strategies", "remove", "mine", "--force", "--json"))
    assert again["moved"] == ["config/strategies/removed/Mine-2.toml"]


def test_remove_of_a_class_moves_code_and_configuration(home: Path) -> None:
    body = json.loads(run("strategies", "remove", "Options_Straddle", "--force", "--json"))
    assert body["moved"] == [
        "config/strategies/removed/options_straddle.toml",
        "strategies/removed/options_straddle.py",
    ]


def test_chart_shows_gains_above_and_losses_below_the_axis() -> None:
    rows = chart([-100.0, 0.0, 50.0, 100.0], height=2)
    assert rows == [("gain", "   █"), ("gain", "  ██"), ("axis", "────"), ("loss", "█   "), ("loss", "█   ")]


def test_curve_spans_strikes_breakevens_and_spot() -> None:
    legs = [PayoffLeg("CE", -75, 120.0, 26_000), PayoffLeg("PE", -75, 100.0, 26_000)]
    points = curve(legs, 26_010.0, (25_780.0, 26_220.0))
    assert points[0][0] < 25_780 and points[-1][0] > 26_220
    assert max(value for _, value in points) == pytest.approx(220 * 75, rel=0.05)
