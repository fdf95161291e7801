"""The feed under measurement: one frame's way to the bus, thousands of subscriptions, and a burst.

A server, the feed, a reader of the bus and a bare client are a process each. What the feed is held against was measured
in the same run, from the same server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lab.bench.results import Figure, against_limit, below, percentile
from lab.bench.simulator_process import Exchange
from mytrading.core.time import SECOND
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import (
    DataRules,
    LogRules,
    RiskLimits,
    RunConfig,
    ServerMode,
    VenueKind,
    VenueSettings,
    write_run_config,
)
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.host.paths import project_home
from mytrading.runtime.streams.endpoints import endpoint

PACE_S = 0.005
_MORNING = 1_795_149_030 * SECOND
"""Friday 2026-11-20, 10:00:30 in India: in session, and half a minute before the next bar begins."""
_LIMITS = RiskLimits(
    max_position_size=1e6, max_order_size=1e6, min_order_size=0.0, max_positions_per_symbol=5, max_total_positions=50,
    max_daily_loss=1e6, max_drawdown=0.5, default_stop_loss=0.02, default_stop_loss_options=0.25,
    trailing_stop_enabled=False, trailing_stop_distance=0.01, avoid_first_minutes=0, avoid_last_minutes=0,
    stale_quote_seconds=5.0, signal_validity_seconds=5.0,
)  # fmt: skip


class Child:
    """A process that says a line when it is ready, and answers each line with one of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"lab.bench.{module}", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self) -> Any:
        """The next line; `RuntimeError` if the process ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {self._process.wait()}")
        return line.strip() if line.startswith("ready") else json.loads(line)

    def send_line(self, line: str) -> None:
        """Say something, whose answer is read later."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, line: str) -> Any:
        """Say something and wait for the answer."""
        self.send_line(line)
        return self.answer()

    def do(self, what: str, **fields: Any) -> Any:
        """Ask with a command."""
        return self.ask(json.dumps({"do": what, **fields}))

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


class WatchedFeed:
    """A feed process by its configuration, and a reader of the bus, connected."""

    def __init__(self, config: RunConfig, stack: ExitStack) -> None:
        self._watched = len(config.data.watch)
        write_run_config(config.state / "run.msgpack", config)
        self.reader = _child(stack, "feed_roles", "reader", endpoint(config.runtime_dir, "market", "feed"))
        environment = {**os.environ, "MYTRADING_RUN": str(config.state / "run.msgpack")}
        feed = subprocess.Popen(
            [sys.executable, "-m", "mytrading.daemons.feed"], env=environment, stdout=subprocess.DEVNULL
        )
        stack.callback(feed.wait)
        stack.callback(feed.kill)
        self.reader.answer()

    def seen(self) -> Any:
        """Return the counts and last numbers that the reader has received."""
        return self.reader.ask("seen")

    def wait(self, condition: Callable[[Any], bool], seconds: float) -> Any:
        """Poll the reader until `condition` holds; return its counts, `TimeoutError` after so many seconds."""
        deadline = time.monotonic() + seconds
        while not condition(seen := self.seen()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the bus did not show what was expected within {seconds:g} s: {_short(seen)}")
            time.sleep(0.05)
        return seen

    def wait_subscribed(self) -> Any:
        """Every instrument has shown its first tick on the bus."""
        return self.wait(lambda seen: len(seen["last"]) == self._watched, 60.0)


class FeedLab(WatchedFeed):
    """A feed that watches `symbols` of a server as fast as a socket, which admits it once the reader is there."""

    def __init__(self, folder: Path, symbols: list[str], stack: ExitStack) -> None:
        self.symbols = symbols
        self.server = _child(stack, "tick_server")
        self.url = f"ws://127.0.0.1:{self.server.answer()}"
        venue = Exchange("http://127.0.0.1:9", self.url, "bench")
        config = feed_config(folder, venue, tuple(f"NSE:{symbol}" for symbol in symbols))
        self.clock = MarketClock(path=config.clock_path)
        self.clock.append_segment(_MORNING, 1.0)
        super().__init__(config, stack)
        self.server.do("admit")


def _child(stack: ExitStack, module: str, *arguments: str) -> Child:
    child = Child(module, *arguments)
    stack.callback(child.end)
    return child


@contextmanager
def _lab(count: int) -> Iterator[FeedLab]:
    with tempfile.TemporaryDirectory(prefix="mtb", dir="/tmp") as folder, ExitStack() as stack:
        yield FeedLab(Path(folder), [f"S{number:04}" for number in range(count)], stack)


def feed_config(folder: Path, server: Exchange, watch: tuple[str, ...]) -> RunConfig:
    """A run of the feed alone at this server, without history, its state in `folder`."""
    venue = VenueSettings(
        kind=VenueKind.OPENALGO, account="bench", rest_url=server.rest, ws_url=server.ws, api_key=server.api_key,
        expected_mode=ServerMode.ANALYZE,
    )  # fmt: skip
    return RunConfig(
        profile="bench", mode=Mode.PAPER, system_name="bench", home=str(project_home()), state_dir=str(folder),
        runtime_dir=str(folder), log_dir=str(folder / "logs"), venue=venue, strategies=(), risk=_LIMITS,
        data=DataRules(watch=watch, historical=False), logging=LogRules(console=False),
    )  # fmt: skip


class Burst(NamedTuple):
    """Load of a round: quotes a second, seconds, instruments, and the frames with which limits are found."""

    rate: int = 20_000
    seconds: float = 30.0
    instruments: int = 500
    limit_frames: int = 300_000

    @property
    def frames(self) -> int:
        """Number of frames that are sent."""
        return int(self.rate * self.seconds)

    def last_numbers(self, count: int) -> dict[str, int]:
        """The last number that each instrument was sent among so many."""
        width = self.instruments
        return {f"NSE:S{(number - 1) % width:04}": number for number in range(count - width + 1, count + 1)}


def measure_frame(progress: Callable[[str], None], frames: int = 400) -> list[Figure]:
    """From before the server writes a frame until its quote is on the bus, beside receive and decode alone, p50."""
    progress(f"single frames to the feed and to a bare client in turns, {frames} each, {frames * 2 * PACE_S:.0f} s")
    with _lab(1) as lab, ExitStack() as stack:
        lab.wait_subscribed()
        bare = Child("feed_roles", "bare", lab.url, str(frames), "", lab.symbols[0])
        stack.callback(bare.end)
        bare.answer()
        to_feed, to_bare = lab.server.do("frames", count=frames, pace_s=PACE_S)
        seen = lab.wait(lambda seen: str(frames) in seen["on_bus"], 10.0)["on_bus"]
        decoded = bare.answer()
    values = [(seen[str(number)] - sent) / 1e6 for number, sent in enumerate(to_feed, 1) if str(number) in seen]
    limit = [(done - sent) / 1e6 for done, sent in zip(decoded, to_bare, strict=True)]
    return [against_limit("feed_frame", percentile(values, 0.5), percentile(limit, 0.5), 2.0, len(values))]


def measure_subscribe(progress: Callable[[str], None], instruments: int = 3000) -> list[Figure]:
    """From the server's admission of the feed until each of thousands of instruments has shown a tick on the bus."""
    progress(f"{instruments} instruments subscribed")
    with _lab(instruments) as lab:
        seen = lab.wait_subscribed()
        (state,) = lab.server.do("state")
    seconds = (seen["at_ns"] - state["admitted_ns"]) / 1e9
    return [below("subscribe_3000", seconds, "s", 5.0, state["symbols"])]


_BURST = Burst()


def measure_burst(progress: Callable[[str], None], burst: Burst = _BURST) -> list[Figure]:
    """A burst over hundreds of instruments: nothing lost, the last is the last, and how much more would go."""
    count = burst.frames
    with _lab(burst.instruments) as lab:
        lab.wait_subscribed()
        lab.clock.append_segment(_MORNING + 30 * SECOND, 1.0)
        time.sleep(0.5)
        lab.reader.ask("reset")
        progress(f"{burst.rate} quotes a second over {burst.instruments} instruments, {burst.seconds:g} s")
        sent = lab.server.do("burst", to=0, rate=burst.rate, count=count)
        wrong = _wait_last(lab, burst.last_numbers(count))
        lab.clock.append_segment(lab.clock.now() + 62 * SECOND, 1.0)
        seen = lab.wait(lambda seen: seen["ticks"] >= count, 10.0) if not wrong else lab.seen()
        limits = _limits(lab, burst, progress)
    rate = count / (sent["ended_ns"] - sent["began_ns"]) * 1e9
    return [*_burst_figures(burst, rate, wrong, seen), *_limit_figures(burst, *limits)]


def _burst_figures(burst: Burst, rate: float, wrong: int, seen: Any) -> list[Figure]:
    count = burst.frames
    least = burst.rate * 0.99
    lost, conflated = count - seen["ticks"], 100.0 * (count - seen["quotes"]) / count

    def figure(name: str, value: float, unit: str, goal: str, met: bool, n: int = count) -> Figure:
        return Figure(name=name, value=value, unit=unit, goal=goal, met=met, n=n)

    return [
        figure("feed_burst_rate", round(rate), "/s", f"≥ {least:.0f} /s taken", rate >= least),
        figure("feed_burst_lost", lost, "", "0 missing in bars", not lost),
        figure("feed_burst_last", wrong, "", "0 not the last sent", not wrong, burst.instruments),
        figure("feed_burst_conflated", round(conflated, 2), "%", "counted, no gap at the reader", not seen["gaps"]),
    ]


def _limit_figures(burst: Burst, own: float, bare: float, checked: float) -> list[Figure]:
    return [
        Figure(
            name="feed_limit",
            value=round(own),
            unit="/s",
            goal=f"≥ {burst.rate} /s",
            met=own >= burst.rate,
            n=burst.limit_frames,
            limit=round(bare),
            ratio=round(own / bare, 3),
        ),
        Figure(
            name="bare_default_recv",
            value=round(checked),
            unit="/s",
            goal="beside it, UTF-8 checked",
            met=True,
            n=max(1, burst.limit_frames // 10),
        ),
    ]


def _wait_last(lab: FeedLab, expected: dict[str, int]) -> int:
    """Return the number of instruments without their last number, once none is left or ten seconds have passed."""
    try:
        lab.wait(lambda seen: seen["last"] == expected, 10.0)
    except TimeoutError:
        last = lab.seen()["last"]
        return sum(last.get(name) != number for name, number in expected.items())
    return 0


def _limits(lab: FeedLab, burst: Burst, progress: Callable[[str], None]) -> tuple[float, float, float]:
    """Frames a second that the feed, a bare client, and one with its default check of UTF-8 take at most."""
    count = burst.limit_frames
    progress(f"{count} quotes as fast as the feed, then a bare client takes them")
    lab.reader.ask("reset")
    sent = lab.server.do("burst", to=0, rate=0, count=count, after=burst.frames)
    expected = burst.last_numbers(burst.frames + count)
    seen = lab.wait(lambda seen: seen["last"] == expected, 60.0)
    own = count / (seen["at_ns"] - sent["began_ns"]) * 1e9
    return own, _bare_limit(lab, 1, count, ""), _bare_limit(lab, 2, max(1, count // 10), "checked")


def _bare_limit(lab: FeedLab, client: int, count: int, check: str) -> float:
    """Frames a second that a bare client takes at most, with its default check of UTF-8 or without."""
    bare = Child("feed_roles", "bare", lab.url, str(count), check, *lab.symbols)
    try:
        bare.answer()
        sent = lab.server.do("burst", to=client, rate=0, count=count)
        took_ns = int(bare.answer()[-1]) - int(sent["began_ns"])
        return count / took_ns * 1e9
    finally:
        bare.end()


def _short(seen: Any) -> str:
    return f"{len(seen['last'])} instruments, {seen['quotes']} quotes, {seen['ticks']} ticks in bars"
