"""The console's parts put together, and served on a port in a thread."""

from __future__ import annotations

import asyncio
from pathlib import Path

from litestar import Litestar
from litestar.datastructures import State

from mytrading.core.calendar import Calendar
from mytrading.daemons.console.accounts_api import FailedLogins
from mytrading.daemons.console.application import make_application
from mytrading.daemons.console.chain_subscriptions import ChainSubscriptions
from mytrading.daemons.console.doorkeeper import Doorkeeper
from mytrading.daemons.console.live import LiveHub
from mytrading.daemons.console.page_files import BUNDLE, PageFiles, read_build
from mytrading.daemons.console.paper_trial import PaperTrial
from mytrading.daemons.console.research_queue import ResearchQueue
from mytrading.daemons.console.stack_reader import StackReader
from mytrading.daemons.console.user_store import UserStore, code_path, store_path, wall_ms
from mytrading.messages.console_api import LiveBeat
from mytrading.messages.run_config import ConsoleRules, RunConfig
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.http_thread import HttpThread, bind_port
from mytrading.runtime.host.paths import state_key
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.streams.endpoints import console_port_file

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NotPrivate(Exception):
    """An address that others reach, without TLS before it; the message says what to set."""


def _port_in(file: Path) -> int:
    """The port that a file names; 0 if it names none."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def check_address(rules: ConsoleRules) -> None:
    """Raise `NotPrivate` if the console's address is one that others reach, without TLS before it."""
    if rules.host not in LOOPBACK and not rules.public_url.startswith("https://"):
        raise NotPrivate(
            f"CONSOLE_HOST is {rules.host}, which others reach, without TLS: put a reverse proxy with a certificate"
            " before it and name its address in CONSOLE_PUBLIC_URL (https://…), or leave the host at 127.0.0.1"
        )


class ConsoleServer:
    """Serves the console of one stack from `listen` to `stop`."""

    def __init__(self, config: RunConfig, clock: MarketClock, calendar: Calendar, bundle: Path = BUNDLE) -> None:
        rules = config.console
        self._config, self._clock = config, clock
        self._http: HttpThread | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = False
        self._stopping = False
        self.store = UserStore(
            store_path(config.state), code_path(config), rules.idle_minutes * 60_000, rules.session_hours * 3_600_000
        )
        self.build = read_build(bundle)
        self.chains = ChainSubscriptions(config, calendar)
        self.reader = StackReader(config, clock, calendar, self.chains.instruments, self._wake)
        self.hub = LiveHub(self.reader.book, self.store, self._beat, self.chains.problem, self.build)
        self.research = ResearchQueue(config, store_path(config.state).with_suffix(".research.json"), wall_ms)
        self.trial = PaperTrial(config, self.store)
        self.chains.serve(self.reader.book, self.hub.wanted_chains, self._wake)
        secure = rules.public_url.startswith("https://")
        state = State(
            {
                "config": config,
                "clock": clock,
                "calendar": calendar,
                "chains": self.chains,
                "research": self.research,
                "trial": self.trial,
                "store": self.store,
                "reader": self.reader,
                "hub": self.hub,
                "failed": FailedLogins(),
                "files": PageFiles(bundle),
                "build": self.build,
                "cookie": ("__Host-" if secure else "") + f"mytrading_{state_key(config.state)}",
                "tls": secure,
            }
        )
        application = make_application(state)
        application.on_startup.append(self._begin)
        application.on_shutdown.append(self._end)
        self._door = Doorkeeper(application, rules)
        application.state.door = self._door

    @property
    def port(self) -> int:
        """The port that is listened on; 0 while none is."""
        return self._http.port if self._http is not None else 0

    @property
    def url(self) -> str:
        """The address on this machine."""
        host = self._config.console.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_alive(self) -> bool:
        """True while it serves."""
        return self._http is not None and self._http.is_alive and not self._failed

    def listen(self) -> None:
        """Open the port, that of earlier in this run where it may be any, and serve.

        Raises `PortTaken`, or `NotPrivate` for an address that is not safe.
        """
        rules = self._config.console
        check_address(rules)
        next_free = self._config.simulator.embedded
        other = self._config.webhooks.port
        file = console_port_file(self._config)
        listening = bind_port(
            rules.host, rules.port, next_free=next_free, setting="CONSOLE_PORT", other=other, before=_port_in(file)
        )
        self._http = HttpThread(
            self._door,
            listening,
            "console.http",
            lifespan="on",
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            ws_per_message_deflate=False,  # it would be done for each page apart, and keep a window for each
            limit_concurrency=200,
            timeout_graceful_shutdown=1,
        )
        file.write_text(str(self._http.port), encoding="ascii")
        self._door.listen_on(self._http.port)
        self._http.start()
        self.research.start()

    def stop(self) -> None:
        """Close the port, all sockets and the users' file."""
        self._stopping = True
        if self._http is not None:
            self._http.stop()
        self.research.stop()
        self.reader.stop()
        self.chains.stop()
        self.store.close()

    async def _begin(self, app: Litestar) -> None:
        app.state.loop = asyncio.get_running_loop()
        self._tasks = [
            asyncio.create_task(self.reader.run(self.hub.wanted)),
            asyncio.create_task(self.chains.run()),
        ]
        for task in self._tasks:
            task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """A reader that fails ends the process, which is started again: pages never show what is no longer read."""
        if not self._stopping and not task.cancelled() and (error := task.exception()) is not None:
            self._failed = True
            get_logger("console").critical("reader.failed", exc_info=error)

    async def _end(self, _: Litestar) -> None:
        for task in self._tasks:
            task.cancel()

    def _wake(self, topics: list[str]) -> None:
        self.hub.wake(topics)

    def _beat(self) -> LiveBeat:
        answered = self.reader.answered_ns
        return LiveBeat(
            wall_ms=wall_ms(),
            market_ms=self._clock.now() // 1_000_000,
            speed=self._clock.speed,
            stack=not self.reader.problem,
            stale_s=round((machine_now() - answered) / 1e9, 1) if answered else 0.0,
            problem=self.reader.problem,
        )
