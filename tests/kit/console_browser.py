"""The web console on a port, a gateway behind it that can fall silent, and browsers with addresses of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import zmq
from websockets.sync.client import ClientConnection, connect

from mytrading.core.calendar import Calendar
from mytrading.daemons.console import paper_trial, research_queue, shell_commands
from mytrading.daemons.console.server import ConsoleServer
from mytrading.daemons.console.user_store import new_code
from mytrading.daemons.gateway.ops_server import OpsServer
from mytrading.messages.codec import encode_body
from mytrading.messages.control import FeedReport, OrderTrial, OrderTrialResult
from mytrading.messages.run_config import ConsoleRules, RunConfig, StrategyRun
from mytrading.runtime.daemon.live_files import accepted_folder, read_edited
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.host.paths import state_key
from mytrading.runtime.streams.endpoints import endpoint_of
from tests.kit.fork_server import be_there, fork_in
from tests.kit.gateway_queries import ops_server
from tests.kit.run_configs import trading_config
from tests.kit.waiting import eventually

PASSWORD = "Nifty-lantern!73-otter"
_addresses = count(1)

fork_in(paper_trial, research_queue, shell_commands)


class GatewayThread:
    """The gateway's server behind its socket; `silent` has it take requests and answer none. `rows` are journaled."""

    def __init__(self, config: RunConfig) -> None:
        self.rows: list[Any] = []
        self.silent = threading.Event()
        self.losing = threading.Event()
        """Requests are executed, and their answers lost."""
        self.judge: Callable[[OrderTrial], OrderTrialResult] | None = None
        """Risk, which answers trial orders; none answers none."""
        self.feed: Callable[[], FeedReport] | None = None
        """The feed, which reports its subscriptions; none reports none."""
        self.server: OpsServer = ops_server(config, record=self._record)
        self._config = config
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _record(self, rows: tuple[Any, ...]) -> None:
        self.rows.extend(rows)
        for row in rows:
            self.server.context.control.apply(row)

    def _run(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(zmq.ROUTER)
        socket.bind(endpoint_of(self._config, "ops"))
        while not self._ends.is_set():
            if socket.poll(50):
                parts = socket.recv_multipart()
                if not self.silent.is_set():
                    reply = encode_body(self.server.reply(parts[-1]))
                    if not self.losing.is_set():
                        socket.send_multipart([*parts[:-1], reply])
                    for trial in self.server.context.trials.take_unsent() if self.judge is not None else ():
                        self.server.context.trials.receive(self.judge(trial))
                    if self.feed is not None and self.server.context.feed.asked:
                        self.server.context.feed.newest = self.feed()
        context.destroy(0)

    def stop(self) -> None:
        """End the thread."""
        self._ends.set()
        self._thread.join()


class Browser:
    """One browser: its address, its cookies, the token of its page."""

    def __init__(self, url: str, origin: str = "") -> None:
        self.url, self.origin = url, origin or url
        self.ip = f"203.0.113.{next(_addresses)}"
        self.http = httpx.Client(base_url=url, timeout=20, headers={"x-forwarded-for": self.ip}, verify=False)
        self.csrf = ""

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a GET."""
        return self.http.get(path, **options)

    def open_page(self) -> dict[str, Any]:
        """Send the first request of a page; keeps its token."""
        found: dict[str, Any] = self.get("/api/session").json()
        self.csrf = found["csrf"]
        return found

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """The answer to a POST of the page."""
        return self.http.post(path, json=fields, headers={"x-csrf-token": self.csrf, "origin": self.origin})

    def log_in(self, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        """Log in, and take the new page's token."""
        self.open_page()
        done = self.post("/api/login", name=name, password=password, **more)
        if done.status_code == 200:
            self.csrf = done.json()["csrf"]
        return done

    @contextmanager
    def live(self, origin: str = "") -> Iterator[LiveSocket]:
        """The page's socket."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        headers = {"Cookie": cookie, "X-Forwarded-For": self.ip}
        address = self.url.replace("http", "ws", 1) + "/api/live"
        with connect(address, origin=origin or self.origin, additional_headers=headers) as socket:  # type: ignore[arg-type]
            yield LiveSocket(socket)


class LiveSocket:
    """A page's socket, and the rows of its topics as a page keeps them."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.versions: dict[str, int] = {}

    def send(self, **message: Any) -> None:
        """Send a message of the page."""
        self.socket.send(json.dumps(message))

    def receive(self, kind: str, seconds: float = 10.0) -> dict[str, Any]:
        """The next message of a kind; those before it are taken as a page does."""
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=seconds))
            self._take(message)
            if message["type"] == kind:
                return message

    def _take(self, message: dict[str, Any]) -> None:
        topic = message.get("topic", "")
        if message["type"] == "snapshot":
            self.rows[topic], self.versions[topic] = message["rows"], message["version"]
        elif message["type"] == "delta":
            assert message["previous"] == self.versions[topic], "a gap"
            self.versions[topic] = message["version"]
            for key, cells in message["set"].items():
                self.rows[topic].setdefault(key, {}).update(cells)
            for key in message["gone"]:
                del self.rows[topic][key]


class ConsoleOfTest:
    """A console with its gateway, without a stack; with an administrator `asha` unless `bare`."""

    def __init__(
        self, folder: Path, *, bare: bool = False, bundle: Path | None = None, home: Path | None = None,
        strategies: tuple[StrategyRun, ...] | None = None, **rules: Any,
    ) -> None:  # fmt: skip
        be_there()  # for what the console's threads start
        made = msgspec.structs.replace(ConsoleRules(port=0, proxies=("127.0.0.1",)), **rules)
        self.config = msgspec.structs.replace(trading_config(folder), console=made)
        if home is not None:  # a project of the test's own, whose files are written
            self.config = msgspec.structs.replace(self.config, home=str(home))
        if strategies is not None:
            self.config = msgspec.structs.replace(self.config, strategies=strategies)
        self.gateway = GatewayThread(self.config)
        self.server = self._serve(bundle or folder / "no bundle")
        if not bare:
            first = self.browser()
            first.open_page()
            done = first.post("/api/first-user", code=new_code(self.config), name="asha", password=PASSWORD)
            assert done.status_code == 200, done.text

    def _serve(self, bundle: Path) -> ConsoleServer:
        folder = accepted_folder(self.config.state)
        calendar = read_edited(self.config.calendar_path, folder, Calendar.from_dict, keep=False).made
        made = ConsoleServer(self.config, MarketClock.load(self.config.clock_path), calendar, bundle)
        made.listen()
        return made

    def restart(self, bundle: Path, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop the console and start it again at the same address, with other pages."""
        self.server.stop()
        meanwhile()
        self.server = self._serve(bundle)

    def browser(self, name: str = "", origin: str = "") -> Browser:
        """A browser, logged in if a user is named."""
        made = Browser(self.server.url, origin)
        if name:
            assert made.log_in(name).status_code == 200
        return made

    def add_user(self, name: str, role: str) -> None:
        """A further user with the same password."""
        done = self.browser("asha").post("/api/users", name=name, password=PASSWORD, role=role)
        assert done.status_code == 201, done.text

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return f"mytrading_{state_key(self.config.state)}"

    def audited(self, **wanted: str) -> list[dict[str, Any]]:
        """Rows of the audit, the newest first."""
        found = self.server.store.audit_rows(
            wanted.get("user", ""), wanted.get("action", ""), wanted.get("result", ""), 0, 50
        )
        return [msgspec.structs.asdict(row) for row in found]

    def stop(self) -> None:
        """Stop the console, then its gateway; a trial that starts ends first, as it would log into another test."""
        eventually(lambda: self.server.trial.status().state not in ("starting", "stopping"), 60)
        self.server.stop()
        self.gateway.stop()
