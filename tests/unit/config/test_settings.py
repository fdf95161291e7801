"""Settings: precedence and origin, profiles, and what wrong ones are answered with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mytrading.cli.main import run
from mytrading.config import loading
from mytrading.config.cross_checks import start_problems
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError, name_key
from mytrading.config.run_config import build_run_config
from mytrading.config.sections import REMOVED_KEYS, RENAMED, UNUSED, VARIABLES
from mytrading.config.settings import TradingSettings
from mytrading.core.orders.live_gate import live_run_problem
from mytrading.core.text import spelling
from mytrading.messages.enums import Mode, Side
from mytrading.messages.run_config import (
    ServerMode,
    TradeKind,
    VenueKind,
    decode_run_config,
    write_run_config,
)

PROJECT = Path(__file__).parents[3]
KEY = {"OPENALGO_API_KEY": "k-123456"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project folder with the shipped configuration and strategies."""
    home = tmp_path / "home"
    shutil.copytree(PROJECT / "config", home / "config")
    shutil.copytree(PROJECT / "strategies", home / "strategies", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def load(home: Path, env: dict[str, str] | None = None, file: str = "", profile: str = "default") -> TradingSettings:
    if file:
        (home / ".env").write_text(file, encoding="utf-8")
    return load_settings(home, profile, env or {})


def refusal(home: Path, env: dict[str, str] | None = None, file: str = "", profile: str = "default") -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(home, env, file, profile)
    return str(caught.value)


def start_refusal(home: Path, settings: TradingSettings) -> str:
    with pytest.raises(ConfigurationError) as caught:
        build_run_config(settings, home, home / "state", home / "run")
    return str(caught.value)


# precedence and origin


def test_value_of_later_source_wins_and_names_its_origin(home: Path) -> None:
    assert load(home).origin("risk.max_drawdown") == "default"
    shipped = load(home)
    assert shipped.risk.max_order_size == 300_000
    assert shipped.origin("risk.max_order_size").startswith("risk.max_order_size (config/settings.toml:")
    from_file = load(home, file="# mine\nMAX_ORDER_SIZE=20000\n")
    assert from_file.risk.max_order_size == 20_000
    assert from_file.origin("risk.max_order_size") == "MAX_ORDER_SIZE (.env:2)"
    from_environment = load(home, {"MAX_ORDER_SIZE": "30000"})
    assert (from_environment.risk.max_order_size, from_environment.origin("risk.max_order_size")) == (
        30_000,
        "MAX_ORDER_SIZE (environment)",
    )
    overridden = load_settings(home, environ={"MAX_ORDER_SIZE": "1"}, overrides={"risk.max_order_size": 40_000})
    assert overridden.risk.max_order_size == 40_000
    assert overridden.origin("risk.max_order_size") == "risk.max_order_size (command line)"


def test_override_by_variable_name_is_accepted(home: Path) -> None:
    assert load_settings(home, environ={}, overrides={"LOG_LEVEL": "debug"}).logging.level == "DEBUG"


def test_empty_variable_counts_as_not_given(home: Path) -> None:
    assert load(home, {"MAX_DRAWDOWN": "", "TELEGRAM_BOT_TOKEN": ""}).risk.max_drawdown == 0.05


def test_rows_show_every_setting_and_mask_the_key(home: Path) -> None:
    rows = load(home, KEY).effective_rows()
    by_name = {name: (value, origin) for name, value, origin in rows}
    assert by_name["openalgo.api_key"] == ("***", "OPENALGO_API_KEY (environment)")
    assert by_name["strategies.SMA_Crossover.fast_period"][0] == "20"
    assert "k-123456" not in str(rows)
    assert "k-123456" not in repr(load(home, KEY))


# what is refused


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TRADING_MODE", "papr", "expected 'live', 'paper', 'backtest' or 'dry_run'; did you mean paper?"),
        ("MAX_POSITION_SIZE", "-5", "expected greater than 0"),
        ("MAX_POSITION_SIZE", "many", "expected a valid number"),
        ("MAX_DRAWDOWN", "1.5", "expected less than 1"),
        ("OPENALGO_WS_PORT", "99999", "expected less than or equal to 65535"),
        ("OPENALGO_API_HOST", "localhost:5000", "expected http://host:port without a path"),
        ("OPENALGO_API_HOST", "http://localhost:5000/api", "expected http://host:port without a path"),
        ("ENABLED_EXCHANGES", "NSE,NFX", "found NFX; did you mean"),
        ("ENABLED_INSTRUMENT_TYPES", "OPT", "expected some of INDEX, EQ, FUT, CE, PE; found OPT"),
        ("ENABLED_TIMEFRAMES", "1m,7m", "found 7m"),
        ("LOG_LEVEL", "LOUD", "expected 'DEBUG'"),
        ("LOG_MAX_FILE_SIZE", "big", "expected a size such as 100 MB"),
        ("TRAILING_STOP_ENABLED", "perhaps", "expected a valid boolean"),
        ("ENABLED_STRATEGIES", "SMA_Crosover", "did you mean SMA_Crossover?"),
        ("STRATEGY_SMA_CROSSOVER_FAST_PERIOD", "2.5", "expected a whole number"),
        ("STRATEGY_SMA_CROSSOVER_LOTS", "0", "expected greater than or equal to 1"),
        ("STRATEGY_SMA_CROSSOVER_TRADE_LONG", "the best option", "expected same, future"),
        ("MYTRADING_MIN_FREE_BYTES", "abc", "expected a size such as 100 MB"),
        ("MYTRADING_MIN_FREE_BYTES", "-1", "expected a size such as 100 MB"),
        ("STRATEGY_SMA_CROSSOVER_TIMEFRAMES", "2m", "expected some of 1m, 3m"),
        ("STRATEGY_SMA_CROSSOVER_TIMEFRAMES", "1m,tick", "for every quote write `subscribe_quotes = True`"),
        ("SMA_FAST_PERIOD", "x", "expected a whole number for SMA_Crossover.fast_period"),
    ],
)
def test_invalid_value_is_refused_naming_variable_value_and_what_may_stand(
    home: Path, name: str, value: str, said: str
) -> None:
    text = refusal(home, {name: value})
    assert text.startswith(f"{name} (environment)")
    assert repr(value) in text or value in text
    assert said in text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OPENALGO_API_KY", "OPENALGO_API_KEY"),
        ("STRATEGY_SMA_CROSOVER_FAST_PERIOD", "STRATEGY_SMA_CROSSOVER"),
        ("STRATEGY_SMA_CROSSOVER_FAST_PERIODS", "fast_period"),
        ("ZMQ_BASEPORT", "ZMQ_BASE_PORT"),
        ("MAX_POSITON_SIZE", "MAX_POSITION_SIZE"),
    ],
)
def test_unknown_variable_of_ours_in_the_environment_is_refused_with_the_near_one(
    home: Path, name: str, meant: str
) -> None:
    assert f"did you mean {meant}" in refusal(home, {name: "1"})


def test_unknown_variable_of_others_in_the_environment_is_left_alone(home: Path) -> None:
    others = {"PATH": "/bin", "MAX_JOBS": "4", "ENABLE_COLOURS": "1", "LOG_FILE": "x"}
    assert load(home, others).risk == load(home).risk


def test_unknown_variable_in_the_file_is_refused_with_its_line(home: Path) -> None:
    text = refusal(home, file="# first\n\nMAX_JOBS=4\nnonsense line\n")
    assert "MAX_JOBS (.env:3): no such variable" in text
    assert ".env:4: expected NAME=value, found 'nonsense line'" in text


def test_all_problems_are_reported_at_once(home: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(home, {"TRADING_MODE": "x", "MAX_DRAWDOWN": "7", "ENABLED_STRATEGIES": "Nix", "STRATEGY_NIX_LOTS": "1"})
    assert len(caught.value.problems) == 4


def test_unknown_key_in_settings_file_is_refused_with_file_line_and_near_key(home: Path) -> None:
    with (home / "config" / "settings.toml").open("a") as file:
        file.write("max_ordersize = 5\n")
    text = refusal(home)
    assert "risk.max_ordersize (config/settings.toml:" in text
    assert "did you mean risk.max_order_size?" in text


def test_settings_file_that_is_not_toml_is_refused(home: Path) -> None:
    (home / "config" / "settings.toml").write_text("[risk\n")
    assert "config/settings.toml: expected TOML" in refusal(home)


def test_strategy_file_with_unknown_name_or_key_is_refused(home: Path) -> None:
    folder = home / "config" / "strategies"
    (folder / "mine.toml").write_text('name = "Mine"\n')
    (folder / "sma_crossover.toml").write_text('name = "SMA_Crossover"\nlot = 2\n')
    text = refusal(home)
    assert "name (config/strategies/mine.toml:1): no file in strategies/ has a strategy 'Mine'" in text
    assert "lot (config/strategies/sma_crossover.toml:2): SMA_Crossover has no setting lot; did you mean lots?" in text


def test_names_of_one_setting_with_different_values_are_refused(home: Path) -> None:
    text = refusal(home, {"MYTRADING_LOG_DIR": "a", "LOG_DIRECTORY": "b"})
    assert "LOG_DIRECTORY (environment)" in text
    assert "MYTRADING_LOG_DIR (environment)" in text
    assert load(home, {"MYTRADING_LOG_DIR": "a", "LOG_DIRECTORY": "a"}).logging.directory == "a"


@pytest.mark.parametrize(("name", "now"), RENAMED.items())
def test_second_name_of_a_setting_is_refused_in_env_file_and_warned_of_in_the_environment(
    home: Path, name: str, now: str
) -> None:
    said = f"has no effect: it is called {now} now; set that instead"
    assert f"{name} (environment) {said}" in load(home, {name: "3"}).warnings
    assert refusal(home, KEY, file=f"{name}=3\n") == f"{name} (.env:1) {said}"


@pytest.mark.parametrize("path", REMOVED_KEYS)
def test_removed_key_of_a_file_is_refused_with_its_place_and_why(home: Path, path: str) -> None:
    section, _, key = path.partition(".")
    name = "strategies/sma_crossover.toml" if section == "strategy" else "settings.toml"
    file = home / "config" / name
    file.write_text(f"{key} = 1\n{file.read_text()}" if section == "strategy" else f"[{section}]\n{key} = 1\n")
    said = refusal(home, KEY)
    assert said.startswith(f"{key if section == 'strategy' else path} (config/{name}:")
    assert said.endswith(f": this setting is gone, remove it: {REMOVED_KEYS[path]}")


# logging, strategies


def test_debug_mode_lowers_the_level_unless_one_is_given(home: Path) -> None:
    assert load(home, {"DEBUG_MODE": "true"}).logging.level == "DEBUG"
    assert load(home, {"DEBUG_MODE": "true", "LOG_LEVEL": "ERROR"}).logging.level == "ERROR"


def test_sma_and_rsi_variables_set_the_parameters_of_the_built_ins(home: Path) -> None:
    settings = load(
        home,
        {
            "ENABLED_STRATEGIES": "sma_crossover,RSIMEANREVERSION",
            "SMA_FAST_PERIOD": "7",
            "STRATEGY_SMACROSSOVER_SLOW_PERIOD": "30",
            "RSI_OVERSOLD": "25",
        },
    )
    sma, rsi = settings.strategies
    assert (sma.parameters["fast_period"], sma.parameters["slow_period"]) == (7, 30)
    assert (rsi.name, rsi.parameters["oversold"], rsi.parameters["period"]) == ("RSI_MeanReversion", 25.0, 14)


def test_strategy_file_dropped_in_and_named_is_found_with_its_parameters(home: Path) -> None:
    (home / "strategies" / "mine.py").write_text(
        "from mytrading.strategies import BaseStrategy\n"
        "raise SystemExit('never run here')\n"
        "class Base(BaseStrategy):\n    width: float = 1.0\n"
        "class Mine(Base):\n    label = 'x'\n    on: bool = False\n"
    )
    env = {
        "ENABLED_STRATEGIES": "Mine",
        "STRATEGY_MINE_ON": "yes",
        "STRATEGY_MINE_WIDTH": "2",
        "STRATEGY_MINE_SYMBOLS": "NSE:SBIN,INFY",
    }
    (mine,) = load(home, env).strategies
    assert mine.parameters == {"width": 2.0, "label": "x", "on": True}
    assert mine.symbols == ("NSE:SBIN", "INFY")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class Broken(BaseStrategy:\n", "strategies/broken.py:1: "),
        ("x = 1\n", "strategies/broken.py: no strategy in it: expected a class that inherits from BaseStrategy"),
        (
            "class Broken(BaseStrategy):\n    def __init__(self):\n        pass\n",
            "strategies/broken.py:2: Broken defines __init__: write initialize(self) instead",
        ),
    ],
)
def test_strategy_file_that_cannot_be_used_is_named_and_does_not_stop_the_others(
    home: Path, source: str, said: str
) -> None:
    (home / "strategies" / "broken.py").write_text(source)
    idle = load(home)
    assert [strategy.name for strategy in idle.strategies] == ["SMA_Crossover"]
    assert any(said in warning for warning in idle.warnings)
    assert idle.strategy_faults == ()
    env = {"ENABLED_STRATEGIES": "SMA_Crossover,Broken", "STRATEGY_BROKEN_WIDTH": "3"}
    wanted = load(home, {**env, "STRATEGY_BROKEN_SYMBOLS": "NSE:SBIN"})
    (fault,) = wanted.strategy_faults
    assert fault.lower().startswith("broken cannot run: ")
    assert said in fault
    assert not any(said in warning for warning in wanted.warnings)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"STRATEGY_BROKEN_LOTS": "2"},
        {"ENABLED_EXCHANGES": "NSE,NFO", "STRATEGY_SMA_CROSSOVER_SYMBOLS": "NSE:SBIN", "ENABLED_SYMBOLS": "NSE:SBIN"},
    ],
)
def test_strategy_file_that_cannot_be_read_needs_no_settings_for_the_others_to_run(
    home: Path, env: dict[str, str]
) -> None:
    (home / "strategies" / "broken.py").write_text("class Broken(BaseStrategy):\n    def on_data(self, data)\n")
    settings = load(home, {"ENABLED_STRATEGIES": "Broken,SMA_Crossover", **env})
    (fault,) = settings.strategy_faults
    assert fault.lower().startswith("broken cannot run: strategies/broken.py:2: ")
    assert [strategy.name.lower() for strategy in settings.running_strategies] == ["broken", "sma_crossover"]


def test_what_is_written_for_a_strategy_that_cannot_be_read_is_judged(home: Path) -> None:
    (home / "strategies" / "broken.py").write_text("class Broken(BaseStrategy:\n")
    env = {"ENABLED_STRATEGIES": "Broken,SMA_Crossover", "STRATEGY_BROKEN_SYMBOLS": "NIFFTY"}
    assert "NIFFTY" in refusal(home, env)


def test_strategy_engine_switched_off_runs_no_strategy(home: Path) -> None:
    assert load(home, {"ENABLE_STRATEGY_ENGINE": "false"}).running_strategies == ()


# what must fit together


def test_strategy_on_disabled_exchange_type_or_timeframe_is_refused(home: Path) -> None:
    assert "trades on NFO, which is not in ENABLED_EXCHANGES" in refusal(home, {"ENABLED_EXCHANGES": "NSE_INDEX"})
    assert "trades type CE, which is not in ENABLED_INSTRUMENT_TYPES" in refusal(
        home, {"ENABLED_INSTRUMENT_TYPES": "INDEX,EQ"}
    )
    assert "5m is not in ENABLED_TIMEFRAMES" in refusal(home, {"ENABLED_TIMEFRAMES": "1m"})
    assert "SENSEX trades on BSE_INDEX" in refusal(
        home, {"ENABLED_EXCHANGES": "NSE_INDEX,NFO", "ENABLED_SYMBOLS": "NIFTY,SENSEX"}
    )


def test_sample_of_the_readme_loads(home: Path) -> None:
    sample = (
        "TRADING_MODE=paper\nOPENALGO_API_KEY=your_api_key_here\nENABLED_STRATEGIES=SMA_Crossover,RSI_MeanReversion\n"
        "SMA_FAST_PERIOD=20\nSMA_SLOW_PERIOD=50\nRSI_PERIOD=14\nRSI_OVERSOLD=30\nRSI_OVERBOUGHT=70\n"
        "ENABLED_TIMEFRAMES=1m,5m,15m,1h\nENABLED_INSTRUMENT_TYPES=INDEX,CE,PE\nENABLED_EXCHANGES=NSE_INDEX,NFO\n"
        "MAX_POSITION_SIZE=50000.0\nDEFAULT_STOP_LOSS=0.02\nTRAILING_STOP_ENABLED=true\n"
    )
    settings = load(home, file=sample)
    config = build_run_config(settings, home, home / "state", home / "run")
    assert [run.name for run in config.strategies] == ["SMA_Crossover", "RSI_MeanReversion"]
    assert config.data.watch == ("NSE_INDEX:NIFTY", "NSE_INDEX:BANKNIFTY")


def test_index_traded_as_itself_is_refused(home: Path) -> None:
    text = refusal(home, {"STRATEGY_SMA_CROSSOVER_TRADE_LONG": "same"})
    assert "NSE_INDEX:NIFTY is an index, which cannot be bought" in text
    assert "config/strategies/sma_crossover.toml, say: trade" in text


def test_file_to_write_is_called_after_the_class_where_its_own_has_another_name(home: Path) -> None:
    """`config/strategies/odd_name.toml`, which was advised, would be refused: no strategy is called so."""
    source = "from mytrading.strategies import BaseStrategy\nclass Breakout(BaseStrategy):\n    pass\n"
    (home / "strategies" / "odd_name.py").write_text(source, encoding="utf-8")
    text = refusal(home, {"ENABLED_STRATEGIES": "Breakout"})
    assert "config/strategies/breakout.toml, say: trade" in text
    own = home / "config" / "strategies" / "breakout.toml"
    own.write_text('symbols = ["NIFTY"]\ntrade = "NIFTY ATM CE nearest"\n', encoding="utf-8")
    assert load(home, {"ENABLED_STRATEGIES": "Breakout"}).system.enabled_strategies == ("Breakout",)


def test_symbol_without_exchange_is_refused_with_how_to_write_it(home: Path) -> None:
    assert "write an instrument as EXCHANGE:SYMBOL, say NSE:TCS" in refusal(home, {"ENABLED_SYMBOLS": "TCS"})


def test_product_that_is_not_enabled_is_refused_at_the_start(home: Path) -> None:
    text = refusal(home, {"ENABLED_PRODUCTS": "CNC"})
    assert "SMA_Crossover.product" in text
    assert "MIS is not in ENABLED_PRODUCTS" in text


@pytest.mark.parametrize("name", ["DAILY_STOP_R", "STRATEGY_SMA_CROSSOVER_DAILY_TARGET_R"])
def test_limit_in_r_needs_the_rupees_of_one_where_an_entry_has_no_stop(home: Path, name: str) -> None:
    none = {"STRATEGY_SMA_CROSSOVER_STOP": "none"}
    assert "set R_VALUE to the rupees of 1 R, or give it a stop" in refusal(home, {name: "5", **none})
    assert load(home, {name: "5", "R_VALUE": "6500", **none}).risk.r_value == 6500
    assert load(home, {name: "5"}).risk.r_value == 0


# starting


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, ["ENABLE_TRADE_EXECUTION = false (default)", "LIVE_CONFIRM = (not set) (default)", "takes orders, main"]),
        ({"ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "other"}, ["LIVE_CONFIRM = other (LIVE_CONFIRM (environ"]),
        ({"LIVE_CONFIRM": "own", "OPENALGO_ACCOUNT": "own"}, ["ENABLE_TRADE_EXECUTION = false"]),
    ],
)
def test_start_in_live_mode_names_each_gate_that_is_closed(home: Path, env: dict[str, str], said: list[str]) -> None:
    text = start_refusal(home, load(home, {**KEY, "TRADING_MODE": "live", **env}))
    assert all(part in text for part in said), text
    assert text.count("\n") == (1 if not env else 0)


def test_confirmed_live_mode_may_start_and_expects_a_live_server(home: Path) -> None:
    env = {"TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main"}
    settings = load(home, {**KEY, **env})
    assert start_problems(settings) == []
    run = build_run_config(settings, home, home / "state", home / "run")
    assert (run.mode, run.venue.expected_mode) == (Mode.LIVE, ServerMode.LIVE)
    assert live_run_problem(run) == ""


def test_start_without_key_is_refused_saying_what_to_set(home: Path) -> None:
    text = start_refusal(home, load(home))
    assert "OPENALGO_API_KEY is not set" in text
    assert "--simulator" in text


def test_run_in_paper_mode_expects_an_analyzing_server_and_ignores_trade_execution(home: Path) -> None:
    config = build_run_config(load(home, KEY), home, home / "state", home / "run")
    assert (config.mode, config.venue.expected_mode, config.venue.kind) == (
        Mode.PAPER,
        ServerMode.ANALYZE,
        VenueKind.OPENALGO,
    )
    assert (config.venue.rest_url, config.venue.ws_url) == ("http://127.0.0.1:5000", "ws://127.0.0.1:8765")


def test_run_in_dry_run_mode_sends_nothing(home: Path) -> None:
    config = build_run_config(load(home, {**KEY, "TRADING_MODE": "dry_run"}), home, home / "s", home / "r")
    assert config.venue.kind is VenueKind.DRY_RUN


def test_stream_of_an_encrypted_server_is_encrypted_too(home: Path) -> None:
    for host, stream in (
        ("https://algo.example.in", "wss://ws.example.in:8765"),
        ("http://a:1", "ws://ws.example.in:8765"),
    ):
        env = {**KEY, "OPENALGO_API_HOST": host, "OPENALGO_WS_HOST": "ws.example.in"}
        config = build_run_config(load(home, env), home, home / "state", home / "run")
        assert config.venue.ws_url == config.order_accounts[0].ws_url == stream


def test_paper_profile_reads_no_env_file_and_ignores_the_server(home: Path) -> None:
    env = {"OPENALGO_API_HOST": "junk", "OPENALGO_NONSENSE": "1", "TRADING_MODE": "live"}
    settings = load(home, env, "BROKEN\nTRADING_MODE=live\n", profile="paper")
    config = build_run_config(settings, home, home / "state", home / "run", rest_url="http://x", ws_url="ws://x")
    assert (config.mode, config.simulator.embedded, config.simulator.speed) == (Mode.PAPER, True, 60.0)
    assert (config.venue.rest_url, len(config.venue.api_key)) == ("http://x", 32)
    (run,) = config.strategies
    assert (run.parameters["fast_period"], run.parameters["slow_period"], run.timeframes) == (3, 8, ("1m",))
    assert run.long is not None
    assert (run.long.kind, run.long.strike, run.long.right, run.long.side) == (TradeKind.OPTION, "ATM", "CE", Side.BUY)
    assert run.short is None


def test_paper_profile_honours_other_variables_of_the_environment(home: Path) -> None:
    settings = load(home, {"SMA_FAST_PERIOD": "5", "MAX_ORDER_SIZE": "20000"}, profile="paper")
    assert (settings.strategies[0].parameters["fast_period"], settings.risk.max_order_size) == (5, 20_000)


def test_each_profile_logs_into_a_folder_of_its_own(home: Path) -> None:
    env = {**KEY, "LOG_DIRECTORY": "elsewhere"}
    runs = [build_run_config(load(home, env, profile=name), home, home, home) for name in ("default", "paper")]
    assert [run.log_dir for run in runs] == [str(home / "elsewhere" / "default"), str(home / "elsewhere" / "paper")]


def test_shipped_limits_admit_one_lot_of_an_option(home: Path) -> None:
    limits = build_run_config(load(home, profile="paper"), home, home / "s", home / "r").risk
    assert limits.min_order_size < 65 * 250 < min(limits.max_order_size, limits.max_position_size)


def test_quotes_get_two_machine_seconds_before_they_are_stale_at_any_speed(home: Path) -> None:
    settings = load_settings(home, "replay", {}, {"simulator.speed": 600})
    assert build_run_config(settings, home, home / "s", home / "r").risk.stale_quote_seconds == 1200


def test_ports_count_with_transport_tcp_only(home: Path) -> None:
    env = {**KEY, "ZMQ_BASE_PORT": "6000", "ZMQ_TRADE_COMMANDS_PORT": "7777"}
    assert build_run_config(load(home, env), home, home / "s", home / "r").messaging.ports == {}
    insecure = {"MYTRADING_TRANSPORT": "tcp", "MYTRADING_TRANSPORT_INSECURE": "yes"}
    tcp = load(home, {**env, **insecure})
    ports = build_run_config(tcp, home, home / "s", home / "r").messaging.ports
    assert (ports["market"], ports["commands"], ports["status-feed"]) == (6000, 7777, 6020)
    assert len(set(ports.values())) == len(ports)
    assert (
        5555
        not in build_run_config(load(home, {**KEY, **insecure}), home, home / "s", home / "r").messaging.ports.values()
    )
    clash = load(home, {**KEY, **insecure, "ZMQ_BASE_PORT": "5555"})
    assert "5555, which OpenAlgo binds" in start_refusal(home, clash)


def test_transport_that_asks_nobody_who_he_is_is_refused_until_it_is_allowed(home: Path) -> None:
    """Another user of the machine found the port and halted the stack, in the name of root."""
    env = {**KEY, "MYTRADING_TRANSPORT": "tcp"}
    assert "MYTRADING_TRANSPORT_INSECURE=yes" in start_refusal(home, load(home, env))
    allowed = load(home, {**env, "MYTRADING_TRANSPORT_INSECURE": "yes"})
    assert build_run_config(allowed, home, home / "s", home / "r").messaging.transport == "tcp"


def test_run_config_of_settings_survives_the_run_file(home: Path, tmp_path: Path) -> None:
    config = build_run_config(load(home, profile="paper"), home, home / "state", home / "run")
    write_run_config(tmp_path / "run.msgpack", config)
    assert decode_run_config(tmp_path / "run.msgpack") == config


def test_hash_of_the_configuration_is_the_same_for_the_same_settings(home: Path) -> None:
    settings = load(home, profile="paper")
    one = build_run_config(settings, home, home / "state", home / "run")
    two = build_run_config(settings, home, home / "elsewhere", home / "run2")
    assert one.config_hash == two.config_hash
    assert one.venue.api_key != two.venue.api_key


def test_what_can_be_set_and_stand_in_a_file_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list does not change between two loads, and was half the time of each."""
    load_settings(PROJECT, "paper", {})
    compared: list[str] = []
    looked_at: list[type] = []

    def counted(word: str) -> str:
        compared.append(word)
        return name_key(word)

    monkeypatch.setattr(loading, "name_key", counted)
    monkeypatch.setattr(spelling.inspect, "type_info", looked_at.append)
    load_settings(PROJECT, "paper", {})
    assert 0 < len(compared) < 1500
    assert looked_at == []


def test_value_that_sets_two_things_wrongly_is_refused_in_one_sentence(home: Path) -> None:
    """`trade` is the rule of both sides; its problem stood there twice."""
    path = home / "config" / "strategies" / "sma_crossover.toml"
    path.write_text('name = "SMA_Crossover"\ntrade = "NIFTY ATM XX nearest"\n', encoding="utf-8")
    lines = refusal(home, KEY).splitlines()
    assert len(lines) == 1 and "XX" in lines[0]


@pytest.mark.parametrize("name", UNUSED)
def test_unused_variable_is_refused_in_env_file_with_what_to_set_instead(home: Path, name: str) -> None:
    said = refusal(home, KEY, file=f"{name}=1\n")
    assert said == f"{name} (.env:1): nothing here reads this variable; remove it ({UNUSED[name]})"
    instead = [word for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", UNUSED[name]) if word in VARIABLES]
    assert instead or UNUSED[name].startswith("no setting: ")
    assert all(word in VARIABLES for word in re.findall(r"set ([A-Z_]{5,})", UNUSED[name]))


def test_unused_variables_in_the_environment_are_passed_over_with_one_hint(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "supervisord.conf").touch()
    for name in UNUSED:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MYTRADING_HOME", str(home))
    monkeypatch.setenv("OPENALGO_API_KEY", "k")
    assert load(home, {**KEY, **dict.fromkeys(UNUSED, "1")}).warnings == load(home, KEY).warnings
    with pytest.raises(SystemExit) as ended:
        run(["config", "check"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "nothing here reads" in line]
    assert (ended.value.code, len(lines)) == (0, 1)
    assert all(name in lines[0] for name in UNUSED)


def test_mode_backtest_names_the_command_of_a_backtest(home: Path) -> None:
    said = start_refusal(home, load(home, {**KEY, "TRADING_MODE": "backtest"}))
    assert (
        "TRADING_MODE = backtest (TRADING_MODE (environment)): `mytrading backtest NAME --data FILE` runs one" in said
    )
