"""Each variable changes the run, and each value of the run file has a reader in the code.

A reader is an attribute access whose receiver carries one of the names under which that part of the run file goes in
the code (`config.data.batch_size`, `rules.batch_size`), so that a field is not taken for read because of a namesake.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from mytrading.config.cross_checks import start_problems
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.config.sections import STRATEGY_PATH, VARIABLES
from mytrading.messages import run_config
from mytrading.messages.run_config import RunConfig
from tests.kit.project import ROOT, copy_project
from tests.kit.shared_fixtures import once

Accesses = frozenset[tuple[str, str]]
OTHER = {
    "ACCEPTED_BROKERS": "paytm",
    "OPENALGO_API_KEY": "another",
    "MYTRADING_JOURNAL_RESERVE": "2 MB",
    "OPENALGO_API_HOST": "http://10.0.0.9:5001",
    "OPENALGO_WS_HOST": "10.0.0.9",
    "OPENALGO_WS_PORT": "8766",
    "OPENALGO_ACCOUNT": "second",
    "OPENALGO_TIMEOUT": "7",
    "OPENALGO_RETRY_DELAY": "3",
    "MAX_CONCURRENT_REQUESTS": "2",
    "BROKER_REGISTERED_IPS": "203.0.113.7, 203.0.113.8",
    "EGRESS_CHECK_URL": "http://127.0.0.1:9/ip",
    "TRADING_MODE": "dry_run",
    "PAPER_VENUE": "simulator",
    "ENABLE_TRADE_EXECUTION": "true",
    "SYSTEM_NAME": "Other",
    "DEBUG_MODE": "true",
    "ENABLED_STRATEGIES": "RSI_MeanReversion",
    "ENABLE_STRATEGY_ENGINE": "false",
    "ENABLED_SYMBOLS": "SENSEX",
    "ENABLED_EXCHANGES": "NSE,NFO,NSE_INDEX",
    "ENABLED_INSTRUMENT_TYPES": "INDEX,EQ,CE",
    "ENABLED_TIMEFRAMES": "1m",
    "ENABLED_PRODUCTS": "NRML,MIS",
    "PRICE_COLLAR": "0.1",
    "PRICE_COLLAR_OPTIONS": "0.5",
    "MIN_DATA_COVERAGE": "0.5",
    "MAX_DAILY_LOSS_ACTION": "flatten",
    "MAX_DRAWDOWN": "0.2",
    "MAX_DRAWDOWN_ACTION": "alert",
    "DAILY_R_ACTION": "no_entries",
    "ENABLE_TICK_DATA": "false",
    "ENABLE_DEPTH_DATA": "false",
    "ENABLE_HISTORICAL_DATA": "false",
    "ENABLE_DATA_VALIDATION": "false",
    "CONSOLE_LOGGING_ENABLED": "false",
    "FILE_LOGGING_ENABLED": "false",
    "PERFORMANCE_LOGGING": "false",
    "TRADE_LOGGING": "false",
    "ERROR_LOGGING": "false",
    "LOG_LEVEL": "ERROR",
    "LOG_DIRECTORY": "elsewhere",
    "MYTRADING_LOG_DIR": "elsewhere",
    "LOG_MAX_FILE_SIZE": "3 MB",
    "ENABLE_PERFORMANCE_MONITORING": "false",
    "ENABLE_MEMORY_OPTIMIZATION": "false",
    "GC_THRESHOLD": "5000",
    "MARKET_DATA_BUFFER_SIZE": "700",
    "MYTRADING_TRANSPORT": "tcp",
    "MYTRADING_TRANSPORT_INSECURE": "yes",
    "ZMQ_BASE_PORT": "6000",
    "ZMQ_MARKET_DATA_PORT": "6100",
    "ZMQ_STRATEGY_SIGNALS_PORT": "6100",
    "ZMQ_TRADE_COMMANDS_PORT": "6100",
    "ZMQ_SYSTEM_STATUS_PORT": "6100",
    "ZMQ_BIND_ADDRESS": "127.0.0.2",
    "AVOID_FIRST_MINUTES": "1",
    "AVOID_LAST_MINUTES": "1",
    "ALERT_COMMAND": "true",
    "CONSOLE_ENABLED": "false",
    "CONSOLE_PUBLIC_URL": "https://console.example.in",
    "WEBHOOK_PUBLIC_URL": "https://alerts.example.in",
    "FEED_MODE": "depth",
    "FEED_FAILBACK_SECONDS": "120",
    "UNKNOWN_EXIT": "wait",
    "DEFAULT_STOP_LOSS": "0.03",
    "DEFAULT_STOP_LOSS_OPTIONS": "0.5",
    "STOP_LIMIT_BUFFER": "0.05",
    "TRAILING_STOP_ENABLED": "false",
    "TRAILING_STOP_DISTANCE": "0.03",
}
"""A value other than the default for variables that do not simply take the number 7."""

STOPS = ("ENABLED_TIMEFRAMES",)
"""Variables whose other value is a reason not to start."""

ALLOWS = ("MYTRADING_TRANSPORT_INSECURE",)
"""Without which what else is given is a reason not to start."""

BESIDES = {
    "ZMQ_": {"MYTRADING_TRANSPORT": "tcp", "MYTRADING_TRANSPORT_INSECURE": "yes"},
    "MYTRADING_TRANSPORT": {"MYTRADING_TRANSPORT_INSECURE": "yes"},
    "MYTRADING_TRANSPORT_INSECURE": {"MYTRADING_TRANSPORT": "tcp"},
    "DAILY_STOP_R": {"R_VALUE": "6500"},
    "DAILY_TARGET_R": {"R_VALUE": "6500"},
    "RSI_": {"ENABLED_STRATEGIES": "RSI_MeanReversion"},
    "ENABLED_EXCHANGES": {"ENABLE_STRATEGY_ENGINE": "false"},
    "ENABLED_INSTRUMENT_TYPES": {"ENABLE_STRATEGY_ENGINE": "false"},
}
"""Further variables that must be set for a variable (or all that begin so) to count."""

OUTSIDE = {
    "MYTRADING_HOME": "mytrading/runtime/host/paths.py",
    "MYTRADING_STATE_DIR": "mytrading/runtime/host/paths.py",
    "MYTRADING_DATA_DIR": "mytrading/runtime/host/paths.py",
    "MYTRADING_RUN": "mytrading/simulator/embedded.py",
    "MYTRADING_KEY": "mytrading/config/key_vault.py",
    "MYTRADING_KEY_FILE": "mytrading/config/key_vault.py",
    "MYTRADING_RUN_KEY": "mytrading/runtime/host/run_key.py",
    "MYTRADING_TEST_DATA": "tests/system/test_stack.py",
    "MYTRADING_TEST_PATIENCE": "tests/kit/waiting.py",
}
"""Variables that are no settings, with a file that reads them from the environment."""

RECEIVERS: dict[str, tuple[str, ...]] = {
    "VenueSettings": ("venue",),
    "AccountRun": ("account",),
    "TradeRule": ("rule",),
    "StrategyRun": ("run", "strategy"),
    "RiskLimits": ("risk", "limits"),
    "RateLimits": ("rates",),
    "DataRules": ("data", "rules"),
    "Messaging": ("messaging",),
    "LogRules": ("logging", "rules"),
    "SimulatorRules": ("simulator", "rules"),
    "Windows": ("windows",),
    "ProcessRules": ("process",),
    "AlertRules": ("rules", "_rules"),
    "WebhookRules": ("webhooks", "rules"),
    "ConsoleRules": ("console", "rules"),
    "RunConfig": ("config", "_config", "found", "self"),
}
"""Under which names each part of the run file goes in the code."""

SETTINGS = [row for row in VARIABLES.values() if row.path and not row.path.startswith("backtest.")]
"""Settings of a stack; tests/backtest/options/test_options.py has those of backtests."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder that no test changes."""
    return copy_project(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(scope="module")
def without(shipped: Path) -> Callable[[dict[str, str]], object]:
    """The run without the variable in question; many variables share one."""
    found: dict[tuple[tuple[str, str], ...], object] = {}

    def run(besides: dict[str, str]) -> object:
        key = tuple(sorted(besides.items()))
        if key not in found:
            found[key] = outcome(shipped, besides)
        return found[key]

    return run


def outcome(home: Path, env: dict[str, str]) -> object:
    """The run that an environment describes, as plain data, or why there is none."""
    try:
        settings = load_settings(home, "default", {"OPENALGO_API_KEY": "k", **env})
        if problems := start_problems(settings):
            return problems
        return msgspec.to_builtins(build_run_config(settings, home, home / "state", home / "run"))
    except ConfigurationError as error:
        return str(error)


@pytest.mark.parametrize("name", [row.name for row in SETTINGS])
def test_variable_changes_the_run(shipped: Path, without: Callable[[dict[str, str]], object], name: str) -> None:
    besides = BESIDES.get(name) or BESIDES.get(name.partition("_")[0] + "_", {})
    before, after = without(besides), outcome(shipped, {**besides, name: OTHER.get(name, "7")})
    assert isinstance(before, dict) != (name in ALLOWS), before
    assert isinstance(after, dict) != (name in STOPS), after
    assert before != after


@pytest.mark.parametrize("name", [row.name for row in VARIABLES.values() if row.outside])
def test_variable_read_before_the_env_file_is_refused_in_it(home: Path, name: str) -> None:
    (home / ".env").write_text(f"\n{name}=/tmp/x\n")
    assert f"{name} (.env:2) = '/tmp/x': expected in the environment, say `export {name}=…`" in str(outcome(home, {}))


def test_least_free_space_is_a_size_in_the_run_file(home: Path) -> None:
    (home / ".env").write_text("MYTRADING_MIN_FREE_BYTES=3 GB\n")
    run = outcome(home, {})
    assert isinstance(run, dict)
    assert run["process"]["min_free_bytes"] == 3_000_000_000
    for wrong, said in (("abc", "a size"), ("1.2.3 GB", "a size"), ("-1", "a size"), ("9" * 20, "less than or equal")):
        (home / ".env").write_text(f"MYTRADING_MIN_FREE_BYTES={wrong}\n")
        assert f"expected {said}" in str(outcome(home, {}))


@pytest.mark.parametrize(("size", "warned"), [("1 MB", True), ("20 MB", True), ("3 GB", False)])
def test_less_free_space_than_the_journals_keep_aside_is_warned_of(home: Path, size: str, warned: bool) -> None:
    (home / ".env").write_text(f"MYTRADING_MIN_FREE_BYTES={size}\n")
    warnings = load_settings(home, "default", {}).warnings
    assert any("MYTRADING_MIN_FREE_BYTES" in line and "keep aside" in line for line in warnings) is warned


def test_variables_that_are_no_settings_are_read_where_they_are_said_to_be() -> None:
    assert {row.name for row in VARIABLES.values() if not row.path} == set(OUTSIDE)
    for name, file in OUTSIDE.items():
        assert f'"{name}"' in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not read {name}"


@pytest.fixture(scope="module")
def accesses(tmp_path_factory: pytest.TempPathFactory) -> Accesses:
    return frozenset((name, field) for name, field in once(tmp_path_factory, "accesses", read_accesses))


def read_accesses() -> list[tuple[str, str]]:
    """(receiver, attribute) of every attribute access in the package outside the settings themselves."""
    found = set()
    for path in (ROOT / "mytrading").rglob("*.py"):
        if "config" in path.relative_to(ROOT / "mytrading").parts[0] or path.name == "run_config.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                value = node.value
                name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
                found.add((name, node.attr))
    return sorted(found)


def readers(accesses: Accesses, owner: str, field: str) -> list[str]:
    return [name for name in RECEIVERS[owner] if (name, field) in accesses]


def fields() -> list[str]:
    """`VenueSettings.timeout` and so on, of the run file and everything in it."""
    return [f"{owner}.{field}" for owner in RECEIVERS for field in getattr(run_config, owner).__struct_fields__]


@pytest.mark.slow
@pytest.mark.parametrize("field", fields())
def test_field_of_the_run_file_has_a_reader(accesses: Accesses, field: str) -> None:
    assert readers(accesses, *field.split(".")), f"nobody reads {field}: use it, or remove it"


def test_every_part_of_the_run_file_is_looked_at() -> None:
    parts = {type(value).__name__ for value in msgspec.structs.astuple(_sample()) if isinstance(value, msgspec.Struct)}
    assert parts | {"RunConfig", "StrategyRun", "TradeRule", "AccountRun"} == set(RECEIVERS)


def _sample() -> RunConfig:
    settings = load_settings(ROOT, "paper", {})
    return build_run_config(settings, ROOT, ROOT / "state", ROOT / "run")


def test_strategy_variable_names_a_parameter() -> None:
    assert all("." in row.path.removeprefix(STRATEGY_PATH) for row in SETTINGS if row.path.startswith(STRATEGY_PATH))


@pytest.mark.parametrize(("seconds", "warned"), [("10", True), ("30", False), ("45", False)])
def test_short_deadline_of_order_calls_is_warned_of(home: Path, seconds: str, warned: bool) -> None:
    warnings = load_settings(home, "default", {"OPENALGO_TIMEOUT": seconds}).warnings
    assert any("OPENALGO_TIMEOUT" in line and "below 30 s" in line for line in warnings) is warned
