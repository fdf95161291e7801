"""The sections of settings.toml, those of the run file extended by settings that no daemon reads, and the variables.

Variables, documents and validation derive from `SECTIONS`.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

import msgspec
from pydantic import SecretStr

from mytrading.config.symbols import EXCHANGES
from mytrading.config.validation import declarations
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import TIMEFRAMES
from mytrading.messages.run_settings import (
    AlertRules,
    ConsoleRules,
    DataRules,
    LogRules,
    Messaging,
    ProcessRules,
    RateLimits,
    RiskLimits,
    ServerRules,
    SimulatorRules,
    WebhookRules,
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
    """Parse at-the-money volatility `0.14`, `14%` (0.14) or `realised` (0.0); otherwise raises `ValueError`."""
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
    """Mode, profile and folders of the stack."""

    name: Annotated[str, setting("SYSTEM_NAME", "shown by `status` and above the live screen")] = "MyTrading"
    mode: Annotated[
        Mode, setting("TRADING_MODE", "trading mode: paper, dry_run or live; live needs the next two settings")
    ] = Mode.PAPER
    enable_trade_execution: Annotated[bool, setting("ENABLE_TRADE_EXECUTION", "must be true for live trading")] = False
    live_confirm: Annotated[str, setting("LIVE_CONFIRM", "names of all order accounts; needed for live trading")] = ""
    accepted_brokers: Annotated[
        tuple[str, ...],
        setting(
            "ACCEPTED_BROKERS",
            "refused brokers to trade at all the same (see mytrading brokers); the engine then holds their stops",
        ),
    ] = ()
    paper_venue: Annotated[
        Literal["openalgo", "simulator"],
        setting(
            "PAPER_VENUE",
            "venue of paper orders: openalgo (the server's sandbox) or simulator (our own, at the server's quotes)",
        ),
    ] = "openalgo"
    enabled_strategies: Annotated[
        tuple[str, ...], setting("ENABLED_STRATEGIES", "strategies to run: names of classes in strategies/")
    ] = ("SMA_Crossover",)
    enabled_rules: Annotated[
        tuple[str, ...], setting("ENABLED_RULES", "your rules in strategies/rules/; a rule can only deny signals")
    ] = ()
    enable_strategy_engine: Annotated[bool, setting("ENABLE_STRATEGY_ENGINE", "false: no strategy runs")] = True
    debug: Annotated[bool, setting("DEBUG_MODE", "true: LOG_LEVEL is DEBUG unless it is set")] = False


class OpenAlgoSettings(ServerRules, frozen=True, kw_only=True):
    """The server; times in seconds."""

    api_key: Annotated[
        SecretStr, setting("OPENALGO_API_KEY", "secret API key; not needed for the embedded simulator")
    ] = SecretStr("")
    host: Annotated[str, setting("OPENALGO_API_HOST", check=_check_url)] = "http://127.0.0.1:5000"
    ws_host: Annotated[str, setting("OPENALGO_WS_HOST", check=_check_host)] = "127.0.0.1"
    ws_port: Annotated[int, setting("OPENALGO_WS_PORT", ge=1, le=65535)] = 8765
    account: Annotated[
        str, setting("OPENALGO_ACCOUNT", "name of the account in journals and on screens", pattern=r"^[A-Za-z0-9_-]+$")
    ] = "main"
    max_concurrent_requests: Annotated[
        int, setting("MAX_CONCURRENT_REQUESTS", "limit of connections for order calls; at most 4 are used", ge=1)
    ] = 10
    order_book_seconds: Annotated[
        float,
        setting(
            "ORDER_BOOK_SECONDS",
            "seconds between reads of the order book while the order stream is up; 2 s while it is down",
            ge=1,
            le=20,
        ),
    ] = Windows().orders_every


class MessagingSettings(Messaging, frozen=True, kw_only=True):
    """Transport between daemons. Ports count only with transport tcp, which `insecure` has to allow."""

    insecure: Annotated[
        bool, setting("MYTRADING_TRANSPORT_INSECURE", "true allows tcp, with which every local user can place orders")
    ] = False
    base_port: Annotated[
        int,
        setting(
            "ZMQ_BASE_PORT", "first TCP port of the streams (tcp only); OpenAlgo itself uses 5555", ge=1024, le=65000
        ),
    ] = 5600
    market_data_port: Annotated[
        int, setting("ZMQ_MARKET_DATA_PORT", "TCP port of quotes; 0: counted from the base port", **_PORT)
    ] = 0
    strategy_signals_port: Annotated[int, setting("ZMQ_STRATEGY_SIGNALS_PORT", "transport tcp only", **_PORT)] = 0
    trade_commands_port: Annotated[int, setting("ZMQ_TRADE_COMMANDS_PORT", "transport tcp only", **_PORT)] = 0
    system_status_port: Annotated[
        int, setting("ZMQ_SYSTEM_STATUS_PORT", "first of seven TCP ports of heartbeats; 0: base port + 20", **_PORT)
    ] = 0


class DataSettings(DataRules, frozen=True, kw_only=True):
    """Instruments that may be watched and traded, and their handling by the feed."""

    symbols: Annotated[tuple[str, ...], setting("ENABLED_SYMBOLS", "additional watched instruments")] = _INDICES
    exchanges: Annotated[tuple[str, ...], setting("ENABLED_EXCHANGES", case="upper", among=EXCHANGES)] = _ENABLED
    instrument_types: Annotated[
        tuple[str, ...], setting("ENABLED_INSTRUMENT_TYPES", case="upper", among=INSTRUMENT_TYPES)
    ] = INSTRUMENT_TYPES
    timeframes: Annotated[
        tuple[str, ...], setting("ENABLED_TIMEFRAMES", "bar sizes that strategies may use", among=TIMEFRAMES)
    ] = ("tick", "1m", "5m", "15m", "1h", "1d")


class LoggingSettings(LogRules, frozen=True, kw_only=True):
    """Log levels, files and their retention."""

    directory: Annotated[
        str,
        setting(
            "LOG_DIRECTORY",
            "log folder below the project folder; each profile has its own folder in it",
            alias="MYTRADING_LOG_DIR",
            min_length=1,
        ),
    ] = "logs"


class AlertSettings(AlertRules, frozen=True, kw_only=True):
    """Receivers of alerts besides screen and log, and limits of latency and rejections that raise one."""

    command: Annotated[str, setting("ALERT_COMMAND", "command that runs for each alert", check=_check_command)] = ""


class BacktestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options without recorded quotes: the surface of `core/options/surface`, its level `iv` and its costs.

    `iv` is a fraction of a year, or `realised`: of the underlying's own last `iv_sessions` days times `iv_factor`.
    """

    iv: Annotated[str, setting("BACKTEST_IV", "volatility ATM: realised, 0.14 or 14%", check=parse_iv)] = "realised"
    iv_sessions: Annotated[int, setting("BACKTEST_IV_SESSIONS", "days of the realised volatility", ge=1, le=500)] = 20
    iv_factor: Annotated[float, setting("BACKTEST_IV_FACTOR", "factor on the realised volatility", ge=0.1, le=10)] = 1.0
    iv_least_sessions: Annotated[
        int, setting("BACKTEST_IV_LEAST_SESSIONS", "days needed, else instruments.toml counts", ge=1, le=500)
    ] = 5
    skew: Annotated[float, setting("BACKTEST_SKEW", ge=-0.5, le=0.5)] = -0.12
    smile: Annotated[float, setting("BACKTEST_SMILE", ge=0, le=0.5)] = 0.05
    near: Annotated[float, setting("BACKTEST_NEAR", "extra volatility of options near expiry", ge=-0.5, le=2)] = 0.08
    near_days: Annotated[float, setting("BACKTEST_NEAR_DAYS", gt=0)] = 10.0
    carry: Annotated[float, setting("BACKTEST_CARRY", "yearly rate from spot to forward", ge=-0.2, le=0.5)] = 0.065
    rate: Annotated[float, setting("BACKTEST_RATE", "yearly discount rate", ge=-0.2, le=0.5)] = 0.065
    spread_ticks: Annotated[float, setting("BACKTEST_SPREAD_TICKS", "half spread at the money", ge=0, le=1000)] = 2.0
    wing_ticks: Annotated[float, setting("BACKTEST_WING_TICKS", "added half spread per deviation", ge=0, le=1000)] = 1.0
    settle_minutes: Annotated[int, setting("BACKTEST_SETTLE_MINUTES", "minutes averaged at expiry", ge=1, le=400)] = 30
    bhavcopy: Annotated[
        Literal["before", "same_day"],
        setting("BACKTEST_BHAVCOPY", "bhavcopy in use: before, or same_day (knows the day's close)", case="lower"),
    ] = "before"


_TABLES = (
    ("system", SystemSettings, "System"),
    ("openalgo", OpenAlgoSettings, "Server"),
    ("messaging", MessagingSettings, "Streams between the processes"),
    ("data", DataSettings, "Instruments and data"),
    ("risk", RiskLimits, "Risk"),
    ("rates", RateLimits, "Order rates"),
    ("logging", LoggingSettings, "Logging"),
    ("alerts", AlertSettings, "Alerts"),
    ("webhooks", WebhookRules, "Webhooks"),
    ("console", ConsoleRules, "Web console"),
    ("simulator", SimulatorRules, "Simulator"),
    ("process", ProcessRules, "Processes"),
    ("backtest", BacktestSettings, "Backtests"),
)
SECTIONS: Mapping[str, type[msgspec.Struct]] = MappingProxyType({name: kind for name, kind, _ in _TABLES})
"""The tables of settings.toml."""

# environment variables

STRATEGY_PATH = "STRATEGY:"


class Variable(NamedTuple):
    """`path` is a dotted setting, `STRATEGY:NAME.PARAMETER`, or empty; one that is `outside` cannot stand in `.env`."""

    name: str
    group: str
    path: str = ""
    note: str = ""
    default: str = ""
    outside: bool = False


_BUILT_IN = "Parameters of the built-in strategies"
_PROGRAM = "Keys and folders"

_BESIDES = (
    Variable("SMA_FAST_PERIOD", _BUILT_IN, f"{STRATEGY_PATH}SMA_Crossover.fast_period", default="20"),
    Variable("SMA_SLOW_PERIOD", _BUILT_IN, f"{STRATEGY_PATH}SMA_Crossover.slow_period", default="50"),
    Variable("RSI_PERIOD", _BUILT_IN, f"{STRATEGY_PATH}RSI_MeanReversion.period", default="14"),
    Variable("RSI_OVERSOLD", _BUILT_IN, f"{STRATEGY_PATH}RSI_MeanReversion.oversold", default="30"),
    Variable("RSI_OVERBOUGHT", _BUILT_IN, f"{STRATEGY_PATH}RSI_MeanReversion.overbought", default="70"),
    Variable("MYTRADING_KEY", _PROGRAM, "", "secret key to the API keys of config/accounts.toml; NEW,OLD to rotate"),
    Variable(
        "MYTRADING_KEY_FILE",
        _PROGRAM,
        "",
        "the file with that key; default: mytrading/key in the XDG configuration folder",
    ),
    Variable("MYTRADING_RUN_KEY", _PROGRAM, "", "key to the API keys of the run file; set by the orchestrator"),
    Variable(
        "MYTRADING_HOME", _PROGRAM, "", "the project folder; default: nearest parent with supervisord.conf", "", True
    ),
    Variable(
        "MYTRADING_STATE_DIR",
        _PROGRAM,
        "",
        "folder of journals and books, one for each profile; default: XDG",
        "",
        True,
    ),
    Variable("MYTRADING_DATA_DIR", _PROGRAM, "", "folder of downloaded bars; default: data in the project", "", True),
    Variable("MYTRADING_RUN", _PROGRAM, "", "run file of a daemon; set by the orchestrator", "", True),
    Variable("MYTRADING_TEST_DATA", _PROGRAM, "", "a folder with real market files for the tests", "", True),
    Variable(
        "MYTRADING_TEST_PATIENCE", _PROGRAM, "", "factor on the waiting times of tests; 3 in `make test`", "", True
    ),
)
"""Variables that are no settings of settings.toml."""


def _table() -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for section, kind, group in _TABLES:
        for field, declared in declarations(kind).items():
            path = f"{section}.{field}"
            if declared.variable:
                found[declared.variable] = Variable(declared.variable, group, path, declared.note)
            if declared.alias:
                found[declared.alias] = Variable(declared.alias, group, path, f"the same as {declared.variable}")
    return found | {row.name: row for row in _BESIDES}


VARIABLES: dict[str, Variable] = _table()

RENAMED = {
    "ENABLE_CONSOLE_LOGGING": "CONSOLE_LOGGING_ENABLED",
    "ENABLE_FILE_LOGGING": "FILE_LOGGING_ENABLED",
    "LOG_DIR": "LOG_DIRECTORY",
    "LOG_ROTATION": "LOG_MAX_FILE_SIZE",
    "LOG_RETENTION": "LOG_RETENTION_DAYS",
}
"""Second names of settings, which counted until 0.2.0: refused in `.env`, warned of in the environment."""

_UNUSED = {
    "no setting: there are no web sessions to sign": "SECRET_KEY",
    "no setting: there are no web sessions to keep": "SESSION_TYPE",
    "no setting: nothing here runs in Flask; LOG_LEVEL says how much is logged": "FLASK_ENV",
    "no setting: processes talk over ZeroMQ, and what they keep is in MYTRADING_STATE_DIR": "REDIS_URL",
    "set MYTRADING_KEY or MYTRADING_KEY_FILE: it opens the API keys of config/accounts.toml": "ENCRYPTION_KEY",
    "set MAX_ORDERS_PER_SECOND; the server's own limit stands in its own .env": "ORDER_RATE_LIMIT",
    "no setting: no smart orders are sent": "SMART_ORDER_RATE SMART_ORDER_RATE_LIMIT",
    "set OPENALGO_API_HOST: where the server is called; its public address is for its own pages": "HOST_SERVER",
    "set OPENALGO_WS_HOST and OPENALGO_WS_PORT": "WS_URL",
    "set ORDER_BOOK_SECONDS": "ORDERBOOK_POLL_INTERVAL",
    "set OPENALGO_PING_SECONDS": "PING_MONITORING_INTERVAL",
    "set OPENALGO_PING_FAILURES": "PING_MAX_FAILURES",
    "no setting: lot sizes come from the instruments of the day; STRATEGY_<NAME>_LOTS says how many lots": "LOT_SIZE",
    "no setting: the version is the package's": "SYSTEM_VERSION",
    "no setting: one engine runs all strategies": "STRATEGY_CALCULATION_WORKERS",
    "no setting: quotes always come by WebSocket": "ENABLE_WEBSOCKET",
    "no setting: `mytrading chain --strikes N` says how many to show; strategies choose by their trade rules": (
        "NIFTY_ATM_RANGE BANKNIFTY_ATM_RANGE"
    ),
    "no setting: strikes and expiries are taken from the instruments of the day": (
        "NIFTY_STRIKE_STEP BANKNIFTY_STRIKE_STEP OPTIONS_AUTO_DISCOVER_STRIKES OPTIONS_AUTO_DISCOVER_EXPIRIES"
    ),
    "no setting: a strategy's trade rule names the expiry: nearest, next, monthly": "NIFTY_EXPIRY",
    "no setting: sessions stand in config/calendar.toml": "MARKET_OPEN_TIME MARKET_CLOSE_TIME",
    "no setting: entries are for continuous trading only": "ENABLE_PREMARKET_TRADING ENABLE_POSTMARKET_TRADING",
    "no setting: files are main.log, trade.log, performance.log and error.log in LOG_DIRECTORY": "LOG_FILENAME",
    "no setting: the console shows time, level, daemon, event and fields; files hold JSON lines": (
        "LOG_CONSOLE_FORMAT LOG_FILE_FORMAT"
    ),
    "no setting: the operating system places processes on cores": "ENABLE_CPU_AFFINITY CPU_CORES",
    "no setting: performance.log holds what operations take": "ENABLE_PROFILING",
    "no setting: every daemon sends a heartbeat each second and the watchdog checks it": (
        "ENABLE_HEALTH_CHECKS HEALTH_CHECK_INTERVAL"
    ),
    "no setting: config/fees.toml holds the costs of backtests; the simulator books none": "PAPER_TRADING_COMMISSION",
    "no setting: `mytrading backtest STRATEGY` has --from, --to and --costs": (
        "ENABLE_BACKTESTING BACKTEST_START_DATE BACKTEST_END_DATE"
    ),
    "set ALERT_COMMAND, which is run for each alert; messages are not built in": (
        "TELEGRAM_BOT_TOKEN TELEGRAM_CHAT_IDS SMTP_HOST SMTP_PORT SMTP_USERNAME SMTP_PASSWORD EMAIL_RECIPIENTS"
    ),
    "no setting: there is no database; journals and bar store are files in MYTRADING_STATE_DIR": (
        "DATABASE_URL DATABASE_ENABLED DATABASE_TYPE SQLITE_PATH POSTGRES_HOST POSTGRES_PORT POSTGRES_DATABASE "
        "POSTGRES_USERNAME POSTGRES_PASSWORD DB_POOL_SIZE DB_MAX_OVERFLOW DB_POOL_TIMEOUT"
    ),
}

UNUSED: dict[str, str] = {name: instead for instead, names in _UNUSED.items() for name in names.split()}
"""Variables of the prototype, of OpenAlgo, AlgoMirror and scripts beside it that nothing here reads: what to set.

In `.env` they are refused, since their author expects something of them; in the environment, where other programs have
them, they are passed over.
"""

REMOVED_KEYS: dict[str, str] = {
    "rates.smart_orders_per_second": "no smart orders are sent",
    "rates.reads_per_minute": "reads have fixed intervals",
    "system.enable_websocket": "quotes always come by WebSocket",
    "simulator.commission": "config/fees.toml holds the costs of backtests; the simulator books none",
    "strategy.group": "one engine runs all strategies",
}
"""Keys of the files that did nothing and are gone, with why; a strategy's are `strategy.…`."""

OWN_PREFIXES = ("STRATEGY_", "ZMQ_", "OPENALGO_", "MYTRADING_", "SMA_", "RSI_")
"""A variable of the process that begins so and is unknown is a misspelling."""

LIKELY_PREFIXES = ("MAX_", "MIN_", "ENABLE_", "ENABLED_", "DEFAULT_", "TRADING_", "PAPER_", "LOG_", "AVOID_")
"""One that begins so is a misspelling only if a known name is very near; other programs use these words too."""
