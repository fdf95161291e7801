"""`mytrading brokers check`, and what doctor does of it: the account, its lock, the question, and the report's files.

Orders cost money here, so nothing is sent before the person said yes, and all of it is taken back, whatever happens.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.instruments import instrument_of
from mytrading.adapters.openalgo.rest.client import TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.cli.shell.failures import ERROR, NOT_RUNNING, USAGE, fail
from mytrading.cli.shell.output import print_json, print_note
from mytrading.cli.shell.target import load_calendar
from mytrading.core.instruments.symbology import split_id
from mytrading.core.time import IST
from mytrading.messages.brokers import BrokerRules, find_broker
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.run_config import AccountRun, RunConfig, ServerMode
from mytrading.operations.broker_trial.ending import Ending
from mytrading.operations.broker_trial.report import TrialReport, make_report, report_lines
from mytrading.operations.broker_trial.sent_orders import FOLDER, TrialOrders, sent_orders_path
from mytrading.operations.broker_trial.server import TrialServer
from mytrading.operations.broker_trial.trial import DEAREST, BrokerTrial, PlannedOrder, plan_orders
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.paths import account_lock_path, state_base
from mytrading.runtime.supervision.instance_lock import InstanceLock

CHEAP = ("NSE:YESBANK", "NSE:IDEA", "NSE:SBIN")
"""Liquid shares that a trial takes the first of which the server knows, unless it is told another."""


@dataclass(frozen=True)
class CheckOptions:
    """Options of the command; `output` None: the state folder."""

    account: str = ""
    symbol: str = ""
    yes: bool = False
    forget: bool = False
    as_json: bool = False
    output: Path | None = None


class _Waits:
    def now(self) -> int:
        return machine_now()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


def run_check(config: RunConfig, options: CheckOptions) -> None:
    """Try the broker of an account; ends the command if that cannot be done, or leaves anything to look at."""
    account = _account_of(config, options.account)
    path = sent_orders_path(config, account)
    with _sole_trader(config, account):
        if options.forget:
            path.unlink(missing_ok=True)
            print_note("what an earlier check left is forgotten")
            return
        broker, rules = _broker_of(config, account)
        ending = _ending(account, rules, path)
        if problems := _end_earlier(ending):
            fail(ERROR, "an earlier check is not ended: " + "; ".join(problems))
        _check_session(config, ending.server, options.symbol)
        instrument, planned = _plan(ending.server, rules, options.symbol)
        _ask(broker, rules, instrument, planned, yes=options.yes)
        trial = BrokerTrial(ending, print_note)
        if problem := trial.begin(instrument, broker, time.time_ns()):
            fail(ERROR, problem)
        problems = _run(trial, ending, planned)
    date = datetime.now(IST).strftime("%Y-%m-%d %H:%M")
    report = make_report(broker, rules, instrument, date, trial.observed, trial.trades, problems)
    _hand_out(report, options)
    if problems:
        fail(ERROR, "; ".join(problems))


def end_left_orders(config: RunConfig, account: AccountRun) -> list[str] | None:
    """End what a killed check of an account left; what a person must look at, None if it left nothing. Raises
    `AlreadyRunning` while somebody trades the account."""
    path = sent_orders_path(config, account)
    if not path.exists():
        return None
    with _sole_trader(config, account):
        _, rules = _broker_of(config, account)
        return _end_earlier(_ending(account, rules, path))


def _account_of(config: RunConfig, wanted: str) -> AccountRun:
    found = [one for one in (*config.order_accounts, *config.standby_accounts) if one.rest_url]
    found = [config.source, *found] if config.source is not None else found
    if config.simulator.embedded or not found:
        fail(USAGE, "brokers check: the stack of this profile trades at its own simulator; name another --profile")
    chosen = [one for one in found if wanted in ("", one.id)]
    if not chosen:
        fail(USAGE, f"--account: expected one of {', '.join(one.id for one in found)}; found {wanted!r}")
    return chosen[0]


@contextmanager
def _sole_trader(config: RunConfig, account: AccountRun) -> Iterator[None]:
    """Hold the account's lock: no stack trades it meanwhile."""
    lock = InstanceLock(account_lock_path(config, account))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _broker_of(config: RunConfig, account: AccountRun) -> tuple[str, BrokerRules]:
    server = TrialServer(account, BrokerRules(), machine_now)
    try:
        broker = endpoints.ping(server.client).broker.strip().lower()
    except (OpenAlgoError, TransportFailed) as error:
        fail(NOT_RUNNING, f"the server at {account.rest_url} does not answer a ping: {error}")
    return broker or "unnamed", find_broker(config.brokers, broker)


def _ending(account: AccountRun, rules: BrokerRules, path: Path) -> Ending:
    server = TrialServer(account, rules, machine_now)
    return Ending(server, TrialOrders(path), _Waits(), time.time_ns, print_note)


def _end_earlier(ending: Ending) -> list[str]:
    if not ending.sent.is_open:
        ending.sent.remove()
        return []
    print_note(f"an earlier check of {ending.instrument} was not ended: what it left is taken back")
    return ending.end_all()


def _check_session(config: RunConfig, server: TrialServer, symbol: str) -> None:
    """End the command outside the session, and at a server that sends nothing to its broker."""
    try:
        mode = endpoints.analyzer(server.client).mode
    except (OpenAlgoError, TransportFailed) as error:
        fail(ERROR, f"the server does not say its mode: {error}")
    if mode != ServerMode.LIVE:
        fail(
            ERROR,
            f"the server is in {mode} mode and would try its own sandbox, not the broker; switch it to live first",
        )
    exchange = split_id(symbol or CHEAP[0])[0]
    calendar, now = load_calendar(config.home), MarketClock.load(config.clock_path).now()
    if exchange not in calendar.exchanges or not calendar.is_open(exchange, now):
        fail(ERROR, f"{exchange} is closed: what an order becomes shows in the session alone; repeat it there")


def _plan(server: TrialServer, rules: BrokerRules, symbol: str) -> tuple[str, list[PlannedOrder]]:
    """The share and the orders of the trial: the first that is possible."""
    problems = []
    for instrument in (symbol,) if symbol else CHEAP:
        found = _orders_in(server, rules, instrument)
        if not isinstance(found, str):
            return instrument, found
        problems.append(f"{instrument}: {found}")
    return fail(ERROR, "; ".join(problems))


def _orders_in(server: TrialServer, rules: BrokerRules, instrument: str) -> list[PlannedOrder] | str:
    exchange, name = split_id(instrument)
    try:
        contract = instrument_of(endpoints.symbol(server.client, name, exchange))
        quote = endpoints.quote(server.client, name, exchange)
    except (OpenAlgoError, TransportFailed, ValueError) as error:
        return str(error)
    if contract.kind is not InstrumentKind.EQ or not 0 < quote.ltp <= DEAREST:
        return f"expected a share that costs at most ₹{DEAREST:,.0f}, found {contract.kind} at {quote.ltp:g}"
    close = quote.prev_close if rules.feed.rest_previous_close else 0.0  # else the band is guessed about the price
    return plan_orders(quote.ltp, close, contract.tick_size or 0.05, stops=rules.broker_stops)


def _ask(broker: str, rules: BrokerRules, instrument: str, planned: list[PlannedOrder], *, yes: bool) -> None:
    print_note(f"{broker}: one share of {instrument} under MIS, with real money, at the server's broker:")
    for plan in planned:
        print_note(f"  {plan.text}; read, changed, cancelled")
    if not rules.broker_stops:
        print_note("  no stop: the table says that one would leave as a MARKET order")
    print_note("  a share that is bought all the same is sold at once")
    if yes:
        return
    import typer

    if not typer.confirm("Try it?", err=True):
        fail(USAGE, "nothing was sent")


def _run(trial: BrokerTrial, ending: Ending, planned: list[PlannedOrder]) -> list[str]:
    """Run the trial; then, also after an interrupt, take back what it left."""
    interrupted = False
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        problems = trial.run(planned)
    except KeyboardInterrupt:
        interrupted, problems = True, ["interrupted: the report is not whole"]
    finally:
        handlers = {number: signal.signal(number, _refuse_interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            if ending.sent.live():
                print_note("what was sent is taken back")
                ending.server.reconnect()
            left = ending.end_all()
        finally:
            signal.signal(signal.SIGINT, handlers[signal.SIGINT])
            signal.signal(signal.SIGTERM, before)
    return [*problems, *left] if interrupted else left


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _refuse_interrupt(_number: int, _frame: object) -> None:
    print_note("orders of this check are being taken back; wait, the next check would have to do it otherwise")


def _hand_out(report: TrialReport, options: CheckOptions) -> None:
    folder = options.output or state_base() / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem = f"{report.broker}-{report.date.replace(' ', '-').replace(':', '')}"
    lines = report_lines(report)
    data = folder / f"{stem}.json"
    data.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    data.with_suffix(".txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    if options.as_json:
        print_json(msgspec.to_builtins(report))
    else:
        print("\n".join(lines))
    print_note(f"report: {data} and {data.with_suffix('.txt').name}; it holds no keys, accounts or ids: please send it")
