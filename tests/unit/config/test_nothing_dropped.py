"""No setting that is given goes unheard: what once was accepted and did nothing, or something else, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.settings import TradingSettings


def load(home: Path, env: str = "", profile: str = "default") -> TradingSettings:
    """The settings with these lines in `.env`, or with the profile paper in the environment."""
    lines = dict(line.split("=", 1) for line in env.split("\n") if "=" in line)
    if profile == "default":
        (home / ".env").write_text(env)
        lines = {}
    return load_settings(home, profile, lines)


def refusal(home: Path, env: str = "") -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(home, env)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("MAX_DAILY_LOSS=inf", "finite number"),
        ("STALE_QUOTE_SECONDS=inf", "finite number"),
        ("WEBSOCKET_BATCH_DELAY=nan", "finite number"),
        ("STRATEGY_SMA_CROSSOVER_SIGNAL_COOLDOWN=inf", "finite number"),
        ("LOG_MAX_FILE_SIZE=" + "9" * 400, "expected a size such as 100 MB"),
        ("OPENALGO_WS_HOST=ws://1.2.3.4", "expected a host name or address alone"),
        ("OPENALGO_WS_HOST=1.2.3.4:8765", "expected a host name or address alone"),
        ("RSI_PERIOD=abc", "expected a whole number for RSI_MeanReversion.period"),
        ("STRATEGY_RSI_MEANREVERSION_LOTS=0", "greater than or equal to 1"),
    ],
)
def test_value_that_was_accepted_once_is_refused_with_its_line(home: Path, line: str, said: str) -> None:
    text = refusal(home, f"# mine\n{line}\n")
    assert f"{line.partition('=')[0]} (.env:2)" in text
    assert said in text


def test_variable_twice_with_two_values_is_refused_naming_both_lines(home: Path) -> None:
    text = refusal(home, "MAX_ORDER_SIZE=20000\n\nMAX_ORDER_SIZE=30000\n")
    assert "MAX_ORDER_SIZE (.env:3): .env:1 sets it too" in text


@pytest.mark.parametrize(
    "lines", ["MAX_ORDER_SIZE=\nMAX_ORDER_SIZE=20000\n", "MAX_ORDER_SIZE=20000\nMAX_ORDER_SIZE=\n"]
)
def test_empty_line_of_a_variable_does_not_hide_its_value(home: Path, lines: str) -> None:
    assert load(home, lines).risk.max_order_size == 20_000


def test_variable_for_a_strategy_that_is_gone_is_refused(home: Path) -> None:
    (home / "strategies" / "rsi_mean_reversion.py").unlink()
    (home / "config" / "strategies" / "rsi_mean_reversion.toml").unlink()
    assert "RSI_OVERSOLD (.env:1): no file in strategies/ has the strategy RSI_MeanReversion" in refusal(
        home, "RSI_OVERSOLD=20\n"
    )


@pytest.mark.parametrize("profile", ["default", "paper"])
def test_empty_list_of_strategies_is_reported(home: Path, profile: str) -> None:
    settings = load(home, "ENABLED_STRATEGIES=\n", profile)
    assert [strategy.name for strategy in settings.running_strategies] == ["SMA_Crossover"]
    assert any("is empty, which counts as not given" in warning for warning in settings.warnings)


def test_no_strategy_in_the_settings_file_is_reported(home: Path) -> None:
    with (home / "config" / "settings.toml").open("a") as file:
        file.write("[system]\nenabled_strategies = []\n")
    settings = load(home)
    assert settings.running_strategies == ()
    assert "ENABLED_STRATEGIES names no strategy: nothing will trade" in settings.warnings


SHARE = "STRATEGY_SMA_CROSSOVER_SYMBOLS=NSE:SBIN\nSTRATEGY_SMA_CROSSOVER_TRADE_LONG=same\n"
SMA = "STRATEGY_SMA_CROSSOVER_"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f"{SMA}SIZING=bold\n", "sizing 'bold': expected one of fixed, risk, conservative, balanced, aggressive, A, B"),
        (f"{SMA}SIZING=risk\n", "needs rupees, say risk_per_trade = 6500"),
        (f"{SMA}ALLOCATION_FACTORS=second\n", "expected account=factor with a factor of at least 0"),
        (f"{SMA}PRODUCT=CNC\n", "product CNC is for shares, a CE is a derivative; use MIS or NRML"),
        (f"{SHARE}{SMA}PRODUCT=NRML\n", "product NRML is for derivatives, NSE:SBIN is not one; use MIS or CNC"),
        (
            f"{SHARE}{SMA}PRODUCT=CNC\n{SMA}DIRECTION=both\n{SMA}TRADE_SHORT=same\n",
            "shares cannot be sold short with product CNC (NSE:SBIN); use MIS",
        ),
        (f"{SMA}DIRECTION=short\n{SMA}TRADE_SHORT=ATM CE\n", "a short signal would buy a CE"),
        (f"{SMA}TRADE_LONG=ATM PE\n", "a long signal would buy a PE"),
    ],
)
def test_strategy_that_could_only_be_denied_or_trade_the_wrong_way_is_refused(
    home: Path, lines: str, said: str
) -> None:
    text = refusal(home, lines)
    assert said in text
    assert ".env:" in text


@pytest.mark.parametrize(
    "lines",
    [
        SHARE,
        f"{SHARE}{SMA}PRODUCT=CNC\n",
        f"{SHARE}{SMA}DIRECTION=both\n{SMA}TRADE_SHORT=same\n",
        f"{SMA}PRODUCT=NRML\n",
    ],
)
def test_strategy_that_risk_admits_is_accepted(home: Path, lines: str) -> None:
    assert len(load(home, lines).running_strategies) == 1


def test_one_call_for_both_directions_is_refused_with_its_line(home: Path) -> None:
    file = home / "config" / "strategies" / "sma_crossover.toml"
    file.write_text('name = "SMA_Crossover"\nsymbols = ["NIFTY"]\ndirection = "both"\ntrade = "NIFTY ATM CE"\n')
    text = refusal(home)
    assert "config/strategies/sma_crossover.toml:4" in text
    assert "a short signal would buy a CE, which gains when the price rises" in text


def test_strategy_without_symbols_is_refused(home: Path) -> None:
    file = home / "config" / "strategies" / "sma_crossover.toml"
    file.write_text(file.read_text().replace('symbols = ["NIFTY"]', "symbols = []"))
    assert "symbols (config/strategies/sma_crossover.toml:6) = []: expected at least one instrument" in refusal(home)


def test_one_line_that_is_wrong_for_both_directions_is_reported_once(home: Path) -> None:
    file = home / "config" / "strategies" / "sma_crossover.toml"
    file.write_text('name = "SMA_Crossover"\nsymbols = ["NIFTY"]\ndirection = "both"\ntrade = "same"\n')
    text = refusal(home, "")
    assert text.count("which cannot be bought") == 1
    assert text.startswith("SMA_Crossover.trade (trade (config/strategies/sma_crossover.toml:4)): ")


def test_direction_of_two_sides_is_answered_with_its_word(home: Path) -> None:
    text = refusal(home, f"{SMA}DIRECTION=long_short\n")
    assert "found 'long_short': write \"both\" for the two" in text
    assert "did you mean" not in text
