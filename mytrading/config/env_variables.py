"""The table of environment variables, derived from the settings, and what to set instead of unused ones."""

from __future__ import annotations

from typing import NamedTuple

from mytrading.config.sections import SECTIONS
from mytrading.config.validation import declarations

STRATEGY_PATH = "STRATEGY:"


class Variable(NamedTuple):
    """`path` is a dotted setting, `STRATEGY:NAME.PARAMETER`, or empty; one that is `outside` cannot stand in `.env`."""

    name: str
    group: str
    path: str = ""
    note: str = ""
    default: str = ""
    outside: bool = False


_GROUPS = {
    "system": "System",
    "openalgo": "Server",
    "messaging": "Streams between the processes",
    "data": "Instruments and data",
    "risk": "Risk",
    "rates": "Order rates",
    "logging": "Logging",
    "alerts": "Alerts",
    "simulator": "Simulator",
    "process": "Processes",
    "backtest": "Backtests",
}
_BUILT_IN = "Parameters of the built-in strategies"
_PROGRAM = "Keys and folders"

_BESIDES = (
    Variable("SMA_FAST_PERIOD", _BUILT_IN, f"{STRATEGY_PATH}SMA_Crossover.fast_period", default="20"),
    Variable("SMA_SLOW_PERIOD", _BUILT_IN, f"{STRATEGY_PATH}SMA_Crossover.slow_period", default="50"),
    Variable("RSI_PERIOD", _BUILT_IN, f"{STRATEGY_PATH}RSI_MeanReversion.period", default="14"),
    Variable("RSI_OVERSOLD", _BUILT_IN, f"{STRATEGY_PATH}RSI_MeanReversion.oversold", default="30"),
    Variable("RSI_OVERBOUGHT", _BUILT_IN, f"{STRATEGY_PATH}RSI_MeanReversion.overbought", default="70"),
    Variable("MYTRADING_KEY", _PROGRAM, "", "secret: opens the keys of config/accounts.toml; NEW,OLD while rotating"),
    Variable(
        "MYTRADING_KEY_FILE",
        _PROGRAM,
        "",
        "the file with that key; default: mytrading/key in the XDG configuration folder",
    ),
    Variable("MYTRADING_RUN_KEY", _PROGRAM, "", "set by the orchestrator: opens the API keys of the run file"),
    Variable(
        "MYTRADING_HOME", _PROGRAM, "", "the project folder; default: nearest parent with supervisord.conf", "", True
    ),
    Variable("MYTRADING_STATE_DIR", _PROGRAM, "", "a folder a profile of journals and books; default: XDG's", "", True),
    Variable("MYTRADING_RUN", _PROGRAM, "", "set by the orchestrator: the run file a daemon starts from", "", True),
    Variable("MYTRADING_TEST_DATA", _PROGRAM, "", "a folder with real market files for the tests", "", True),
    Variable(
        "MYTRADING_TEST_PATIENCE", _PROGRAM, "", "how many times as long the tests wait; `make test` takes 3", "", True
    ),
)
"""Variables that are no settings of settings.toml."""


def _table() -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for section, kind in SECTIONS.items():
        for field, declared in declarations(kind).items():
            path, group = f"{section}.{field}", _GROUPS[section]
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
