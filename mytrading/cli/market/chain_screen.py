"""How an option chain looks on a terminal: calls left, puts right, the money marked, open interest as bars.

A figure that is not known is a dot, never a zero.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mytrading.cli.shell.terminal import screen_of
from mytrading.core.options.chain import ChainSide, ChainView

REDRAW_S = 0.1
_BAR = 8
_HEADS = ("OI", "", "volume", "ν", "Γ", "θ", "Δ", "IV", "bid", "ask", "LTP")
_WIDTHS = (
    (210, _HEADS),
    (170, ("OI", "", "volume", "θ", "Δ", "IV", "bid", "ask", "LTP")),
    (112, ("OI", "", "Δ", "IV", "bid", "ask", "LTP")),
    (0, ("OI", "Δ", "IV", "LTP")),
)
"""Columns of a side by the width of the terminal."""
_FILE_WIDTH = 220
_GAP = "  "
_STYLES = {"LTP": "cyan", "strike": "bold"}


class Watched(Protocol):
    """A chain that is looked at: `ChainFeed`."""

    def poll(self, seconds: float) -> None:
        """Take in what comes within `seconds`."""

    def view(self) -> ChainView:
        """The chain as it stands."""
        ...


def watch_chain(feed: Watched, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Redraw ten times a second until Ctrl-C, or for `seconds` of the clock.

    Each picture is due at its own time from the start, so that what one took longer is not lost by those after it.
    """
    console = Console(file=screen_of(sys.stdout))
    began = clock()
    drawn = 0
    with Live(Text("…"), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while not seconds or clock() - began < seconds:
                due = began + (drawn + 1) * REDRAW_S
                feed.poll(max(due - clock(), 0.0))
                live.update(picture(feed.view(), console.width), refresh=True)
                drawn += 1
        except KeyboardInterrupt:
            return


def print_chain(view: ChainView, missing: int) -> None:
    """The chain once; whole where it does not go to a terminal."""
    console = Console(file=screen_of(sys.stdout))
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(picture(view, console.width))
    if missing:
        console.print(Text(f"{missing} instruments had no quote yet", "yellow"))


def picture(view: ChainView, width: int) -> RenderableType:
    """Headline and table, with as many columns as `width` characters hold. Budget: 20 ms for 41 strikes.

    Ten times a second leave no time for a table that measures itself, so it is aligned here.
    """
    heads = next(heads for least, heads in _WIDTHS if width >= least)
    lines = [[*heads, "strike", *reversed(heads)], *_rows(view, heads)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return Group(headline(view), _aligned(lines, widths, heads, view))


def _rows(view: ChainView, heads: Sequence[str]) -> Iterable[list[str]]:
    """The cells of each strike: calls, the strike with its marks, puts mirrored."""
    chosen = [_HEADS.index(head) for head in heads]
    most = max((side.open_interest or 0 for side in _sides(view)), default=0)
    for row in view.rows:
        calls, puts = ([cells[index] for index in chosen] for cells in (_cells(row.call, most), _cells(row.put, most)))
        mark = "▶ " if row.strike == view.atm else "  "
        pain = " ●" if row.strike == view.max_pain else "  "
        yield [*calls, f"{mark}{row.strike:g}{pain}", *reversed(puts)]


def _aligned(lines: Sequence[list[str]], widths: Sequence[int], heads: Sequence[str], view: ChainView) -> Text:
    """All lines as one text: numbers to the right, the strike in the middle, the bars of puts to the left."""
    names = [*heads, "strike", *reversed(heads)]
    middle = len(heads)
    pads = ["center" if k == middle else "ljust" if k > middle and not names[k] else "rjust" for k in range(len(names))]
    starts = [sum(widths[:k]) + len(_GAP) * k for k in range(len(names))]
    marked = [(starts[k], starts[k] + widths[k], _STYLES[name]) for k, name in enumerate(names) if name in _STYLES]
    text, length = Text(no_wrap=True, overflow="crop"), 0
    for number, cells in enumerate(lines):
        line = _GAP.join(getattr(cell, pad)(size) for cell, pad, size in zip(cells, pads, widths, strict=True))
        text.append(line + "\n" * (number < len(lines) - 1))
        if not number:
            text.stylize("bold", 0, len(line))
        for begin, end, style in marked if number else ():
            text.stylize(style, length + begin, length + end)
        if number and view.rows[number - 1].strike == view.atm:
            text.stylize("reverse", length, length + len(line))
        length += len(line) + 1
    return text


def headline(view: ChainView) -> Text:
    """What concerns the whole chain, in one line."""
    days = view.years * 365.0
    figures = (
        ("spot", _number(view.spot)),
        ("forward", _number(view.forward)),
        ("PCR OI", _number(view.pcr_open_interest)),
        ("PCR volume", _number(view.pcr_volume)),
        ("max pain ●", _number(view.max_pain, 0)),
    )
    text = Text(f" {view.underlying} {view.expiry} ({days:.1f} days)  ", "bold")
    for name, value in figures:
        text.append(f" {name} ", "dim").append(value)
    if view.strikes_counted < view.strikes_listed:
        text.append(f" of {view.strikes_counted} of {view.strikes_listed} strikes", "dim")
    return text


def _sides(view: ChainView) -> Iterable[ChainSide]:
    return (side for row in view.rows for side in (row.call, row.put) if side is not None)


def _cells(side: ChainSide | None, most: int) -> list[str]:
    if side is None:
        return ["·"] * len(_HEADS)
    interest = side.open_interest
    bar = "█" * round(_BAR * interest / most) if interest and most else ""
    return [
        "·" if interest is None else f"{interest:,}",
        bar,
        "·" if side.volume is None else f"{side.volume:,}",
        _number(side.vega),
        _number(side.gamma, 5),
        _number(side.theta),
        _number(side.delta),
        "·" if side.iv is None else f"{side.iv:.2%}",
        _number(side.bid),
        _number(side.ask),
        _number(side.ltp),
    ]


def _number(value: float | None, digits: int = 2) -> str:
    return "·" if value is None else f"{value:,.{digits}f}"
