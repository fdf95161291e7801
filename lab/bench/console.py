"""Cost of the web console with pages open: its memory and processor time, its chains' pace, and an order's way.

Pages are played by sockets of this process that take every message as a browser does, but draw nothing. What a browser
makes of them is measured by `lab.bench.console_browser`.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from lab.bench.results import Figure, below, percentile
from lab.bench.stack import TURN_S, Lab, lab

MEASURED_S = 30
DASHBOARD = ("stack", "needs", "alerts", "profit", "strategies", "accounts", "halts")
"""Topics of the dashboard, and of the head of every page."""
HEAD = ("stack", "needs", "alerts")
CONTRACTS = 82
SPEED = "10"
"""Market seconds a second: every contract has a new price ten times a second."""
ROUNDS, ORDERS, WARM_UP = 5, 8, 4
COMMAND_MB = 55.0
"""Megabytes of `mytrading up` itself, which shows the live screen; it does not run here."""
NAME, PASSWORD = "bench", "Nifty-lantern!73-otter"


class LiveText(msgspec.Struct):
    """Fields of a message of the live socket that a page reads first."""

    type: str
    topic: str = ""
    previous: int = 0
    version: int = 0


class OpenPage(threading.Thread):
    """One open page until `close`: when its deltas came, by topic, and how many did not follow those before."""

    def __init__(self, url: str, cookie: str, topics: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.gaps = 0
        self.times: dict[str, list[float]] = {topic: [] for topic in topics}
        self.snapshots: dict[str, bytes] = {}
        self._address = url.replace("http", "ws", 1) + "/api/live"
        self._origin, self._cookie = Origin(url), cookie
        self._ends = threading.Event()
        self._versions: dict[str, int] = {}
        self._decode = msgspec.json.Decoder(LiveText).decode
        self.start()

    def run(self) -> None:
        """Take messages until the end."""
        headers = {"Cookie": self._cookie}
        with connect(self._address, origin=self._origin, additional_headers=headers, max_size=None) as socket:
            socket.send(json.dumps({"type": "watch", "topics": list(self.times)}))
            while not self._ends.is_set():
                try:
                    self._take(socket.recv(timeout=2.0, decode=False))
                except (TimeoutError, WebSocketException):
                    self.gaps += 1

    def _take(self, data: bytes) -> None:
        message = self._decode(data)
        if message.type == "snapshot":
            self.snapshots[message.topic] = data
        elif message.type == "delta":
            self.gaps += message.previous != self._versions[message.topic]
            self.times[message.topic].append(time.monotonic())
        self._versions[message.topic] = message.version

    def close(self) -> None:
        """Close the page."""
        self._ends.set()
        self.join()


class ConsoleLab(Lab):
    """A laboratory whose console has a user, and chains that move; its strategy's share rests unless it is pushed."""

    holds = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment |= {"CONSOLE_PORT": "0", "ENABLED_SYMBOLS": "NSE:SBIN,NIFTY"}

    def begin(self, speed: str) -> None:
        """Start the stack, log in, and find the nearest expiry of NIFTY."""
        self.run("up", "--detach", "--simulator", "--speed", speed)
        self.url = str(json.loads(self.run("console", "url", "--json"))["url"])
        code = json.loads(self.run("console", "code", "--json"))["code"]
        self.cookie = ""
        csrf = self._ask("GET", "/api/session")["csrf"]
        self._ask("POST", "/api/first-user", csrf, code=code, name=NAME, password=PASSWORD)
        self.show(800.0)
        self.chain = f"chain:NIFTY:{self._expiry()}"
        found = json.loads(self.run("status", "--json"))["daemons"]
        self.pid = int(next(row["pid"] for row in found if row["daemon"] == "console"))

    def _expiry(self) -> str:
        """The nearest expiry of NIFTY, once the feed has written the day's instruments."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for row in self._ask("GET", "/api/underlyings"):
                if row["underlying"] == "NIFTY":
                    return str(row["expiries"][0])
            time.sleep(1.0)
        raise RuntimeError("no options of NIFTY are known")

    def _ask(self, method: str, path: str, csrf: str = "", **fields: Any) -> Any:
        """The answer of the console, of which the cookie is kept; raises with its error."""
        headers = {"Cookie": self.cookie, "X-CSRF-Token": csrf, "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.url.partition("//")[2], timeout=20)) as connection:
            connection.request(method, path, json.dumps(fields) if fields else None, headers)
            found = connection.getresponse()
            body = json.loads(found.read())
        if found.status != 200:
            raise RuntimeError(f"{path}: {found.status} {body}")
        self.cookie = (found.headers.get("set-cookie") or self.cookie).partition(";")[0]
        return body

    def ask_everything(self) -> int:
        """Ask every question of the pages that needs no choice, once; return how many were answered."""
        answered = 0
        for path, routes in self._ask("GET", "/api/schema")["paths"].items():
            if "get" in routes and "{" not in path:
                with suppress(RuntimeError, ValueError):  # not now, or a file that is no JSON
                    self._ask("GET", path)
                    answered += 1
        return answered

    @property
    def chain_page(self) -> tuple[str, ...]:
        """Topics of the page of the chain."""
        return (*HEAD, self.chain, self.chain.replace("chain", "chainhead", 1))

    @contextmanager
    def pages(self, dashboards: int, chains: int) -> Iterator[list[OpenPage]]:
        """So many open pages, at once with everything that they show; those of the chain come last."""
        topics = [DASHBOARD] * dashboards + [self.chain_page] * chains
        made = [OpenPage(self.url, self.cookie, one) for one in topics]
        try:
            deadline = time.monotonic() + 20
            while any(one.snapshots.keys() != one.times.keys() for one in made) or any(
                not one.times[self.chain] for one in made[dashboards:]
            ):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"not shown: {[one.times.keys() - one.snapshots.keys() for one in made]}")
                time.sleep(0.05)
            yield made
        finally:
            for one in made:
                one.close()


class ConsoleCost(NamedTuple):
    """Resources of the console over `seconds`: megabytes, processor seconds, and the times at which a chain changed."""

    memory_mb: float
    cpu_s: float
    seconds: float
    updates: list[list[float]]
    gaps: int
    contracts: int


def observe(stack: ConsoleLab, dashboards: int, chains: int, seconds: float) -> ConsoleCost:
    """Open pages, and watch them and the process for so long."""
    process = psutil.Process(stack.pid)
    with stack.pages(dashboards, chains) as pages:
        time.sleep(2.0)
        times, began = process.cpu_times(), time.monotonic()
        time.sleep(seconds)
        later, took = process.cpu_times(), time.monotonic() - began
        memory = process.memory_info().rss / 1e6
    shown = pages[dashboards:]
    updates = [[at for at in page.times[stack.chain] if began <= at < began + took] for page in shown]
    rows = json.loads(shown[0].snapshots[stack.chain])["rows"].values()
    contracts = sum(row[side] is not None for row in rows for side in ("call", "put"))
    cpu = later.user + later.system - times.user - times.system
    return ConsoleCost(memory, cpu, took, updates, sum(page.gaps for page in pages), contracts)


def memory_of_all(stack: ConsoleLab) -> float:
    """Megabytes of supervisor and every process of the stack; shared memory is counted in each of them."""
    supervisor = psutil.Process(stack.pid).parent()
    assert supervisor is not None
    every = (supervisor, *supervisor.children(recursive=True))
    return float(sum(one.memory_info().rss for one in every)) / 1e6


def pace(name: str, updates: list[float], seconds: float, contracts: int, gaps: int) -> Figure:
    """Updates a second of a chain, beside the longest time between two and the changes that were lost."""
    longest = max((b - a for a, b in pairwise(updates)), default=seconds)
    rate = len(updates) / seconds
    return Figure(
        name=name,
        value=round(rate, 2),
        unit="/s",
        goal=f"≥ 9.5 /s of {CONTRACTS} contracts, none lost",
        met=rate >= 9.5 and contracts == CONTRACTS and not gaps,
        n=len(updates),
        why=f"{contracts} contracts, {gaps} lost, at most {longest * 1000:.0f} ms between two in {seconds:.0f} s",
    )


def measure_console(progress: Callable[[str], None]) -> list[Figure]:
    """Memory and processor time of the console with five pages, and the pace of the chain that two of them show."""
    progress(f"the console with three dashboards and two chains that move ten times a second, {MEASURED_S} s")
    with lab(ConsoleLab) as stack:
        assert isinstance(stack, ConsoleLab)
        stack.begin(SPEED)
        before = memory_of_all(stack)
        found = observe(stack, 3, 2, MEASURED_S)
        questions = stack.ask_everything()
        every = memory_of_all(stack)
    progress(
        f"all processes: {before:.0f} MB before a page was open, {every:.0f} MB after them and {questions} questions"
    )
    slowest = min(found.updates, key=len)
    share = 100 * found.cpu_s / found.seconds
    return [
        below("console_memory", found.memory_mb, "MB", 90.0, 1),
        below("paper_memory", every, "MB", 600.0 - COMMAND_MB, 1),
        below("console_cpu", share, "% of a core", 10.0, 5),
        pace("console_chain", slowest, found.seconds, found.contracts, found.gaps),
    ]


def measure_quote_beside_console(progress: Callable[[str], None]) -> list[Figure]:
    """A quote's way to its order with ten pages open beside the same with none, in turns in one stack."""
    progress(f"quotes without and with ten open pages, {ROUNDS} rounds of {ORDERS} orders each")
    with lab(ConsoleLab) as stack:
        assert isinstance(stack, ConsoleLab)
        stack.begin("1")
        ways(stack, WARM_UP)
        rounds = []
        for _ in range(ROUNDS):
            alone = percentile(ways(stack, ORDERS), 0.5)
            with stack.pages(5, 5):
                rounds.append((percentile(ways(stack, ORDERS), 0.5), alone))
    ratio = percentile([beside / alone for beside, alone in rounds], 0.5)
    return [
        Figure(
            name="quote_beside_console",
            value=round(percentile([beside for beside, _ in rounds], 0.5), 4),
            unit="ms",
            goal="≤ 1.1× without pages, median of the rounds' ratios",
            met=ratio <= 1.1,
            n=ROUNDS * ORDERS,
            limit=round(percentile([alone for _, alone in rounds], 0.5), 4),
            ratio=round(ratio, 3),
        )
    ]


def ways(stack: Lab, count: int) -> list[float]:
    """Milliseconds from so many pushed quotes to the arrival of the order that follows each."""
    found: list[float] = []
    price = 800.0
    for _ in range(3 * count):
        price = 800.0 if price > 800.0 else 800.05
        known = len(stack.rest("GET", "/sim/orders"))
        quote = {"symbol": "SBIN", "exchange": "NSE", "ltp": price, "bid": price - 0.05, "ask": price + 0.05}
        sent = int(stack.rest("POST", "/sim/market", **quote, hold=True)["sent_ns"])
        time.sleep(TURN_S)  # nothing else runs meanwhile: asking would take a core from what is measured
        orders = stack.rest("GET", "/sim/orders")
        if len(orders) > known:
            found.append((int(orders[known]["received_ns"]) - sent) / 1e6)
        if len(found) == count:
            return found
    raise RuntimeError(f"{len(found)} of {3 * count} quotes led to an order; see `mytrading bench latency`")
