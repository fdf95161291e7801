"""Each setting has one declaration, and variables, validation, run file, template and documentation derive from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from pydantic import ValidationError

from mytrading.config.loading import load_settings
from mytrading.config.run_config import build_strategy_run
from mytrading.config.sections import REMOVED_KEYS, RENAMED, SECTIONS, STRATEGY_PATH, UNUSED, VARIABLES
from mytrading.config.settings import TradingSettings
from mytrading.config.strategies import StrategyConfig, strategy_config
from mytrading.config.strategy_files import discover_strategies
from mytrading.config.validation import build_section, declarations
from mytrading.core.options.leg_grammar import parse_trade
from mytrading.messages.enums import Side
from mytrading.messages.run_config import ExpiryRule, StrategySettings
from mytrading.messages.run_settings import (
    AlertRules,
    DataRules,
    LogRules,
    Messaging,
    ProcessRules,
    RateLimits,
    RiskLimits,
    ServerRules,
    SimulatorRules,
    setting,
)
from tests.kit.configuration_page import render_strategy, render_template, update_document, update_guide

PROJECT = Path(__file__).parents[3]

# The variables of the user's README, its template and the code behind it.
DOCUMENTED = [
    "OPENALGO_API_KEY",
    "OPENALGO_API_HOST",
    "OPENALGO_WS_HOST",
    "OPENALGO_WS_PORT",
    "OPENALGO_TIMEOUT",
    "OPENALGO_MAX_RETRIES",
    "OPENALGO_RETRY_DELAY",
    "DATABASE_URL",
    "TRADING_MODE",
    "SYSTEM_NAME",
    "SYSTEM_VERSION",
    "ZMQ_BASE_PORT",
    "ZMQ_HIGH_WATER_MARK",
    "ZMQ_MESSAGE_TIMEOUT",
    "ZMQ_MARKET_DATA_PORT",
    "ZMQ_STRATEGY_SIGNALS_PORT",
    "ZMQ_TRADE_COMMANDS_PORT",
    "ZMQ_SYSTEM_STATUS_PORT",
    "MAX_CONCURRENT_REQUESTS",
    "WEBSOCKET_BATCH_SIZE",
    "WEBSOCKET_BATCH_DELAY",
    "MAX_WEBSOCKET_SUBSCRIPTIONS",
    "MARKET_DATA_BUFFER_SIZE",
    "STRATEGY_CALCULATION_WORKERS",
    "ENABLE_MEMORY_OPTIMIZATION",
    "GC_THRESHOLD",
    "ENABLE_CPU_AFFINITY",
    "CPU_CORES",
    "MAX_POSITION_SIZE",
    "MAX_DAILY_LOSS",
    "MAX_DRAWDOWN",
    "MAX_POSITIONS_PER_SYMBOL",
    "MAX_TOTAL_POSITIONS",
    "MAX_ORDER_SIZE",
    "MIN_ORDER_SIZE",
    "DEFAULT_STOP_LOSS",
    "TRAILING_STOP_ENABLED",
    "TRAILING_STOP_DISTANCE",
    "ENABLED_TIMEFRAMES",
    "ENABLED_INSTRUMENT_TYPES",
    "ENABLED_EXCHANGES",
    "ENABLED_SYMBOLS",
    "ENABLE_TICK_DATA",
    "ENABLE_DEPTH_DATA",
    "DEPTH_LEVELS",
    "ENABLE_HISTORICAL_DATA",
    "HISTORICAL_DAYS",
    "ENABLE_DATA_VALIDATION",
    "MAX_PRICE_CHANGE_PERCENT",
    "ENABLED_STRATEGIES",
    "SMA_FAST_PERIOD",
    "SMA_SLOW_PERIOD",
    "RSI_PERIOD",
    "RSI_OVERSOLD",
    "RSI_OVERBOUGHT",
    "DATABASE_ENABLED",
    "DATABASE_TYPE",
    "SQLITE_PATH",
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_DATABASE",
    "POSTGRES_USERNAME",
    "POSTGRES_PASSWORD",
    "DB_POOL_SIZE",
    "DB_MAX_OVERFLOW",
    "DB_POOL_TIMEOUT",
    "LOG_LEVEL",
    "CONSOLE_LOGGING_ENABLED",
    "FILE_LOGGING_ENABLED",
    "ENABLE_CONSOLE_LOGGING",
    "ENABLE_FILE_LOGGING",
    "LOG_DIRECTORY",
    "LOG_DIR",
    "LOG_FILENAME",
    "LOG_MAX_FILE_SIZE",
    "LOG_RETENTION_DAYS",
    "LOG_ROTATION",
    "LOG_RETENTION",
    "PERFORMANCE_LOGGING",
    "TRADE_LOGGING",
    "ERROR_LOGGING",
    "LOG_CONSOLE_FORMAT",
    "LOG_FILE_FORMAT",
    "ENABLE_WEBSOCKET",
    "ENABLE_STRATEGY_ENGINE",
    "ENABLE_TRADE_EXECUTION",
    "ENABLE_PERFORMANCE_MONITORING",
    "ENABLE_HEALTH_CHECKS",
    "HEALTH_CHECK_INTERVAL",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_CHAT_IDS",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USERNAME",
    "SMTP_PASSWORD",
    "EMAIL_RECIPIENTS",
    "MARKET_OPEN_TIME",
    "MARKET_CLOSE_TIME",
    "ENABLE_PREMARKET_TRADING",
    "ENABLE_POSTMARKET_TRADING",
    "AVOID_FIRST_MINUTES",
    "AVOID_LAST_MINUTES",
    "NIFTY_ATM_RANGE",
    "NIFTY_STRIKE_STEP",
    "NIFTY_EXPIRY",
    "BANKNIFTY_ATM_RANGE",
    "BANKNIFTY_STRIKE_STEP",
    "OPTIONS_AUTO_DISCOVER_STRIKES",
    "OPTIONS_AUTO_DISCOVER_EXPIRIES",
    "DEBUG_MODE",
    "ENABLE_PROFILING",
    "ENABLE_BACKTESTING",
    "BACKTEST_START_DATE",
    "BACKTEST_END_DATE",
    "PAPER_TRADING_INITIAL_CAPITAL",
    "PAPER_TRADING_COMMISSION",
]

# What the documents beside that README name: AlgoMirror's, the rules of a script, and OpenAlgo's strategy module.
OTHERS = [
    "SECRET_KEY",
    "DATABASE_URL",
    "FLASK_ENV",
    "LOG_LEVEL",
    "REDIS_URL",
    "ENCRYPTION_KEY",
    "SESSION_TYPE",
    "ORDERBOOK_POLL_INTERVAL",
    "WS_URL",
    "LOT_SIZE",
    "ORDER_RATE_LIMIT",
    "SMART_ORDER_RATE",
    "HOST_SERVER",
]


def paths() -> set[str]:
    return {f"{section}.{name}" for section, kind in SECTIONS.items() for name in declarations(kind)}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_variable_is_ours_or_says_what_to_set_instead(name: str) -> None:
    assert sum(name in names for names in (VARIABLES, RENAMED, UNUSED)) == 1


def test_every_path_of_the_table_is_a_setting_or_a_parameter_of_a_shipped_strategy() -> None:
    known = {f"{item.name}.{name}" for item in discover_strategies(PROJECT / "strategies") for name in item.parameters}
    for variable in VARIABLES.values():
        if variable.path.startswith(STRATEGY_PATH):
            assert variable.path.removeprefix(STRATEGY_PATH) in known
        elif variable.path:
            assert variable.path in paths()


def test_every_setting_has_a_variable_unless_it_belongs_to_files_and_command_line() -> None:
    without = paths() - {variable.path for variable in VARIABLES.values()}
    assert without == {
        "simulator.embedded",
        "simulator.rest_port",
        "simulator.ws_port",
        "simulator.seed",
        "simulator.speed",
        "simulator.replay",
    }


def test_new_name_of_a_renamed_variable_is_one_of_ours() -> None:
    assert set(RENAMED.values()) <= set(VARIABLES)


def test_removed_key_is_no_setting() -> None:
    assert not set(REMOVED_KEYS) & paths()


def test_key_and_variable_have_one_declaration() -> None:
    names = [declared.variable for kind in SECTIONS.values() for declared in declarations(kind).values()]
    names += [declared.alias for kind in SECTIONS.values() for declared in declarations(kind).values()]
    given = [name for name in names if name]
    assert len(given) == len(set(given))


FILLED_IN = {
    "DataRules.watch",
    "DataRules.keep_seconds",
    "RiskLimits.enabled_exchanges",
    "RiskLimits.enabled_kinds",
    "RiskLimits.enabled_timeframes",
    "Messaging.ports",
    "SimulatorRules.personality",
    "SimulatorRules.broker",
    "SimulatorRules.record",
    "SimulatorRules.followed",
}
"""Fields of the run file's sections that are no settings: derived from others, or for tests and chaos runs alone."""


def test_field_of_the_run_file_is_declared_by_exactly_one_section() -> None:
    parts = (
        RiskLimits,
        RateLimits,
        DataRules,
        Messaging,
        LogRules,
        SimulatorRules,
        ProcessRules,
        AlertRules,
        ServerRules,
    )
    without = set()
    for part in parts:
        owners = [kind for kind in SECTIONS.values() if issubclass(kind, part)]
        assert len(owners) == 1, part
        without |= {f"{part.__name__}.{name}" for name in part.__struct_fields__ if name not in declarations(owners[0])}
    assert without == FILLED_IN


def test_setting_that_daemons_do_not_read_is_read_where_settings_are() -> None:
    text = "".join(path.read_text() for path in (PROJECT / "mytrading").rglob("*.py"))
    files = text.replace("\n", " ")
    for kind in (*SECTIONS.values(), StrategyConfig):
        base = next((base for base in kind.__bases__ if base is not msgspec.Struct), None)
        if base is None and kind.__module__.endswith("run_settings"):
            continue  # tests/unit/config/test_every_setting_counts.py: daemons read its fields
        own = set(declarations(kind)) - set(declarations(base) if base else ())
        assert not [name for name in own if f".{name}" not in files and f'"{name}"' not in files]


def test_every_setting_of_a_strategy_in_the_run_file_is_declared_and_reaches_it_as_written() -> None:
    assert set(StrategySettings.__struct_fields__) == set(declarations(StrategySettings))
    assert set(declarations(StrategySettings)) < set(declarations(StrategyConfig))
    config = strategy_config("S", {"lots": 3, "stop": "engine", "limit_action": "halt"}, {})
    run = build_strategy_run(config, ("NSE:SBIN",), config.product, "", config.accounts, None)
    for name in StrategySettings.__struct_fields__:
        assert getattr(run, name) == getattr(config, name)


class MoreRates(RateLimits, frozen=True, kw_only=True):
    """A section to which one setting was added, by its declaration alone."""

    pauses: Annotated[tuple[str, ...], setting("RATE_PAUSES", "a note", among=("NOON", "NIGHT"), case="upper")] = ()
    seconds: Annotated[float, setting("RATE_SECONDS", gt=0)] = 2.0


def test_setting_is_added_by_its_declaration_alone() -> None:
    made = build_section(MoreRates, {"pauses": "noon, night", "orders_per_second": "5"})
    assert (made.pauses, made.seconds, made.orders_per_second) == (("NOON", "NIGHT"), 2.0, 5)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=MoreRates) == made
    assert declarations(MoreRates)["pauses"].variable == "RATE_PAUSES"
    for wrong in ({"seconds": "0"}, {"pauses": "dawn"}, {"orders_per_second": "11"}, {"second": "1"}):
        with pytest.raises(ValidationError):
            build_section(MoreRates, wrong)


def test_template_is_the_one_written_from_the_settings_classes() -> None:
    text = (PROJECT / "env_template.txt").read_text(encoding="utf-8")
    assert text == render_template(), "run: python -m tests.kit.configuration_page"
    names = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)
    assert sorted(names) == sorted(VARIABLES)


def test_template_with_every_default_switched_on_loads(tmp_path: Path) -> None:
    text = (PROJECT / "env_template.txt").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(re.sub(r"^# ([A-Z][A-Z0-9_]+=)", r"\1", text, flags=re.MULTILINE))
    for folder in ("config", "strategies"):
        (tmp_path / folder).symlink_to(PROJECT / folder)
    settings = load_settings(tmp_path, environ={})
    assert settings.risk == TradingSettings().risk
    assert settings.logging == TradingSettings().logging


def test_documentation_holds_the_tables_written_from_the_code() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert text == update_document(text), "run: python -m tests.kit.configuration_page"
    assert all(f"`{name}`" in text for name in (*VARIABLES, *RENAMED, *UNUSED))
    guide = (PROJECT / "docs" / "strategies.md").read_text(encoding="utf-8")
    assert guide == update_guide(guide), "run: python -m tests.kit.configuration_page"


def test_every_key_of_a_strategy_is_explained_with_the_values_that_it_takes() -> None:
    rows = [line.split(" | ") for line in render_strategy().splitlines()[2:]]
    assert len(rows) == len(declarations(StrategyConfig))
    assert [row[0] for row in rows if not row[1].strip() or not row[-1].strip(" |")] == []
    values = {row[0].strip("| `"): row[1] for row in rows}
    assert values["direction"] == "long, short, both"
    assert values["stop_loss_percent"] == "number from 0 below 100"
    assert values["orphan_tries"] == "whole number from 0 to 10"
    assert values["intraday"] == "true, false"
    assert values["risk.exit_time"] == "time of day, 15:10"
    assert values["timeframes"].startswith("list of 1m, ")


@pytest.mark.parametrize(
    ("text", "side", "expiry", "strike", "right"),
    [
        ("NIFTY ATM CE nearest", Side.BUY, ExpiryRule.NEAREST, "ATM", "CE"),
        ("otm 2 pe next", Side.BUY, ExpiryRule.NEXT, "OTM 2", "PE"),
        ("SELL NIFTY ITM 1 PE monthly", Side.SELL, ExpiryRule.MONTHLY, "ITM 1", "PE"),
        ("STRIKE 26000 CE", Side.BUY, ExpiryRule.NEAREST, "STRIKE 26000", "CE"),
    ],
)
def test_option_rule_in_words_is_understood(text: str, side: Side, expiry: ExpiryRule, strike: str, right: str) -> None:
    rule = parse_trade(text, long=True)
    assert rule is not None
    assert (rule.side, rule.expiry, rule.strike, rule.right) == (side, expiry, strike, right)


@pytest.mark.parametrize("text", ["", "ATM", "NIFTY CE", "OTM CE", "ATM XE", "future soon", "NIFTY ATM CE nearest now"])
def test_trade_rule_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected same, future"):
        parse_trade(text, long=True)


def test_same_and_future_go_the_way_of_the_signal() -> None:
    for text in ("same", "future monthly"):
        long, short = parse_trade(text, long=True), parse_trade(text, long=False)
        assert long is not None
        assert short is not None
        assert (long.side, short.side) == (Side.BUY, Side.SELL)


@pytest.mark.parametrize("name", OTHERS)
def test_variable_of_the_other_documents_is_ours_or_says_what_to_set_instead(name: str) -> None:
    assert (name in VARIABLES) != (name in UNUSED)
