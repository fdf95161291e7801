"""One broker's stage: a live simulator, a live stack in its market time, and the verbs of a story.

All are real processes with a folder of their own; alerts are given over HTTP, the venue's truth is its own record. A
verb that does not come true raises `Unplayed` with what was seen.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from lab.brokers.judge import Evidence, Span, Verdict, judge
from lab.brokers.record import ENTRY, EXIT, STRANGER, AlertSpan, Asked, VenueRecord, describe
from mytrading.core.exchange.model import BookOrder
from mytrading.core.time import DAY, MINUTE, SECOND
from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookToken, write_webhook
from mytrading.messages.control import OrderTrialResult
from mytrading.messages.enums import Product
from mytrading.messages.ops import (
    AlertsQuery,
    FeedQuery,
    ModifyCommand,
    OrderRequestQuery,
    OrderRequestResult,
    OrderTrialAnswer,
    OrderTrialQuery,
    PositionsQuery,
    SignalsQuery,
    StatusQuery,
)
from mytrading.messages.run_config import RUN_FILE, RunConfig, decode_run_config
from mytrading.messages.webhooks import Sender
from mytrading.orchestrator import free_port
from mytrading.runtime.host.clock import ClockFile, ClockSegment, MarketClock, machine_now, write_clock_file
from mytrading.runtime.streams.endpoints import read_webhook_endpoint
from mytrading.runtime.streams.ops_client import Ops, OpsRefused, OpsTimedOut, new_request_id
from mytrading.runtime.supervision.instance_lock import holder
from mytrading.simulator.settings.broker_profile import BrokerProfile, broker_profile

_ROOT = Path(__file__).resolve().parents[2]
KEY = "conformance"
"""The API key of a simulator on this machine alone, and the token of its stack's webhooks."""
SEED = 7
START = "2026-11-18 10:00"
"""A Wednesday; the night after it is one of an ordinary week."""
UNITS = 10
HOUR = 60 * MINUTE
NIGHT_SPEED = 30.0
KILLS_NS = 16 * SECOND
"""From one kill of the router to the next: a daemon that ends five times within a minute is not started again."""
SHARES = {
    "INFY": 1520.0, "TCS": 3150.0, "CIPLA": 1520.0, "GRASIM": 2740.0, "HCLTECH": 1610.0, "HINDUNILVR": 2430.0,
    "ICICIBANK": 1375.0, "BHARTIARTL": 2110.0, "TITAN": 3880.0, "LT": 4020.0, "TECHM": 1465.0,
    "SUNPHARMA": 1790.0, "JSWSTEEL": 1165.0, "TRENT": 4380.0, "KOTAKBANK": 2090.0,
}  # fmt: skip
"""Shares of the NSE, one for each case, with the price that the harness holds them at. None has the token of the index:
brokers that route by the bare token would give it that price, so its entries would be closed."""
FUTURE, FUTURE_UNITS = "NFO:NIFTY29DEC26FUT", 65
_WIDE = """
[risk]
max_order_size = 10_000_000
max_position_size = 50_000_000
max_daily_loss = 10_000_000
max_total_positions = 60
max_drawdown_action = "alert"
avoid_first_minutes = 0
avoid_last_minutes = 0

[rates]
entries_per_minute = 1_000
churn_per_instrument = 1_000
churn_per_account = 1_000
"""
_IDLE = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class {name}(BaseStrategy):
    """Does nothing."""

    def on_data(self, data: Bar) -> Signal | None:
        return None
'''
_IDLERS = {
    "Idle": 'symbols = ["NSE:RELIANCE"]',
    "Still": 'symbols = ["NSE_INDEX:NIFTY"]\ntrade = "NIFTY ATM CE nearest"',
}
"""Strategies that watch a share and an index, so that the feed keeps bars of them."""
_READY_S, _LOOK_S = 120.0, 0.2
_STARTS = threading.BoundedSemaphore(2)
"""A start takes both cores for seconds: more of them at a time would starve the stories that are played."""
_NIGHTS = threading.BoundedSemaphore(4)
"""The same of a night, which passes at thirty times the speed."""
ENDING = threading.Event()
"""Set when the run is to end: no story waits any more."""
_UNREADY_NS, _ASK_AGAIN_S = 30 * SECOND, 3.0
_T = TypeVar("_T")


class Unplayed(Exception):
    """A story could not go on: the message says what was expected and what was there."""


class UpEnded(Unplayed):
    """`mytrading up` did not start the stack."""


class _Denial(NamedTuple):
    """The stack's reason for a denied entry."""

    text: str


class Stage:
    """A simulator and a stack for one broker, in `folder`; use it in a `with` block. Unless it `enters`, nothing waits
    for entries to be open. `speed` is the market's; `watch` names, once the simulator serves, what the
    stack watches besides, so that its bars are kept. `simulator` is the module that runs as such."""

    def __init__(
        self, folder: Path, home: Path, broker: str, *, enters: bool = True, speed: float = 1.0,
        watch: Callable[[Stage], Sequence[str]] = lambda _: (), simulator: str = "mytrading.simulator",
    ) -> None:  # fmt: skip
        self.folder, self.broker, self.enters, self.speed, self._watch = folder, broker, enters, speed, watch
        self.project_config, self._program = home / "config", simulator
        self.watched: tuple[str, ...] = ()
        self.asked: list[Asked] = []
        self.ledger: list[str] = []
        self.findings: dict[str, list[str]] = {}
        """What the case itself found, by the kind of finding."""
        self.spans: list[Span] = []
        self.venue = VenueRecord(folder / "venue" / "simulator" / "books.sqlite")
        self._clock_file = folder / "clock.json"
        self._rest, self._ws = free_port(), free_port()
        self._home = folder / "home"
        self._simulator: subprocess.Popen[bytes] | None = None
        self._alerts: AlertLog | None = None
        self._prices: HeldPrices | None = None
        self._killed_ns = self._case_ns = 0
        self._denied: set[str] = set()
        _make_home(home, self._home)

    def __enter__(self) -> Stage:
        try:
            with _STARTS:
                self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self.start_simulator()
        self.watched = tuple(self._watch(self))
        done = self.command("up", "--detach", "--no-console")
        if done.returncode:
            raise UpEnded(f"`mytrading up` ended with {done.returncode}: {done.stderr.strip()}")
        self._alerts = AlertLog(self.config)
        self._prices = HeldPrices(self)
        if self.enters:
            self.until(lambda: not self.status()["entries_closed"], _READY_S, "entries open")

    def close(self) -> None:
        """Stop the stack, then its simulator; may be called again."""
        for helper in (self._prices, self._alerts):
            if helper is not None:
                helper.stop()
        try:
            if any((self.folder / "state").glob(f"*/{RUN_FILE}")):
                self.command("down")
        finally:
            self._end_simulator()

    # the simulator

    def start_simulator(self) -> None:
        """Start the simulator, or start it again in the market time of its clock file."""
        command = [
            sys.executable, "-m", self._program, "--json", "--personality", "live", "--broker", self.broker,
            "--rest-port", str(self._rest), "--ws-port", str(self._ws), "--api-key", KEY, "--seed", str(SEED),
            "--start", START, "--state-dir", str(self.folder / "venue"), "--clock", str(self._clock_file),
            "--config-dir", str(self._home / "config"), "--record", "--speed", f"{self.speed:g}",
        ]  # fmt: skip
        environment = {**os.environ, "PAPER_TRADING_INITIAL_CAPITAL": "100000000"}
        with (self.folder / "simulator.log").open("ab") as log:
            self._simulator = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=_ROOT, start_new_session=True
            )
        self.until(self._serves, 30.0, "the simulator serves")

    def _serves(self) -> bool:
        with suppress(OSError):
            self.sim("state")
            return True
        return False

    def _end_simulator(self) -> None:
        if (process := self._simulator) is None:
            return
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._simulator = None

    def set_clock(self, market_ns: int, speed: float) -> None:
        """Start the simulator again at another market time and speed; every process of the stack follows its file."""
        self._end_simulator()
        clock = MarketClock.load(self._clock_file)
        segment = ClockSegment(machine_now(), market_ns, speed)
        content = ClockFile(segments=(*clock.segments, segment), last_seen_machine_ns=segment.machine_ns)
        write_clock_file(self._clock_file, content)
        self.start_simulator()

    @property
    def market_ns(self) -> int:
        """Market time now, ns UTC."""
        return MarketClock.load(self._clock_file).now()

    def sim(self, route: str, /, **fields: Any) -> Any:
        """`data` of a route below /sim: of a GET without fields, else of a POST."""
        if not fields:
            return self._get(f"sim/{route}")["data"]
        return self._post(f"sim/{route}", fields)["data"]

    def ask_server(self, route: str, **fields: Any) -> dict[str, Any]:
        """The answer of the server's own API to a question."""
        found: dict[str, Any] = self._post(f"api/v1/{route}", fields)
        return found

    def listed(self, exchange: str) -> list[dict[str, Any]]:
        """The server's list of an exchange's contracts."""
        found: list[dict[str, Any]] = self._get("api/v1/instruments", exchange=exchange, format="json")["data"]
        return found

    def sent(self, instrument: str) -> dict[str, Any]:
        """What went to the socket of an instrument before the broker's adapter, `quotes` of [market ns, last price,
        volume of the day], and its `token`."""
        exchange, symbol = instrument.split(":")
        found: dict[str, Any] = self.sim("sent", exchange=exchange, symbol=symbol)
        return found

    def _get(self, path: str, **fields: str) -> Any:
        query = urlencode({"apikey": KEY, **fields})
        return _exchange(Request(f"http://127.0.0.1:{self._rest}/{path}?{query}"))

    def _post(self, path: str, fields: dict[str, Any]) -> Any:
        body = json.dumps({"apikey": KEY, **fields}).encode()
        address = f"http://127.0.0.1:{self._rest}/{path}"
        return _exchange(Request(address, body, {"Content-Type": "application/json"}))

    @property
    def known_faults(self) -> frozenset[str]:
        """The kinds of fault that this simulator knows."""
        return frozenset(row["kind"] for row in self.sim("fault")["known"])

    @contextmanager
    def fault(self, kind: str, **parameters: Any) -> Iterator[None]:
        """A fault while the block runs."""
        self.sim("fault", kind=kind, **parameters)
        try:
            yield
        finally:
            self.sim("fault", kind=kind, count=0)

    @property
    def profile(self) -> BrokerProfile:
        """What is known of the broker."""
        found = broker_profile(self.broker)
        assert found is not None
        return found

    def silence_on(self, question: str) -> str:
        """Return why a case that needs a fact is left out, "" if there is one; questions are those of profiles."""
        return f"no fact on {question}" if question in self.profile.silent else ""

    def pass_night(self, evening_ns: int) -> None:
        """Let a close and a night pass quickly, from a market time before the close to the next open."""
        with _NIGHTS:
            self._pass_night(evening_ns)

    def _pass_night(self, evening_ns: int) -> None:
        end = self.market_ns
        self.spans = [Span(self._case_ns, machine_now())]
        self.set_clock(evening_ns, NIGHT_SPEED)
        self.until(lambda: self.market_ns > end + 12 * HOUR, 120.0, "the next morning")
        self.set_clock(self.market_ns, 1.0)
        opens = self.market_ns // DAY * DAY + round(3.75 * HOUR)
        self.until(lambda: self.market_ns >= opens, 30.0, "the open")
        self.spans.append(Span(machine_now(), 0))

    def hold_price(self, instrument: str, ltp: float, depth: int = 100_000) -> None:
        """Hold a price, with `depth` units at bid and ask; it is sent again each second, and orders meet it again."""
        assert self._prices is not None
        self._prices.hold(instrument, ltp, depth)

    def freeze_price(self, instrument: str) -> None:
        """Send the held price no more: nothing further fills."""
        assert self._prices is not None
        self._prices.freeze(instrument)

    # the stack

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the stack to its end, out of reach of signals to this program's group."""
        command = [sys.executable, "-m", "mytrading", *arguments]
        environment = self._environment()
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240, cwd=self._home,
            start_new_session=True,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MYTRADING_", "OPENALGO_"))}
        return {
            **kept,
            "MYTRADING_HOME": str(self._home), "MYTRADING_STATE_DIR": str(self.folder / "state"),
            "MYTRADING_LOG_DIR": str(self.folder / "logs"), "CONSOLE_ENABLED": "false", "WEBHOOK_PORT": "0",
            "TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main",
            "OPENALGO_API_KEY": KEY, "OPENALGO_API_HOST": f"http://127.0.0.1:{self._rest}",
            "OPENALGO_WS_HOST": "127.0.0.1", "OPENALGO_WS_PORT": str(self._ws), "ENABLED_STRATEGIES": ",".join(_IDLERS),
            "SIMULATOR_CLOCK": str(self._clock_file), "ENABLED_SYMBOLS": ",".join(self.watched),
        }  # fmt: skip

    @property
    def config(self) -> RunConfig:
        """The configuration of the stack that runs."""
        return decode_run_config(next((self.folder / "state").glob(f"*/{RUN_FILE}")))

    def status(self) -> dict[str, Any]:
        """The stack's status, empty while its gateway does not answer."""
        found: dict[str, Any] = self._ask(StatusQuery()) or {"entries_closed": "the gateway does not answer"}
        return found

    def _ask(self, request: Any) -> Any:
        with closing(Ops(self.config)) as ops, suppress(OpsTimedOut):
            return ops.ask(request)
        return None

    def feed_report(self) -> dict[str, Any] | None:
        """The feed's newest report of its subscriptions as JSON values; asking makes another."""
        return (self._ask(FeedQuery()) or {}).get("report")

    def trial(self, strategy: str, instrument: str, seconds: float = 10.0) -> OrderTrialResult:
        """Risk's judgement of a bought lot, which is not placed."""
        query = OrderTrialQuery(id=new_request_id(), strategy=strategy, instrument=instrument, lots=1)
        found = self.until(lambda: _result(self._ask(query)), seconds, f"risk's judgement of {instrument}")
        assert found is not None
        return found

    def alert(self, word: str, symbol: str, hook: str = "Desk") -> tuple[int, dict[str, Any]]:
        """Post an alert (buy or sell); the status, 0 without an answer, and the answer's JSON."""
        place = read_webhook_endpoint(self.config)
        body = json.dumps({"symbol": symbol, "action": word, "id": new_request_id()})
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", int((place or {})["port"]), timeout=15)) as connection:
                connection.request("POST", f"/strategy/webhook/{KEY}-{hook}", body)
                found = connection.getresponse()
                return found.status, json.loads(found.read() or b"{}")
        except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
            return 0, {"problem": str(error)}

    def _deliver(self, word: str, symbol: str, hook: str) -> None:
        """Post an alert as senders do: again after no answer, and after one that names what is not ready yet."""
        deadline = machine_now() + 30 * SECOND
        while (answer := self.alert(word, symbol, hook))[0] != 202:
            if machine_now() > deadline:
                raise Unplayed(f"alert {word} {symbol}: expected it accepted within 30 s, found {answer}")
            time.sleep(1.0)

    def enter(self, instrument: str, units: int = UNITS, hook: str = "Desk") -> None:
        """Ask for an entry by an alert."""
        self.asked.append(Asked(machine_now(), instrument, ENTRY, units))
        self._deliver("buy", _symbol(instrument), hook)

    def await_entry(
        self, came: Callable[[], object], seconds: float, what: str, instrument: str, hook: str = "Desk"
    ) -> None:
        """Wait until the entry that was asked for has come, as `until` does.

        One that the stack says it denied because it was not ready (a router that recovers, books that the rows of the
        case before hid) is asked for again, as a person would, in place of the one before; half a minute at most.
        """
        deadline = machine_now() + _UNREADY_NS
        while isinstance(
            denial := self.until(lambda: came() or self._unready_denial(instrument), seconds, what, instrument), _Denial
        ):
            if machine_now() > deadline:
                raise Unplayed(f"expected {what}; the stack denies the entry of {instrument}: {denial.text}")
            _pause(_ASK_AGAIN_S)
            asked = next(one for one in reversed(self.asked) if (one.instrument, one.word) == (instrument, ENTRY))
            self.asked.remove(asked)
            self.enter(instrument, asked.units, hook)

    def _unready_denial(self, instrument: str) -> _Denial | None:
        """What the stack says of its newest signal for an instrument, once, if it denied that as not ready."""
        rows = [row for row in self._ask(SignalsQuery()) or [] if row["watch"] == instrument]
        if not rows or rows[-1]["id"] in self._denied:
            return None
        text = next((text for text in rows[-1]["denied"] if text.startswith("NOT_READY")), "")
        if text:
            self._denied.add(rows[-1]["id"])
        return _Denial(text) if text else None

    def leave(self, instrument: str, hook: str = "Desk") -> None:
        """Ask for the exit by an alert, and wait until the venue shows that nothing is held."""
        self.ask_exit(instrument, hook)
        self.wait_flat(instrument)

    def ask_exit(self, instrument: str, hook: str = "Desk") -> None:
        """Ask for the exit by an alert."""
        self.asked.append(Asked(machine_now(), instrument, EXIT))
        self._deliver("sell", _symbol(instrument), hook)

    def exit_can_go(self, instrument: str, in_seconds: float = 0.0) -> None:
        """Note that the exit which was asked for could not go until now, or so many seconds from now."""
        last = max(number for number, one in enumerate(self.asked) if (one.instrument, one.word) == (instrument, EXIT))
        self.asked[last] = self.asked[last]._replace(could_ns=machine_now() + round(in_seconds * SECOND))

    def is_flat_within(self, instrument: str, seconds: float) -> bool:
        """True once the venue shows that nothing is held; false if that takes longer."""
        until = machine_now() + round(seconds * SECOND)
        self.until(
            lambda: not self.venue.net(instrument) or machine_now() >= until, seconds + 5.0, "time to pass", instrument
        )
        return not self.venue.net(instrument)

    def wait_flat(self, instrument: str, seconds: float = 15.0) -> None:
        """Wait until the venue shows that nothing is held."""
        self.until(lambda: not self.venue.net(instrument), seconds, f"{instrument} flat at the venue", instrument)

    def stop_of(self, instrument: str) -> BookOrder:
        """The first stop of an instrument that rests at the venue."""
        if not (stops := self.venue.stops(instrument)):
            raise Unplayed(f"expected a stop for {instrument} at the venue, found: {self.books(instrument)}")
        return stops[0]

    def move_stop(self, instrument: str, trigger: float, price: float) -> str:
        """Move the stop as an operator does; returns the stack's answer in words, "" if none came within 20 s."""
        order = self.stop_of(instrument).order_id
        request = ModifyCommand(request_id=new_request_id(), order=order, trigger=trigger, price=price)
        try:
            taken = self._ask(request)
        except OpsRefused as error:
            return f"refused: {error}"
        if taken is None:
            raise Unplayed(f"expected the gateway to take a move of {order}, it did not answer")
        asked, deadline = OrderRequestQuery(order=taken.order, request=taken.request), machine_now() + 20 * SECOND
        while not (answer := _word(self._ask(asked))) and machine_now() < deadline:
            _go_on()
            time.sleep(_LOOK_S)
        return answer

    def await_next_kill(self) -> None:
        """Wait until a router may be killed again."""
        while machine_now() < self._killed_ns + KILLS_NS:
            _go_on()
            time.sleep(_LOOK_S)

    def kill_router(self) -> None:
        """Kill the router with signal 9, and wait until another is ready."""
        self.await_next_kill()
        self._killed_ns = machine_now()
        lock = self.config.lock_dir / "router.lock"
        pid = int(holder(lock) or 0)
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: int(holder(lock) or 0) not in (0, pid), 30.0, "another router")
        self.until(lambda: not self.status()["entries_closed"], 60.0, "entries open after the router's end")

    def shown(self, instrument: str) -> int:
        """Units of an instrument that the stack's strategies hold, by its own view."""
        rows = self._ask(PositionsQuery()) or []
        own = (row for row in rows if not row["strategy"].startswith("("))
        return sum(row["quantity"] for row in own if row["instrument"] == instrument)

    def compare_ledger(self, instrument: str, seconds: float = 15.0) -> None:
        """Note a difference of the stack's ledger and the venue that does not end within some seconds."""
        with suppress(Unplayed):
            self.until(lambda: self.shown(instrument) == self.venue.net(instrument), seconds, "agreement")
            return
        self.ledger.append(
            f"{instrument}: the stack holds {self.shown(instrument)}, the venue {self.venue.net(instrument)}"
        )

    # waiting and judging

    def until(self, condition: Callable[[], _T], seconds: float, what: str, instrument: str = "") -> _T:
        """Wait until a condition is true and return its value; `Unplayed` says what was at the venue instead."""
        deadline = machine_now() + round(seconds * SECOND)
        while not (value := condition()):
            _go_on()
            if machine_now() > deadline:
                there = f"; at the venue: {self.books(instrument)}" if instrument else ""
                raise Unplayed(f"expected {what} within {seconds:g} s, which did not come{there}")
            time.sleep(_LOOK_S)
        return value

    def wait_held(self, instrument: str, units: int, seconds: float, *, stop: bool = True) -> None:
        """Wait some seconds in which the venue must go on to hold the units, with a stop unless `stop` is False."""
        deadline = machine_now() + round(seconds * SECOND)
        while machine_now() < deadline:
            _go_on()
            if (held := self.venue.net(instrument)) != units:
                raise Unplayed(f"expected {units} of {instrument} held, found {held}: {self.books(instrument)}")
            time.sleep(_LOOK_S)
        if stop:  # one that is just being replaced may be away for a moment
            self.until(lambda: self.covered(instrument) == units, 10.0, f"a stop for {units}", instrument)

    def covered(self, instrument: str) -> int:
        """Units that resting stops at the venue cover."""
        return sum(order.pending_units for order in self.venue.stops(instrument))

    def books(self, instrument: str) -> str:
        """The venue's orders of an instrument in words, a stranger's left out."""
        rows = [o for o in self.venue.read_on().orders.values() if o.request.instrument == instrument]
        shown = "; ".join(describe(order) for order in rows if order.request.strategy != STRANGER)
        return f"{self.venue.net(instrument)} held; {shown or 'no orders'}"

    def alerted(self, instrument: str) -> bool:
        """True if an alert named the instrument since the case began."""
        named = (f"{one.subject} {one.text}" for one in self.alerts_since(self._case_ns))
        return any(_symbol(instrument) in text for text in named)

    def alerts_since(self, begin_ns: int) -> list[AlertSpan]:
        """The alerts that were up at some time since."""
        assert self._alerts is not None
        return [one for one in self._alerts.spans() if one.last_ns >= begin_ns]

    def alert_lines(self) -> list[str]:
        """The alerts of the case in words."""
        began = self._case_ns
        return [
            f"alert {one.code} {one.subject} {(one.first_ns - began) / SECOND:+.0f} s: {one.text}"
            for one in self.alerts_since(began)
        ]

    def begin_case(self) -> None:
        """Begin a case: what was noted before belongs to another."""
        self.asked, self.ledger, self.findings, self.spans, self._case_ns = [], [], {}, [], machine_now()

    def judge(self, instrument: str) -> Verdict:
        """Judge what became of an instrument since the beginning of the case."""
        self.venue.read_on()
        spans = [span._replace(end_ns=span.end_ns or machine_now()) for span in self.spans]
        spans = spans or [Span(self._case_ns, machine_now())]
        asked = [one for one in self.asked if one.instrument == instrument]
        alerts = self.alerts_since(self._case_ns)
        return judge(Evidence(instrument, self.venue.events, asked, alerts, spans, tuple(self.ledger)))


class AlertLog:
    """Looks at the stack's active alerts each half second, in a thread of its own."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._spans: dict[tuple[str, str, int], AlertSpan] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End looking."""
        self._ends.set()
        self._thread.join(10.0)

    def spans(self) -> list[AlertSpan]:
        """All alerts so far, by when they were first seen."""
        return sorted(self._spans.values(), key=lambda one: one.first_ns)

    def _run(self) -> None:
        while not self._ends.wait(0.5):
            with closing(Ops(self._config)) as ops, suppress(OpsTimedOut, OpsRefused):
                for row in ops.ask(AlertsQuery(), timeout_s=2.0):
                    self._take(row, machine_now())

    def _take(self, row: dict[str, Any], now: int) -> None:
        key = (row["code"], row["subject"], row["first_ns"])
        first = self._spans[key].first_ns if key in self._spans else now
        self._spans[key] = AlertSpan(row["code"], row["subject"], row["message"], first, now)


class HeldPrices:
    """Sends the held prices of a stage each second, a tick up or down, so that none of them grows stale."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._held: dict[str, tuple[float, int]] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prices", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End sending."""
        self._ends.set()
        self._thread.join(10.0)

    def hold(self, instrument: str, ltp: float, depth: int) -> None:
        """Hold a price from now on."""
        self._held[instrument] = (ltp, depth)
        self._push(instrument, ltp, depth)

    def freeze(self, instrument: str) -> None:
        """Send a price no more."""
        self._held.pop(instrument, None)

    def _push(self, instrument: str, ltp: float, depth: int) -> None:
        exchange, symbol = instrument.split(":")
        self._stage.sim("market", symbol=symbol, exchange=exchange, ltp=ltp, hold=True, depth=depth)

    def _run(self) -> None:
        turn = 0
        while not self._ends.wait(1.0):
            turn = 1 - turn
            for instrument, (ltp, depth) in list(self._held.items()):
                with suppress(OSError):
                    self._push(instrument, round(ltp + 0.1 * turn, 2), depth)


def _pause(seconds: float) -> None:
    if ENDING.wait(seconds):
        raise Unplayed("the run was ended")


def _go_on() -> None:
    if ENDING.is_set():
        raise Unplayed("the run was ended")


def _word(result: OrderRequestResult | None) -> str:
    return "" if result is None or result.word == "waiting" else f"{result.word}: {result.text}"


def _result(answer: OrderTrialAnswer | None) -> OrderTrialResult | None:
    return answer.result if answer is not None else None


def _symbol(instrument: str) -> str:
    return instrument.partition(":")[2]


def _exchange(request: Request) -> Any:
    try:
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except HTTPError as error:
        raise Unplayed(f"{request.full_url}: answered {error.code}: {error.read().decode()[:300]}") from error


def _make_home(project: Path, home: Path) -> None:
    """Write the project folder of the stack: shipped configuration, one idle strategy, two webhooks."""
    shutil.copytree(project / "config", home / "config", ignore=shutil.ignore_patterns("strategies", "webhooks"))
    shutil.copy(project / "supervisord.conf", home / "supervisord.conf")
    (home / "config" / "settings.toml").write_text(_WIDE, encoding="utf-8")
    (home / "strategies").mkdir()
    (home / "config" / "strategies").mkdir()
    for name, settings in _IDLERS.items():
        (home / "strategies" / f"{name.lower()}.py").write_text(_IDLE.format(name=name), encoding="utf-8")
        file = home / "config" / "strategies" / f"{name.lower()}.toml"
        file.write_text(f'name = "{name}"\n{settings}\n', encoding="utf-8")
    folder = home / "config" / "webhooks"
    folder.mkdir(mode=0o700)
    shares = tuple(SymbolMapping(symbol=name, instrument=f"NSE:{name}", quantity=UNITS) for name in SHARES)
    _write_webhook(folder, "Desk", shares, intraday=True)
    future = SymbolMapping(symbol=_symbol(FUTURE), instrument=FUTURE, product=Product.NRML, lots=1)
    _write_webhook(folder, "Carry", (future,), intraday=False)


def _write_webhook(folder: Path, name: str, symbols: tuple[SymbolMapping, ...], *, intraday: bool) -> None:
    file = WebhookFile(
        sender=Sender.GENERIC,
        token=WebhookToken(digest=digest_of(f"{KEY}-{name}")),
        symbols=symbols,
        intraday=intraday,
        live=True,
        duplicate_seconds=0.0,
        cooling_off_seconds=0.0,
        stop_loss_percent=2.0,
    )
    path = folder / f"{name}.toml"
    path.write_text(write_webhook(file), encoding="utf-8")
    path.chmod(0o600)
