"""The foreground of `up`: waits until the stack is ready, shows it, and stops it on q, Ctrl-C or after its time.

The stack does not need this process: hanging up leaves it running. Whatever ends the watching, either the stack is
stopped properly or the operator reads that it goes on.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from mytrading.cli.shell.failures import ERROR, OK, TIMED_OUT
from mytrading.cli.shell.output import is_reader_gone, print_json, print_note
from mytrading.cli.stack.commands import problem_lines, recovery_lines
from mytrading.cli.stack.logs import follow_lines, format_log_line
from mytrading.messages.ops import AlertsQuery, PositionsQuery, StrategiesQuery
from mytrading.orchestrator import READY_S, STRETCH, NotRunning, Progress, StackFailed, TimedOut, TradingOrchestrator
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
from mytrading.runtime.supervision import control

_TURN_S = 0.25
_REVIVE_AFTER_S = 2.0


@dataclass
class StackWatch:
    """Options of watching: seconds (0: until stopped), in JSON, or not at all; `story` says how the market begins."""

    seconds: float
    as_json: bool
    detach: bool
    story: str = ""
    ending: str = field(default="", init=False)

    def install_signal_handlers(self) -> None:
        """Install handlers of SIGINT, SIGTERM and SIGHUP that only set `ending`; SIGHUP leaves the stack running."""

        def end(number: int, _: FrameType | None) -> None:
            self.ending = "hang up" if number == signal.SIGHUP else "stop"

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, end)


def watch_stack(stack: TradingOrchestrator, view: StackWatch) -> int:
    """Watch the stack until it ends, or a signal, `q` or a closed pipe (`up | head`) ends it; returns the exit code.
    If the display fails, the stack is stopped where `--for` was given, else left running, and a line says so."""
    try:
        try:
            return _show(stack, view)
        except BrokenPipeError:
            raise
        except BaseException:
            if view.seconds:
                print_note("this view failed: stopping the stack")
                _stop(stack, view)
            else:
                print_note(
                    "this view failed, the stack goes on; `mytrading status` shows it, `mytrading down` stops it"
                )
            raise
    except BrokenPipeError:
        _mute_broken()
        if view.detach or view.ending == "hang up":
            return OK
        with suppress(BrokenPipeError):
            print_note("the reader of the output is gone: stopping the stack")
        _mute_broken()
        return _stop(stack, view)


def _mute_broken() -> None:
    """Drop output to a reader that is gone, so that the rest is done."""
    for stream in (sys.stdout, sys.stderr):
        if is_reader_gone(stream):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _show(stack: TradingOrchestrator, view: StackWatch) -> int:
    report = print_note if view.as_json else partial(print, flush=True)
    report(f"{stack.config.profile} stack, supervisor pid {stack.pid}: the market {view.story}")
    code = _await_ready(stack, view, report)
    books: dict[str, Any] = {}
    if code == OK and not view.ending:
        with suppress(OpsTimedOut, OpsRefused, NotRunning):
            books = {"strategies": stack.ask(StrategiesQuery()), "alerts": stack.ask(AlertsQuery())}
    for line in problem_lines(books.get("strategies", ()), books.get("alerts", ())):
        report(line)
    if view.detach:
        ready = code == OK and not view.ending
        report(f"{detached_state(code, ready)}; `mytrading status` shows it, `mytrading down` stops it")
        if view.as_json:
            print_json({"profile": stack.config.profile, "pid": stack.pid, "ready": ready, **books})
        return code
    if code != ERROR and not view.ending:
        _watch(stack, view, report)
    if view.ending == "gone":
        report("the stack was stopped from elsewhere")
    return OK if view.ending in ("hang up", "gone") else _stop(stack, view) or code


def detached_state(code: int, ready: bool) -> str:
    """Return in words how `up --detach` leaves the stack, by its exit code and whether it is ready."""
    if ready:
        return "the stack runs"
    if code == ERROR:
        return "the start failed; what did start is still there"
    return "the stack is not ready yet and goes on starting"


def _await_ready(stack: TradingOrchestrator, view: StackWatch, report: Progress) -> int:
    started = time.monotonic()

    def interrupted(_: str) -> None:
        if view.ending:
            raise TimedOut("interrupted")

    try:
        status = stack.wait_ready(READY_S, interrupted)
    except StackFailed as error:
        print_note(f"mytrading: {error}")
        return ERROR
    except TimedOut as error:
        if not view.ending:
            rules = stack.config.simulator
            late = f"; the market begins when all are ready, after {STRETCH * READY_S:.0f} s at the latest"
            print_note(f"mytrading: {error}" + (late if rules.embedded and rules.speed else ""))
        return TIMED_OUT if not view.ending else OK
    held = 0
    with suppress(OpsTimedOut, OpsRefused, NotRunning):
        held = sum(1 for row in stack.ask(PositionsQuery()) if row.get("quantity"))
    report(f"ready after {time.monotonic() - started:.1f} s, {held} open position{'' if held == 1 else 's'}")
    for line in recovery_lines(status.get("recovery", [])):
        report(line)
    stack.start_day_export()
    return OK


def _watch(stack: TradingOrchestrator, view: StackWatch, report: Progress) -> None:
    deadline = time.monotonic() + view.seconds if view.seconds else float("inf")
    if sys.stdout.isatty() and not view.as_json:
        from mytrading.cli.stack.live_screen import LiveScreen

        with _keys() as pressed, LiveScreen(stack, deadline if view.seconds else None) as screen:
            _turns(stack, view, deadline, lambda: screen.refresh() or pressed(_TURN_S))
        return
    report("Ctrl-C stops the stack" if not view.seconds else f"stops after {view.seconds:g} s")
    lines = follow_lines(Path(stack.config.log_dir) / "main.log")

    def print_new() -> bool:
        for line in iter(lambda: next(lines), None):
            report(format_log_line(line))
        return _pause(_TURN_S)

    _turns(stack, view, deadline, print_new)


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _turns(stack: TradingOrchestrator, view: StackWatch, deadline: float, turn: Callable[[], bool]) -> None:
    """Turn until time is up, the operator ends it, or the stack is gone; a lost supervisor is brought back."""
    lost_at = 0.0
    while not view.ending and time.monotonic() < deadline:
        if turn():
            view.ending = "stop"
        if control.supervisor_pid(stack.config.state):
            lost_at = 0.0
        elif (stack.config.state / control.STOPPING).exists():
            view.ending = "gone"
        elif not lost_at:
            lost_at = time.monotonic()
        elif time.monotonic() - lost_at > _REVIVE_AFTER_S:
            print_note("supervisor is gone: starting a new one")
            stack.restart_supervisor()
            lost_at = 0.0


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds for a key; true if it was the stop key."""
    if not sys.stdin.isatty():
        yield _pause
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)

    def pressed(seconds: float) -> bool:
        try:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
        except InterruptedError:
            return False
        return bool(ready) and os.read(sys.stdin.fileno(), 1) in (b"q", b"Q", b"\x03")

    try:
        yield pressed
    finally:
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _stop(stack: TradingOrchestrator, view: StackWatch) -> int:
    body: dict[str, Any] = {}

    def keep_summary() -> None:
        with suppress(OpsTimedOut, OpsRefused, NotRunning):
            body.update(stack.summary())

    printed: set[str] = set()

    def progress(text: str) -> None:
        if (start := text.partition(",")[0]) not in printed:
            printed.add(start)
            print_note(text)

    try:
        left = stack.stop(progress, keep_summary)
    except NotRunning:
        left = []
    except StackFailed as error:
        print_note(f"mytrading: {error}")
        return ERROR
    for row in left:
        what = f"{row['instrument']} is {row['state']}"
        print_note(f"mytrading: an entry was not confirmed gone: {what}; look at the order book")
    if view.as_json:
        print_json(body or {"error": "the gateway did not answer before the stop"})
    elif body:
        print("\n".join([run_summary(body), *problem_lines(body["strategies"], body["alerts"])]))
    return ERROR if left or (view.as_json and not body) else OK


def run_summary(body: dict[str, Any]) -> str:
    """Return the gateway's summary of a run as a line of text: counts of quotes, signals, orders, and P&L."""
    orders, pnl = body["orders"], body["pnl"]
    recorded = f"{orders['recorded']} recorded and not sent, " if orders["recorded"] else ""
    names = ", ".join(f"{row['name']} {row['state'].lower()}" for row in body["strategies"]) or "none"
    return (
        f"{body['quotes']} quotes, {body['bars']} bars, {body['signals']} signals, {orders['placed']} orders placed, "
        f"{recorded}{orders['filled']} filled, {len(body['positions'])} open positions, P&L ₹{pnl['realised']:,.2f} "
        f"realised, ₹{pnl['unrealised']:,.2f} unrealised; strategies: {names}"
    )
