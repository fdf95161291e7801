"""The sections of settings.toml: those of the run file, extended by settings that no daemon reads."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from pydantic import SecretStr

from mytrading.config.symbols import EXCHANGES
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import TIMEFRAMES
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
    Windows,
    setting,
)

INSTRUMENT_TYPES = ("INDEX", "EQ", "FUT", "CE", "PE")
_PORT = {"ge": 0, "le": 65535}
_INDICES = ("NIFTY", "BANKNIFTY", "SENSEX")
_ENABLED = ("NSE", "BSE", "NFO", "BFO", "NSE_INDEX", "BSE_INDEX")


def _check_host(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", value):
        raise ValueError("expected a host name or address alone, say 127.0.0.1; the port is OPENALGO_WS_PORT")


def _check_url(url: str) -> None:
    if not re.fullmatch(r"https?://[^/\s]+", url):
        raise ValueError("expected http://host:port without a path")


def _check_command(value: str) -> None:
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"expected a command line, found {value!r}: {error}") from error
    if words and shutil.which(words[0]) is None:
        raise ValueError(f"expected a command that can be run, found {words[0]!r}; give its full path")


def parse_iv(text: str) -> float:
    """The volatility at the money that `0.14`, `14%` or `realised` says, 0 for the realised one; `ValueError`."""
    word = text.strip().lower()
    if word in ("realised", "realized"):
        return 0.0
    try:
        level = float(word.removesuffix("%")) / (100.0 if word.endswith("%") else 1.0)
    except ValueError:
        level = -1.0
    if not 0.01 <= level <= 3.0:
        raise ValueError(f"expected realised, or a volatility of a year such as 0.14 or 14%, found {text!r}")
    return level


class SystemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, and how."""

    name: Annotated[str, setting("SYSTEM_NAME", "shown by `status` and above the live screen")] = "MyTrading"
    mode: Annotated[Mode, setting("TRADING_MODE", "paper, dry_run, or live behind the two settings below")] = Mode.PAPER
    enable_trade_execution: Annotated[
        bool, setting("ENABLE_TRADE_EXECUTION", "live trading needs true; paper needs nothing")
    ] = False
    live_confirm: Annotated[
        str, setting("LIVE_CONFIRM", "live trading needs the accounts that take orders named here")
    ] = ""
    paper_venue: Annotated[
        Literal["openalgo", "simulator"],
        setting(
            "PAPER_VENUE",
            "openalgo: the server's sandbox, in analyze mode; simulator: our own exchange, at the server's quotes",
        ),
    ] = "openalgo"
    enabled_strategies: Annotated[tuple[str, ...], setting("ENABLED_STRATEGIES", "names of classes in strategies/")] = (
        "SMA_Crossover",
    )
    enabled_rules: Annotated[
        tuple[str, ...], setting("ENABLED_RULES", "your own rules in strategies/rules/, which can only deny")
    ] = ()
    enable_strategy_engine: Annotated[bool, setting("ENABLE_STRATEGY_ENGINE", "false runs no strategy")] = True
    debug: Annotated[bool, setting("DEBUG_MODE", "true means LOG_LEVEL=DEBUG where that is not set")] = False


class OpenAlgoSettings(ServerRules, frozen=True, kw_only=True):
    """The server; times in seconds."""

    api_key: Annotated[SecretStr, setting("OPENALGO_API_KEY", "secret; needed unless the embedded simulator runs")] = (
        SecretStr("")
    )
    host: Annotated[str, setting("OPENALGO_API_HOST", check=_check_url)] = "http://127.0.0.1:5000"
    ws_host: Annotated[str, setting("OPENALGO_WS_HOST", check=_check_host)] = "127.0.0.1"
    ws_port: Annotated[int, setting("OPENALGO_WS_PORT", ge=1, le=65535)] = 8765
    account: Annotated[
        str, setting("OPENALGO_ACCOUNT", "the account's name in journals and on screens", pattern=r"^[A-Za-z0-9_-]+$")
    ] = "main"
    max_concurrent_requests: Annotated[
        int, setting("MAX_CONCURRENT_REQUESTS", "bounds the four order workers", ge=1)
    ] = 10
    order_book_seconds: Annotated[
        float,
        setting(
            "ORDER_BOOK_SECONDS",
            "between reads of an account's order book while order updates come; every 2 s while they do not",
            ge=1,
            le=20,
        ),
    ] = Windows().orders_every


class MessagingSettings(Messaging, frozen=True, kw_only=True):
    """How daemons reach each other. Ports count only with transport tcp, which `insecure` has to allow."""

    insecure: Annotated[
        bool, setting("MYTRADING_TRANSPORT_INSECURE", "yes allows tcp, where every local user can order")
    ] = False
    base_port: Annotated[
        int, setting("ZMQ_BASE_PORT", "transport tcp only; OpenAlgo itself binds 5555", ge=1024, le=65000)
    ] = 5600
    market_data_port: Annotated[
        int, setting("ZMQ_MARKET_DATA_PORT", "transport tcp only; 0: from the base port", **_PORT)
    ] = 0
    strategy_signals_port: Annotated[int, setting("ZMQ_STRATEGY_SIGNALS_PORT", "transport tcp only", **_PORT)] = 0
    trade_commands_port: Annotated[int, setting("ZMQ_TRADE_COMMANDS_PORT", "transport tcp only", **_PORT)] = 0
    system_status_port: Annotated[
        int, setting("ZMQ_SYSTEM_STATUS_PORT", "transport tcp only; first of seven", **_PORT)
    ] = 0


class DataSettings(DataRules, frozen=True, kw_only=True):
    """What may be watched and traded, and how the feed treats it."""

    symbols: Annotated[tuple[str, ...], setting("ENABLED_SYMBOLS", "watched besides the strategies' own")] = _INDICES
    exchanges: Annotated[tuple[str, ...], setting("ENABLED_EXCHANGES", case="upper", among=EXCHANGES)] = _ENABLED
    instrument_types: Annotated[
        tuple[str, ...], setting("ENABLED_INSTRUMENT_TYPES", case="upper", among=INSTRUMENT_TYPES)
    ] = INSTRUMENT_TYPES
    timeframes: Annotated[
        tuple[str, ...], setting("ENABLED_TIMEFRAMES", "those that strategies may use", among=TIMEFRAMES)
    ] = ("tick", "1m", "5m", "15m", "1h", "1d")


class LoggingSettings(LogRules, frozen=True, kw_only=True):
    """What is logged and how long it is kept."""

    directory: Annotated[
        str,
        setting(
            "LOG_DIRECTORY",
            "relative to the project folder; each profile has a folder in it",
            alias="MYTRADING_LOG_DIR",
            min_length=1,
        ),
    ] = "logs"


class AlertSettings(AlertRules, frozen=True, kw_only=True):
    """Who is informed of an alert besides screen and log, and which latency and rejections raise one."""

    command: Annotated[str, setting("ALERT_COMMAND", "run for each alert", check=_check_command)] = ""


class BacktestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options without recorded quotes: the surface of `core/options/surface`, its level `iv` and its costs.

    `iv` is a fraction of a year, or `realised`: of the underlying's own last `iv_sessions` days times `iv_factor`.
    """

    iv: Annotated[str, setting("BACKTEST_IV", "volatility at the money: realised, 0.14 or 14%", check=parse_iv)] = (
        "realised"
    )
    iv_sessions: Annotated[int, setting("BACKTEST_IV_SESSIONS", "days of the realised one", ge=1, le=500)] = 20
    iv_factor: Annotated[float, setting("BACKTEST_IV_FACTOR", "times the realised one", ge=0.1, le=10)] = 1.0
    iv_least_sessions: Annotated[
        int, setting("BACKTEST_IV_LEAST_SESSIONS", "before them config/instruments.toml's", ge=1, le=500)
    ] = 5
    skew: Annotated[float, setting("BACKTEST_SKEW", ge=-0.5, le=0.5)] = -0.12
    smile: Annotated[float, setting("BACKTEST_SMILE", ge=0, le=0.5)] = 0.05
    near: Annotated[float, setting("BACKTEST_NEAR", "more volatility of short-lived options", ge=-0.5, le=2)] = 0.08
    near_days: Annotated[float, setting("BACKTEST_NEAR_DAYS", gt=0)] = 10.0
    carry: Annotated[float, setting("BACKTEST_CARRY", "a year, from spot to forward", ge=-0.2, le=0.5)] = 0.065
    rate: Annotated[float, setting("BACKTEST_RATE", "a year, discounts", ge=-0.2, le=0.5)] = 0.065
    spread_ticks: Annotated[
        float, setting("BACKTEST_SPREAD_TICKS", "half of bid to ask, at the money", ge=0, le=1000)
    ] = 2.0
    wing_ticks: Annotated[float, setting("BACKTEST_WING_TICKS", "more of it a deviation", ge=0, le=1000)] = 1.0
    settle_minutes: Annotated[int, setting("BACKTEST_SETTLE_MINUTES", "of closes, at an expiry", ge=1, le=400)] = 30
    bhavcopy: Annotated[
        Literal["before", "same_day"],
        setting("BACKTEST_BHAVCOPY", "before, or same_day, which knows the day's close", case="lower"),
    ] = "before"


SECTIONS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        "system": SystemSettings,
        "openalgo": OpenAlgoSettings,
        "messaging": MessagingSettings,
        "data": DataSettings,
        "risk": RiskLimits,
        "rates": RateLimits,
        "logging": LoggingSettings,
        "alerts": AlertSettings,
        "simulator": SimulatorRules,
        "process": ProcessRules,
        "backtest": BacktestSettings,
    }
)
"""The tables of settings.toml."""
