"""The rules that daemons run by: limits, rates, data, streams, logs, times of waiting, the simulator, alerts.

Part of the run file, and imported from `runconfig`, which holds the rest of it. The one rule is the same: a value that
stands here is already valid.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mytrading.messages.enums import LimitAction

STARTING_CASH = 1_000_000.0
"""Rupees of a fresh simulator, the stack's and one of its own, unless PAPER_TRADING_INITIAL_CAPITAL is given."""


class UnknownExit(StrEnum):
    """What follows an exit that no book shows: one further exit, or nothing until a person acts."""

    SECOND_EXIT = "second_exit"
    WAIT = "wait"


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What risk judges by. Sizes and losses in rupees (premium of bought options, value of shares), fractions of 1.

    `enabled_exchanges` and `enabled_kinds` (EQ, FUT, CE, PE) name what may be entered; empty admits all. The limit of a
    stop lies `stop_limit_buffer` (of its trigger) beyond the trigger, for options `stop_limit_buffer_options` rupees if
    that is more. A position found bare is alarmed after `bare_seconds` of machine time and closed after twice that;
    after `doubt_seconds` and twice that where the router says that a stop or exit is on its way or of unknown fate.
    Limits of a day and of equity hold for each account; each has its action. `r_value` are the rupees of 1 R. What is
    0 of these, of entries per session and of losses in a row is no limit.
    """

    max_position_size: float
    max_order_size: float
    min_order_size: float
    max_positions_per_symbol: int
    max_total_positions: int
    max_daily_loss: float
    max_drawdown: float
    default_stop_loss: float
    default_stop_loss_options: float
    trailing_stop_enabled: bool
    trailing_stop_distance: float
    avoid_first_minutes: int
    avoid_last_minutes: int
    stale_quote_seconds: float
    signal_validity_seconds: float
    enabled_exchanges: tuple[str, ...] = ()
    enabled_kinds: tuple[str, ...] = ()
    unknown_exit: UnknownExit = UnknownExit.SECOND_EXIT
    stop_limit_buffer: float = 0.01
    stop_limit_buffer_options: float = 3.0
    bare_seconds: float = 5.0
    doubt_seconds: float = 60.0
    enabled_products: tuple[str, ...] = ()
    enabled_timeframes: tuple[str, ...] = ()
    price_collar: float = 0.03
    price_collar_options: float = 0.25
    min_data_coverage: float = 0.9
    max_entries_per_session: int = 0
    max_active_orders: int = 100
    max_cancels_per_day: int = 500
    max_consecutive_losses: int = 0
    loss_pause_minutes: int = 30
    max_daily_loss_action: LimitAction = LimitAction.NO_ENTRIES
    max_drawdown_action: LimitAction = LimitAction.HALT
    r_value: float = 0.0
    daily_stop_r: float = 0.0
    daily_target_r: float = 0.0
    daily_r_action: LimitAction = LimitAction.CLOSE_LEGS


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The router's budget of calls: orders and smart orders a second, entries a minute and strategy, reads a minute.

    `modifies_per_order` is when an order is replaced instead. So many entries placed again within 30 s of a cancel, in
    300 s, stop entries of the instrument (`churn_per_instrument`) or of the account.
    """

    orders_per_second: int = 8
    smart_orders_per_second: int = 1
    entries_per_minute: int = 10
    modifies_per_order: int = 20
    churn_per_instrument: int = 2
    churn_per_account: int = 5
    reads_per_minute: int = 100


class DataRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the feed subscribes, checks and warms up with. `watch` and the strategies' symbols are instrument ids.

    `mode` is ltp, quote or depth. Seconds of machine time: a source that gives nothing for `mute_seconds` in session is
    mute, one without a connection for `down_seconds` is down; a better source takes the feed back after
    `failback_seconds` of health; what is held and silent for `fallback_seconds` is asked for over REST (0: never);
    what nobody holds or asks for is unsubscribed after `keep_seconds`.
    """

    watch: tuple[str, ...]
    tick_data: bool = True
    depth_data: bool = True
    depth_levels: int = 5
    max_subscriptions: int = 3000
    batch_size: int = 50
    batch_delay: float = 0.05
    buffer_size: int = 10_000
    history: bool = True
    history_days: int = 30
    validate: bool = True
    max_price_change_percent: float = 10.0
    mode: str = "quote"
    mute_seconds: float = 13.0
    down_seconds: float = 5.0
    failback_seconds: float = 300.0
    fallback_seconds: float = 3.0
    keep_seconds: float = 60.0


class Messaging(msgspec.Struct, frozen=True, kw_only=True):
    """How daemons reach each other: `ipc` in the runtime folder, or `tcp` on a loopback address, a port a stream."""

    transport: str = "ipc"
    address: str = "127.0.0.1"
    high_water_mark: int = 10_000
    message_timeout: float = 5.0
    ports: dict[str, int] = {}


class LogRules(msgspec.Struct, frozen=True, kw_only=True):
    """What `runtime.logging.configure_logging` is told: sizes in bytes, retention in days."""

    level: str = "INFO"
    console: bool = True
    files: bool = True
    trade: bool = True
    performance: bool = True
    error: bool = True
    max_bytes: int = 100_000_000
    retention_days: int = 30


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """How long the router waits before it concludes, and how often the reconciler reads; seconds of machine time.

    `orders_every` is ORDER_BOOK_SECONDS. No setting reaches the others: they are what `mytrading chaos` makes small,
    all of them together with the longest delay of its simulator, since a window shorter than the server may take
    would conclude what is not so.
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


class SimulatorRules(msgspec.Struct, frozen=True, kw_only=True):
    """The stack's own simulator: whether `up` starts it, and with what. `speed` is market seconds a machine second.

    An `embedded` one is the whole world of the stack: its market, its clock, its instruments. One that is `followed`
    takes orders alone, at the quotes that the feed has from the server of `RunConfig.source`, in real time.
    `personality` and `broker` say whom it plays, `record` whether it keeps a record of all that happens there.
    """

    embedded: bool = False
    rest_port: int = 0
    ws_port: int = 0
    seed: int = 7
    speed: float = 1.0
    replay: str = ""
    capital: float = STARTING_CASH
    commission: float = 0.0003
    personality: str = "paper"
    broker: str = ""
    record: bool = False
    followed: bool = False

    @property
    def runs(self) -> bool:
        """True if the venue is a process of this stack, whosever its quotes are."""
        return self.embedded or self.followed


class ProcessRules(msgspec.Struct, frozen=True, kw_only=True):
    """How each process runs: collector thresholds, whether operations are timed, bytes of disk below which entries
    halt, bytes that each journal keeps aside for exits, and for how many days its files are kept."""

    memory_optimization: bool = True
    gc_threshold: int = 1_000_000
    monitoring: bool = True
    min_free_bytes: int = 2 << 30
    journal_reserve_bytes: int = 8 << 20
    journal_keep_days: int = 30


class AlertRules(msgspec.Struct, frozen=True, kw_only=True):
    """From when on latency and refusals are alarmed; 0: never. It ends `cooldown_seconds` after the last excess.

    So does any alert that came back within that time after it had ended, once it has been well for as long.
    """

    quote_latency_ms: float = 1000.0
    order_latency_ms: float = 5000.0
    rejections: int = 5
    rejection_minutes: float = 5.0
    cooldown_seconds: float = 60.0
