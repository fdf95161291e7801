"""Profiles: what they say of files that they do not read or overrule, and the first strategy of README under one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from tests.kit.readme_strategy import follow_readme


def test_first_strategy_of_the_readme_is_in_order_and_is_the_one_that_runs(tmp_path: Path) -> None:
    environment = follow_readme(tmp_path / "home")
    settings = load_settings(tmp_path / "home", "paper", {**environment, "STRATEGY_BREAKOUT_PERIOD": "10"})
    (run,) = build_run_config(settings, tmp_path, tmp_path, tmp_path).strategies
    assert (run.name, run.symbols, run.timeframes) == ("Breakout", ("NSE_INDEX:NIFTY",), ("5m",))
    assert run.parameters == {"period": 10}
    assert run.long is not None
    assert run.long.right == "CE"
    assert settings.warnings == ()


def test_first_strategy_without_its_trade_is_refused_saying_which_file_to_write(tmp_path: Path) -> None:
    environment = follow_readme(tmp_path / "home")
    (tmp_path / "home" / "config" / "strategies" / "breakout.toml").unlink()
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path / "home", "paper", environment)
    assert 'into config/strategies/breakout.toml, say: trade = "NIFTY ATM CE nearest"' in str(caught.value)


def test_env_file_that_a_profile_does_not_read_is_reported(home: Path) -> None:
    assert not any(".env" in warning for warning in load_settings(home, "paper", {}).warnings)
    (home / ".env").write_text("ENABLED_STRATEGIES=RSI_MeanReversion\n")
    settings = load_settings(home, "paper", {})
    assert [run.name for run in settings.running_strategies] == ["SMA_Crossover"]
    assert any(".env is not read with profile paper" in warning for warning in settings.warnings)


def test_value_of_a_file_that_a_profile_overrules_is_reported(home: Path) -> None:
    with (home / "config" / "settings.toml").open("a") as file:
        file.write('[system]\nenabled_strategies = ["RSI_MeanReversion"]\n')
    rows = load_settings(home, "paper", {"SMA_FAST_PERIOD": "4"}).warnings
    (settings,) = [row for row in rows if "config/settings.toml" in row]
    assert "system.enabled_strategies (SMA_Crossover)" in settings
    (strategy,) = [row for row in rows if "config/strategies/sma_crossover.toml" in row]
    assert "slow_period (8)" in strategy
    assert "fast_period" not in strategy, "the environment beats the profile there"
    assert "symbols" not in strategy, "both say the same"


def test_values_overruled_for_a_strategy_that_does_not_run_are_not_reported(home: Path) -> None:
    env = {"ENABLED_STRATEGIES": "RSI_MeanReversion"}
    assert not any("sma_crossover.toml" in row for row in load_settings(home, "paper", env).warnings)
    assert load_settings(home, "default", {}).warnings == ()
