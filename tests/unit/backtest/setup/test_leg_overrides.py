"""Values of a file of legs, changed for a run or searched: the same as if the file itself said so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from mytrading.backtest.data.load import RequestError
from mytrading.backtest.run import RunChanges, run
from mytrading.backtest.search.space import SpaceError, parse_leg_space
from mytrading.backtest.search.trials import evaluate
from mytrading.backtest.search.workers import pack_spec
from mytrading.backtest.setup import prepare as preparation
from mytrading.backtest.setup.prepare import Prepared, RunRequest, prepare, source_file
from mytrading.cli.app import app
from tests.kit.backtest_specs import load_once
from tests.kit.project import ROOT, copy_project

DATA = f"NIFTY={ROOT / 'tests' / 'data' / 'index-1m.csv.gz'}"
LAST = date(2024, 1, 29)
TEXT = """
name = "Seller"
underlying = "NIFTY"
entry_time = "09:30"
exit_time = "15:00"

[[legs]]
action = "SELL"
strike = "ATM"
right = "CE"

[[legs]]
action = "SELL"
strike = "ATM"
right = "PE"
stop = "35%"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a file of two legs."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    (folder / "config" / "strategies" / "seller.toml").write_text(TEXT, encoding="utf-8")
    yield folder


@pytest.fixture(autouse=True)
def bars_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run here is of the same day."""
    monkeypatch.setattr(preparation, "load_bars", load_once)


def prepared(home: Path, **parameters: str) -> Prepared:
    given = {key.replace("__", "."): value for key, value in parameters.items()}
    return prepare(home, RunRequest("Seller", (DATA,), last=LAST, parameters=given))


def keys(home: Path) -> RunChanges:
    found = prepared(home).spec.legs
    assert found is not None
    return found


def written(folder: Path, home: Path, *changes: tuple[str, str]) -> Prepared:
    """The run of a file that says so itself."""
    shutil.copytree(home, folder, dirs_exist_ok=True)
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "config" / "strategies" / "seller.toml").write_text(text, encoding="utf-8")
    return prepared(folder)


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({"leg1__stop": "20%"}, [('right = "CE"', 'right = "CE"\nstop = "20%"')]),
        ({"legs__stop": "20%"}, [('stop = "35%"', 'stop = "20%"')]),
        ({"legs__strike": "OTM 3"}, [('strike = "ATM"', 'strike = "OTM 3"')]),
        ({"leg2__lots": "2", "entry_time": "10:30"}, [('right = "PE"', 'right = "PE"\nlots = 2'), ("09:30", "10:30")]),
        ({"exit_time": "11:00"}, [("15:00", "11:00")]),
        ({"risk__max_loss": "500"}, [('exit_time = "15:00"\n', 'exit_time = "15:00"\n[risk]\nmax_loss = 500\n')]),
    ],
)
def test_changed_value_makes_the_run_of_a_file_that_says_so(
    home: Path, tmp_path: Path, given: dict[str, str], changes: list[tuple[str, str]]
) -> None:
    changed, said = prepared(home, **given).spec.run, written(tmp_path, home, *changes).spec.run
    assert replace(changed, written={}) == replace(said, written={}), "but for the file, which screens show"
    assert changed != prepared(home).spec.run


def test_level_of_a_run_replaces_that_of_the_file_under_either_key(home: Path, tmp_path: Path) -> None:
    for number, line in enumerate(("stop_loss_pct = 0.3", "stop_loss_percent = 30")):
        said = written(tmp_path / str(number), home, ('exit_time = "15:00"', f'exit_time = "15:00"\n{line}'))
        assert said.spec.run.stop_loss_pct == 0.3
        assert said.notes[0].startswith("Seller: stop_loss_pct") if number == 0 else "fraction" not in str(said.notes)
        for key, value in (("stop_loss_pct", 0.2), ("stop_loss_percent", 20)):
            assert said.spec.with_parameters({key: value}).run.stop_loss_pct == 0.2


def test_trial_of_a_worker_trades_what_the_backtest_with_these_values_trades(home: Path) -> None:
    spec = prepared(home).spec
    sent = pack_spec(spec, source_file(home, "Seller")).load_spec()
    trial = evaluate(sent, 0, {"legs.strike": "OTM 2", "leg1.stop": "25%"}, "net", 1)
    alone = run(prepared(home, legs__strike="OTM 2", leg1__stop="25%").spec)
    assert (trial.problem, trial.trade_hash) == ("", alone.ledger.trade_hash())
    assert trial.trade_hash != run(spec).ledger.trade_hash()


def test_combination_that_the_file_could_not_say_is_a_trial_with_a_problem(home: Path) -> None:
    trial = evaluate(prepared(home).spec, 0, {"entry_time": "15:10"}, "net", 1)
    assert not trial.has_value
    assert "expected a time after entry_time" in trial.problem


def test_trial_without_trades_says_what_was_denied(home: Path) -> None:
    trial = evaluate(prepared(home).spec, 0, {"leg2.stop": "price 0.05"}, "net", 1)
    assert "0 trades, at least 1 are asked for; STOP_LEVEL" in trial.problem
    assert "must lie above the price" in trial.problem


def test_one_level_in_per_cent_and_as_a_fraction_is_refused(home: Path) -> None:
    spec = prepared(home).spec
    with pytest.raises(RequestError, match="stop_loss_pct and stop_loss_percent are one level"):
        spec.with_parameters({"stop_loss_pct": 0.2, "stop_loss_percent": 30})


def test_ranges_keep_the_words_about_their_numbers(home: Path) -> None:
    texts = ["leg1.stop=20%:40%:10%", "leg2.strike=otm 1:3", "risk.max_loss=0:1000:500", "entry_time=09:20,09:45"]
    space = parse_leg_space(keys(home), texts)
    assert {axis.name: axis.values for axis in space.axes} == {
        "leg1.stop": ("20%", "30%", "40%"),
        "leg2.strike": ("otm 1", "otm 2", "otm 3"),
        "risk.max_loss": (0, 500, 1000),
        "entry_time": ("09:20", "09:45"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("leg3.stop=20%,30%", "expected leg1 to leg2, found leg3"),
        ("leg1.stopp=20%,30%", "did you mean leg1.stop"),
        ("leg1.stop=20%,x", "expected '30%', '20 points' or 'price 150', found 'x'"),
        ("leg1.stop=20%:x", "expected a range such as 20%:40%:10%"),
        ("leg1.stop=20%:40 points", "the same words at both ends"),
        ("leg1.lots=0:2", "leg1.lots"),
        ("symbols=NIFTY,BANKNIFTY", "expected a key of its file"),
        ("risk.max_los=1:2", "did you mean risk.max_loss"),
    ],
)
def test_value_or_key_that_cannot_be_is_refused_before_the_first_trial(home: Path, text: str, said: str) -> None:
    with pytest.raises((RequestError, SpaceError)) as refused:
        parse_leg_space(keys(home), [text])
    assert said in str(refused.value)


@pytest.mark.slow
def test_search_over_a_file_of_legs_ranks_its_values(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(home))
    common = ["-d", DATA, "--to", "2024-01-29", "-w", "1", "--objective", "net", "--report", str(tmp_path), "--json"]
    found = CliRunner().invoke(app, ["optimize", "Seller", *common, "-p", "legs.strike=ATM,OTM 4"])
    assert found.exit_code == 0, found.output
    body = json.loads(found.stdout)
    assert {trial["parameters"]["legs.strike"] for trial in body["best"]} == {"ATM", "OTM 4"}
    assert len({trial["trade_hash"] for trial in body["best"]}) == 2
    assert "legs.strike" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_profile_of_a_leg_sizes_a_backtest_by_its_capital(home: Path) -> None:
    found = prepared(home, legs__profile="Balanced")
    assert found.spec.run.plan is not None
    assert [(leg.lots, leg.profile) for leg in found.spec.run.plan.legs] == [(-1, "Balanced"), (-1, "Balanced")]
    asked = RunRequest("Seller", (DATA,), last=LAST, capital=1e6, parameters={"legs.profile": "Balanced"})
    quantities = {trade.quantity for trade in run(prepare(home, asked).spec).ledger.trades}
    one = {
        trade.quantity
        for trade in run(prepare(home, RunRequest("Seller", (DATA,), last=LAST, capital=1e6)).spec).ledger.trades
    }
    assert [quantity // min(one) for quantity in quantities] == [2], "65 % of 10,00,000 / 3,20,000 for the pair"


def test_lots_and_profile_given_to_a_run_take_each_others_place(home: Path) -> None:
    plan = prepared(home, leg1__profile="A", leg2__lots="3").spec.run.plan
    assert plan is not None
    assert [(leg.lots, leg.profile) for leg in plan.legs] == [(-1, "A"), (-3, "")]
