"""The live screen of `up`: processes, feed, positions and P&L, last orders, events, and the stop key.

Fed by the gateway twice a second. The one rule: a question that fails leaves the last picture with a note, so that the
screen also tells about a gateway that is down.
"""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mytrading.cli.output import cell, clock_time
from mytrading.cli.running import headline
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime import supervision
from mytrading.runtime.ops import OpsRefused, OpsTimedOut

_EVERY_S = 0.5
_COLOURS = {"RUNNING": "green", "DEGRADED": "yellow", "STARTING": "cyan", "STOPPING": "yellow"}
_DONE = {"FILLED": "green", "RECORDED": "cyan", "REJECTED": "red", "DENIED": "red", "UNKNOWN": "yellow", "LOST": "red"}


class Screen:
    """Shows one stack; use it in a `with` block and call `refresh` in turns."""

    def __init__(self, stack: TradingOrchestrator, deadline: float | None) -> None:
        self._stack = stack
        self._deadline = deadline
        self._live = Live(Text("…"), screen=True, auto_refresh=False)
        self._asked_at = 0.0
        self._quotes: deque[tuple[float, float]] = deque(maxlen=10)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def refresh(self) -> bool:
        """Ask and draw, if the last picture is half a second old; false, since a picture never ends the watching."""
        if time.monotonic() - self._asked_at >= _EVERY_S:
            self._asked_at = time.monotonic()
            self._live.update(self._picture(), refresh=True)
        return False

    def _picture(self) -> Group:
        try:
            status = self._stack.status()
            rows = {verb: self._stack.ask(verb, limit="200") for verb in ("positions", "orders", "signals", "alerts")}
            summary = self._stack.ask("summary")
        except (OpsTimedOut, OpsRefused, NotRunning) as error:
            return Group(Panel(Text(str(error), "yellow"), title="the gateway does not answer"), self._programs())
        return Group(
            Text(f" {headline(status)}", "bold"),
            Text(f" {self._feed(status)}"),
            daemons_table(status["daemons"]),
            positions_panel(rows["positions"], summary["pnl"]),
            orders_table(rows["orders"], summary["orders"]),
            events_panel(rows["signals"], rows["alerts"]),
            Text(f" {self._footer()}", "dim"),
        )

    def _feed(self, status: dict[str, Any]) -> str:
        figures: dict[str, float] = {}
        for row in status["daemons"]:
            if row["daemon"] == "feed":
                figures = row.get("figures", {})
        self._quotes.append((time.monotonic(), float(figures.get("quotes_in", 0.0))))
        (then, before), (now, count) = self._quotes[0], self._quotes[-1]
        rate = (count - before) / (now - then) if now > then else 0.0
        others = ", ".join(f"{name} {value:g}" for name, value in sorted(figures.items()) if name != "quotes_in")
        return f"feed {max(rate, 0.0):,.0f} quotes/s · {others}"

    def _programs(self) -> Table:
        table = Table("process", "state", "pid", "exit", box=None)
        for program in supervision.programs(self._stack.config).values():
            table.add_row(program.name, program.state, str(program.pid), str(program.exit_code))
        return table

    def _footer(self) -> str:
        left = f"stops in {max(self._deadline - time.monotonic(), 0):.0f} s · " if self._deadline else ""
        return f"{left}q or Ctrl-C stops the stack · closing the terminal leaves it running"


def daemons_table(rows: list[dict[str, Any]]) -> Table:
    """One line a process."""
    table = Table("process", "state", "lag ms", "p99 µs", "MB", "cpu s", "restarts", "notes", box=None, padding=(0, 2))
    for row in rows:
        state = str(row["state"])
        table.add_row(
            row["daemon"],
            Text(state if row.get("ready") else f"{state}…", _COLOURS.get(state, "red")),
            *(cell(key, row.get(key)) for key in ("lag_ms", "handler_p99_us", "rss_mb", "cpu_s", "restarts")),
            "; ".join(row.get("notes") or ()),
        )
    return table


def positions_panel(rows: list[dict[str, Any]], pnl: dict[str, float]) -> Panel:
    """What is held and what it made."""
    columns = ("strategy", "instrument", "quantity", "average_price", "ltp", "stop", "stop_state", "unrealised")
    table = Table(*columns, box=None, padding=(0, 2))
    for row in rows[:8]:
        table.add_row(*(cell(key, row.get(key)) for key in columns))
    title = f"positions {len(rows)} · realised ₹{pnl['realised']:,.2f} · unrealised ₹{pnl['unrealised']:,.2f}"
    return Panel(table, title=title, title_align="left")


def orders_table(rows: list[dict[str, Any]], counts: dict[str, int]) -> Panel:
    """The last orders."""
    table = Table("time", "purpose", "side", "quantity", "instrument", "state", "price", box=None, padding=(0, 2))
    for row in reversed(rows[-8:]):
        state = str(row["state"])
        table.add_row(
            clock_time(row["created_ns"], "%H:%M:%S"),
            row["purpose"],
            row["side"],
            str(row["quantity"]),
            row["instrument"],
            Text(state, _DONE.get(state, "")),
            cell("price", row.get("average_price") or row.get("price")),
        )
    title = "orders " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return Panel(table, title=title, title_align="left")


def events_panel(signals: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> Panel:
    """Standing alerts, then the last signals."""
    lines = [Text(f"! {row['code']} {row['subject']}: {row['message']}", "yellow") for row in alerts[-4:]]
    for row in reversed(signals[-5:]):
        denied = f"  denied: {row['denied'][-1]}" if row.get("denied") else ""
        moment = clock_time(row["created_ns"], "%H:%M:%S")
        lines.append(
            Text(f"{moment} {row['strategy']} {row['action']} {row['watch']}: {row.get('reason', '')}{denied}")
        )
    return Panel(Group(*lines) if lines else Text("nothing yet"), title="events", title_align="left")
