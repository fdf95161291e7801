"""The `[risk]` table of a strategy: what it becomes in the run file, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.config.cross_checks import start_problems
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import (
    LevelKind,
    LevelRule,
    StrategyRules,
    TrailKind,
    TrailRule,
    TrendExit,
    TrendRule,
)
from mytrading.messages.run_config import StrategyRun
from tests.kit.project import ROOT

FILE = "sma_crossover.toml"


def run_of(home: Path, lines: str, top: str = "", **env: str) -> StrategyRun:
    """The strategy as it runs with these lines under `[risk]`, and these at the top of its file."""
    file = home / "config" / "strategies" / FILE
    file.write_text(f"{top}\n{(ROOT / 'config' / 'strategies' / FILE).read_text()}\n[risk]\n{lines}\n")
    settings = load_settings(home, "default", {"OPENALGO_API_KEY": "k", **env})
    if problems := start_problems(settings):
        raise ConfigurationError(*problems)
    found = build_run_config(settings, home, home / "state", home / "run").strategy("SMA_Crossover")
    assert found is not None
    return found


def refusal(home: Path, lines: str, top: str = "", **env: str) -> str:
    with pytest.raises(ConfigurationError) as found:
        run_of(home, lines, top, **env)
    return str(found.value)


def test_nothing_said_switches_every_rule_off_and_mis_is_intraday(home: Path) -> None:
    found = run_of(home, "")
    assert found.rules == StrategyRules()
    assert found.intraday
    assert not run_of(home, "", STRATEGY_SMA_CROSSOVER_PRODUCT="NRML").intraday


def test_every_key_reaches_the_run_file(home: Path) -> None:
    lines = """
    max_loss = 5000
    max_profit = 9_000
    auto_exit_on_max_profit = false
    trailing = 4
    trailing_type = "points"
    trailing_activation = 500
    leg_stop_loss = 30
    leg_take_profit = 12.5
    leg_take_profit_type = "premium"
    leg_trailing_enabled = true
    leg_trailing_type = "points"
    leg_trailing = 8
    stop_to_cost = true
    stop_to_cost_profit = 2500
    supertrend = "breakdown"
    supertrend_period = 10
    supertrend_multiplier = 2.5
    supertrend_timeframe = "15m"
    supertrend_on = "premium"
    supertrend_require_cross = false
    entry_time = "09:20"
    exit_time = 15:10:00
    square_off_time = "15:12:30"
    """
    assert run_of(home, lines, top="intraday = true").rules == StrategyRules(
        max_loss=5000,
        max_profit=9000,
        auto_exit_on_max_profit=False,
        trailing=TrailRule(kind=TrailKind.POINTS, value=4, activation=500),
        leg_stop_loss=LevelRule(value=30),
        leg_take_profit=LevelRule(kind=LevelKind.PREMIUM, value=12.5),
        leg_trailing=LevelRule(kind=LevelKind.POINTS, value=8),
        leg_trailing_enabled=True,
        stop_to_cost=True,
        stop_to_cost_profit=2500,
        trend=TrendRule(exit=TrendExit.BREAKDOWN, period=10, multiplier=2.5, minutes=15, require_cross=False),
        entry_time=9 * 3600 + 20 * 60,
        exit_time=15 * 3600 + 10 * 60,
        square_off_time=15 * 3600 + 12 * 60 + 30,
    )


def test_variable_of_the_environment_sets_a_key_and_supertrend_watches_the_symbol(home: Path) -> None:
    found = run_of(home, 'supertrend = "breakout"', STRATEGY_SMA_CROSSOVER_RISK_MAX_LOSS="2500")
    assert found.rules.max_loss == 2500
    assert found.rules.trend == TrendRule(exit=TrendExit.BREAKOUT, instrument="NSE_INDEX:NIFTY")


@pytest.mark.parametrize(
    ("lines", "top", "said"),
    [
        ("max_los = 5", "", "has no setting risk_max_los; did you mean risk_max_loss"),
        ("max_loss = -5", "", "greater than or equal to 0"),
        ("max_loss = 'much'", "", "a valid number"),
        ("trailing = 100", "", "expected less than 100 per cent, found 100"),
        ("trailing_type = 'percent'\ntrailing = 5", "", "percentage"),
        ("leg_stop_loss = 130", "", "risk.leg_stop_loss_type"),
        ("max_profit = 2500\nstop_to_cost_profit = 2500", "", "expected less than risk.max_profit 2500"),
        ("trailing_activation = 500", "", "expected a value for risk.trailing"),
        ("trailing = 5\ntrailing_activation = 5\ntrailing_from_entry = true", "", "a stop from entry needs none"),
        ("exit_time = '25:00'", "", "expected a time of day in India, say 15:10; found '25:00'"),
        ("exit_time = 1510", "", "expected a time of day"),
        ("entry_time = '15:00'\nexit_time = '09:30'", "", "expected a time after risk.entry_time 15:00, found 09:30"),
        ("supertrend = 'up'", "", "'off', 'breakout' or 'breakdown'"),
        ("supertrend = 'breakout'\nsupertrend_timeframe = '7m'", "", "'3m'"),
        ("", "intraday = false", "expected product NRML or CNC for intraday = false"),
    ],
)
def test_what_could_not_act_is_refused_with_its_reason(home: Path, lines: str, top: str, said: str) -> None:
    assert said in refusal(home, lines, top)


def test_supertrend_of_several_symbols_is_refused_unless_on_the_premium(home: Path) -> None:
    env = {"STRATEGY_SMA_CROSSOVER_SYMBOLS": "NIFTY,BANKNIFTY"}
    assert "expected one watched symbol whose bars count, found 2" in refusal(home, 'supertrend = "breakout"', **env)
    assert run_of(home, 'supertrend = "breakout"\nsupertrend_on = "premium"', **env).rules.trend.instrument == ""


def test_trailing_beside_a_switch_that_turns_it_off_is_refused(home: Path) -> None:
    assert "expected TRAILING_STOP_ENABLED = true" in refusal(home, "trailing = 5", TRAILING_STOP_ENABLED="false")


def test_product_of_a_strategy_without_a_word_on_intraday_decides(home: Path) -> None:
    found = run_of(home, "", top="intraday = true", STRATEGY_SMA_CROSSOVER_PRODUCT="NRML")
    assert (found.product, found.intraday) == (Product.NRML, True)


def test_square_off_at_the_top_of_the_file_is_the_one_under_risk_by_another_name(home: Path) -> None:
    for lines, top in (("", 'square_off = "14:30"'), ('square_off_time = "14:30"', ""),
                       ('square_off_time = "14:30:00"', 'square_off = "14:30"')):  # fmt: skip
        found = run_of(home, lines, top)
        assert found.rules.square_off_time == 14 * 3600 + 1800


def test_two_square_off_times_that_differ_are_refused_with_both(home: Path) -> None:
    said = refusal(home, 'square_off_time = "14:30"', 'square_off = "14:45"')
    assert "SMA_Crossover.square_off (square_off (config/strategies/sma_crossover.toml:" in said
    assert "expected the same time as risk.square_off_time 14:30, or one of the two alone; found 14:45" in said


def test_square_off_before_the_exit_time_is_refused_by_either_name(home: Path) -> None:
    assert "expected a time after risk.exit_time 15:00, found 14:45" in refusal(
        home, 'exit_time = "15:00"', 'square_off = "14:45"'
    )


def test_levels_in_per_cent_reach_the_run_file_as_fractions_without_a_crooked_digit(home: Path) -> None:
    found = run_of(home, "", top="stop_loss_percent = 0.7\ntake_profit_percent = 2.2")
    assert (found.stop_loss_pct, found.take_profit_pct) == (0.007, 0.022)


def test_old_keys_of_fractions_keep_their_meaning_with_a_note_that_gives_the_new_line(home: Path) -> None:
    assert run_of(home, "", top="stop_loss_pct = 0.3\ntake_profit_pct = 0.02").stop_loss_pct == 0.3
    (note, other) = notes_of(home)
    assert note == (
        "SMA_Crossover: stop_loss_pct (config/strategies/sma_crossover.toml:1) = 0.3 is a fraction, 30 % of the entry "
        "price; write stop_loss_percent = 30, since stop_loss_pct goes with release 0.3"
    )
    assert "write take_profit_percent = 2," in other


def test_fraction_under_a_key_of_per_cent_is_noted_and_of_a_premium_all_below_one_per_cent(home: Path) -> None:
    assert run_of(home, "", top="stop_loss_percent = 0.02").stop_loss_pct == 0.0002
    assert "is 0.02 % of the premium; for 2 % write 2" in notes_of(home)[0]
    run_of(home, "", top="stop_loss_percent = 0.3")
    assert "is 0.3 % of the premium; for 30 % write 30" in notes_of(home)[0]
    run_of(home, "", top="stop_loss_percent = 1")
    assert notes_of(home) == []


def test_small_stop_of_a_price_is_noted_only_where_it_must_be_a_fraction(home: Path) -> None:
    for percent, noted in (("0.02", True), ("0.3", False)):
        run_of(home, "", top=f"stop_loss_percent = {percent}")
        file = home / "config" / "strategies" / FILE
        file.write_text(file.read_text().replace("NIFTY ATM CE nearest", "future").replace("NIFTY ATM PE", "future"))
        file.write_text(file.read_text().replace("future nearest", "future"))
        assert any("of the entry price" in note for note in notes_of(home)) == noted


def test_per_cent_under_a_key_of_fractions_is_refused_with_the_right_line(home: Path) -> None:
    said = refusal(home, "", top="stop_loss_pct = 30")
    assert "sma_crossover.toml:1) = 30" in said
    assert "for 30 % write stop_loss_percent = 30" in said


@pytest.mark.parametrize("old", ["stop_loss_pct", "take_profit_pct"])
def test_both_keys_of_one_level_are_refused_with_file_and_line_of_each(home: Path, old: str) -> None:
    new = f"{old[:-3]}percent"
    said = refusal(home, "", top=f"{new} = 2\n{old} = 0.02")
    assert f"{new} (config/strategies/sma_crossover.toml:1) = 2: {old} (config/strategies/sma_crossover.toml:2)" in said
    assert f"keep {new} alone" in said


def notes_of(home: Path) -> list[str]:
    found = load_settings(home, "default", {"OPENALGO_API_KEY": "k"}).warnings
    return [text for text in found if text.startswith("SMA_Crossover: ")]
