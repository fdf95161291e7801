"""What a run was started with: `up` resolves and checks the settings, writes `run.msgpack`, every daemon reads that.

Daemons decode it with msgspec alone, so that none of them loads pydantic or reads `.env`. The one rule: a value that
stands here is already valid, and a daemon never looks for a setting anywhere else.
"""

from __future__ import annotations

import hashlib
import os
from enum import StrEnum
from pathlib import Path

import msgspec

from mytrading.messages.enums import LimitAction, Mode, Product, Side
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.strategy_rules import StrategyRules

Parameter = int | float | str | bool

RUN_FILE = "run.msgpack"

STARTING_CASH = 1_000_000.0
"""Rupees of a fresh simulator, the stack's and one of its own, unless PAPER_TRADING_INITIAL_CAPITAL is given."""


class RunConfigError(Exception):
    """The run file is missing or not one of this version; the message says what to do."""


class VenueKind(StrEnum):
    """Where orders go: an OpenAlgo-compatible server, or nowhere (recorded only)."""

    OPENALGO = "openalgo"
    DRY_RUN = "dry_run"


class ServerMode(StrEnum):
    """What the server must say of itself before an order is sent."""

    LIVE = "live"
    ANALYZE = "analyze"


class AccountRole(StrEnum):
    """What an account is for: quotes and orders (exactly one), taking the feed over, or orders only."""

    PRIMARY = "primary"
    BACKUP = "backup"
    TRADING = "trading"


class TradeKind(StrEnum):
    """What a strategy trades for what it watches."""

    SAME = "same"
    FUTURE = "future"
    OPTION = "option"


class ExpiryRule(StrEnum):
    """Which expiry that has not passed: the first, the second, or the last one of the first or second month."""

    NEAREST = "nearest"
    NEXT = "next"
    MONTHLY = "monthly"
    NEXT_MONTHLY = "next_monthly"


class Direction(StrEnum):
    """Which wishes of a strategy count; an excluded one wishes flat."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"


class StopPlan(StrEnum):
    """Who holds the protective stop: an order at the broker, risk, or nobody (which must be written)."""

    BROKER = "broker"
    ENGINE = "engine"
    NONE = "none"


class OrphanLegs(StrEnum):
    """What follows when a leg of several cannot be had: try again and then close the others, close them, or alarm."""

    RETRY = "retry"
    UNWIND = "unwind"
    REPORT = "report"


class UnknownExit(StrEnum):
    """What follows an exit that no book shows: one further exit, or nothing until a person acts."""

    SECOND_EXIT = "second_exit"
    WAIT = "wait"


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """The server that gives quotes and, unless `kind` is dry_run, takes orders.

    `registered_ips` are the addresses the broker takes orders from, `egress_url` tells a caller its own. Times in
    seconds of machine time. `max_retries` and `retry_delay` concern reading calls only: how often one is tried in all,
    and the pause between; a placing call is never repeated. The primary and the accounts that stand by are pinged every
    `ping_seconds` and are down after `ping_failures` in a row. In the run file
    `api_key` is encrypted (`runtime.run_key`); only the key of the stack's own simulator, made up for the run, stands
    there as it is.
    """

    kind: VenueKind
    account: str
    rest_url: str
    ws_url: str
    api_key: str
    expected_mode: ServerMode
    timeout: float = 30.0
    retry_delay: float = 2.0
    order_workers: int = 4
    registered_ips: tuple[str, ...] = ()
    egress_url: str = ""
    ping_seconds: float = 30.0
    ping_failures: int = 3
    max_retries: int = 3


class AccountRun(msgspec.Struct, frozen=True, kw_only=True):
    """An account that this run may use, the primary first; keys as in `Venue`. `product` is its orders' default."""

    id: str
    rest_url: str
    ws_url: str
    api_key: str
    role: AccountRole = AccountRole.PRIMARY
    broker: str = ""
    product: Product = Product.MIS


class TradeRule(msgspec.Struct, frozen=True, kw_only=True):
    """What is traded for one direction.

    `underlying` empty means that of the watched instrument. `strike` is "ATM", "ITM n", "OTM n" or "STRIKE n" and
    `right` CE or PE, both empty unless the kind is option. `side` is how the direction is entered: a long wish may
    buy a call or sell a put.
    """

    kind: TradeKind
    side: Side
    underlying: str = ""
    expiry: ExpiryRule = ExpiryRule.NEAREST
    strike: str = ""
    right: str = ""


class Allocation(StrEnum):
    """How a wish is spread over accounts: the same in each, by free margin, or by factors that are written down."""

    EQUAL = "equal"
    PROPORTIONAL = "proportional"
    CUSTOM = "custom"


class SizingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many lots a wish gets. `by` is fixed (the lots of the wish), risk, or a profile or grade of the risk file.

    With `risk` the lots lose at most `risk_per_trade` rupees at their stop. `max_lots` of a leg (0: the limit of the
    risk file alone). `factors` count with a custom allocation, by account; an account without one has 1.
    """

    by: str = "fixed"
    risk_per_trade: float = 0.0
    max_lots: int = 0
    confidence_scaling: bool = False
    allocation: Allocation = Allocation.EQUAL
    factors: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """True if every account gets the lots of the wish as they are."""
        return self.by == "fixed" and self.allocation is Allocation.EQUAL and not self.confidence_scaling


class RollRule(msgspec.Struct, frozen=True, kw_only=True):
    """Futures held overnight move to the next contract `days` trading days before they expire (0: never).

    `first` is far (the next contract is had before the near one goes, which needs margin for both) or near.
    """

    days: int = 0
    first: str = "far"


class StrategyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy as it runs. `file` holds its class, `name` is how it is called everywhere.

    `symbols` are the instrument ids it watches. A `long` or `short` of None means that nothing is traded for that
    direction. `lots` per entry, `stop_loss` a fraction of the entry price (0: the default of the risk limits),
    `cooldown` in seconds of market time, `max_position_size` in rupees (0: the limit of the risk section alone),
    `accounts` those it trades in, each the same lots (empty: the first), `orphan_tries` how often a leg of several that
    failed is ordered again where `orphan_legs` is retry, `sizing` how many times the lots are taken, `roll`
    when futures move on. What is `intraday` is closed by the clock, whatever its product; `rules` are what ends its
    runs. Its limits of a day (rupees, a fraction of the equity of its accounts, R; 0: none) count over all its accounts
    and lead to `limit_action`; `square_off` is its own time (HH:MM in India; empty: none).
    """

    name: str
    file: str
    symbols: tuple[str, ...]
    long: TradeRule | None
    short: TradeRule | None
    timeframes: tuple[str, ...] = ("1m",)
    direction: Direction = Direction.LONG
    product: Product = Product.MIS
    lots: int = 1
    min_confidence: float = 0.0
    cooldown: float = 0.0
    stop: StopPlan = StopPlan.BROKER
    stop_loss: float = 0.0
    take_profit: float = 0.0
    max_position_size: float = 0.0
    intraday: bool = False
    group: str = "main"
    parameters: dict[str, Parameter] = {}
    accounts: tuple[str, ...] = ()
    orphan_legs: OrphanLegs = OrphanLegs.UNWIND
    orphan_tries: int = 2
    sizing: SizingRule = SizingRule()
    roll: RollRule = RollRule()
    rules: StrategyRules = StrategyRules()
    max_daily_loss: float = 0.0
    max_drawdown: float = 0.0
    daily_stop_r: float = 0.0
    daily_target_r: float = 0.0
    limit_action: LimitAction = LimitAction.NO_ENTRIES
    square_off: str = ""
    plan: LegPlan | None = None
    """What a strategy without code trades, and when; `file` then holds no class but these legs."""


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
    """From when on latency and refusals are alarmed; 0: never. It ends `cooldown_seconds` after the last excess."""

    quote_latency_ms: float = 1000.0
    order_latency_ms: float = 5000.0
    rejections: int = 5
    rejection_minutes: float = 5.0
    cooldown_seconds: float = 60.0


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a daemon needs to know of this run. Paths are absolute; nothing here says where a value came from."""

    profile: str
    mode: Mode
    system_name: str
    home: str
    state_dir: str
    runtime_dir: str
    log_dir: str
    venue: Venue
    data: DataRules
    strategies: tuple[StrategyRun, ...]
    risk: RiskLimits
    rates: RateLimits = RateLimits()
    messaging: Messaging = Messaging()
    logging: LogRules = LogRules()
    simulator: SimulatorRules = SimulatorRules()
    process: ProcessRules = ProcessRules()
    alert_command: str = ""
    config_hash: str = ""
    accounts: tuple[AccountRun, ...] = ()
    trade_execution: bool = False
    live_confirm: str = ""
    windows: Windows = Windows()
    rules: tuple[str, ...] = ()
    source: AccountRun | None = None
    """The account whose server gives quotes, history and instruments, where the venue does not; it takes no orders."""
    alert_rules: AlertRules = AlertRules()

    @property
    def data_server(self) -> AccountRun:
        """The account whose server is asked for quotes, history and instruments first."""
        return self.source or self.served[0]

    @property
    def sources(self) -> tuple[AccountRun, ...]:
        """The accounts whose servers can give quotes, in the order of preference."""
        return (self.data_server, *self.standby)

    @property
    def served(self) -> tuple[AccountRun, ...]:
        """The accounts that orders may go to, the venue's first: all but those that only stand by for the feed."""
        first = AccountRun(
            id=self.venue.account, rest_url=self.venue.rest_url, ws_url=self.venue.ws_url, api_key=self.venue.api_key
        )
        others = (one for one in self.accounts if one.role is not AccountRole.BACKUP and one.id != first.id)
        return (first, *others)

    @property
    def standby(self) -> tuple[AccountRun, ...]:
        """The accounts that only stand by for the feed."""
        return tuple(one for one in self.accounts if one.role is AccountRole.BACKUP and one.id != self.venue.account)

    @property
    def state(self) -> Path:
        """The folder of everything that outlives the processes."""
        return Path(self.state_dir)

    @property
    def clock_path(self) -> Path:
        """The market clock's file."""
        return self.state / "clock.json"

    @property
    def calendar_path(self) -> Path:
        """Sessions and holidays."""
        return Path(self.home) / "config" / "calendar.toml"

    @property
    def metrics_dir(self) -> Path:
        """Where daemons leave their performance snapshots."""
        return self.state / "metrics"

    @property
    def bars_dir(self) -> Path:
        """The feed's bar store."""
        return self.state / "bars"

    @property
    def tape_dir(self) -> Path:
        """The feed's raw tape."""
        return self.state / "tape"

    @property
    def lock_dir(self) -> Path:
        """Pid locks."""
        return self.state / "lock"

    def journal_dir(self, daemon: str) -> Path:
        """The folder of one daemon's journals, one file a day."""
        return self.state / "journal" / daemon

    def strategy(self, name: str) -> StrategyRun | None:
        """The strategy of this exact name, None if it does not run."""
        return next((run for run in self.strategies if run.name == name), None)


def seal(config: RunConfig) -> RunConfig:
    """The same with `config_hash` set: 16 hex digits over what decides, which keys, ports and folders do not."""
    blank = {"api_key": "", "rest_url": "", "ws_url": ""}
    venue = msgspec.structs.replace(config.venue, **blank)
    accounts = tuple(msgspec.structs.replace(account, **blank) for account in config.accounts)
    simulator = msgspec.structs.replace(config.simulator, rest_port=0, ws_port=0)
    source = msgspec.structs.replace(config.source, **blank) if config.source is not None else None
    content = msgspec.structs.replace(
        config,
        venue=venue,
        accounts=accounts,
        simulator=simulator,
        source=source,
        home="",
        state_dir="",
        runtime_dir="",
        log_dir="",
        config_hash="",
    )
    digest = hashlib.blake2b(msgspec.msgpack.encode(content), digest_size=8).hexdigest()
    return msgspec.structs.replace(config, config_hash=digest)


def encode_run_config(config: RunConfig) -> bytes:
    """The bytes of the run file."""
    return msgspec.msgpack.encode(config)


def write_run_config(path: Path, config: RunConfig) -> None:
    """Replace the run file in one step, readable by its owner only; its keys are sealed before (`runtime.run_key`)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(encode_run_config(config))
    temporary.replace(path)


def decode_run_config(path: Path) -> RunConfig:
    """The run file's content; `RunConfigError` when it is missing, damaged or of another version."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=RunConfig)
    except FileNotFoundError as error:
        raise RunConfigError(
            f"{path} does not exist: expected the file that `mytrading up` writes; start the stack with it"
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RunConfigError(
            f"{path} is not a run file of this version ({error}); `mytrading down`, then `mytrading up` writes it anew"
        ) from error
