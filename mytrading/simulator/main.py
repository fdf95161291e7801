"""The simulator process: an OpenAlgo-compatible server with a market of its own.

`run` returns at SIGTERM or SIGINT. Nothing is announced before both ports serve.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from mytrading.core.calendar import Calendar, Session
from mytrading.core.instruments.contract_specs import ContractFacts, list_instruments
from mytrading.core.time import IST, MINUTE, ist_date, to_ns
from mytrading.messages.run_config import RUN_FILE, RunConfig, RunConfigError, decode_run_config
from mytrading.runtime.daemon.live_files import accepted_folder, read_edited
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.observability.logging import configure_for_run
from mytrading.runtime.observability.metrics import get_performance_monitor, write_performance
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.simulator.faults.registry import FaultFile, route_problem
from mytrading.simulator.market.replay import TickFile, read_ticks
from mytrading.simulator.market.world import MOST, SimulatedWorld, with_generated_shares
from mytrading.simulator.rest.dispatcher import API_ROUTES, Dispatcher
from mytrading.simulator.settings.options import BadOption, FaultSetting, SimulatorOptions
from mytrading.simulator.settings.personality import personality
from mytrading.simulator.venue.broker_feed import repeat_quotes
from mytrading.simulator.venue.driver import Driver, LockStep
from mytrading.simulator.venue.followed import FollowedWorld, Follower
from mytrading.simulator.venue.store import BookStore, Origin
from mytrading.simulator.venue.venue import SimulatedVenue
from mytrading.simulator.ws.server import FeedServer

_NAME = "simulator"
_CALENDAR = "calendar.toml"
T = TypeVar("T")
_BOOKS = Path(_NAME) / "books.sqlite"
_CLOCK = Path(_NAME) / "clock.json"
_LOOK_S = 0.5
_SNAPSHOTS_A_LINE = 60
"""Snapshots, one a second, from one round of log lines to the next: a minute, as with the daemons."""


def run(options: SimulatorOptions, monitored: RunConfig | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `monitored`: the run whose logging and measuring rules apply. `ValueError` names
    the wrong option or file."""
    if monitored is not None:
        configure_for_run(_NAME, monitored)
    asyncio.run(_serve(options, monitored))


async def _serve(options: SimulatorOptions, monitored: RunConfig | None) -> None:
    options = with_followed_stack(options)
    venue, driver = build(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    driver.begin()
    dispatcher = Dispatcher(venue, options.api_key, options.cors)
    orders = web.ServerRunner(dispatcher.server(), handle_signals=False, shutdown_timeout=0.5)
    rest_port = await _listen(orders, options.host, options.rest_port)
    quotes = FeedServer(venue, options.api_key).application()
    sockets = web.AppRunner(quotes, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    feed_port = await _listen(sockets, options.host, options.ws_port)
    calendar_of = _every_day if options.every_day else Calendar.from_dict
    calendar_file = options.config_dir / _CALENDAR

    def read_calendar() -> None:
        """Read the calendar file again, as the daemons do; a market that was made for today keeps today's ticks."""
        venue.world.calendar.replace_with(calendar_of(tomllib.loads(calendar_file.read_text(encoding="utf-8"))))

    beside = [Follower(venue, options.follow).run()] if options.follow else []
    beside.append(EditedFile(calendar_file, f"what {calendar_file} said before holds", read_calendar).run())
    reports = monitored is not None and monitored.process.monitoring
    if monitored is not None and reports:
        beside.append(_report(monitored))
    if venue.personality.feed is not None and venue.personality.feed.socket.repeat_seconds:
        beside.append(repeat_quotes(venue.hub, venue.clock))
    if options.faults_file is not None:
        faults = FaultFile(options.faults_file, venue.faults, lambda one: _route_problem(one, venue))
        beside.append(EditedFile(options.faults_file, "the faults stay as they are", faults.read).run())
    driving = asyncio.gather(driver.run(), *beside)
    stopping = asyncio.create_task(stop.wait())
    _announce(options, f"http://{options.host}:{rest_port}", f"ws://{options.host}:{feed_port}")
    try:
        await asyncio.wait((driving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if driving.done():
            driving.result()
    finally:
        stopping.cancel()
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving
        venue.hub.disconnect_all()
        await asyncio.gather(orders.cleanup(), sockets.cleanup())
        venue.close()
        if reports:
            write_performance(_NAME, get_performance_monitor())


async def _report(config: RunConfig) -> None:
    """Write the snapshot of the simulator's own figures each second, and the log's lines each minute."""
    monitor = get_performance_monitor()
    for rounds in itertools.count(1):
        await asyncio.sleep(1.0)
        monitor.write_snapshot(config.metrics_dir / f"{_NAME}.json")
        if rounds % _SNAPSHOTS_A_LINE == 0:
            write_performance(_NAME, monitor)


class EditedFile:
    """Calls `read` when a file has changed; `unchanged` says what goes on to hold where it cannot be used.

    `read` applies the whole file, or raises `OSError` or `ValueError` and changes nothing.
    """

    def __init__(self, path: Path, unchanged: str, read: Callable[[], None]) -> None:
        self._path, self._unchanged, self._read = path, unchanged, read
        self._stamp = self._stamp_now()

    async def run(self) -> None:
        """Call `reread_if_changed` at intervals until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.reread_if_changed()

    def reread_if_changed(self) -> None:
        """Call `read` if the file changed since the last time; if it cannot be used, that is reported on stderr."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._read()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{error}; {self._unchanged}\n")

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)


def build(options: SimulatorOptions) -> tuple[SimulatedVenue, Driver]:
    """Build the simulated exchange and the driver of its market, ready for `Driver.begin`; raises `BadOption`."""
    calendar = _calendar(options)
    facts = _accepted(options, "instruments.toml", ContractFacts.from_dict)
    if options.follow and (options.replay is not None or options.instruments or options.start):
        raise BadOption("--follow: expected it without --replay, --instruments and --start, found both; leave one out")
    if not options.speed and not options.daemons:
        raise BadOption(
            "--speed: expected market seconds a second above 0, found 0, which is lock-step with a stack; start both "
            "with `mytrading up --simulator --speed 0`"
        )
    if not 1 <= options.tick_seconds <= 60:
        raise BadOption(f"--tick-seconds: expected 1 to 60 market seconds, found {options.tick_seconds}")
    files = read_ticks(options.replay) if options.replay is not None else ()
    ticks = files[0] if files else None
    for file in files:
        if calendar.session("NSE", file.day) is None:
            raise BadOption(f"--replay: expected ticks of a trading day, found {file.day}; see config/calendar.toml")
    if options.underlying not in facts.underlyings:
        known = ", ".join(facts.underlyings)
        raise BadOption(
            f"--underlying: expected one of {known}, found {options.underlying!r}; add it to instruments.toml"
        )
    # The clock of a simulator without a stack is kept with its books, so that its market goes on where it stopped.
    alone = options.clock is None and options.state_dir is not None and not options.follow
    path = options.state_dir / _CLOCK if alone and options.state_dir is not None else options.clock
    clock = MarketClock.load(path) if path is not None else MarketClock(())
    store = BookStore(options.state_dir / _BOOKS if options.state_dir is not None else None, record=options.record)
    origin = _origin(options, store, clock, calendar, ticks)
    anchor = date.fromisoformat(origin.anchor)
    facts = _filled(facts, calendar, anchor, options.instruments)
    world: SimulatedWorld
    if options.follow:
        world = FollowedWorld(calendar, facts, origin.seed, anchor, options.master)
    else:
        world = SimulatedWorld(
            calendar, facts, origin.seed, anchor, files, options.underlying, tick_seconds=options.tick_seconds
        )
    stopped = clock.resume_point() if alone and not options.start else None
    if stopped is not None and (not files or ist_date(stopped) in {file.day for file in files}):
        clock.append_segment(stopped, options.speed)
    elif not options.follow and (alone or not clock.segments):
        clock.append_segment(_first_moment(options, calendar, ticks), options.speed)
    venue = SimulatedVenue(clock, world, store, options.capital, personality(options.personality, options.broker))
    venue.routes = API_ROUTES
    for setting in options.faults:
        if problem := _route_problem(setting, venue):
            raise BadOption(f"fault {setting.name}: {problem}")
        venue.faults.set(setting)
    jumps = ticks is None and not options.follow
    if clock.lock_step:
        return venue, LockStep(venue, clock, jumps=jumps, endpoints=options.daemons)
    return venue, Driver(venue, clock, jumps=jumps, daemons=options.daemons)


def _route_problem(setting: FaultSetting, venue: SimulatedVenue) -> str:
    problem = route_problem(setting, venue.routes)
    return f"route: {problem} Found: {setting.parameters['route']!r}" if problem else ""


def with_followed_stack(options: SimulatorOptions) -> SimulatorOptions:
    """Return the options with endpoint, clock and state of the stack whose quotes are followed; or `BadOption`."""
    if not options.follow or "://" in options.follow:
        return options
    try:
        config = decode_run_config(Path(options.follow) / RUN_FILE)
    except RunConfigError as error:
        raise BadOption(f"--follow: {error}, or give its endpoint, ipc://FOLDER/market or tcp://HOST:PORT") from error
    clock = options.clock or (config.clock_path if config.simulator.embedded else None)
    return replace(options, follow=endpoint_of(config, "market"), clock=clock, master=config.state)


def _calendar(options: SimulatorOptions) -> Calendar:
    return _accepted(options, _CALENDAR, _every_day if options.every_day else Calendar.from_dict)


def _accepted(options: SimulatorOptions, name: str, make: Callable[[dict[str, Any]], T]) -> T:
    """A file of the folder of tables, or what the stack of this state folder last took of it where it is broken."""
    path = options.config_dir / name
    if options.state_dir is None or not (accepted_folder(options.state_dir) / name).exists():
        return make(_toml(path))
    return read_edited(path, accepted_folder(options.state_dir), make, keep=False).made


def _every_day(parsed: Mapping[str, Any]) -> Calendar:
    """The calendar of a file without its weekends, holidays and special days: each exchange's ordinary hours."""
    week = {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    exchanges = {
        name: table if "like" in table else {"sessions": [{**row, **week} for row in table["sessions"]], "holidays": []}
        for name, table in parsed["exchanges"].items()
    }
    return Calendar.from_dict({"exchanges": exchanges, "holidays": {}, "special": []})


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        what = f"expected a project's {path.name} in {path.parent.resolve()}, found none"
        raise BadOption(f"{what}; start it in the project folder, or name its config folder by --config-dir") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadOption(f"{path}: expected a TOML file, found: {error}; check --config-dir") from error


def _filled(facts: ContractFacts, calendar: Calendar, day: date, wanted: int) -> ContractFacts:
    """The facts with as many generated shares as fill the listing of a day up to a number of instruments."""
    if not 0 <= wanted <= MOST:
        raise BadOption(f"--instruments: expected 0 to {MOST}, found {wanted}; give the number to list, say 3000")
    prices = {name: underlying.reference_price for name, underlying in facts.underlyings.items()}
    missing = wanted - len(list_instruments(facts, calendar, day, prices)) if wanted else 0
    return with_generated_shares(facts, missing) if missing > 0 else facts


def _origin(
    options: SimulatorOptions, store: BookStore, clock: MarketClock, calendar: Calendar, ticks: TickFile | None
) -> Origin:
    """Seed and anchor of the market: those that these books recorded, so that a restart goes on in the same market."""
    recorded = store.origin()
    if ticks is not None:
        return Origin(seed=options.seed, anchor=ticks.day.isoformat())
    if recorded is not None:
        return recorded
    started = clock.segments[0].market_ns if clock.segments else _first_moment(options, calendar, ticks)
    anchor = ist_date(started)
    if not calendar.is_trading_day("NSE", anchor):
        anchor = calendar.next_trading_day("NSE", anchor)
    origin = Origin(seed=options.seed, anchor=anchor.isoformat())
    store.record_origin(origin)
    return origin


def _first_moment(options: SimulatorOptions, calendar: Calendar, ticks: TickFile | None) -> int:
    """The start of market time: `--start`, else just before a replayed open, else the next trading day's open."""
    if options.start:
        try:
            moment = datetime.fromisoformat(options.start)
        except ValueError:
            wanted = "expected YYYY-MM-DD HH:MM in Indian time"
            raise BadOption(f"--start: {wanted}, found {options.start!r}") from None
        return to_ns(moment.date(), moment.time())
    if ticks is not None:
        return max(_session(calendar, "NSE", ticks.day).open_ns - MINUTE, int(ticks.times[0]))
    today = datetime.now(IST).date()
    day = today if calendar.is_trading_day("NFO", today) else calendar.next_trading_day("NFO", today)
    return _session(calendar, "NFO", day).open_ns


def _session(calendar: Calendar, exchange: str, trading_day: date) -> Session:
    session = calendar.session(exchange, trading_day)
    assert session is not None
    return session


async def _listen(runner: web.BaseRunner, host: str, port: int) -> int:
    """Serve on a port, 0 for a free one; the port it is."""
    await runner.setup()
    site = web.TCPSite(runner, host, port, reuse_address=True, backlog=512)
    try:
        await site.start()
    except OSError as error:
        raise BadOption(f"port {port} on {host}: expected it free, found: {error.strerror}; choose another") from error
    return int(runner.addresses[0][1])


def _announce(options: SimulatorOptions, rest: str, feed: str) -> None:
    text = json.dumps({"rest": rest, "ws": feed, "api_key": options.api_key})
    if options.ready_file is not None:
        options.ready_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = options.ready_file.with_name(f".{options.ready_file.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(options.ready_file)
    key = f", key {options.api_key}" if options.prints_key else ""
    print(text if options.json else f"simulator serves {rest} and {feed}{key}", flush=True)
