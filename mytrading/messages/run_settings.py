"""The settings of daemons, each declared once: name, type, default, bounds, environment variable and note.

A field annotated with `setting(…)` is a key of settings.toml and a variable; the others are filled in when the run file
is built, or are for tests and chaos runs alone. config/sections.py adds the settings that no daemon reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from mytrading.messages.enums import LimitAction, Product

STARTING_CASH = 1_000_000.0
"""Rupees of a fresh simulator, the stack's and one of its own, unless PAPER_TRADING_INITIAL_CAPITAL is given."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of a setting: its variable (and an `alias` of it), its meaning, and the values it takes.

    `bounds` are gt, ge, lt, le, pattern and min_length; `among` lists the words a list may hold; `case` is what its
    text is converted to; `unit` is bytes ("100 MB") or days ("30 days"). `read` makes a value of what was written,
    `check` judges the value; both raise `ValueError`.
    """

    variable: str = ""
    note: str = ""
    alias: str = ""
    case: Literal["", "upper", "lower"] = ""
    unit: Literal["", "bytes", "days"] = ""
    among: tuple[str, ...] = ()
    read: Callable[[Any], Any] | None = None
    check: Callable[[Any], object] | None = None
    bounds: tuple[tuple[str, Any], ...] = ()


def setting(variable: str = "", note: str = "", **given: Any) -> Setting:
    """Declare how a field is set; keywords are those of `Setting`, any other (such as `ge`) is a bound of its value."""
    own = {name: given.pop(name) for name in ("alias", "case", "unit", "among", "read", "check") if name in given}
    return Setting(variable, note, bounds=tuple(given.items()), **own)


class UnknownExit(StrEnum):
    """Action after an exit that no book shows: one further exit, or nothing until an operator acts."""

    SECOND_EXIT = "second_exit"
    WAIT = "wait"


_MONEY = "rupees: premium of bought options, value of shares, margin of futures and sold options"
_CHURN = "entries within 30 s after a cancel; so many in 300 s stop further entries"
_COLLAR = "largest distance of an entry from the last price, as a fraction"
_ACTIONS = "alert, no_entries, close_legs, flatten or halt"
_PRODUCTS = tuple(product.value for product in Product)


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Section `risk`: what risk judges by. A limit of 0 on entries per session, losses in a row or R is no limit.

    `enabled_exchanges`, `enabled_kinds` (EQ, FUT, CE, PE) and `enabled_timeframes` come from the section `data`; empty
    admits all. Limits of a day and of equity hold for each account; each has its action.
    """

    max_position_size: Annotated[float, setting("MAX_POSITION_SIZE", f"{_MONEY}; held and ordered", gt=0)] = 100_000.0
    max_order_size: Annotated[float, setting("MAX_ORDER_SIZE", _MONEY, gt=0)] = 10_000.0
    min_order_size: Annotated[float, setting("MIN_ORDER_SIZE", "rupees; hedging legs may be less", ge=0)] = 100.0
    max_positions_per_symbol: Annotated[int, setting("MAX_POSITIONS_PER_SYMBOL", ge=1)] = 5
    max_total_positions: Annotated[int, setting("MAX_TOTAL_POSITIONS", ge=1)] = 50
    max_daily_loss: Annotated[float, setting("MAX_DAILY_LOSS", "loss of an account in a day, rupees", gt=0)] = 10_000.0
    max_daily_loss_action: Annotated[LimitAction, setting("MAX_DAILY_LOSS_ACTION", _ACTIONS, case="lower")] = (
        LimitAction.NO_ENTRIES
    )
    max_drawdown: Annotated[float, setting("MAX_DRAWDOWN", "fall of an account's equity from peak", gt=0, lt=1)] = 0.05
    max_drawdown_action: Annotated[LimitAction, setting("MAX_DRAWDOWN_ACTION", _ACTIONS, case="lower")] = (
        LimitAction.HALT
    )
    r_value: Annotated[float, setting("R_VALUE", "rupees of 1 R for entries without a stop", ge=0)] = 0.0
    daily_stop_r: Annotated[float, setting("DAILY_STOP_R", "loss of an account in a day, R; 0: any", ge=0)] = 0.0
    daily_target_r: Annotated[float, setting("DAILY_TARGET_R", "gain of an account in a day, R; 0: any", ge=0)] = 0.0
    daily_r_action: Annotated[LimitAction, setting("DAILY_R_ACTION", _ACTIONS, case="lower")] = LimitAction.CLOSE_LEGS
    default_stop_loss: Annotated[float, setting("DEFAULT_STOP_LOSS", "stop distance by price", gt=0, lt=1)] = 0.02
    default_stop_loss_options: Annotated[
        float,
        setting("DEFAULT_STOP_LOSS_OPTIONS", "stop distance of options, as a fraction of the premium", gt=0, lt=1),
    ] = 0.25
    stop_limit_buffer: Annotated[
        float, setting("STOP_LIMIT_BUFFER", "distance of a stop's limit from its trigger, as a fraction", gt=0, lt=1)
    ] = 0.01
    stop_limit_buffer_options: Annotated[float, setting("STOP_LIMIT_BUFFER_OPTIONS", "or rupees, if more", ge=0)] = 3.0
    bare_seconds: Annotated[
        float,
        setting(
            "BARE_SECONDS", "seconds without a stop until an alert; after twice as long the position is closed", gt=0
        ),
    ] = 5.0
    doubt_seconds: Annotated[float, setting("DOUBT_SECONDS", "likewise, while the stop is in doubt", gt=0)] = 60.0
    trailing_stop_enabled: Annotated[bool, setting("TRAILING_STOP_ENABLED", "false: no stop trails")] = True
    trailing_stop_distance: Annotated[
        float,
        setting("TRAILING_STOP_DISTANCE", "trailing distance of legs without their own, as a fraction", gt=0, lt=1),
    ] = 0.01
    avoid_first_minutes: Annotated[int, setting("AVOID_FIRST_MINUTES", "no entries in the first minutes", ge=0)] = 5
    avoid_last_minutes: Annotated[int, setting("AVOID_LAST_MINUTES", "no entries in the last minutes", ge=0)] = 15
    stale_quote_seconds: Annotated[float, setting("STALE_QUOTE_SECONDS", "age of quotes for entries", gt=0)] = 5.0
    signal_validity_seconds: Annotated[
        float, setting("SIGNAL_VALIDITY", "market seconds after the bar or quote until a signal's entries expire", gt=0)
    ] = 60.0
    unknown_exit: Annotated[
        UnknownExit,
        setting("UNKNOWN_EXIT", "reaction to an exit that no book shows: second_exit, or wait for an operator"),
    ] = UnknownExit.SECOND_EXIT
    enabled_products: Annotated[
        tuple[str, ...], setting("ENABLED_PRODUCTS", "products that entries may use", case="upper", among=_PRODUCTS)
    ] = _PRODUCTS
    price_collar: Annotated[float, setting("PRICE_COLLAR", _COLLAR, gt=0, lt=1)] = 0.03
    price_collar_options: Annotated[float, setting("PRICE_COLLAR_OPTIONS", _COLLAR, gt=0, lt=1)] = 0.25
    min_data_coverage: Annotated[
        float,
        setting("MIN_DATA_COVERAGE", "fraction of the instruments that must have data before entries", ge=0, le=1),
    ] = 0.9
    max_entries_per_session: Annotated[
        int, setting("MAX_ENTRIES_PER_SESSION", "entry signals of a strategy in a session; 0: no limit", ge=0, le=250)
    ] = 0
    max_active_orders: Annotated[int, setting("MAX_ACTIVE_ORDERS", "working orders in an account", ge=1)] = 100
    max_cancels_per_day: Annotated[int, setting("MAX_CANCELS_PER_DAY", "cancels in an account in a day", ge=1)] = 500
    max_consecutive_losses: Annotated[int, setting("MAX_CONSECUTIVE_LOSSES", "losses until a pause; 0: any", ge=0)] = 0
    loss_pause_minutes: Annotated[int, setting("LOSS_PAUSE_MINUTES", "length of that pause", ge=1)] = 30
    enabled_exchanges: tuple[str, ...] = ()
    enabled_kinds: tuple[str, ...] = ()
    enabled_timeframes: tuple[str, ...] = ()


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Section `rates`: the router's budget of calls; the exchange allows ten orders a second."""

    orders_per_second: Annotated[int, setting("MAX_ORDERS_PER_SECOND", "order calls, at most 10", ge=1, le=10)] = 8
    entries_per_minute: Annotated[int, setting("MAX_ENTRIES_PER_MINUTE", "entry signals of one strategy", ge=1)] = 10
    modifies_per_order: Annotated[
        int, setting("MAX_MODIFIES_PER_ORDER", "changes of an order before it is replaced by a new one", ge=1, le=25)
    ] = 20
    churn_per_instrument: Annotated[int, setting("CHURN_PER_INSTRUMENT", _CHURN, ge=1)] = 2
    churn_per_account: Annotated[int, setting("CHURN_PER_ACCOUNT", _CHURN, ge=1)] = 5
    exit_calls_per_hour: Annotated[
        int, setting("MAX_EXIT_CALLS_PER_HOUR", "order calls of one exit that does not fill, in an hour", ge=1)
    ] = 120
    orders_per_day: Annotated[
        int, setting("MAX_ORDERS_PER_DAY", "orders that the broker takes from an account in a day", ge=1)
    ] = 3000
    orders_for_exits: Annotated[
        int, setting("ORDERS_FOR_EXITS", "orders of those that are kept for stops and exits, at most half", ge=0)
    ] = 500


class DataRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `data`: subscriptions (`watch`: instrument ids), checks and warm-up; seconds of machine time."""

    watch: tuple[str, ...] = ()
    tick_data: Annotated[bool, setting("ENABLE_TICK_DATA", "false: no quotes are recorded on tape")] = True
    depth_data: Annotated[bool, setting("ENABLE_DEPTH_DATA", "depth where quotes lack bid and ask")] = True
    depth_levels: Annotated[int, setting("DEPTH_LEVELS", "depth levels that the feed publishes", ge=1, le=200)] = 5
    historical: Annotated[bool, setting("ENABLE_HISTORICAL_DATA", "history for the warm-up of indicators")] = True
    history_days: Annotated[
        int, setting("HISTORICAL_DAYS", "calendar days of bars fetched for watched instruments", ge=1, le=3650)
    ] = 30
    validation: Annotated[bool, setting("ENABLE_DATA_VALIDATION", "price check by MAX_PRICE_CHANGE_PERCENT")] = True
    max_price_change_percent: Annotated[
        float, setting("MAX_PRICE_CHANGE_PERCENT", "largest price jump without confirmation by a second quote", gt=0)
    ] = 10.0
    max_subscriptions: Annotated[int, setting("MAX_WEBSOCKET_SUBSCRIPTIONS", "most instruments watched", ge=1)] = 3000
    batch_size: Annotated[int, setting("WEBSOCKET_BATCH_SIZE", "instruments in one subscription request", ge=1)] = 50
    batch_delay: Annotated[float, setting("WEBSOCKET_BATCH_DELAY", "seconds between two such requests", ge=0)] = 0.05
    buffer_size: Annotated[int, setting("MARKET_DATA_BUFFER_SIZE", "frames read at once, at most", ge=100)] = 10_000
    mode: Annotated[
        Literal["ltp", "quote", "depth"],
        setting("FEED_MODE", "subscription of each instrument: ltp, quote or depth", case="lower"),
    ] = "quote"
    mute_seconds: Annotated[float, setting("FEED_MUTE_SECONDS", "silence in session before a reconnect", gt=0)] = 13.0
    down_seconds: Annotated[float, setting("FEED_DOWN_SECONDS", "seconds offline before a backup serves", gt=0)] = 5.0
    failback_seconds: Annotated[
        float, setting("FEED_FAILBACK_SECONDS", "seconds of a healthy primary before the feed returns to it", ge=60)
    ] = 300.0
    fallback_seconds: Annotated[
        float, setting("FEED_FALLBACK_SECONDS", "silence before held instruments are read over REST; 0: never", ge=0)
    ] = 3.0
    keep_seconds: float = 60.0


def _check_loopback(value: str) -> None:
    from ipaddress import AddressValueError, IPv4Address

    try:
        own = IPv4Address(value).is_loopback
    except AddressValueError:
        own = False
    if not own:
        raise ValueError(
            f"expected a loopback address such as 127.0.0.1, found {value!r}: streams are not encrypted, so they "
            "do not leave this machine; forward a port through ssh instead"
        )


class Messaging(msgspec.Struct, frozen=True, kw_only=True):
    """Section `messaging`: how daemons reach each other: `ipc` in the runtime folder, or `tcp`, a port a stream."""

    transport: Annotated[Literal["ipc", "tcp"], setting("MYTRADING_TRANSPORT", "ipc or tcp")] = "ipc"
    bind_address: Annotated[
        str,
        setting("ZMQ_BIND_ADDRESS", "transport tcp only; loopback: streams are not encrypted", check=_check_loopback),
    ] = "127.0.0.1"
    high_water_mark: Annotated[int, setting("ZMQ_HIGH_WATER_MARK", "messages kept for a slow reader", ge=1)] = 10_000
    message_timeout: Annotated[int, setting("ZMQ_MESSAGE_TIMEOUT", "ms to wait for the gateway's reply", ge=1)] = 5000
    ports: dict[str, int] = {}


class LogRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `logging`: log levels, and how long logs are kept."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], setting("LOG_LEVEL", case="upper")] = (
        "INFO"
    )
    console: Annotated[bool, setting("CONSOLE_LOGGING_ENABLED")] = True
    files: Annotated[bool, setting("FILE_LOGGING_ENABLED")] = True
    max_file_size: Annotated[int, setting("LOG_MAX_FILE_SIZE", "say 100 MB", unit="bytes", ge=10_000)] = 100_000_000
    retention_days: Annotated[int, setting("LOG_RETENTION_DAYS", "say 30 days", unit="days", ge=1)] = 30
    performance: Annotated[bool, setting("PERFORMANCE_LOGGING")] = True
    trade: Annotated[bool, setting("TRADE_LOGGING")] = True
    error: Annotated[bool, setting("ERROR_LOGGING")] = True


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """Waits of the router before it concludes, and intervals of the reconciler's reads; seconds of machine time.

    `orders_every` is ORDER_BOOK_SECONDS. No setting reaches the others: chaos runs shorten all of them together with
    the longest delay of their simulator, since a window shorter than the server may take leads to wrong conclusions.
    """

    lost_after: float = 130.0
    ghost_gap: float = 15.0
    call_patience: float = 180.0
    entry_reads: float = 5.0
    mismatch_gap: float = 5.0
    exit_patience: float = 5.0
    slow: float = 30.0
    book_call: float = 10.0
    orders_every: float = 10.0
    positions_every: float = 60.0
    funds_every: float = 10.0
    funds_stale: float = 120.0
    retry_most: float = 30.0
    stale: float = 30.0


_PORT = {"ge": 0, "le": 65535}


class SimulatorRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `simulator`: the stack's own simulator. `speed` is market seconds a machine second, 0 for lock-step,
    and `tick_seconds` market seconds from one tick to the next where no file is replayed.

    An `embedded` one is the whole world of the stack: its market, its clock, its instruments. One that is `followed`
    takes orders alone, at the quotes that the feed has from the server of `RunConfig.source`, in real time.
    `personality` and `broker` choose the server it imitates, `record` keeps a record of all its events. `clock` is the
    clock file of a simulator that another command started, whose market time the stack takes; empty: its own clock.
    """

    embedded: Annotated[bool, setting()] = False
    rest_port: Annotated[int, setting(**_PORT)] = 0
    ws_port: Annotated[int, setting(**_PORT)] = 0
    seed: Annotated[int, setting(ge=0)] = 7
    speed: Annotated[float, setting(ge=0)] = 1.0
    tick_seconds: Annotated[
        int, setting("SIMULATOR_TICK_SECONDS", "market seconds from one tick to the next", ge=1, le=60)
    ] = 1
    replay: Annotated[str, setting()] = ""
    capital: Annotated[float, setting("PAPER_TRADING_INITIAL_CAPITAL", "cash of a simulator", gt=0)] = STARTING_CASH
    personality: str = "paper"
    broker: str = ""
    record: bool = False
    followed: bool = False
    clock: Annotated[
        str,
        setting(
            "SIMULATOR_CLOCK",
            "for tests: file of the market time of a running simulator (its --clock); only with loopback addresses",
        ),
    ] = ""

    @property
    def runs_simulator(self) -> bool:
        """True if this stack runs the simulator, priced by its own quotes or by a real server's."""
        return self.embedded or self.followed


class ProcessRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `process`: how each process runs, and what it keeps of the disk."""

    memory_optimization: Annotated[bool, setting("ENABLE_MEMORY_OPTIMIZATION")] = True
    gc_threshold: Annotated[int, setting("GC_THRESHOLD", ge=700)] = 1_000_000
    monitoring: Annotated[bool, setting("ENABLE_PERFORMANCE_MONITORING")] = True
    min_free_bytes: Annotated[
        int,
        setting(
            "MYTRADING_MIN_FREE_BYTES",
            "free disk below which entries halt, such as 2 GB",
            unit="bytes",
            ge=0,
            le=1 << 62,
        ),
    ] = 2 << 30
    journal_reserve_bytes: Annotated[
        int,
        setting(
            "MYTRADING_JOURNAL_RESERVE",
            "disk space each journal reserves for exits",
            unit="bytes",
            ge=1 << 20,
            le=1 << 30,
        ),
    ] = 8 << 20
    journal_keep_days: Annotated[
        int, setting("MYTRADING_JOURNAL_DAYS", "days an exported journal is kept", unit="days", ge=2)
    ] = 30


class AlertRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `alerts`: latency and rejections that raise an alert (0: never), and how long one that returns lasts."""

    quote_latency_ms: Annotated[
        float,
        setting(
            "MAX_QUOTE_LATENCY", "ms from socket to risk; ten slower quotes in a row raise an alert; 0: never", ge=0
        ),
    ] = 1000.0
    order_latency_ms: Annotated[float, setting("MAX_ORDER_LATENCY", "ms; a longer call raises an alert", ge=0)] = 5000.0
    rejections: Annotated[int, setting("ALERT_REJECTIONS", "rejected orders until an alert; 0: none", ge=0)] = 5
    rejection_minutes: Annotated[float, setting("ALERT_REJECTION_MINUTES", "minutes that rejections count", gt=0)] = 5.0
    cooldown_seconds: Annotated[
        float, setting("ALERT_COOLDOWN", "seconds without a repetition before such an alert ends", gt=0)
    ] = 60.0


class ServerRules(msgspec.Struct, frozen=True, kw_only=True):
    """Part of section `openalgo`: how servers are called; times in seconds of machine time.

    Retries concern reading calls only: a placing call is never repeated. The primary and the backup accounts are pinged
    every `ping_seconds` and are down after `ping_failures` in a row.
    """

    timeout: Annotated[float, setting("OPENALGO_TIMEOUT", "timeout of an order call in seconds", gt=0)] = 30.0
    max_retries: Annotated[int, setting("OPENALGO_MAX_RETRIES", "tries of a read; orders are sent once", ge=1)] = 3
    retry_delay: Annotated[
        float,
        setting(
            "OPENALGO_RETRY_DELAY",
            "seconds between tries of one read; the pause doubles up to a minute for all history or contracts",
            gt=0,
        ),
    ] = 2.0
    registered_ips: Annotated[tuple[str, ...], setting("BROKER_REGISTERED_IPS", "IP addresses the broker allows")] = ()
    egress_url: Annotated[
        str,
        setting(
            "EGRESS_CHECK_URL",
            "URL that returns our IP address; used if the setting above is set",
            pattern=r"^https?://\S+$",
        ),
    ] = "https://api.ipify.org"
    ping_seconds: Annotated[
        float, setting("OPENALGO_PING_SECONDS", "seconds between pings of the primary and the backup accounts", ge=1)
    ] = 30.0
    ping_failures: Annotated[
        int,
        setting(
            "OPENALGO_PING_FAILURES",
            "failed pings in a row before an account is down and the feed moves to a backup",
            ge=1,
        ),
    ] = 3


def _check_public_url(value: str) -> None:
    import re

    if value and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
        raise ValueError(f"expected an address such as https://alerts.example.in, found {value!r}")


class WebhookRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `webhooks`: where alerts are received over HTTP, and the address that their senders are given.

    It listens on this machine alone: a reverse proxy with a certificate stands before it. `proxies` are the addresses
    from which the header X-Forwarded-For counts.
    """

    port: Annotated[int, setting("WEBHOOK_PORT", "port on 127.0.0.1; 0: any that is free", ge=0, le=65535)] = 8701
    public_url: Annotated[
        str,
        setting("WEBHOOK_PUBLIC_URL", "address that senders reach, say https://host", check=_check_public_url),
    ] = ""
    proxies: Annotated[
        tuple[str, ...], setting("WEBHOOK_PROXIES", "addresses of reverse proxies whose headers count")
    ] = ()


class ConsoleRules(msgspec.Struct, frozen=True, kw_only=True):
    """Section `console`: the web console, where it listens and how long its sessions live.

    An address that others reach needs a reverse proxy with a certificate before it: `public_url` is then what it is
    reached by, and `proxies` are the addresses from which the header X-Forwarded-For counts.
    """

    enabled: Annotated[bool, setting("CONSOLE_ENABLED", "start the web console with the stack")] = True
    host: Annotated[str, setting("CONSOLE_HOST", "address that it listens on")] = "127.0.0.1"
    port: Annotated[int, setting("CONSOLE_PORT", "its port; 0: any that is free", ge=0, le=65535)] = 8700
    public_url: Annotated[
        str, setting("CONSOLE_PUBLIC_URL", "address that it is reached by, say https://host", check=_check_public_url)
    ] = ""
    proxies: Annotated[
        tuple[str, ...], setting("CONSOLE_PROXIES", "addresses of reverse proxies whose headers count")
    ] = ()
    idle_minutes: Annotated[
        float, setting("CONSOLE_IDLE_MINUTES", "minutes without anybody looking after which a session ends", gt=0)
    ] = 60.0
    session_hours: Annotated[
        float, setting("CONSOLE_SESSION_HOURS", "hours after which a session ends in any case", gt=0)
    ] = 12.0
