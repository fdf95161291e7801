"""The payoff without a running stack: legs priced off a price of the underlying, and the page with its sliders."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.shell.failures import USAGE, Failure
from mytrading.core.options.black76 import price_one
from mytrading.reports.document import ReportPayoff
from tests.kit.page_script import in_node, needs_node
from tests.kit.pages import blocks_of, report_of
from tests.kit.project import copy_project

SPOT = 26_000.0
GIVEN = ("--spot", "26000", "--iv", "14%", "--date", "2026-01-28")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy_project(tmp_path)
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=True)
    if isinstance(done.exception, Failure):
        raise done.exception
    assert done.exception is None, done.exception
    return done.stdout


def priced(template: str, *more: str) -> dict[str, Any]:
    run("legs", "new", "Mine", "--template", template)
    body: dict[str, Any] = json.loads(run("legs", "show", "Mine", *GIVEN, "--json", *more))
    return body


@pytest.mark.parametrize("template", ["short-straddle", "iron-condor", "calendar", "bull-call-spread"])
def test_legs_are_chosen_and_priced_without_a_stack(home: Path, template: str) -> None:
    body = priced(template)
    assert (body["spot"], body["underlying"]) == (SPOT, "NSE_INDEX:NIFTY")
    for row in body["legs"]:
        years = row["days"] / 365
        forward = SPOT * math.exp(body["rate"] * years)
        again = price_one(forward, row["strike"], years, row["iv"], body["rate"], row["instrument"].endswith("CE"))
        assert again == pytest.approx(row["price"], abs=0.01)
        assert date.fromisoformat(row["expiry"]) >= date(2026, 1, 28)
    assert 0.0 < body["probability_of_profit"] < 1.0


def test_straddle_loses_beyond_its_premium_and_probability_is_that_of_drawn_prices(home: Path) -> None:
    body = priced("short-straddle")
    premium = sum(row["price"] for row in body["legs"])
    low, high = body["breakevens"]
    strike = body["legs"][0]["strike"]
    assert (low, high) == (pytest.approx(strike - premium, abs=0.02), pytest.approx(strike + premium, abs=0.02))
    years = body["days"] / 365
    volatility = sum(row["iv"] for row in body["legs"]) / 2
    drawn = np.random.default_rng(7).normal(0.0, 1.0, 2_000_000) * volatility * math.sqrt(years)
    ends = SPOT * np.exp((body["rate"] - volatility**2 / 2) * years + drawn)
    share = float(np.mean((ends > low) & (ends < high)))
    assert body["probability_of_profit"] == pytest.approx(share, abs=0.002)


def test_higher_volatility_costs_more_and_a_holiday_moves_to_the_next_session(home: Path) -> None:
    calm = priced("short-straddle")
    wild = json.loads(run("legs", "show", "Mine", "--spot", "26000", "--iv", "0.3", "--date", "2026-01-28", "--json"))
    assert wild["legs"][0]["price"] > 1.8 * calm["legs"][0]["price"]
    republic_day = json.loads(run("legs", "show", "Mine", "--spot", "26000", "--date", "2026-01-26", "--json"))
    assert republic_day["at_ns"] // 10**9 == 1_769_485_800, "27 January 2026, 09:20 in India"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--iv", "14%"), "expected --spot too, the price of the underlying"),
        (("--spot", "26000", "--iv", "1400"), "--iv: expected realised, or a volatility of a year"),
        (("--spot", "26000", "--date", "soon"), "--date: expected a day like 2024-01-31, found 'soon'"),
    ],
)
def test_wrong_option_is_refused_with_what_was_expected(home: Path, words: tuple[str, ...], text: str) -> None:
    run("legs", "new", "Mine")
    with pytest.raises(Failure, match=text) as caught:
        run("legs", "show", "Mine", *words)
    assert caught.value.code == USAGE


def test_page_lies_below_runs_with_its_data(home: Path) -> None:
    run("legs", "new", "Mine", "--template", "iron-condor")
    said = run("legs", "payoff", "Mine", *GIVEN)
    assert said.startswith("runs/charts/Mine_payoff.html: probability of profit ")
    report = report_of(home / "runs" / "charts", "Mine_payoff.json")
    (payoff,) = blocks_of(report, "Payoff")
    assert isinstance(payoff, ReportPayoff)
    assert [leg.units > 0 for leg in payoff.legs] == [True, True, False, False]
    assert (
        payoff.low
        < min(leg.strike for leg in payoff.legs)
        < SPOT
        < max(leg.strike for leg in payoff.legs)
        < payoff.high
    )
    assert (home / "runs" / "assets").is_dir()


@needs_node
@pytest.mark.parametrize("template", ["iron-condor", "calendar", "covered-call"])
def test_sliders_value_legs_as_the_options_kernel_does(home: Path, template: str) -> None:
    run("legs", "new", "Mine", "--template", template)
    body = json.loads(run("legs", "payoff", "Mine", *GIVEN, "--json"))
    (payoff,) = blocks_of(report_of(home / "runs" / "charts", "Mine_payoff.json"), "Payoff")
    assert isinstance(payoff, ReportPayoff)
    given = msgspec.to_builtins(payoff)
    for spot, gone, shift in ((26_000.0, 0.0, 0.0), (25_800.0, 0.4, 0.02), (26_300.0, 0.9, -0.03)):
        passed = gone * payoff.years
        expected = 0.0
        for leg in payoff.legs:
            left = leg.years - passed
            if leg.kind in ("CE", "PE"):
                worth = price_one(spot * math.exp(payoff.rate * left), leg.strike, left, leg.volatility + shift,
                                  payoff.rate, leg.kind == "CE")  # fmt: skip
            else:
                worth = spot + (leg.price - payoff.spot) * (1 - gone)
            expected += leg.units * (worth - leg.price)
        assert in_node(f"r.payoffProfit(p, {spot}, {passed}, {shift})", given) == pytest.approx(expected, abs=1e-4)
    for point, value in body["payoff"][::9]:
        assert in_node(f"r.payoffProfit(p, {point}, p.years, 0)", given) == pytest.approx(value, abs=1.0)
    chance = in_node("r.profitChance(p, p.spot, 0, 0)", given)
    assert chance == pytest.approx(body["probability_of_profit"], abs=1e-3)
