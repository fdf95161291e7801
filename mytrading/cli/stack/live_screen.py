"""The live screen of `up`: P&L, strategies with prices and what they wait for, positions, last orders, events.

Feed and processes have a line each at the bottom while all are well. Redrawn twice a second from the gateway's replies.
On any terminal head, problems and the line with the stop key are seen and no instrument is cut: a small one has fewer
columns and rows.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mytrading.cli.shell.output import daemon_figures, format_cell, raw_terminal
from mytrading.cli.stack.commands import status_headline
from mytrading.cli.trading.alerts import alert_rows
from mytrading.core.time import clock_time
from mytrading.messages.commands import FORMER_CODES
from mytrading.messages.ops import AlertsQuery, OrdersQuery, PositionsQuery, SignalsQuery, SummaryQuery, TradesQuery
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime.streams.endpoints import read_console_endpoint
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
from mytrading.runtime.supervision import control

FOOTER = "q or Ctrl-C stops the stack · closing the terminal leaves it running"
_EVERY_S = 0.5

_QUERIES = {
    "positions": PositionsQuery(), "orders": OrdersQuery(), "signals": SignalsQuery(), "alerts": AlertsQuery(),
    "trades": TradesQuery(),
}  # fmt: skip


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
        left = f"stops in {max(self._deadline - time.monotonic(), 0):.0f} s · " if self._deadline else ""
        place = read_console_endpoint(self._stack.config)
        left += f"{place['url']} in a browser · " if place is not None else ""
        try:
            data = read_screen_data(self._stack, f"{left}{FOOTER}", self._rate)
        except (OpsTimedOut, OpsRefused, NotRunning) as error:
            table = Table("process", "state", "pid", "exit", box=None)
            for program in control.programs(self._stack.config).values():
                table.add_row(program.name, program.state, str(program.pid), str(program.exit_code))
            return Group(Panel(Text(str(error), "yellow"), title="the gateway does not answer"), table)
        size = self._live.console.size
        return render_screen(data, size.width, size.height)

    def _rate(self, status: dict[str, Any]) -> float:
        self._quotes.append((time.monotonic(), float(daemon_figures(status, "feed").get("quotes_in", 0.0))))
        (then, before), (now, latest) = self._quotes[0], self._quotes[-1]
        return max((latest - before) / (now - then), 0.0) if now > then else 0.0


_COLOURS = {"RUNNING": "green", "DEGRADED": "yellow", "STARTING": "cyan", "STOPPING": "yellow"}
_DONE = {"FILLED": "green", "RECORDED": "cyan", "REJECTED": "red", "DENIED": "red", "UNKNOWN": "yellow", "LOST": "red"}

_MOST_ROWS = 8
_MOST_ALERTS, _MOST_EVENTS = 4, 9
_FRAME = 2
_ROOMY = 100
"""Columns from which on everything is shown."""

Columns = tuple[tuple[str, int], ...]
"""Names of columns, each with the least width of a terminal that has it."""

_STRATEGIES: Columns = (("strategy", 0), ("profit", 0), ("prices", 80), ("waits", 0))
_DAEMONS: Columns = (("daemon", 0), ("state", 0), ("lag_ms", 0), ("p99_ms", 80), ("rss_mb", 0), ("cpu_s", 80),
                     ("restarts", 0), ("notes", 0))  # fmt: skip
_POSITIONS: Columns = (("strategy", _ROOMY), ("instrument", 0), ("quantity", 0), ("average_price", _ROOMY), ("ltp", 0),
                       ("stop", 80), ("stop_state", _ROOMY), ("unrealised", 0))  # fmt: skip
_ORDERS: Columns = (("changed", 0), ("purpose", 0), ("side", 0), ("quantity", 80), ("instrument", 0), ("state", 0),
                    ("price", 80))  # fmt: skip
_HEADINGS = {"daemon": "process", "profit": "P&L ₹", "waits": "waits for", "unrealised": "P&L ₹"}
_FAULTS = ("asked_quotes", "bar_gaps", "deaf", "held_prices", "late_quotes", "malformed", "no_prices",
           "reconnects", "refused_prices", "source_switches", "tape_lost")  # fmt: skip
_EXITS = {"stop": "stop hit", "target": "target reached"}
"""Ends of trades, by the purpose of the last order or the first word of its reason."""


@dataclass(frozen=True)
class LiveScreenData:
    """The gateway's replies: status, rows by verb, the summary; quotes a second, and the last line."""

    status: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]
    summary: dict[str, Any]
    rate: float
    footer: str


def read_screen_data(
    stack: TradingOrchestrator, footer: str, rate: Callable[[dict[str, Any]], float]
) -> LiveScreenData:
    """Ask a stack's gateway for what the screen shows; `rate` returns quotes a second by the status. Raises
    `NotRunning`, `OpsTimedOut` or `OpsRefused`."""
    status = stack.status()
    rows = {verb: stack.ask(query) for verb, query in _QUERIES.items()}
    return LiveScreenData(status, rows, stack.ask(SummaryQuery()), rate(status), footer)


def render_screen(data: LiveScreenData, width: int, height: int) -> Group:
    """Build the screen, at most `height` lines of `width`; the last panels are left out if there is no room."""
    daemons, strategies = data.status["daemons"], data.summary["strategies"]
    positions, orders = data.rows["positions"], data.rows["orders"]
    lines = _event_lines(data.rows)
    head = f" {status_headline(data.status)}"
    ill = [row for row in daemons if row["state"] != "RUNNING" or not row.get("ready") or row.get("notes")]
    shown: list[RenderableType] = [Text(head, "bold", overflow="fold"), _profit_line(data), *_ill_lines(ill)]
    below: list[RenderableType] = [
        _line(_feed_line(data.status, data.rate)),
        _process_line(data, len(daemons) - len(ill)),
    ]
    room = height - len(Text(head).wrap(Console(width=width), width, overflow="fold"))
    room -= 2 + len(ill) + len(below)
    kept = min(len(strategies), _MOST_ROWS, max(room // 4, 1))
    if strategies and room > kept:
        shown.append(_table(_STRATEGIES, width, map(_strategy_row, strategies[:kept])))
        room -= kept + 1
    if ill and room >= len(daemons) + 1 + 3 * (_FRAME + 2) + min(len(positions) + len(orders), 2 * _MOST_ROWS):
        below.insert(0, _table(_DAEMONS, width, map(_daemon_row, daemons)))
        room -= len(daemons) + 1
    kept = min(max(len(positions), 1), _MOST_ROWS, max(room // 3, 1))
    if room >= (taken := _FRAME + 1 + min(kept, len(positions))):
        table = _table(_POSITIONS, width, map(_position_row, positions[:kept]))
        more = f", {len(positions) - kept} more" if len(positions) > kept else ""
        shown.append(Panel(table, title=f"positions {len(positions)}{more}", title_align="left"))
        room -= taken
    events = min(len(lines), max(room // 3 - _FRAME, 1)) if lines else 1
    ordered = min(len(orders), _MOST_ROWS, room - 2 * _FRAME - 1 - events)
    if ordered > 0 or (not orders and room >= 2 * _FRAME + 1 + events):
        latest = sorted(orders, key=_changed_ns, reverse=True)[:ordered] if ordered > 0 else []
        table = _table(_ORDERS, width, map(_order_row, latest))
        shown.append(Panel(table, title=_order_counts(data.summary), title_align="left"))
        room -= _FRAME + 1 + max(ordered, 0)
    if room > _FRAME:
        room, across = room - _FRAME, width - _FRAME
        in_full = sum(-(-line.cell_len // across) for line in lines) <= room
        fitted = [Text(line.plain, line.style) for line in lines] if in_full else lines[:room]
        body = Group(*fitted) if fitted else Text(" nothing yet")
        shown.append(Panel(body, title="events", title_align="left", padding=0))
    return Group(*shown, *below, _line(data.footer, "dim"))


def _order_counts(summary: dict[str, Any]) -> str:
    counts = [f"{count} {name}" for name, count in summary["orders"].items() if count and name != "denied"]
    denied = summary["orders"].get("denied")
    asked = [f"{denied} signals denied"] if denied else []
    return f"orders {', '.join([*counts, *asked])}".strip()


def _rupees(value: float | None) -> Text:
    """Rupees with their sign, green above 0 and red below; – where they are not known."""
    if value is None:
        return Text("–")
    rounded = round(value, 2)
    return Text(f"{rounded:+,.2f}" if rounded else "0.00", "green" if rounded > 0 else "red" if rounded < 0 else "")


def _profit_line(data: LiveScreenData) -> Text:
    pnl, trades = data.summary["pnl"], data.rows["trades"]
    parts: list[str | Text] = [" P&L ₹", _rupees(pnl["realised"] + pnl["unrealised"])]
    parts += [" · realised ", _rupees(pnl["realised"]), " · open ", _rupees(pnl["unrealised"])]
    if trades:
        won = sum(row.get("realised", 0.0) > 0 for row in trades)
        parts.append(f" · {len(trades)} trade{'s' if len(trades) > 1 else ''}, {won} won")
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _strategy_row(row: dict[str, Any]) -> dict[str, Any]:
    prices = row.get("prices") or {}
    quoted = [f"{name.partition(':')[2]} {price:,.2f}" for name, price in prices.items() if price is not None]
    if not row.get("enabled", True):
        waits = Text("entries are switched off", "yellow")
    elif row["state"] != "RUNNING":
        waits = Text(row.get("problem") or row["state"].lower(), "cyan" if row["state"] == "LOADING" else "red")
    else:
        waits = Text(row.get("waits") or "")
    profit = _rupees(row["realised"] + row["unrealised"])
    return {"strategy": row["name"], "profit": profit, "prices": ", ".join(quoted), "waits": waits}


def _position_row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "unrealised": _rupees(row.get("unrealised"))}


def _process_line(data: LiveScreenData, well: int) -> Text:
    """Return the line of healthy processes and of an order's duration, in machine time and in a faster market's."""
    count, speed = len(data.status["daemons"]), data.status["speed"]
    parts = [f"{well} of {count} processes run and are ready"]
    took = (data.summary.get("latency_ms") or {}).get("quote_to_order") or {}
    if (half := took.get("p50")) is not None and (most := took.get("p99")) is not None:
        times = f"orders leave {half:,.0f} ms after their quote, 1 in 100 after {most:,.0f} ms"
        in_market = " and ".join(f"{ms * speed / 1000:,.1f} s" for ms in (half, most))
        parts.append(f"{times} (×{speed:g}: {in_market} of market)" if speed > 1 else times)
    return _line(" · ".join(parts), "green" if well == count else "")


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
        heading = _HEADINGS.get(name, name)
        table.add_column(heading.replace("_", " "), no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = ((name, row.get(name)) for name in names)
        table.add_row(*(value if isinstance(value, Text) else format_cell(name, value) for name, value in cells))
    return table


def _daemon_row(row: dict[str, Any]) -> dict[str, Any]:
    state, p99_us = str(row["state"]), row.get("handler_p99_us")
    shown = Text(state if row.get("ready") else f"{state}…", _COLOURS.get(state, "red"))
    p99_ms = p99_us / 1000 if p99_us is not None else None
    return {**row, "state": shown, "p99_ms": p99_ms, "notes": Text("; ".join(row.get("notes") or ()))}


def _ill_lines(rows: list[dict[str, Any]]) -> list[Text]:
    """A line for each process that is not well, or has something to say."""
    notes = ("; ".join(row.get("notes") or ()) for row in rows)
    return [
        _line(f"{row['daemon']} {row['state']}{f': {note}' if note else ''}", "yellow")
        for row, note in zip(rows, notes, strict=True)
    ]


def _changed_ns(row: dict[str, Any]) -> int:
    """Market ns at which an order was last seen to change."""
    return int(row.get("updated_ns") or row["created_ns"])


def _order_row(row: dict[str, Any]) -> dict[str, Any]:
    state = str(row["state"])
    price = row.get("average_price") or row.get("trigger_price") or row.get("price")
    colour = "yellow" if row["purpose"] == "stop" and state == "FILLED" else _DONE.get(state, "")
    return {**row, "changed": clock_time(_changed_ns(row)), "price": price, "state": Text(state, colour)}


def _event_lines(rows: dict[str, list[dict[str, Any]]]) -> list[Text]:
    """Alerts, critical ones first, then signals and the ends of trades, the newest first."""
    shown = alert_rows(rows["alerts"])[:_MOST_ALERTS]
    lines = [_line(f"! {row['code']} {row['subject']}: {row['message']}", "yellow") for row in shown]
    moved = [(row["created_ns"], _signal_line(row)) for row in rows["signals"][-_MOST_EVENTS:]]
    moved += [(row["closed_ns"], _trade_line(row, rows["orders"])) for row in rows["trades"][-_MOST_EVENTS:]]
    return lines + [line for _, line in sorted(moved, key=lambda one: one[0], reverse=True)[:_MOST_EVENTS]]


def _signal_line(row: dict[str, Any]) -> Text:
    denied = f"  denied: {row['denied'][-1]}" if row.get("denied") else ""
    for former in FORMER_CODES.values():  # which the row has for programs that know them
        denied = denied.replace(f", {former}", "")
    what = f"{row['strategy']} {row['action']} {row['watch']}: {row.get('reason', '')}"
    return _line(f"{clock_time(row['created_ns'])} {what}{denied}")


def _trade_line(trade: dict[str, Any], orders: list[dict[str, Any]]) -> Text:
    """The end of a trade: what ended it, its price, and what it made or lost."""
    owner = ("strategy", "account", "instrument", "product")
    mine = [
        order
        for order in orders
        if order["purpose"] not in ("entry", "roll")
        and order["state"] == "FILLED"
        and all(order.get(key) == trade.get(key) for key in owner)
    ]
    last = min(mine, key=lambda order: abs(_changed_ns(order) - trade["closed_ns"]), default=None)
    reason = str(last.get("reason") or "") if last is not None else ""
    word = _EXITS.get(str(last["purpose"]) if last is not None else "") or _EXITS.get(reason.partition(":")[0])
    ended = word or (f"closed ({reason})" if reason else "closed")
    what = f"{trade['quantity']} {trade['instrument']} out at {trade['exit_price']:,.2f}"
    made, at = _rupees(trade.get("realised", 0.0)), clock_time(trade["closed_ns"])
    return _line(f"{at} {trade['strategy']} {ended}, ₹{made.plain}: {what}", str(made.style))
