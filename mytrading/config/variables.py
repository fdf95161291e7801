"""THE table of environment variables: what each sets, and what became of those of the prototype.

`resolve` honours it; `env_template.txt` and the table of `docs/configuration.md` are written from it by `reference`,
and tests hold all three together. The one rule: a variable that was ever documented stays listed, with its state.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """What giving a variable does."""

    HONOURED = "honoured"
    RESERVED = "reserved"
    REPLACED = "replaced"
    NOT_APPLICABLE = "not applicable"


class Variable(NamedTuple):
    """`path` is a dotted setting, or `STRATEGY:NAME.PARAMETER`; `default` is shown where there is no path."""

    name: str
    group: str
    state: State
    path: str = ""
    note: str = ""
    default: str = ""

    @property
    def is_outside(self) -> bool:
        """Whether it is looked at before `.env` is, and so cannot stand there."""
        return self.note.startswith(_OUTSIDE)


_H, _R, _P, _N = State.HONOURED, State.RESERVED, State.REPLACED, State.NOT_APPLICABLE
_DATABASE = "there is no database: journals and bar store are files in MYTRADING_STATE_DIR"
_NOTIFY = "messages are not built in yet: set ALERT_COMMAND, which is run for each alert"
_BACKTEST = "`mytrading backtest STRATEGY` says it: --from, --to, --costs"
_FEES = "config/fees.toml holds the costs that backtests count; the simulator books none"
_STRIKES = "`mytrading chain --strikes N` says how many to show; strategies choose by their trade rules"
_MONEY = "rupees: premium of bought options, value of shares, margin of futures and sold options"
_AGAIN = "seconds between tries of one read; until all history or contracts are asked for anew it doubles, to a minute"
_POLL = "between reads of an account's order book while order updates come; every 2 s while they do not"
_VALID = "seconds of market time after its bar or quote; later entries expire"
_CHURN = "entries within 30 s of a cancel, in 300 s, that stop further ones"
_COLLAR = "of the last price: how far from it an entry may trade"
_ACTIONS = "alert, no_entries, close_legs, flatten or halt"
_VENUES = "openalgo: the server's sandbox, in analyze mode; simulator: our own exchange, at the server's quotes"
_OUTSIDE = "only in the environment"
_FOUND = "strikes and expiries are always taken from the instruments"

_ROWS: tuple[tuple[str, State, str, str, str], ...] = (
    ("# Server", _H, "", "", ""),
    ("OPENALGO_API_KEY", _H, "openalgo.api_key", "secret; needed unless the embedded simulator runs", ""),
    ("OPENALGO_API_HOST", _H, "openalgo.host", "", ""),
    ("OPENALGO_WS_HOST", _H, "openalgo.ws_host", "", ""),
    ("OPENALGO_WS_PORT", _H, "openalgo.ws_port", "", ""),
    ("OPENALGO_ACCOUNT", _H, "openalgo.account", "the account's name in journals and on screens", ""),
    ("OPENALGO_TIMEOUT", _H, "openalgo.timeout", "seconds an order call may take; reads have less", ""),
    ("OPENALGO_MAX_RETRIES", _H, "openalgo.max_retries", "tries of one read; a placing call is never repeated", ""),
    ("OPENALGO_RETRY_DELAY", _H, "openalgo.retry_delay", _AGAIN, ""),
    ("BROKER_REGISTERED_IPS", _H, "openalgo.registered_ips", "addresses the broker takes orders from, for doctor", ""),
    ("EGRESS_CHECK_URL", _H, "openalgo.egress_url", "tells a caller its address; asked only with the line above", ""),
    ("MAX_CONCURRENT_REQUESTS", _H, "openalgo.max_concurrent_requests", "bounds the four order workers", ""),
    ("OPENALGO_PING_SECONDS", _H, "openalgo.ping_seconds", "between pings of the primary and of backup accounts", ""),
    (
        "OPENALGO_PING_FAILURES",
        _H,
        "openalgo.ping_failures",
        "in a row, and an account counts as down: the feed leaves a primary",
        "",
    ),
    ("ORDER_BOOK_SECONDS", _H, "openalgo.order_book_seconds", _POLL, ""),
    ("MYTRADING_KEY", _H, "", "secret: opens the keys of config/accounts.toml; NEW,OLD while rotating", ""),
    (
        "MYTRADING_KEY_FILE",
        _H,
        "",
        "the file with that key; default: mytrading/key in the XDG configuration folder",
        "",
    ),
    ("MYTRADING_RUN_KEY", _H, "", "set by the orchestrator: opens the API keys of the run file", ""),
    ("# System", _H, "", "", ""),
    ("TRADING_MODE", _H, "system.mode", "paper, dry_run, or live behind the two settings below", ""),
    ("PAPER_VENUE", _H, "system.paper_venue", _VENUES, ""),
    ("ENABLE_TRADE_EXECUTION", _H, "system.enable_trade_execution", "live trading needs true; paper needs nothing", ""),
    (
        "LIVE_CONFIRM",
        _H,
        "system.live_confirm",
        "live trading needs the accounts that take orders named here",
        "",
    ),
    ("SYSTEM_NAME", _H, "system.name", "shown by `status` and above the live screen", ""),
    ("SYSTEM_VERSION", _N, "", "the version is the package's", "1.0.0"),
    ("DEBUG_MODE", _H, "system.debug", "true means LOG_LEVEL=DEBUG where that is not set", ""),
    ("MYTRADING_HOME", _H, "", f"{_OUTSIDE}: the project folder; default: nearest parent with supervisord.conf", ""),
    ("MYTRADING_STATE_DIR", _H, "", f"{_OUTSIDE}: a folder a profile of journals and books; default: XDG's", ""),
    ("MYTRADING_MIN_FREE_BYTES", _H, "process.min_free_bytes", "less free disk halts entries; say 2 GB", ""),
    ("MYTRADING_JOURNAL_RESERVE", _H, "process.journal_reserve_bytes", "kept for exits by each journal; 8 MB", ""),
    ("MYTRADING_JOURNAL_DAYS", _H, "process.journal_keep_days", "exported days stay as journals so long", ""),
    ("MYTRADING_RUN", _H, "", f"{_OUTSIDE}, set by the orchestrator: the run file a daemon starts from", ""),
    ("MYTRADING_TEST_DATA", _H, "", f"{_OUTSIDE}: a folder with real market files for the tests", ""),
    ("MYTRADING_TEST_PATIENCE", _H, "", f"{_OUTSIDE}: how many times as long the tests wait; `make test` takes 3", ""),
    ("# Strategies", _H, "", "", ""),
    ("ENABLED_STRATEGIES", _H, "system.enabled_strategies", "names of classes in strategies/", ""),
    ("ENABLED_RULES", _H, "system.enabled_rules", "your own rules in strategies/rules/, which can only deny", ""),
    ("ENABLE_STRATEGY_ENGINE", _H, "system.enable_strategy_engine", "false runs no strategy", ""),
    ("SMA_FAST_PERIOD", _H, "STRATEGY:SMA_Crossover.fast_period", "", "20"),
    ("SMA_SLOW_PERIOD", _H, "STRATEGY:SMA_Crossover.slow_period", "", "50"),
    ("RSI_PERIOD", _H, "STRATEGY:RSI_MeanReversion.period", "", "14"),
    ("RSI_OVERSOLD", _H, "STRATEGY:RSI_MeanReversion.oversold", "", "30"),
    ("RSI_OVERBOUGHT", _H, "STRATEGY:RSI_MeanReversion.overbought", "", "70"),
    ("STRATEGY_CALCULATION_WORKERS", _R, "", "one engine runs all; one per `group` comes later", "4"),
    ("# Instruments and data", _H, "", "", ""),
    ("ENABLED_SYMBOLS", _H, "data.symbols", "watched besides the strategies' own", ""),
    ("ENABLED_EXCHANGES", _H, "data.exchanges", "", ""),
    ("ENABLED_INSTRUMENT_TYPES", _H, "data.instrument_types", "", ""),
    ("ENABLED_TIMEFRAMES", _H, "data.timeframes", "those that strategies may use", ""),
    ("ENABLE_WEBSOCKET", _H, "system.enable_websocket", "only true: quotes come by WebSocket alone", ""),
    ("ENABLE_TICK_DATA", _H, "data.tick_data", "false: the feed writes no raw tape", ""),
    ("ENABLE_DEPTH_DATA", _H, "data.depth_data", "asked for where quotes lack bid and ask", ""),
    ("DEPTH_LEVELS", _H, "data.depth_levels", "levels that the feed passes on", ""),
    ("ENABLE_HISTORICAL_DATA", _H, "data.historical", "warms indicators up at the start", ""),
    ("HISTORICAL_DAYS", _H, "data.history_days", "calendar days of bars fetched for what is watched", ""),
    ("ENABLE_DATA_VALIDATION", _H, "data.validation", "judges each price by MAX_PRICE_CHANGE_PERCENT", ""),
    ("MAX_PRICE_CHANGE_PERCENT", _H, "data.max_price_change_percent", "a jump beyond it needs confirmation", ""),
    ("MAX_WEBSOCKET_SUBSCRIPTIONS", _H, "data.max_subscriptions", "further instruments are refused with an alert", ""),
    ("WEBSOCKET_BATCH_SIZE", _H, "data.batch_size", "instruments in one subscription request", ""),
    ("WEBSOCKET_BATCH_DELAY", _H, "data.batch_delay", "seconds", ""),
    ("MARKET_DATA_BUFFER_SIZE", _H, "data.buffer_size", "most frames taken from the socket at once", ""),
    ("FEED_MODE", _H, "data.mode", "ltp, quote or depth: what is subscribed of each instrument", ""),
    ("FEED_MUTE_SECONDS", _H, "data.mute_seconds", "a connection that gives no quote in session is made anew", ""),
    ("FEED_DOWN_SECONDS", _H, "data.down_seconds", "without a connection, until a backup takes over", ""),
    ("FEED_FAILBACK_SECONDS", _H, "data.failback_seconds", "health of the primary until it gets the feed back", ""),
    ("FEED_FALLBACK_SECONDS", _H, "data.fallback_seconds", "silence until what is held is asked for; 0: never", ""),
    ("NIFTY_ATM_RANGE", _P, "", _STRIKES, "20"),
    ("BANKNIFTY_ATM_RANGE", _P, "", _STRIKES, "15"),
    ("NIFTY_STRIKE_STEP", _N, "", _FOUND, "50"),
    ("BANKNIFTY_STRIKE_STEP", _N, "", _FOUND, "100"),
    ("NIFTY_EXPIRY", _P, "", "a strategy's trade rule names the expiry: nearest, next, monthly", "04NOV25"),
    ("OPTIONS_AUTO_DISCOVER_STRIKES", _N, "", _FOUND, "true"),
    ("OPTIONS_AUTO_DISCOVER_EXPIRIES", _N, "", _FOUND, "true"),
    ("# Risk", _H, "", "", ""),
    ("MAX_POSITION_SIZE", _H, "risk.max_position_size", f"{_MONEY}; held, coming and new", ""),
    ("MAX_ORDER_SIZE", _H, "risk.max_order_size", _MONEY, ""),
    ("MIN_ORDER_SIZE", _H, "risk.min_order_size", "rupees, counted so; not for legs that cover a sold one", ""),
    ("MAX_POSITIONS_PER_SYMBOL", _H, "risk.max_positions_per_symbol", "", ""),
    ("MAX_TOTAL_POSITIONS", _H, "risk.max_total_positions", "", ""),
    ("AVOID_FIRST_MINUTES", _H, "risk.avoid_first_minutes", "no entries in the first minutes", ""),
    ("AVOID_LAST_MINUTES", _H, "risk.avoid_last_minutes", "no entries in the last minutes", ""),
    ("STALE_QUOTE_SECONDS", _H, "risk.stale_quote_seconds", "older quotes deny entries", ""),
    ("SIGNAL_VALIDITY", _H, "risk.signal_validity_seconds", _VALID, ""),
    ("UNKNOWN_EXIT", _H, "risk.unknown_exit", "an exit that no book shows: second_exit, or wait for a person", ""),
    ("MAX_ORDERS_PER_SECOND", _H, "rates.orders_per_second", "calls to the broker, at most 10", ""),
    ("MAX_ENTRIES_PER_MINUTE", _H, "rates.entries_per_minute", "wishes of a strategy, not legs", ""),
    ("MAX_MODIFIES_PER_ORDER", _H, "rates.modifies_per_order", "then an order is cancelled and placed anew", ""),
    ("CHURN_PER_INSTRUMENT", _H, "rates.churn_per_instrument", _CHURN, ""),
    ("CHURN_PER_ACCOUNT", _H, "rates.churn_per_account", _CHURN, ""),
    ("ENABLED_PRODUCTS", _H, "risk.enabled_products", "products that entries may use", ""),
    ("PRICE_COLLAR", _H, "risk.price_collar", _COLLAR, ""),
    ("PRICE_COLLAR_OPTIONS", _H, "risk.price_collar_options", _COLLAR, ""),
    ("MIN_DATA_COVERAGE", _H, "risk.min_data_coverage", "of the instruments must have data, else entries wait", ""),
    ("MAX_ENTRIES_PER_SESSION", _H, "risk.max_entries_per_session", "wishes of a strategy in a session; 0: any", ""),
    ("MAX_ACTIVE_ORDERS", _H, "risk.max_active_orders", "live orders of an account beyond which none enter", ""),
    ("MAX_CANCELS_PER_DAY", _H, "risk.max_cancels_per_day", "of an account, after which nothing enters", ""),
    ("MAX_CONSECUTIVE_LOSSES", _H, "risk.max_consecutive_losses", "then a strategy pauses; 0: never", ""),
    ("LOSS_PAUSE_MINUTES", _H, "risk.loss_pause_minutes", "how long it pauses", ""),
    ("MAX_DAILY_LOSS", _H, "risk.max_daily_loss", "rupees an account may lose in a day", ""),
    ("MAX_DAILY_LOSS_ACTION", _H, "risk.max_daily_loss_action", _ACTIONS, ""),
    ("MAX_DRAWDOWN", _H, "risk.max_drawdown", "fall of an account's equity below its peak, as a fraction of it", ""),
    ("MAX_DRAWDOWN_ACTION", _H, "risk.max_drawdown_action", _ACTIONS, ""),
    ("R_VALUE", _H, "risk.r_value", "rupees of 1 R where an entry has no stop; else R is what it loses there", ""),
    ("DAILY_STOP_R", _H, "risk.daily_stop_r", "R an account may lose in a day; 0: no such limit", ""),
    ("DAILY_TARGET_R", _H, "risk.daily_target_r", "R after which an account has won enough; 0: no such limit", ""),
    ("DAILY_R_ACTION", _H, "risk.daily_r_action", _ACTIONS, ""),
    ("DEFAULT_STOP_LOSS", _H, "risk.default_stop_loss", "of the price: the stop of shares and futures", ""),
    ("DEFAULT_STOP_LOSS_OPTIONS", _H, "risk.default_stop_loss_options", "of the premium: the stop of options", ""),
    ("STOP_LIMIT_BUFFER", _H, "risk.stop_limit_buffer", "of a stop's trigger: how far beyond it its limit lies", ""),
    ("STOP_LIMIT_BUFFER_OPTIONS", _H, "risk.stop_limit_buffer_options", "rupees, for options if that is more", ""),
    ("BARE_SECONDS", _H, "risk.bare_seconds", "a position without its stop is alarmed, closed after twice that", ""),
    ("DOUBT_SECONDS", _H, "risk.doubt_seconds", "the same, while its stop is on its way or of unknown fate", ""),
    ("TRAILING_STOP_ENABLED", _H, "risk.trailing_stop_enabled", "false: no stop of any strategy trails", ""),
    ("TRAILING_STOP_DISTANCE", _H, "risk.trailing_stop_distance", "of legs that trail without a value", ""),
    ("MARKET_OPEN_TIME", _P, "", "sessions stand in config/calendar.toml", "09:15"),
    ("MARKET_CLOSE_TIME", _P, "", "sessions stand in config/calendar.toml", "15:30"),
    ("ENABLE_PREMARKET_TRADING", _N, "", "entries are for continuous trading only", "false"),
    ("ENABLE_POSTMARKET_TRADING", _N, "", "entries are for continuous trading only", "false"),
    ("# Logging", _H, "", "", ""),
    ("LOG_LEVEL", _H, "logging.level", "", ""),
    ("CONSOLE_LOGGING_ENABLED", _H, "logging.console", "", ""),
    ("ENABLE_CONSOLE_LOGGING", _H, "logging.console", "the same", ""),
    ("FILE_LOGGING_ENABLED", _H, "logging.files", "", ""),
    ("ENABLE_FILE_LOGGING", _H, "logging.files", "the same", ""),
    ("LOG_DIRECTORY", _H, "logging.directory", "relative to the project folder; each profile has a folder in it", ""),
    ("LOG_DIR", _H, "logging.directory", "the same", ""),
    ("MYTRADING_LOG_DIR", _H, "logging.directory", "the same", ""),
    ("LOG_MAX_FILE_SIZE", _H, "logging.max_file_size", "say 100 MB", ""),
    ("LOG_ROTATION", _H, "logging.max_file_size", "the same", ""),
    ("LOG_RETENTION_DAYS", _H, "logging.retention_days", "", ""),
    ("LOG_RETENTION", _H, "logging.retention_days", "the same, say 30 days", ""),
    ("PERFORMANCE_LOGGING", _H, "logging.performance", "", ""),
    ("TRADE_LOGGING", _H, "logging.trade", "", ""),
    ("ERROR_LOGGING", _H, "logging.error", "", ""),
    ("LOG_FILENAME", _P, "", "files are main.log, trade.log, performance.log, error.log", "trading.log"),
    ("LOG_CONSOLE_FORMAT", _P, "", "the console shows time, level, daemon, event, fields", ""),
    ("LOG_FILE_FORMAT", _P, "", "files hold JSON lines", ""),
    ("# Processes and monitoring", _H, "", "", ""),
    ("ENABLE_PERFORMANCE_MONITORING", _H, "process.monitoring", "", ""),
    ("ENABLE_MEMORY_OPTIMIZATION", _H, "process.memory_optimization", "", ""),
    ("GC_THRESHOLD", _H, "process.gc_threshold", "", ""),
    ("ENABLE_CPU_AFFINITY", _R, "", "comes with the performance release", "false"),
    ("CPU_CORES", _R, "", "comes with the performance release", ""),
    ("ENABLE_PROFILING", _R, "", "comes with the performance release", "false"),
    ("ENABLE_HEALTH_CHECKS", _P, "", "every daemon beats each second and the watchdog looks", "true"),
    ("HEALTH_CHECK_INTERVAL", _P, "", "every daemon beats each second and the watchdog looks", "60"),
    ("MYTRADING_TRANSPORT", _H, "messaging.transport", "ipc or tcp", ""),
    ("MYTRADING_TRANSPORT_INSECURE", _H, "messaging.insecure", "yes allows tcp, where every local user can order", ""),
    ("ZMQ_BASE_PORT", _H, "messaging.base_port", "transport tcp only; OpenAlgo itself binds 5555", ""),
    ("ZMQ_MARKET_DATA_PORT", _H, "messaging.market_data_port", "transport tcp only; 0: from the base port", ""),
    ("ZMQ_STRATEGY_SIGNALS_PORT", _H, "messaging.strategy_signals_port", "transport tcp only", ""),
    ("ZMQ_TRADE_COMMANDS_PORT", _H, "messaging.trade_commands_port", "transport tcp only", ""),
    ("ZMQ_SYSTEM_STATUS_PORT", _H, "messaging.system_status_port", "transport tcp only; first of seven", ""),
    ("ZMQ_BIND_ADDRESS", _H, "messaging.bind_address", "transport tcp only; loopback: streams are not encrypted", ""),
    ("ZMQ_HIGH_WATER_MARK", _H, "messaging.high_water_mark", "kept for a slow reader; what exceeds it is dropped", ""),
    ("ZMQ_MESSAGE_TIMEOUT", _H, "messaging.message_timeout", "ms, of questions to the gateway", ""),
    ("# Simulator and backtests", _H, "", "", ""),
    ("PAPER_TRADING_INITIAL_CAPITAL", _H, "simulator.capital", "cash of a fresh simulator", ""),
    ("PAPER_TRADING_COMMISSION", _P, "simulator.commission", _FEES, ""),
    ("ENABLE_BACKTESTING", _P, "", _BACKTEST, "false"),
    ("BACKTEST_START_DATE", _P, "", _BACKTEST, "2024-01-01"),
    ("BACKTEST_END_DATE", _P, "", _BACKTEST, "2024-12-31"),
    ("BACKTEST_IV", _H, "backtest.iv", "volatility at the money: realised, 0.14 or 14%", ""),
    ("BACKTEST_IV_SESSIONS", _H, "backtest.iv_sessions", "days of the realised one", ""),
    ("BACKTEST_IV_FACTOR", _H, "backtest.iv_factor", "times the realised one", ""),
    ("BACKTEST_IV_LEAST_SESSIONS", _H, "backtest.iv_least_sessions", "before them config/instruments.toml's", ""),
    ("BACKTEST_SKEW", _H, "backtest.skew", "", ""),
    ("BACKTEST_SMILE", _H, "backtest.smile", "", ""),
    ("BACKTEST_NEAR", _H, "backtest.near", "more volatility of short-lived options", ""),
    ("BACKTEST_NEAR_DAYS", _H, "backtest.near_days", "", ""),
    ("BACKTEST_CARRY", _H, "backtest.carry", "a year, from spot to forward", ""),
    ("BACKTEST_RATE", _H, "backtest.rate", "a year, discounts", ""),
    ("BACKTEST_SPREAD_TICKS", _H, "backtest.spread_ticks", "half of bid to ask, at the money", ""),
    ("BACKTEST_WING_TICKS", _H, "backtest.wing_ticks", "more of it a deviation", ""),
    ("BACKTEST_SETTLE_MINUTES", _H, "backtest.settle_minutes", "of closes, at an expiry", ""),
    ("BACKTEST_BHAVCOPY", _H, "backtest.bhavcopy", "before, or same_day, which knows the day's close", ""),
    ("# Alerts", _H, "", "", ""),
    ("ALERT_COMMAND", _H, "alerts.command", "run for each alert", ""),
    ("MAX_QUOTE_LATENCY", _H, "alerts.quote_latency_ms", "ms from socket to risk; ten in a row alarm; 0: never", ""),
    ("MAX_ORDER_LATENCY", _H, "alerts.order_latency_ms", "ms of an order call; a longer one alarms; 0: never", ""),
    ("ALERT_REJECTIONS", _H, "alerts.rejections", "refusals of an account's orders that alarm; 0: never", ""),
    ("ALERT_REJECTION_MINUTES", _H, "alerts.rejection_minutes", "within which they are counted", ""),
    (
        "ALERT_COOLDOWN",
        _H,
        "alerts.cooldown_seconds",
        "without another excess until these, or one that comes and goes, end",
        "",
    ),
    ("TELEGRAM_BOT_TOKEN", _R, "", _NOTIFY, ""),
    ("TELEGRAM_CHAT_IDS", _R, "", _NOTIFY, ""),
    ("SMTP_HOST", _R, "", _NOTIFY, "smtp.gmail.com"),
    ("SMTP_PORT", _R, "", _NOTIFY, "587"),
    ("SMTP_USERNAME", _R, "", _NOTIFY, ""),
    ("SMTP_PASSWORD", _R, "", _NOTIFY, ""),
    ("EMAIL_RECIPIENTS", _R, "", _NOTIFY, ""),
    ("# Database (of the prototype)", _H, "", "", ""),
    ("DATABASE_URL", _P, "", _DATABASE, "sqlite:///db/openalgo.db"),
    ("DATABASE_ENABLED", _P, "", _DATABASE, "true"),
    ("DATABASE_TYPE", _P, "", _DATABASE, "sqlite"),
    ("SQLITE_PATH", _P, "", _DATABASE, "database/trading.db"),
    ("POSTGRES_HOST", _N, "", _DATABASE, "localhost"),
    ("POSTGRES_PORT", _N, "", _DATABASE, "5432"),
    ("POSTGRES_DATABASE", _N, "", _DATABASE, "trading"),
    ("POSTGRES_USERNAME", _N, "", _DATABASE, ""),
    ("POSTGRES_PASSWORD", _N, "", _DATABASE, ""),
    ("DB_POOL_SIZE", _N, "", _DATABASE, "10"),
    ("DB_MAX_OVERFLOW", _N, "", _DATABASE, "20"),
    ("DB_POOL_TIMEOUT", _N, "", _DATABASE, "30"),
)


def _table() -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    group = ""
    for name, state, path, note, default in _ROWS:
        if name.startswith("# "):
            group = name[2:]
        else:
            found[name] = Variable(name, group, state, path, note, default)
    return found


VARIABLES: dict[str, Variable] = _table()

FOREIGN: dict[str, str] = {
    "SECRET_KEY": "no setting: there are no web sessions to sign",
    "SESSION_TYPE": "no setting: there are no web sessions to keep",
    "FLASK_ENV": "no setting: nothing here runs in Flask; LOG_LEVEL says how much is logged",
    "REDIS_URL": "no setting: processes talk over ZeroMQ, and what they keep is in MYTRADING_STATE_DIR",
    "ENCRYPTION_KEY": "set MYTRADING_KEY or MYTRADING_KEY_FILE: it opens the API keys of config/accounts.toml",
    "ORDER_RATE_LIMIT": "set MAX_ORDERS_PER_SECOND; the server's own limit stands in its own .env",
    "SMART_ORDER_RATE": "no setting: no smart orders are sent",
    "SMART_ORDER_RATE_LIMIT": "no setting: no smart orders are sent",
    "HOST_SERVER": "set OPENALGO_API_HOST: where the server is called; its public address is for its own pages",
    "WS_URL": "set OPENALGO_WS_HOST and OPENALGO_WS_PORT",
    "ORDERBOOK_POLL_INTERVAL": "set ORDER_BOOK_SECONDS",
    "PING_MONITORING_INTERVAL": "set OPENALGO_PING_SECONDS",
    "PING_MAX_FAILURES": "set OPENALGO_PING_FAILURES",
    "LOT_SIZE": "no setting: lot sizes come from the instruments of the day; STRATEGY_<NAME>_LOTS says how many lots",
}
"""Variables of OpenAlgo, AlgoMirror and scripts beside it, which no program of ours reads, with what to set instead.

In `.env` they are refused, since their author expects something of them; in the environment, where those programs have
them, they are passed over.
"""

STRATEGY_PATH = "STRATEGY:"

_UNUSED_KEYS: dict[str, str] = {
    "rates.smart_orders_per_second": "no smart orders are sent",
    "rates.reads_per_minute": "reads have fixed intervals",
    "strategy.group": "one engine runs all strategies so far",
}
"""Keys of the files without a variable that are accepted and do nothing, with why."""


def reserved_keys() -> dict[str, str]:
    """Every dotted key of the files that is accepted and does nothing, with why; a strategy's are `strategy.…`."""
    waiting = {row.path: row.note for row in VARIABLES.values() if row.path and row.state is not State.HONOURED}
    return waiting | _UNUSED_KEYS


OWN_PREFIXES = ("STRATEGY_", "ZMQ_", "OPENALGO_", "MYTRADING_", "SMA_", "RSI_")
"""A variable of the process that begins so and is unknown is a misspelling."""

LIKELY_PREFIXES = ("MAX_", "MIN_", "ENABLE_", "ENABLED_", "DEFAULT_", "TRADING_", "PAPER_", "LOG_", "AVOID_")
"""One that begins so is a misspelling only if a known name is very near; other programs use these words too."""
