"""The sections of the settings, validated: one class per table of settings.toml.

Put together by `settings.TradingSettings`. The one rule: a default stands here and nowhere else.
"""

from __future__ import annotations

import re
import shlex
import shutil
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from mytrading.config.problems import hint, nearest
from mytrading.config.strategies import TIMEFRAMES, Names
from mytrading.config.symbols import EXCHANGES
from mytrading.messages.enums import LimitAction, Mode, Product
from mytrading.messages.runconfig import STARTING_CASH, UnknownExit

INSTRUMENT_TYPES = ("INDEX", "EQ", "FUT", "CE", "PE")

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_size(value: object) -> object:
    """`"100 MB"` in bytes; a bare number counts bytes."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([\d.]+)\s*([KMG]?B)?", value.strip().upper())
    if match is None:
        raise ValueError("expected a size such as 100 MB")
    try:
        return int(float(match[1]) * _UNITS[match[2] or ""])
    except (ValueError, OverflowError):
        raise ValueError("expected a size such as 100 MB") from None


def parse_days(value: object) -> object:
    """`"30 days"` as 30."""
    return re.sub(r"\s*days?\s*$", "", value) if isinstance(value, str) else value


def lower(value: object) -> object:
    """Words in lower case; whatever else is left for the type to refuse."""
    return value.lower() if isinstance(value, str) else value


def upper(value: object) -> object:
    """Text in capitals."""
    return value.upper() if isinstance(value, str) else value


def some_of(allowed: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """The words, if there are some and all are allowed; `ValueError` names the wrong ones."""
    unknown = [word for word in words if word not in allowed]
    if unknown or not words:
        raise ValueError(
            f"expected some of {', '.join(allowed)}; found {', '.join(unknown) or 'none'}"
            f"{hint(unknown[0], allowed) if unknown and nearest(unknown[0], allowed) else ''}"
        )
    return words


Fraction = Annotated[float, Field(gt=0, lt=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """One table of settings.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class SystemSettings(Section):
    """What runs, and how."""

    name: str = "MyTrading"
    mode: Mode = Mode.PAPER
    paper_venue: Literal["openalgo", "simulator"] = "openalgo"
    enabled_strategies: Names = ("SMA_Crossover",)
    enabled_rules: Names = ()
    enable_strategy_engine: bool = True
    enable_trade_execution: bool = False
    live_confirm: str = ""
    enable_websocket: bool = True
    debug: bool = False

    @field_validator("enable_websocket")
    @classmethod
    def _only_source(cls, on: bool) -> bool:
        if not on:
            raise ValueError("expected true: quotes come by WebSocket alone")
        return on


class OpenAlgoSettings(Section):
    """The server; times in seconds."""

    api_key: SecretStr = SecretStr("")
    host: str = "http://127.0.0.1:5000"
    ws_host: str = "127.0.0.1"
    ws_port: int = Field(default=8765, ge=1, le=65535)
    account: str = Field(default="main", pattern=r"^[A-Za-z0-9_-]+$")
    timeout: float = Field(default=30.0, gt=0)
    max_retries: int = Field(default=3, ge=1)
    retry_delay: float = Field(default=2.0, gt=0)
    max_concurrent_requests: int = Field(default=10, ge=1)
    registered_ips: Names = ()
    egress_url: str = Field(default="https://api.ipify.org", pattern=r"^https?://\S+$")
    ping_seconds: float = Field(default=30.0, ge=1)
    ping_failures: int = Field(default=3, ge=1)
    order_book_seconds: float = Field(default=10.0, ge=1, le=20)

    @field_validator("ws_host")
    @classmethod
    def _bare_host(cls, value: str) -> str:
        if not _HOST.fullmatch(value):
            raise ValueError("expected a host name or address alone, say 127.0.0.1; the port is OPENALGO_WS_PORT")
        return value

    @field_validator("host")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/\s]+", url):
            raise ValueError("expected http://host:port without a path")
        return url


class MessagingSettings(Section):
    """How daemons reach each other; `message_timeout` is in ms.

    Ports count only with transport tcp, which knows nobody and therefore has to be allowed by `insecure`.
    """

    transport: Literal["ipc", "tcp"] = "ipc"
    insecure: bool = False
    bind_address: str = "127.0.0.1"
    base_port: int = Field(default=5600, ge=1024, le=65000)
    market_data_port: Port = 0
    strategy_signals_port: Port = 0
    trade_commands_port: Port = 0
    system_status_port: Port = 0
    high_water_mark: int = Field(default=10_000, ge=1)
    message_timeout: int = Field(default=5000, ge=1)

    @field_validator("bind_address")
    @classmethod
    def _stays_on_this_machine(cls, value: str) -> str:
        try:
            own = IPv4Address(value).is_loopback
        except AddressValueError:
            own = False
        if not own:
            raise ValueError(
                f"expected a loopback address such as 127.0.0.1, found {value!r}: streams are not encrypted, so they "
                "do not leave this machine; forward a port through ssh instead"
            )
        return value


class DataSettings(Section):
    """What may be watched and traded, and how the feed treats it."""

    symbols: Names = ("NIFTY", "BANKNIFTY", "SENSEX")
    exchanges: Annotated[Names, BeforeValidator(upper)] = ("NSE", "BSE", "NFO", "BFO", "NSE_INDEX", "BSE_INDEX")
    instrument_types: Annotated[Names, BeforeValidator(upper)] = INSTRUMENT_TYPES
    timeframes: Names = ("tick", "1m", "5m", "15m", "1h", "1d")
    tick_data: bool = True
    depth_data: bool = True
    depth_levels: int = Field(default=5, ge=1, le=200)
    historical: bool = True
    history_days: int = Field(default=30, ge=1, le=3650)
    validation: bool = True
    max_price_change_percent: float = Field(default=10.0, gt=0)
    max_subscriptions: int = Field(default=3000, ge=1)
    batch_size: int = Field(default=50, ge=1)
    batch_delay: float = Field(default=0.05, ge=0)
    buffer_size: int = Field(default=10_000, ge=100)
    mode: Annotated[Literal["ltp", "quote", "depth"], BeforeValidator(lower)] = "quote"
    mute_seconds: float = Field(default=13.0, gt=0)
    down_seconds: float = Field(default=5.0, gt=0)
    failback_seconds: float = Field(default=300.0, ge=60)
    fallback_seconds: float = Field(default=3.0, ge=0)

    @field_validator("exchanges")
    @classmethod
    def _known_exchanges(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return some_of(EXCHANGES, words)

    @field_validator("instrument_types")
    @classmethod
    def _known_types(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return some_of(INSTRUMENT_TYPES, words)

    @field_validator("timeframes")
    @classmethod
    def _known_timeframes(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return some_of(TIMEFRAMES, words)


class RiskSettings(Section):
    """Limits: rupees of premium for bought options, of value for shares, of margin for the rest; fractions of 1."""

    max_position_size: float = Field(default=100_000.0, gt=0)
    max_order_size: float = Field(default=10_000.0, gt=0)
    min_order_size: float = Field(default=100.0, ge=0)
    max_positions_per_symbol: int = Field(default=5, ge=1)
    max_total_positions: int = Field(default=50, ge=1)
    max_daily_loss: float = Field(default=10_000.0, gt=0)
    max_drawdown: Fraction = 0.05
    default_stop_loss: Fraction = 0.02
    default_stop_loss_options: Fraction = 0.25
    trailing_stop_enabled: bool = True
    trailing_stop_distance: Fraction = 0.01
    avoid_first_minutes: int = Field(default=5, ge=0)
    avoid_last_minutes: int = Field(default=15, ge=0)
    stale_quote_seconds: float = Field(default=5.0, gt=0)
    signal_validity_seconds: float = Field(default=60.0, gt=0)
    unknown_exit: UnknownExit = UnknownExit.SECOND_EXIT
    stop_limit_buffer: Fraction = 0.01
    stop_limit_buffer_options: float = Field(default=3.0, ge=0)
    bare_seconds: float = Field(default=5.0, gt=0)
    doubt_seconds: float = Field(default=60.0, gt=0)
    enabled_products: Annotated[Names, BeforeValidator(upper)] = tuple(product.value for product in Product)
    price_collar: Fraction = 0.03
    price_collar_options: Fraction = 0.25
    min_data_coverage: float = Field(default=0.9, ge=0, le=1)
    max_entries_per_session: int = Field(default=0, ge=0, le=250)
    max_active_orders: int = Field(default=100, ge=1)
    max_cancels_per_day: int = Field(default=500, ge=1)
    max_consecutive_losses: int = Field(default=0, ge=0)
    loss_pause_minutes: int = Field(default=30, ge=1)
    max_daily_loss_action: Annotated[LimitAction, BeforeValidator(lower)] = LimitAction.NO_ENTRIES
    max_drawdown_action: Annotated[LimitAction, BeforeValidator(lower)] = LimitAction.HALT
    r_value: float = Field(default=0.0, ge=0)
    daily_stop_r: float = Field(default=0.0, ge=0)
    daily_target_r: float = Field(default=0.0, ge=0)
    daily_r_action: Annotated[LimitAction, BeforeValidator(lower)] = LimitAction.CLOSE_LEGS

    @field_validator("enabled_products")
    @classmethod
    def _known_products(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return some_of(tuple(product.value for product in Product), words)


class RateSettings(Section):
    """The router's budget of calls; the exchange allows ten orders a second."""

    orders_per_second: int = Field(default=8, ge=1, le=10)
    smart_orders_per_second: int = Field(default=1, ge=1, le=10)
    entries_per_minute: int = Field(default=10, ge=1)
    modifies_per_order: int = Field(default=20, ge=1, le=25)
    churn_per_instrument: int = Field(default=2, ge=1)
    churn_per_account: int = Field(default=5, ge=1)
    reads_per_minute: int = Field(default=100, ge=1)


class LoggingSettings(Section):
    """What is logged and how long it is kept."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)] = "INFO"
    console: bool = True
    files: bool = True
    directory: str = Field(default="logs", min_length=1)
    max_file_size: Annotated[int, BeforeValidator(parse_size), Field(ge=10_000)] = 100_000_000
    retention_days: Annotated[int, BeforeValidator(parse_days), Field(ge=1)] = 30
    performance: bool = True
    trade: bool = True
    error: bool = True


class AlertSettings(Section):
    """What is told of an alert besides screen and log, and from when on latency and refusals are alerts; 0: never."""

    command: str = ""
    quote_latency_ms: float = Field(default=1000.0, ge=0)
    order_latency_ms: float = Field(default=5000.0, ge=0)
    rejections: int = Field(default=5, ge=0)
    rejection_minutes: float = Field(default=5.0, gt=0)
    cooldown_seconds: float = Field(default=60.0, gt=0)

    @field_validator("command")
    @classmethod
    def _is_a_command_line(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"expected a command line, found {value!r}: {error}") from error
        if words and shutil.which(words[0]) is None:
            raise ValueError(f"expected a command that can be run, found {words[0]!r}; give its full path")
        return value


class SimulatorSettings(Section):
    """The embedded simulator; `speed` in market seconds a second, 0 for lock-step."""

    embedded: bool = False
    rest_port: Port = 0
    ws_port: Port = 0
    seed: int = Field(default=7, ge=0)
    speed: float = Field(default=1.0, ge=0)
    replay: str = ""
    capital: float = Field(default=STARTING_CASH, gt=0)
    commission: float = Field(default=0.0003, ge=0)


class ProcessSettings(Section):
    """How each process runs; with less free disk than `min_free_bytes` entries halt.

    Each journal keeps `journal_reserve_bytes` aside for exits; its files stay for `journal_keep_days`.
    """

    memory_optimization: bool = True
    gc_threshold: int = Field(default=1_000_000, ge=700)
    monitoring: bool = True
    min_free_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=0, le=1 << 62)] = 2 << 30
    journal_reserve_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=1 << 20, le=1 << 30)] = 8 << 20
    journal_keep_days: Annotated[int, BeforeValidator(parse_days), Field(ge=2)] = 30
