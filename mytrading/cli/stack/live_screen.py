"""The live screen of `up`: processes, feed, positions and P&L, last orders, events, and the stop key.

Redrawn twice a second from the gateway's replies. On any terminal head, problems and the line with the stop key are
seen and no instrument is cut: a small one has fewer columns and rows.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mytrading.cli.shell.output import daemon_figures, format_cell, raw_terminal
from mytrading.cli.stack.commands import status_headline
from mytrading.core.time import format_ist
from mytrading.messages.ops import AlertsQuery, OrdersQuery, PositionsQuery, SignalsQuery, SummaryQuery
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
from mytrading.runtime.supervision import control

_EVERY_S = 0.5

_QUERIES = {"positions": PositionsQuery(), "orders": OrdersQuery(), "signals": SignalsQuery(), "alerts": AlertsQuery()}


class LiveScreen:
    """Shows one stack; use it in a `with` block and call `refresh` in turns."""

    def __init__(self, stack: TradingOrchestrator, deadline: float | None) -> None:
        self._stack = stack
        self._deadline = deadline
        self._live = Live(Text("…"), console=Console(file=raw_terminal(sys.stdout)), screen=True, auto_refresh=False)
        self._drawn_at = 0.0
        self._quotes: deque[tuple[float, float]] = deque(maxlen=10)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._live.__exit__(*failure)

    def refresh(self) -> bool:
        """Redraw if half a second has passed since the last redraw; always returns False (do not stop watching)."""
        if time.monotonic() - self._drawn_at >= _EVERY_S:
            self._drawn_at = time.monotonic()
            self._live.update(self._picture(), refresh=True)
        return False

    def _picture(self) -> Group:
        try:
            status = self._stack.status()
            rows = {verb: self._stack.ask(query) for verb, query in _QUERIES.items()}
            summary = self._stack.ask(SummaryQuery())
        except (OpsTimedOut, OpsRefused, NotRunning) as error:
            table = Table("process", "state", "pid", "exit", box=None)
            for program in control.programs(self._stack.config).values():
                table.add_row(program.name, program.state, str(program.pid), str(program.exit_code))
            return Group(Panel(Text(str(error), "yellow"), title="the gateway does not answer"), table)
        left = f"stops in {max(self._deadline - time.monotonic(), 0):.0f} s · " if self._deadline else ""
        footer = f"{left}q or Ctrl-C stops the stack · closing the terminal leaves it running"
        size = self._live.console.size
        return render_screen(LiveScreenData(status, rows, summary, self._rate(status), footer), size.width, size.height)

    def _rate(self, status: dict[str, Any]) -> float:
        self._quotes.append((time.monotonic(), float(daemon_figures(status, "feed").get("quotes_in", 0.0))))
        (then, before), (now, latest) = self._quotes[0], self._quotes[-1]
        return max((latest - before) / (now - then), 0.0) if now > then else 0.0


_COLOURS = {"RUNNING": "green", "DEGRADED": "yellow", "STARTING": "cyan", "STOPPING": "yellow"}
_DONE = {"FILLED": "green", "RECORDED": "cyan", "REJECTED": "red", "DENIED": "red", "UNKNOWN": "yellow", "LOST": "red"}

_MOST_ROWS = 8
_FRAME = 2
_ROOMY = 100
"""Columns from which on everything is shown."""

Columns = tuple[tuple[str, int], ...]
"""Names of columns, each with the least width of a terminal that has it."""

_DAEMONS: Columns = (("daemon", 0), ("state", 0), ("lag_ms", 0), ("handler_p99_us", 80), ("rss_mb", 0), ("cpu_s", 80),
                     ("restarts", 0), ("notes", 0))  # fmt: skip
_POSITIONS: Columns = (("strategy", _ROOMY), ("instrument", 0), ("quantity", 0), ("average_price", _ROOMY), ("ltp", 0),
                       ("stop", 80), ("stop_state", _ROOMY), ("unrealised", 0))  # fmt: skip
_ORDERS: Columns = (("created_ns", 0), ("purpose", 0), ("side", 0), ("quantity", 80), ("instrument", 0), ("state", 0),
                    ("price", 80))  # fmt: skip
_FAULTS = ("asked_quotes", "bar_gaps", "deaf", "held_prices", "late_quotes", "malformed", "reconnects",
           "refused_prices", "source_switches", "tape_lost")  # fmt: skip


@dataclass(frozen=True)
class LiveScreenData:
    """The gateway's replies: status, rows by verb, the summary; quotes a second, and the last line."""

    status: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]
    summary: dict[str, Any]
    rate: float
    footer: str


def render_screen(data: LiveScreenData, width: int, height: int) -> Group:
    """Build the screen, at most `height` lines of `width`; the last panels are left out if there is no room."""
    daemons = data.status["daemons"]
    positions, orders = data.rows["positions"], data.rows["orders"]
    lines = _event_lines(data.rows["signals"], data.rows["alerts"])
    head = f" {status_headline(data.status)}"
    shown: list[RenderableType] = [Text(head, "bold", overflow="fold"), _line(_feed_line(data.status, data.rate))]
    wanted = _FRAME + 1 + min(len(positions), _MOST_ROWS) + _FRAME + 1 + min(len(orders), _MOST_ROWS)
    room = height - len(Text(head).wrap(Console(width=width), width, overflow="fold")) - 2
    if room >= len(daemons) + 1 + wanted + _FRAME + 1:
        shown.append(_table(_DAEMONS, width, map(_daemon_row, daemons)))
        room -= len(daemons) + 1
    else:
        brief = _daemons_brief(daemons)
        shown += brief
        room -= len(brief)
    kept = min(max(len(positions), 1), _MOST_ROWS, max(room // 3, 1))
    if room >= (taken := _FRAME + 1 + min(kept, len(positions))):
        pnl = data.summary["pnl"]
        made = f"realised ₹{pnl['realised']:,.2f} · unrealised ₹{pnl['unrealised']:,.2f}"
        table = _table(_POSITIONS, width, positions[:kept])
        shown.append(Panel(table, title=f"positions {len(positions)} · {made}", title_align="left"))
        room -= taken
    events = min(len(lines), max(room // 3 - _FRAME, 1)) if lines else 1
    ordered = min(len(orders), _MOST_ROWS, room - 2 * _FRAME - 1 - events)
    if ordered > 0 or (not orders and room >= 2 * _FRAME + 1 + events):
        counts = ", ".join(f"{count} {name}" for name, count in data.summary["orders"].items() if count)
        table = _table(_ORDERS, width, map(_order_row, reversed(orders[-ordered:] if ordered else [])))
        shown.append(Panel(table, title=f"orders {counts}".strip(), title_align="left"))
        room -= _FRAME + 1 + ordered
    if room > _FRAME:
        room, across = room - _FRAME, width - _FRAME
        in_full = sum(-(-line.cell_len // across) for line in lines) <= room
        fitted = [Text(line.plain, line.style) for line in lines] if in_full else lines[:room]
        body = Group(*fitted) if fitted else Text(" nothing yet")
        shown.append(Panel(body, title="events", title_align="left", padding=0))
    return Group(*shown, _line(data.footer, "dim"))


def _line(text: str, style: str = "") -> Text:
    return Text(f" {text}", style, no_wrap=True, overflow="ellipsis")


def _feed_line(status: dict[str, Any], rate: float) -> str:
    figures = daemon_figures(status, "feed")
    parts = [f"feed {rate:,.0f} quotes/s"]
    if expected := figures.get("expected"):
        parts.append(f"{figures.get('fresh', 0):g} of {expected:g} instruments fresh")
    parts.append(f"{figures.get('bars', 0):g} bars")
    parts += [f"{name.replace('_', ' ')} {figures[name]:g}" for name in _FAULTS if figures.get(name)]
    return " · ".join(parts)


def _table(columns: Columns, width: int, rows: Iterable[dict[str, Any]]) -> Table:
    """A table without frame of the columns that this width has room for; a `Text` is shown as it is."""
    names = [name for name, least in columns if width >= least]
    table = Table(box=None, padding=(0, 2 if width >= _ROOMY else 1, 0, 0), pad_edge=False)
    for name in names:
        heading = {"created_ns": "time", "daemon": "process", "handler_p99_us": "p99_us"}.get(name, name)
        table.add_column(heading.replace("_", " "), no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = ((name, row.get(name)) for name in names)
        table.add_row(*(value if isinstance(value, Text) else format_cell(name, value) for name, value in cells))
    return table


def _daemon_row(row: dict[str, Any]) -> dict[str, Any]:
    state = str(row["state"])
    shown = Text(state if row.get("ready") else f"{state}…", _COLOURS.get(state, "red"))
    return {**row, "state": shown, "notes": Text("; ".join(row.get("notes") or ()))}


def _daemons_brief(rows: list[dict[str, Any]]) -> list[Text]:
    """One line for all that run, and one for each that does not, or that has something to say."""
    odd = [row for row in rows if row["state"] != "RUNNING" or not row.get("ready") or row.get("notes")]
    well = [row["daemon"] for row in rows if row not in odd]
    lines = [_line(f"{len(well)} of {len(rows)} processes run and are ready", "green")] if well else []
    for row in odd:
        notes = "; ".join(row.get("notes") or ())
        lines.append(_line(f"{row['daemon']} {row['state']}{': ' + notes if notes else ''}", "yellow"))
    return lines


def _order_row(row: dict[str, Any]) -> dict[str, Any]:
    at, state = Text(format_ist(row["created_ns"], "%H:%M:%S")), str(row["state"])
    price = row.get("average_price") or row.get("price")
    return {**row, "created_ns": at, "price": price, "state": Text(state, _DONE.get(state, ""))}


def _event_lines(signals: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> list[Text]:
    lines = [_line(f"! {row['code']} {row['subject']}: {row['message']}", "yellow") for row in alerts[-4:]]
    for row in reversed(signals[-5:]):
        denied = f"  denied: {row['denied'][-1]}" if row.get("denied") else ""
        moment = format_ist(row["created_ns"], "%H:%M:%S")
        what = f"{row['strategy']} {row['action']} {row['watch']}: {row.get('reason', '')}"
        lines.append(_line(f"{moment} {what}{denied}"))
    return lines
