"""The configuration of a run: `up` resolves and checks the settings, writes `run.msgpack`, every daemon reads that.

Daemons decode it with msgspec alone: none of them loads pydantic, reads `.env` or looks for a setting anywhere else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from mytrading.messages.enums import Mode, Product
from mytrading.messages.run_settings import (
    STARTING_CASH,
    AlertRules,
    DataRules,
    LogRules,
    Messaging,
    ProcessRules,
    RateLimits,
    RiskLimits,
    ServerRules,
    SimulatorRules,
    UnknownExit,
    Windows,
)
from mytrading.messages.strategy_settings import (
    AllocationMode,
    Direction,
    ExpiryRule,
    OrphanLegs,
    Parameter,
    RollRule,
    SizingRule,
    StopPlan,
    StrategyRun,
    TradeKind,
    TradeRule,
)

__all__ = [
    "ORDER_WORKERS",
    "RUN_FILE",
    "STARTING_CASH",
    "AccountRole",
    "AccountRun",
    "AlertRules",
    "AllocationMode",
    "DataRules",
    "Direction",
    "ExpiryRule",
    "LogRules",
    "Messaging",
    "OrphanLegs",
    "Parameter",
    "ProcessRules",
    "RateLimits",
    "RiskLimits",
    "RollRule",
    "RunConfig",
    "RunConfigError",
    "ServerMode",
    "ServerRules",
    "SimulatorRules",
    "SizingRule",
    "StopPlan",
    "StrategyRun",
    "TradeKind",
    "TradeRule",
    "UnknownExit",
    "VenueKind",
    "VenueSettings",
    "Windows",
    "decode_run_config",
    "decode_run_folders",
    "encode_run_config",
    "seal",
    "write_run_config",
]  # fmt: skip

RUN_FILE = "run.msgpack"
ORDER_WORKERS = 4
"""Connections for order calls, unless MAX_CONCURRENT_REQUESTS is lower."""


class RunConfigError(Exception):
    """The run file is missing or not one of this version; the message says what to do."""


class VenueKind(StrEnum):
    """Where orders go: an OpenAlgo-compatible server, or nowhere (recorded only)."""

    OPENALGO = "openalgo"
    DRY_RUN = "dry_run"


class ServerMode(StrEnum):
    """The mode that the server must report before an order is sent."""

    LIVE = "live"
    ANALYZE = "analyze"


class AccountRole(StrEnum):
    """What an account is for: quotes and orders (exactly one), taking the feed over, or orders only."""

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
    """An account that this run may use, the primary first; keys as in `VenueSettings`. `product` is its orders'
    default."""

    id: str
    rest_url: str
    ws_url: str
    api_key: str
    role: AccountRole = AccountRole.PRIMARY
    broker: str = ""
    product: Product = Product.MIS


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a daemon needs to know of this run. Paths are absolute; nothing here says where a value came from."""

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

    @property
    def data_server(self) -> AccountRun:
        """The account whose server is asked for quotes, history and instruments first."""
        return self.source or self.order_accounts[0]

    @property
    def sources(self) -> tuple[AccountRun, ...]:
        """The accounts whose servers can give quotes, in the order of preference."""
        return (self.data_server, *self.standby)

    @property
    def order_accounts(self) -> tuple[AccountRun, ...]:
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


class _Folders(msgspec.Struct, frozen=True, kw_only=True):
    """What a run file of any version tells of where its state lies."""

    profile: str
    home: str
    state_dir: str
    runtime_dir: str
    log_dir: str


def decode_run_folders(path: Path) -> RunConfig:
    """The run file's content, or only profile and folders where it is of another version; all else is then default."""
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
        **msgspec.structs.asdict(found),
        mode=Mode.DRY_RUN,
        system_name="",
        venue=nowhere,
        data=DataRules(),
        strategies=(),
        risk=RiskLimits(),
    )


def decode_run_config(path: Path) -> RunConfig:
    """The run file's content; `RunConfigError` when it is missing, damaged or of another version."""
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
