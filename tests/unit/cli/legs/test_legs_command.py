"""`mytrading legs` and `mytrading strategies remove` on files, and the picture of a payoff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.legs.command import TEMPLATES
from mytrading.cli.legs.show import describe_stops, payoff_chart_lines, payoff_curve
from mytrading.cli.shell.failures import CONFIGURATION, ERROR, USAGE, Failure
from mytrading.core.options.payoff import PayoffLeg
from mytrading.core.risk.pretrade.planned_stops import StopRules
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg
from tests.kit.project import copy_project
from tests.kit.risk_bench import CALL, NEAR, PUT, option


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
    assert body["file"] == "config/strategies/mine.toml"
    assert body["legs"] == len(TEMPLATES[template].legs)
    assert bool(body["notes"]) == (template == "short-straddle" or template == "covered-call")


def test_copy_is_independent_of_its_source(home: Path) -> None:
    run("legs", "new", "First", "--template", "strangle")
    run("legs", "new", "Second", "--from", "First")
    folder = home / "config" / "strategies"
    copy = (folder / "second.toml").read_text()
    assert 'name = "Second"' in copy
    (folder / "first.toml").unlink()
    assert json.loads(run("legs", "check", "Second", "--json"))["name"] == "Second"


@pytest.mark.parametrize("name", ["Mine", "mine", "SMA_Crossover", "smacrossover"])
def test_name_in_use_is_refused(home: Path, name: str) -> None:
    run("legs", "new", "Mine")
    before = (home / "config" / "strategies" / "mine.toml").read_text()
    with pytest.raises(Failure, match="already; choose another") as caught:
        run("legs", "new", name, "--template", "calendar")
    assert caught.value.code == ERROR
    assert (home / "config" / "strategies" / "mine.toml").read_text() == before


def test_unknown_template_is_refused_with_the_near_one(home: Path) -> None:
    with pytest.raises(Failure, match="did you mean iron-condor") as caught:
        run("legs", "new", "Mine", "--template", "iron-kondor")
    assert caught.value.code == USAGE


def test_check_tells_every_mistake_of_the_file_and_no_other(home: Path) -> None:
    run("legs", "new", "Mine")
    path = home / "config" / "strategies" / "mine.toml"
    path.write_text(path.read_text().replace('"SELL"', '"SELLL"').replace('"any"', '"some"'))
    with pytest.raises(Failure) as caught:
        run("legs", "check", "Mine")
    assert caught.value.code == CONFIGURATION
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and all(line.startswith("config/strategies/mine.toml:") for line in lines)


def test_check_of_a_file_that_is_switched_off_says_so(home: Path) -> None:
    run("legs", "new", "Mine")
    path = home / "config" / "strategies" / "mine.toml"
    path.write_text(path.read_text().replace("days =", "enabled = false\ndays ="))
    with pytest.raises(Failure, match="enabled = false, so it never runs"):
        run("legs", "check", "Mine")


def test_check_tells_apart_what_is_wrong_elsewhere(home: Path) -> None:
    run("legs", "new", "Mine")
    (home / "config" / "strategies" / "other.toml").write_text('name = "Nobody"\n')
    with pytest.raises(Failure, match=r"nothing is wrong with config/strategies/mine.toml itself"):
        run("legs", "check", "Mine")


def test_check_of_a_product_that_legs_cannot_have_says_so(home: Path) -> None:
    run("legs", "new", "Mine")
    path = home / "config" / "strategies" / "mine.toml"
    path.write_text(path.read_text().replace('"MIS"', '"CNC"'))
    with pytest.raises(Failure, match="product CNC is for shares"):
        run("legs", "check", "Mine")


def test_remove_without_a_stack_needs_force_and_keeps_the_files(home: Path) -> None:
    run("legs", "new", "Mine")
    with pytest.raises(Failure, match="what Mine holds is not known") as caught:
        run("strategies", "remove", "Mine")
    assert caught.value.code == ERROR
    body = json.loads(run("strategies", "remove", "Mine", "--force", "--json"))
    assert body["moved"] == ["config/strategies/removed/mine.toml"]
    assert (home / body["moved"][0]).exists()
    run("legs", "new", "Mine")
    again = json.loads(run("strategies", "remove", "mine", "--force", "--json"))
    assert again["moved"] == ["config/strategies/removed/mine-2.toml"]


def test_remove_of_a_class_moves_code_and_configuration(home: Path) -> None:
    body = json.loads(run("strategies", "remove", "Options_Straddle", "--force", "--json"))
    assert body["moved"] == [
        "config/strategies/removed/options_straddle.toml",
        "strategies/removed/options_straddle.py",
    ]


def test_chart_shows_gains_above_and_losses_below_the_axis() -> None:
    rows = payoff_chart_lines([-100.0, 0.0, 50.0, 100.0], height=2)
    assert rows == [("gain", "   █"), ("gain", "  ██"), ("axis", "────"), ("loss", "█   "), ("loss", "█   ")]


def test_curve_spans_strikes_breakevens_and_spot() -> None:
    legs = [PayoffLeg("CE", -75, 120.0, 26_000), PayoffLeg("PE", -75, 100.0, 26_000)]
    points = payoff_curve(legs, 26_010.0, (25_780.0, 26_220.0))
    assert points[0][0] < 25_780 and points[-1][0] > 26_220
    assert max(value for _, value in points) == pytest.approx(220 * 75, rel=0.05)


LEG = '[[legs]]\naction = "{}"\n{}\n'
GUARDED = (
    'name = "Mine"\nentry_time = "09:20"\nproduct = "NRML"\n'
    + LEG.format("SELL", 'right = "CE"\nstop = "80%"')
    + LEG.format("BUY", 'right = "CE"\nstrike = "OTM 4"')
    + LEG.format("SELL", 'right = "CE"\nstrike = "OTM 1"\nstop = "30%"')
    + LEG.format("BUY", 'kind = "future"\nexpiry = "monthly"\nstop = "1%"')
    + LEG.format("BUY", 'kind = "equity"\ninstrument = "NSE:SBIN"\nquantity = 10\nproduct = "CNC"')
    + LEG.format("BUY", 'right = "PE"\nstop = "20 points"')
)


def test_check_names_what_guards_each_leg(home: Path) -> None:
    """All was in order, while a sold leg with such a stop was denied at each entry and a bought future had none."""
    (home / "config" / "strategies" / "mine.toml").write_text(GUARDED)
    guards = json.loads(run("legs", "check", "Mine", "--json"))["guards"]
    said = [
        (
            "legs[1] SELL: engine, 80 % of premium: the leg's own stop; it lies beyond what the exchange takes (36%",
            "₹18",
        ),
        ("legs[2] BUY: none; it hedges legs[3], and needs no stop", "gone"),
        ("legs[3] SELL: broker, 30 % of premium: the leg's own stop", ""),
        ("legs[4] BUY: engine, 1 % of the price: the leg's own stop; it covers legs[1]", "bought back first"),
        ("legs[5] BUY: broker, 2 % of the price: default, DEFAULT_STOP_LOSS", ""),
        ("legs[6] BUY: broker, ₹20 away: the leg's own stop; within 36%", "beyond"),
    ]
    assert len(guards) == len(said)
    for line, (begin, part) in zip(guards, said, strict=True):
        assert line.startswith(begin)
        assert part in line
    assert guards[0] in run("legs", "check", "Mine")


def test_check_and_show_say_how_legs_change_and_what_the_entry_waits_for(home: Path) -> None:
    rolled = 'right = "CE"\nstrike = "OTM 2"\nroll_at = "delta 0.45"\nroll_to = "OTM 4"\nrolls = 3\nreentries = 2'
    head = 'name = "Mine"\nentry_time = "09:45"\nexit_time = "15:10"\nrange = "09:15-09:45"\nbreakout = "below"\n'
    near = 'right = "PE"\nstrike = "OTM 2"\nroll_at = "50 points"'
    file = home / "config" / "strategies" / "mine.toml"
    file.write_text(head + LEG.format("SELL", rolled) + LEG.format("SELL", near) + LEG.format("BUY", 'right = "CE"'))
    again = "entered again after its stop or target, at most twice a day"
    first = f"rolled to OTM 4 once its delta is 0.45, at most 3 times a day; {again}"
    second = "rolled to OTM 2 once 50 points are left to its strike, at most once a day"
    ranged = "entered when a bar closes below the range of 09:15 to 09:45"
    said = json.loads(run("legs", "check", "Mine", "--json"))["changes"]
    covered = "legs[1]: sold again only with legs[3], which is bought again first if it is gone"
    assert said == [f"legs[1]: {first}", f"legs[2]: {second}", ranged, covered]
    shown = run("legs", "show", "Mine", "--spot", "22000", "--date", "2024-01-30")
    assert f"leg 1 while held: {first}\nleg 2 while held: {second}\n{ranged}\n" in shown


@pytest.mark.parametrize(
    ("leg", "more", "wrong"),
    [
        ('right = "CE"\nroll_at = "0.45"', "", "expected 'delta 0.45' or '50 points'"),
        ('right = "CE"\nroll_to = "OTM 2"', "", "roll_to: expected roll_at beside it"),
        ('kind = "future"\nroll_at = "50 points"', "", "roll_at: expected none but for a sold option"),
        ('right = "CE"', 'range = "09:45-09:15"', "expected a range that ends after it begins"),
        ('right = "CE"', 'range = "09:15-09:45"', "entry_time: expected a time from the end of the range"),
        ('right = "CE"', 'breakout = "above"', "breakout: expected a range beside it"),
    ],
)
def test_rolls_and_ranges_that_cannot_be_are_refused(home: Path, leg: str, more: str, wrong: str) -> None:
    text = f'name = "Mine"\nentry_time = "09:20"\n{more}\n' + LEG.format("SELL", leg)
    (home / "config" / "strategies" / "mine.toml").write_text(text)
    with pytest.raises(Failure, match=wrong):
        run("legs", "check", "Mine")


def test_stop_of_a_hedge_is_refused_and_that_of_another_bought_leg_is_not(home: Path) -> None:
    file = home / "config" / "strategies" / "mine.toml"
    file.write_text(GUARDED.replace('strike = "OTM 4"', 'strike = "OTM 4"\nstop = "30%"'))
    with pytest.raises(Failure, match=r"legs\[2\]: stop, target: expected none for the hedge of legs\[3\]"):
        run("legs", "check", "Mine")
    file.write_text(
        GUARDED.replace('strike = "OTM 4"', 'strike = "OTM 4"\nlots = 2\nstop = "30%"').replace(
            '[[legs]]\naction = "SELL"\nright = "CE"\nstrike = "OTM 1"\nstop = "30%"\n', ""
        )
    )
    assert "covers legs[1]" in json.loads(run("legs", "check", "Mine", "--json"))["guards"][1]


def test_guards_at_present_prices_say_who_holds_which_level() -> None:
    contracts = [
        option(NEAR, InstrumentKind.CE, 22800),
        option(CALL, InstrumentKind.CE),
        option(PUT, InstrumentKind.PE),
    ]
    legs = [Leg(instrument=NEAR, lots=-1, stop_price=360.0), Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=-1)]
    prices, rules = {NEAR: 200.0, CALL: 100.0, PUT: 100.0}, StopRules(StopPlan.BROKER, 0.0, 0.02, 0.25)
    assert describe_stops(legs, contracts, prices, rules) == ["engine 360.00", f"hedge of {NEAR}", "broker 125.00"]
    assert describe_stops(legs, contracts, prices, rules._replace(plan=StopPlan.NONE)) == ["none"] * 3
    assert describe_stops(legs[1:], contracts[1:], prices, rules)[0] == "broker 75.00"
