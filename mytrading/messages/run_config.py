"""The configuration of a run: `up` resolves the settings and writes `run.msgpack`, the only settings a daemon reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mytrading.messages.brokers import PLAIN, SANDBOX, BrokerRules, find_broker
from mytrading.messages.enums import LimitAction, Mode, Product, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.run_settings import (
    STARTING_CASH,
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
    UnknownExit,
    WebhookRules,
    Windows,
    setting,
)

__all__ = [
    "STARTING_CASH", "AlertRules", "ConsoleRules", "DataRules", "LogRules", "Messaging", "ProcessRules", "RateLimits",
    "RiskLimits", "ServerRules", "SimulatorRules", "UnknownExit", "WebhookRules", "Windows",
]  # fmt: skip

RUN_FILE = "run.msgpack"
ORDER_WORKERS = 4
"""Connections for order calls, unless MAX_CONCURRENT_REQUESTS is lower."""


class RunConfigError(Exception):
    """The run file is missing or not one of this version; the message says what to do."""


# one strategy

Parameter = int | float | str | bool
TIMEFRAMES = ("tick", "1m", "3m", "5m", "15m", "30m", "1h", "1d")
BAR_TIMEFRAMES = TIMEFRAMES[1:]
"""Timeframes with bars; a strategy that wants each tick says `subscribe_quotes = True` in its class."""


def check_timeframes(frames: tuple[str, ...]) -> None:
    """Raise `ValueError` unless there is at least one timeframe and bars exist of each."""
    if not frames or any(frame not in BAR_TIMEFRAMES for frame in frames):
        ticks = "; for every quote write `subscribe_quotes = True` in the class" if "tick" in frames else ""
        raise ValueError(f"expected some of {', '.join(BAR_TIMEFRAMES)}{ticks}")


class TradeKind(StrEnum):
    """Kind of contract traded for a watched one."""

    SAME = "same"
    FUTURE = "future"
    OPTION = "option"


class ExpiryRule(StrEnum):
    """An expiry that has not passed: the first, the second, or the last one of the first or second month."""

    NEAREST = "nearest"
    NEXT = "next"
    MONTHLY = "monthly"
    NEXT_MONTHLY = "next_monthly"


class Direction(StrEnum):
    """The directions in which a strategy trades; a signal in an excluded one means flat."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"


def check_direction(word: object) -> object:
    """Return a direction setting unchanged; `ValueError` for a word such as `long_short`, which is written `both`."""
    if isinstance(word, str) and "long" in word.lower() and "short" in word.lower():
        raise ValueError(f'expected long, short or both; found {word!r}: write "both" for the two')
    return word


class StopPlan(StrEnum):
    """The holder of the protective stop: an order at the broker, risk, or none (which must be written)."""

    BROKER = "broker"
    ENGINE = "engine"
    NONE = "none"


class OrphanLegs(StrEnum):
    """Action when a leg of several cannot be had: try again and then close the others, close them, or alarm."""

    RETRY = "retry"
    UNWIND = "unwind"
    REPORT = "report"


class TradeRule(msgspec.Struct, frozen=True, kw_only=True):
    """Contract traded for one direction.

    `underlying` empty means that of the watched instrument. `strike` is "ATM", "ITM n", "OTM n" or "STRIKE n" and
    `right` CE or PE, both empty unless the kind is option. `side` is how the direction is entered: a long signal may
    buy a call or sell a put.
    """

    kind: TradeKind
    side: Side
    underlying: str = ""
    expiry: ExpiryRule = ExpiryRule.NEAREST
    strike: str = ""
    right: str = ""


class AllocationMode(StrEnum):
    """The spread of a signal over accounts: the same in each, by free margin, or by factors that are written down."""

    EQUAL = "equal"
    PROPORTIONAL = "proportional"
    CUSTOM = "custom"


class SizingRule(msgspec.Struct, frozen=True, kw_only=True):
    """Lots of a signal. `by` is fixed (the lots of the signal), risk, or a profile or grade of the risk file.

    With `risk` the lots lose at most `risk_per_trade` rupees at their stop. `max_lots` of a leg (0: the limit of the
    risk file alone). `factors` count with a custom allocation, by account; an account without one has 1.
    """

    by: str = "fixed"
    risk_per_trade: float = 0.0
    max_lots: int = 0
    confidence_scaling: bool = False
    allocation: AllocationMode = AllocationMode.EQUAL
    factors: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """True if every account gets the lots of the signal as they are."""
        return self.by == "fixed" and self.allocation is AllocationMode.EQUAL and not self.confidence_scaling


class RollRule(msgspec.Struct, frozen=True, kw_only=True):
    """Held futures move to the next contract `days` trading days before expiry (0: never), far or near leg first."""

    days: int = 0
    first: str = "far"


class OptionRange(msgspec.Struct, frozen=True, kw_only=True):
    """Options watched by rule: calls and puts of `strikes` listed strikes either side of the money, of one expiry."""

    strikes: int
    expiry: ExpiryRule = ExpiryRule.NEAREST


def check_share(stop: float) -> None:
    """Raise `ValueError` for a stop-loss share of 1 or more; it names the key for whoever wrote 30 for 30 %."""
    if stop >= 1:
        raise ValueError(
            f"expected a fraction below 1, since 0.02 is 2 % here; for {stop:g} % write stop_loss_percent = {stop:g}"
        )


class StrategySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a strategy as they are written. Limits of a day (0: none) are over all its accounts."""

    timeframes: Annotated[
        tuple[str, ...],
        setting(note="bars for the strategy; the first timeframe drives on_data", check=check_timeframes),
    ] = ("1m",)
    direction: Annotated[
        Direction,
        setting(note="signals that enter: long (BUY), short (SELL) or both; others close", read=check_direction),
    ] = Direction.LONG
    product: Annotated[Product, setting(note="MIS, NRML or CNC; default: the primary account's")] = Product.MIS
    lots: Annotated[int, setting(note="lots of an entry", ge=1)] = 1
    min_confidence: Annotated[float, setting(note="lowest confidence of a signal", ge=0, le=1)] = 0.0
    signal_cooldown: Annotated[float, setting(note="seconds of market time between signals that enter", ge=0)] = 0.0
    max_position_size: Annotated[float, setting(note="rupees held and ordered; 0: MAX_POSITION_SIZE alone", ge=0)] = 0.0
    stop: Annotated[StopPlan, setting(note="holder of the stop: broker, engine (risk) or none")] = StopPlan.BROKER
    stop_loss_pct: Annotated[
        float,
        setting(note="until 0.3 for stop_loss_percent: a fraction (0.02 is 2 %)", ge=0, check=check_share),
    ] = 0.0
    take_profit_pct: Annotated[
        float, setting(note="until 0.3 for take_profit_percent: a fraction (0.02 is 2 %)", ge=0)
    ] = 0.0
    accounts: Annotated[tuple[str, ...], setting(note="accounts that trade it, equal lots; empty: primary")] = ()
    orphan_legs: Annotated[
        OrphanLegs, setting(note="reaction to a failed leg of several: retry (then unwind), unwind, or report")
    ] = OrphanLegs.UNWIND
    orphan_tries: Annotated[int, setting(note="new orders for such a leg", ge=0, le=10)] = 2
    max_daily_loss: Annotated[float, setting(note="loss of a day in rupees; 0: none", ge=0)] = 0.0
    max_drawdown: Annotated[
        float, setting(note="fall of its result from the peak, as a fraction of equity; 0: none", ge=0, lt=1)
    ] = 0.0
    daily_stop_r: Annotated[
        float, setting(note="loss of a day in R (what entries risk at their stops); 0: none", ge=0)
    ] = 0.0
    daily_target_r: Annotated[float, setting(note="gain of a day in R; 0: none", ge=0)] = 0.0
    limit_action: Annotated[LimitAction, setting(note="reaction to these four limits")] = LimitAction.NO_ENTRIES


class StrategyRun(StrategySettings, frozen=True, kw_only=True):
    """One strategy as it runs. `file` holds its class, `name` identifies it everywhere.

    `symbols` are the instrument ids it watches. A `long` or `short` of None means that nothing is traded for that
    direction. `sizing` says how many times the lots are taken, `roll` when futures move on. An `intraday` strategy is
    closed by the clock, whatever its product; `rules` end its runs. `square_off` is its own time (HH:MM in India;
    empty: none).
    """

    name: str
    file: str
    symbols: tuple[str, ...]
    long: TradeRule | None
    short: TradeRule | None
    intraday: bool = False
    parameters: dict[str, Parameter] = {}
    sizing: SizingRule = SizingRule()
    roll: RollRule = RollRule()
    rules: StrategyRules = StrategyRules()
    square_off: str = ""
    plan: LegPlan | None = None
    """Legs and times of a strategy without code; `file` then holds no class but these legs."""
    written: dict[str, Any] = {}
    """Keys of the file of a strategy of legs as it was read, times as text; for screens, nothing decides by them."""
    options: OptionRange | None = None
    """Watched besides `symbols`, chosen each day about the last close of the first symbol before its open."""

    @property
    def is_webhook(self) -> bool:
        """True if its signals come from alerts over HTTP: its file is one of `config/webhooks`."""
        return self.file.startswith("config/webhooks/")


# the run


class VenueKind(StrEnum):
    """The receiver of orders: an OpenAlgo-compatible server, or none (recorded only)."""

    OPENALGO = "openalgo"
    DRY_RUN = "dry_run"


class ServerMode(StrEnum):
    """The mode that the server must report before an order is sent."""

    LIVE = "live"
    ANALYZE = "analyze"


class AccountRole(StrEnum):
    """Role of an account: quotes and orders (exactly one), taking the feed over, or orders only."""

    PRIMARY = "primary"
    BACKUP = "backup"
    TRADING = "trading"


class VenueSettings(ServerRules, frozen=True, kw_only=True):
    """The server that gives quotes and, unless `kind` is dry_run, takes orders.

    In the run file `api_key` is encrypted (`runtime.host.run_key`); only the key of the stack's own simulator, made up
    for the run, is written in clear.
    """

    kind: VenueKind
    account: str
    rest_url: str
    ws_url: str
    api_key: str
    expected_mode: ServerMode
    order_workers: int = ORDER_WORKERS


class AccountRun(msgspec.Struct, frozen=True, kw_only=True):
    """An account that this run may use; keys as in `VenueSettings`. `product` is the default of its orders."""

    id: str
    rest_url: str
    ws_url: str
    api_key: str
    role: AccountRole = AccountRole.PRIMARY
    broker: str = ""
    product: Product = Product.MIS


MOST_SHOWN, MOST_SHOWN_EACH = 12, 2
"""Watched instruments whose price screens show: in all, and of one strategy."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration of a run, for all its daemons. Paths are absolute; nothing here says where a value came from."""

    profile: str
    mode: Mode
    system_name: str
    home: str
    state_dir: str
    runtime_dir: str
    log_dir: str
    venue: VenueSettings
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
    webhooks: WebhookRules = WebhookRules()
    console: ConsoleRules = ConsoleRules()
    brokers: dict[str, BrokerRules] = {}
    """The table of brokers, by OpenAlgo's name."""
    accepted_brokers: tuple[str, ...] = ()
    """Refused brokers that the operator takes as they are, by OpenAlgo's name."""

    @property
    def brokers_count(self) -> bool:
        """True if orders go to a real broker, whose row of the table decides what may be sent and believed."""
        return self.venue.expected_mode is ServerMode.LIVE and self.venue.kind is VenueKind.OPENALGO

    def broker_rules(self, broker: str) -> BrokerRules:
        """Return the row that holds for an account whose server named this broker ("" if it named none yet): in
        analyze mode, and where nothing is sent to a server, that of the sandbox."""
        return find_broker(self.brokers, broker) if self.brokers_count else self.brokers.get(SANDBOX, PLAIN)

    @property
    def shown_instruments(self) -> tuple[str, ...]:
        """The watched instruments whose prices screens show: the first few of each strategy, and a few in all."""
        first = (symbol for run in self.strategies for symbol in run.symbols[:MOST_SHOWN_EACH])
        return tuple(dict.fromkeys(first))[:MOST_SHOWN]

    @property
    def data_server(self) -> AccountRun:
        """The account whose server is asked first for quotes, history and instruments."""
        return self.source or self.order_accounts[0]

    @property
    def quote_accounts(self) -> tuple[AccountRun, ...]:
        """The accounts whose servers can give quotes, in the order of preference."""
        return (self.data_server, *self.standby_accounts)

    @property
    def order_accounts(self) -> tuple[AccountRun, ...]:
        """The accounts that orders may go to, the venue's first: all but those that only stand by for the feed."""
        first = AccountRun(
            id=self.venue.account, rest_url=self.venue.rest_url, ws_url=self.venue.ws_url, api_key=self.venue.api_key
        )
        return (first, *(one for one in self.accounts if one.role is not AccountRole.BACKUP and one.id != first.id))

    @property
    def standby_accounts(self) -> tuple[AccountRun, ...]:
        """The accounts that take no orders and only stand by to give quotes."""
        return tuple(one for one in self.accounts if one.role is AccountRole.BACKUP and one.id != self.venue.account)

    @property
    def state(self) -> Path:
        """The folder of everything that outlives the processes: journals, bars, market clock, locks."""
        return Path(self.state_dir)

    @property
    def clock_path(self) -> Path:
        """The file of the market clock."""
        return self.state / "clock.json"

    @property
    def calendar_path(self) -> Path:
        """The file of sessions and holidays."""
        return Path(self.home) / "config" / "calendar.toml"

    @property
    def webhooks_dir(self) -> Path:
        """The folder of the webhooks' files."""
        return Path(self.home) / "config" / "webhooks"

    @property
    def metrics_dir(self) -> Path:
        """The folder in which daemons leave their performance snapshots."""
        return self.state / "metrics"

    @property
    def bars_dir(self) -> Path:
        """The folder of stored bars."""
        return self.state / "bars"

    @property
    def tape_dir(self) -> Path:
        """The folder of recorded quotes."""
        return self.state / "tape"

    @property
    def lock_dir(self) -> Path:
        """The folder of the instance locks of the stack's processes."""
        return self.state / "lock"

    def journal_dir(self, daemon: str) -> Path:
        """The folder of one daemon's journals, one file a day."""
        return self.state / "journal" / daemon

    def strategy(self, name: str) -> StrategyRun | None:
        """The strategy of this exact name, None if it does not run."""
        return next((run for run in self.strategies if run.name == name), None)


def with_config_hash(config: RunConfig) -> RunConfig:
    """Return the configuration with `config_hash` set: 16 hex digits over all but keys, addresses and folders."""
    blank = {"api_key": "", "rest_url": "", "ws_url": ""}
    venue = msgspec.structs.replace(config.venue, **blank)
    accounts = tuple(msgspec.structs.replace(account, **blank) for account in config.accounts)
    simulator = msgspec.structs.replace(config.simulator, rest_port=0, ws_port=0)
    source = msgspec.structs.replace(config.source, **blank) if config.source is not None else None
    content = msgspec.structs.replace(
        config, venue=venue, accounts=accounts, simulator=simulator, source=source, home="", state_dir="",
        runtime_dir="", log_dir="", config_hash="", console=ConsoleRules(),
    )  # fmt: skip
    digest = hashlib.blake2b(msgspec.msgpack.encode(content), digest_size=8).hexdigest()
    return msgspec.structs.replace(config, config_hash=digest)


def write_run_config(path: Path, config: RunConfig) -> None:
    """Write the run file in one step, readable by its owner only; the caller has encrypted its keys (`seal_keys`)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(msgspec.msgpack.encode(config))
    temporary.replace(path)


_RENAMED: Mapping[str, Mapping[str, str]] = {
    "data": {"history": "historical", "validate": "validation"},
    "logging": {"max_bytes": "max_file_size"},
    "messaging": {"address": "bind_address"},
    "strategies": {"cooldown": "signal_cooldown", "stop_loss": "stop_loss_pct", "take_profit": "take_profit_pct"},
}
"""Names that fields had until 0.2.0, when `message_timeout` was in seconds, by the part of the run file."""


def _with_names_of_today(found: Any) -> Any:
    """The content of a run file, also of one that an earlier version wrote and whose stack may still run."""
    if not isinstance(found, dict) or "address" not in found.get("messaging", {}):
        return found
    renamed = dict(found)
    for part, names in _RENAMED.items():
        if part not in found:
            continue
        several = isinstance(found[part], list)
        tables = found[part] if several else [found[part]]
        made = [{names.get(key, key): value for key, value in table.items()} for table in tables]
        renamed[part] = made if several else made[0]
    renamed["messaging"]["message_timeout"] = round(1000 * renamed["messaging"]["message_timeout"])
    return renamed


_Folders = msgspec.defstruct(
    "_Folders", [(name, str) for name in ("profile", "home", "state_dir", "runtime_dir", "log_dir")]
)
"""Folders of the state in a run file of any version."""


def decode_run_folders(path: Path) -> RunConfig:
    """Read profile and folders of a run file, also of another version; all else is then default."""
    try:
        return decode_run_config(path)
    except RunConfigError as error:
        try:
            found = msgspec.msgpack.decode(path.read_bytes(), type=_Folders)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            raise error from None
    nowhere = VenueSettings(
        kind=VenueKind.DRY_RUN, account="", rest_url="", ws_url="", api_key="", expected_mode=ServerMode.ANALYZE
    )
    return RunConfig(
        **msgspec.structs.asdict(found), mode=Mode.DRY_RUN, system_name="", venue=nowhere, data=DataRules(),
        strategies=(), risk=RiskLimits(),
    )  # fmt: skip


def decode_run_config(path: Path) -> RunConfig:
    """Read the run file; raises `RunConfigError` when it is missing, damaged or of another version."""
    try:
        return msgspec.convert(_with_names_of_today(msgspec.msgpack.decode(path.read_bytes())), RunConfig)
    except FileNotFoundError as error:
        raise RunConfigError(
            f"{path} does not exist: expected the file that `mytrading up` writes; start the stack with it"
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RunConfigError(
            f"{path} is not a run file of this version ({error}); `mytrading down`, then `mytrading up` writes it again"
        ) from error
