"""The ground that is broken: a home and a state of its own, strategies that trade much, a stack on its own simulator.

Nothing here is shared with any other stack: folders, sockets, ports and keys are the run's. Windows, polls and the
simulator's longest delay are made small together, never one without the others.
"""

from __future__ import annotations

import secrets
import shutil
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lab.chaos.alerts import write_webhook_of_chaos
from lab.chaos.disk_filler import SmallDisk
from lab.chaos.fault_draws import Trouble
from lab.chaos.server import Place, SecondServer
from lab.chaos.strategies import Cast, write_cast
from mytrading.core.calendar import Calendar
from mytrading.core.time import SECOND
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import AccountRole, AccountRun, RunConfig, ServerMode, Windows
from mytrading.orchestrator import TradingOrchestrator, free_port
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.runtime.host.paths import project_home
from mytrading.runtime.streams.endpoints import runtime_dir

PERSONALITIES = ("paper", "sandbox", "live")
SHORT_WINDOWS = Windows(
    lost_after=16.0,
    ghost_gap=4.0,
    call_patience=20.0,
    entry_reads=2.0,
    mismatch_gap=2.0,
    exit_patience=3.0,
    slow=6.0,
    book_call=6.0,
    orders_every=4.0,
    positions_every=8.0,
    funds_every=10.0,
    retry_most=4.0,
    stale=15.0,
)
_SHORT_CALL_S = 6.0
_REAL = Trouble(longest_delay=35.0, longest_hang=8.0)
_CAPITAL = 100_000_000.0
_HOLD_NS = 2 * SECOND
_AFTER_OPEN_NS = 30 * 60 * SECOND
_LEAST_FREE, _RESERVE = 24 << 20, 4 << 20
"""Of a small disk: bytes below which entries halt, and those each journal keeps aside."""

_SETTINGS = """
[risk]
max_order_size = 1_000_000
max_position_size = 10_000_000
min_order_size = 1
max_daily_loss = {loss}
max_drawdown_action = "alert"
max_cancels_per_day = 1_000_000
max_active_orders = 10_000
min_data_coverage = 0.0
max_positions_per_symbol = 5
max_total_positions = {most}
avoid_first_minutes = 0
avoid_last_minutes = 0

[rates]
entries_per_minute = 100_000
churn_per_instrument = 1_000
churn_per_account = 1_000
"""

SECOND_ACCOUNT = "second"
"""The account beside the stack's first."""
_PARTNERS = {"paper": "sandbox", "sandbox": "paper", "live": "live"}
_BROKERS = (("zerodha", "upstox"), ("dhan", "zerodha"), ("fyers", "angel"), ("5paisa", "kotak"))


class Wanted(NamedTuple):
    """Options of a run. `stop` is the plan of all strategies: broker, engine or none.

    With every third seed all instruments are traded at two moments of a round, else spread over it. Every fourth seed
    has a low limit of positions, every third a low limit of what one strategy may lose, every fifth of what an account
    may, and every second has stops that trigger often. With `accounts` 1 there is no second account.
    """

    folder: Path
    seed: int
    personality: str = "paper"
    real_windows: bool = False
    stop: str = "broker"
    accounts: int = 2
    disk: int = 0
    """Megabytes of a file system of its own for state and logs; 0: none."""

    @property
    def state(self) -> Path:
        """The stack's state folder."""
        return self.folder / "state" / "chaos"

    @property
    def cast(self) -> Cast:
        """The strategies of this run."""
        stride = 8 if self.seed % 3 == 0 else 5
        return Cast(
            stride=stride,
            stop=self.stop,
            loss=100.0 if self.seed % 3 == 1 else 0.0,
            tight=0.001 if self.seed % 2 == 0 else 0.0,
        )

    @property
    def most_positions(self) -> int:
        """Positions that an account may have at a time."""
        return 12 if self.seed % 4 == 2 else 60

    @property
    def account_loss(self) -> float:
        """Rupees that an account may lose in a day."""
        return 15_000.0 if self.seed % 5 == 0 else 10_000_000.0

    @property
    def brokers(self) -> tuple[str, str]:
        """The brokers behind the servers of the accounts, if they are live."""
        return _BROKERS[self.seed % len(_BROKERS)] if self.personality == "live" else ("", "")


class Ground(NamedTuple):
    """A stack that can be started, and what may be done to it. `books` are the simulators' files by account, `alerted`
    the instruments that alerts trade."""

    stack: TradingOrchestrator
    trouble: Trouble
    books: dict[str, Path]
    servers: dict[str, SecondServer]
    disk: SmallDisk | None = None
    alerted: tuple[str, ...] = ()

    @property
    def config(self) -> RunConfig:
        """The configuration with which the stack is started."""
        return self.stack.config

    def start(self) -> None:
        """Begin, and wait until everything is ready."""
        self.stack.start(self._begin_market)
        self.stack.wait_ready(90.0)

    def end(self) -> None:
        """End the servers beside the stack."""
        for server in self.servers.values():
            server.end()

    def _begin_market(self, config: RunConfig) -> None:
        _set_clock(config)
        for server in self.servers.values():
            server.start(config.clock_path)


def prepare(wanted: Wanted) -> Ground:
    """Write the home, mount the disk if one is asked for, and work out the run; nothing is started."""
    home = wanted.folder / "home"
    disk = _small_disk(wanted)
    shutil.copytree(project_home() / "config", home / "config", ignore=shutil.ignore_patterns("webhooks"))
    shutil.copy(project_home() / "supervisord.conf", home / "supervisord.conf")
    most, loss = wanted.most_positions, wanted.account_loss
    (home / "config" / "settings.toml").write_text(_SETTINGS.format(most=most, loss=loss), encoding="utf-8")
    write_cast(home, wanted.cast)
    config = _config(home, wanted)
    servers = {}
    if wanted.accounts > 1:
        place = _second(home, wanted)
        servers[SECOND_ACCOUNT] = SecondServer(place)
        config = _with_second(config, place)
    first = config.venue.account
    books = {first: config.state / "simulator" / "books.sqlite"}
    books |= {name: server.place.books for name, server in servers.items()}
    write_webhook_of_chaos(home, wanted.cast.alerted, tuple(books), wanted.stop)
    config = msgspec.structs.replace(config, webhooks=msgspec.structs.replace(config.webhooks, port=0, public_url=""))
    trouble = (_REAL if wanted.real_windows else Trouble())._replace(
        parkable=wanted.cast.parkable, accounts=tuple(books), disk=disk is not None
    )
    return Ground(TradingOrchestrator(config), trouble, books, servers, disk, wanted.cast.alerted)


def _small_disk(wanted: Wanted) -> SmallDisk | None:
    """The file system that state and logs are to lie on; the simulators' records, which judge, lie beside it."""
    if not wanted.disk:
        return None
    disk = SmallDisk(wanted.folder / "state", wanted.disk)
    disk.mount()
    (wanted.folder / "simulator").mkdir()
    wanted.state.mkdir(parents=True)
    (wanted.state / "simulator").symlink_to(wanted.folder / "simulator")
    return disk


def _second(home: Path, wanted: Wanted) -> Place:
    return Place(
        folder=wanted.folder / "second",
        rest_port=free_port(),
        ws_port=free_port(),
        api_key=secrets.token_hex(16),
        seed=wanted.seed,
        capital=_CAPITAL,
        personality=_PARTNERS[wanted.personality],
        broker=wanted.brokers[1],
        config_dir=home / "config",
    )


def _with_second(config: RunConfig, place: Place) -> RunConfig:
    """The same with one more account, in which all strategies trade too."""
    second = AccountRun(
        id=SECOND_ACCOUNT, rest_url=place.rest_url, ws_url=place.ws_url, api_key=place.api_key, role=AccountRole.TRADING
    )
    names = (config.venue.account, SECOND_ACCOUNT)
    strategies = tuple(msgspec.structs.replace(run, accounts=names) for run in config.strategies)
    confirm = ",".join(names) if config.mode is Mode.LIVE else ""
    return msgspec.structs.replace(config, accounts=(second,), strategies=strategies, live_confirm=confirm)


def _config(home: Path, wanted: Wanted) -> RunConfig:
    from mytrading.config.loading import load_settings
    from mytrading.config.run_config import build_run_config

    state = wanted.state
    state.mkdir(parents=True, exist_ok=True)
    settings = load_settings(
        home,
        "paper",
        {
            "ENABLED_STRATEGIES": ",".join(part.name for part in wanted.cast.parts),
            "ENABLED_SYMBOLS": ",".join(wanted.cast.symbols),
        },
        {
            "simulator.speed": 1.0,
            "simulator.seed": wanted.seed,
            "simulator.capital": _CAPITAL,
            "console.enabled": False,
        },
    )
    config = build_run_config(settings, home, state, runtime_dir(state))
    changes: dict[str, Any] = {
        "log_dir": str(wanted.state.parent / "logs" if wanted.disk else wanted.folder / "logs"),
        "data": msgspec.structs.replace(config.data, history_days=1),  # a simulator makes up each day anew when asked
        "simulator": msgspec.structs.replace(
            config.simulator, personality=wanted.personality, broker=wanted.brokers[0], record=True
        ),
    }
    if wanted.disk:
        process = msgspec.structs.replace(config.process, min_free_bytes=_LEAST_FREE, journal_reserve_bytes=_RESERVE)
        changes["process"] = process
    if not wanted.real_windows:
        changes |= {"windows": SHORT_WINDOWS, "venue": msgspec.structs.replace(config.venue, timeout=_SHORT_CALL_S)}
    config = msgspec.structs.replace(config, **changes)
    return _live(config) if wanted.personality == "live" else config


def _live(config: RunConfig) -> RunConfig:
    """The same at a server that says it is live; it is this run's own simulator all the same."""
    return msgspec.structs.replace(
        config,
        mode=Mode.LIVE,
        venue=msgspec.structs.replace(config.venue, expected_mode=ServerMode.LIVE),
        trade_execution=True,
        live_confirm=config.venue.account,
    )


def _set_clock(config: RunConfig) -> None:
    """Market time begins half an hour after the next open, and stands still for a moment."""
    with (Path(config.home) / "config" / "calendar.toml").open("rb") as file:
        calendar = Calendar.from_dict(tomllib.load(file))
    begins = calendar.next_open("NSE", machine_now()) + _AFTER_OPEN_NS
    segment = ClockSegment(machine_now() + _HOLD_NS, begins, 1.0)
    write_clock_file(config.clock_path, ClockFile(segments=(segment,), last_seen_machine_ns=segment.machine_ns))
