"""Option chains of `mytrading chain`: from a running stack's quotes or the exchange's file of a day, on a terminal.

A contract of a file without a trade has no price. On screen calls are left, puts right, the money is marked, open
interest is a bar; a figure that is not known is a dot, never a zero.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mytrading.cli.shell.failures import USAGE, fail
from mytrading.cli.shell.output import print_json, print_note, raw_terminal
from mytrading.cli.shell.target import contract_ends
from mytrading.core.calendar.expiries import NoSuchExpiry
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import instrument_id, quoting_exchange
from mytrading.core.options.chain import ChainSide, ChainView, OptionChain
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import ExpiryRule, RunConfig
from mytrading.runtime.host.paths import project_home
from mytrading.runtime.streams.quote_lease import QuoteLease

if TYPE_CHECKING:
    from mytrading.adapters.nse.bhavcopy import Bhavcopy, BhavRow

INTEREST_S = 5.0
"""Seconds to wait for open interest once all have a quote: the feed may have to request it, or in vain."""


class ChainFeed(QuoteLease):
    """One chain, kept up to date by `poll`; use it in a `with` block. Raises `NoSuchContract`, `NoSuchExpiry`."""

    def __init__(self, config: RunConfig, underlying: str, expiry: str, around: int, rate: float) -> None:
        super().__init__(config, "chain", contract_ends(config.home))
        self.underlying = underlying
        self._around = around
        self.expiry = resolve_expiry(self.book, underlying, expiry, self.now)
        options = self.book.options(underlying, self.expiry)
        settles = self.ends(options[0].exchange, self.expiry)
        self._chain = OptionChain(underlying, self.expiry, options, self.book.spot(underlying).id, settles, rate)

    def poll(self, seconds: float) -> None:
        """Apply the quotes of the next `seconds`; leases quotes of other strikes when the at-the-money one changes."""
        self.renew(set(self._chain.instruments(self._chain.spot_price(), self._around)))
        for quote in self.quotes(seconds):
            self._chain.apply(quote)

    def wait_for_quotes(self, seconds: float) -> int:
        """Poll at most `seconds` until all shown have quote and open interest; returns how many lack a quote."""
        until, complete = time.monotonic() + seconds, 0.0
        while True:
            now, view = time.monotonic(), self.view()
            sides = list(_sides(view))
            missing = sum(side.ltp is None for side in sides) + (view.spot is None)
            complete = complete if complete or missing else now
            waited = bool(complete) and now >= complete + INTEREST_S
            has_interest = all(side.ltp is None or side.open_interest is not None for side in sides)
            if now >= until or (not missing and (waited or has_interest)):
                return missing
            self.poll(0.1)

    def view(self) -> ChainView:
        """Return the chain by the quotes so far."""
        return self._chain.view(self.now, self._around)


def resolve_expiry(book: InstrumentBook, underlying: str, wanted: str, now: int) -> str:
    """Return the expiry (ISO date) that `wanted`, a rule or date, names at market `now` (ns); else `NoSuchExpiry`.
    Raises `NoSuchContract` if the underlying has no options listed."""
    alive = book.live_expiries(underlying, InstrumentKind.CE, now)
    if not alive:
        raise NoSuchContract(f"no option of {underlying} is listed; `mytrading instruments` shows what is")
    if wanted in set(ExpiryRule):
        return book.select_expiry(ExpiryRule(wanted), underlying, InstrumentKind.CE, now)
    try:
        day = date.fromisoformat(wanted).isoformat()
    except ValueError:
        day = ""
    if day not in alive:
        raise NoSuchExpiry(f"--expiry: expected {', '.join(ExpiryRule)} or one of {', '.join(alive)}, found {wanted!r}")
    return day


def print_bhavcopy_chain(
    path: Path, underlying: str, expiry: str, strikes: int, rate: float, price: float, as_json: bool
) -> None:
    """Print the chain of an exchange's end-of-day file; ends the command if the file or expiry is wrong.
    Arguments are as for `chain_from_bhavcopy`."""
    from mytrading.adapters.nse.bhavcopy import BhavcopyError, read_bhavcopy

    try:
        file = read_bhavcopy(path)
        view, note = chain_from_bhavcopy(file, underlying, expiry, strikes, rate, price)
    except (BhavcopyError, NoSuchContract, NoSuchExpiry) as error:
        fail(USAGE, str(error))
    if as_json:
        print_json({**msgspec.to_builtins(view), "day": file.day.isoformat(), "note": note})
        return
    print_chain(view, 0)
    if note:
        print_note(note)


def chain_from_bhavcopy(
    file: Bhavcopy, underlying: str, expiry: str, strikes: int, rate: float, price: float
) -> tuple[ChainView, str]:
    """Return the chain at the close of a file's day, and a note on an estimated underlying price ("": none).
    `strikes` is the number shown, `rate` the yearly interest as a fraction, `price` the underlying's (0: find it)."""
    from mytrading.backtest.options.files import contract_of
    from mytrading.cli.shell.target import load_contract_facts

    rows = file.contracts_of(underlying)
    home = project_home()
    facts = load_contract_facts(home).underlyings.get(underlying)
    ends = contract_ends(home)
    now = ends(file.exchange, file.day.isoformat())
    contracts = [(contract_of(row, file.exchange, file.day, facts), row) for row in rows]
    book = InstrumentBook([contract for contract, _ in contracts], ends)
    chosen = resolve_expiry(book, underlying, expiry, now - 1)
    spot_id = instrument_id(facts.exchange if facts is not None else quoting_exchange(underlying), underlying)
    options, settles = book.options(underlying, chosen), ends(file.exchange, chosen)
    chain = OptionChain(underlying, chosen, options, spot_id, settles, rate)
    spot, note = underlying_price(rows, price, rate, file.day)
    if spot:
        chain.apply(Quote(spot_id, now, 0, spot))
    for contract, row in contracts:
        if contract.kind is not InstrumentKind.FUT:
            units = row.contracts * contract.lot_size
            chain.apply(Quote(contract.id, now, 0, row.price, volume=units, open_interest=row.open_interest))
    view = chain.view(now, strikes)
    shown = tuple(replace(row, call=_known(row.call), put=_known(row.put)) for row in view.rows)
    return replace(view, rows=shown), note


def _known(side: ChainSide | None) -> ChainSide | None:
    """Without a price of 0, which stands for one that nobody paid."""
    return replace(side, ltp=None) if side is not None and not side.ltp else side


def underlying_price(rows: tuple[BhavRow, ...], price: float, rate: float, day: date) -> tuple[float, str]:
    """Return the underlying's price and a note ("": none): `price`, else the file's, else estimated.
    The estimate is by the nearest future, else put-call parity at the yearly `rate`; the price is 0 without either."""
    from mytrading.backtest.options.files import pairs_of
    from mytrading.core.options.surface import forward_by_parity

    if price:
        return price, ""
    if spot := next((row.spot for row in rows if row.spot), 0.0):
        return spot, ""
    alive = [row for row in rows if row.kind is InstrumentKind.FUT and row.expiry >= day]
    if alive:
        expiry, found = min((row.expiry, row.settle or row.close) for row in alive)
        carried = found * math.exp(-rate * max((expiry - day) / timedelta(days=365), 0.0))
        return round(carried, 2), f"the file has no price of the underlying: {carried:,.2f} is off the nearest future"
    expiry = min((row.expiry for row in rows if row.expiry > day), default=day)
    years = (expiry - day) / timedelta(days=365)
    forward = forward_by_parity(pairs_of(rows, expiry), years, rate, None)
    if math.isnan(forward):
        return 0.0, "the file has no price of the underlying; give it with --underlying"
    carried = forward * math.exp(-rate * years)
    return round(carried, 2), f"the file has no price of the underlying: {carried:,.2f} is off puts and calls"


# on a terminal
REDRAW_S = 0.1
_BAR = 8
_HEADS = ("OI", "", "volume", "ν", "Γ", "θ", "Δ", "IV", "bid", "ask", "LTP")
_WIDTHS = ((210, _HEADS), (170, ("OI", "", "volume", "θ", "Δ", "IV", "bid", "ask", "LTP")),
           (112, ("OI", "", "Δ", "IV", "bid", "ask", "LTP")), (0, ("OI", "Δ", "IV", "LTP")))  # fmt: skip
"""Columns of a side by the width of the terminal."""
_FILE_WIDTH = 220
_GAP = "  "
_STYLES = {"LTP": "cyan", "strike": "bold"}


def watch_chain(feed: ChainFeed, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Redraw the chain ten times a second until Ctrl-C, or for `seconds` of `clock` (0: no end).
    Redraws keep a fixed schedule from the start, so one slow redraw does not delay the later ones."""
    console = Console(file=raw_terminal(sys.stdout))
    began = clock()
    drawn = 0
    with Live(Text("…"), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while not seconds or clock() - began < seconds:
                due = began + (drawn + 1) * REDRAW_S
                feed.poll(max(due - clock(), 0.0))
                live.update(render_chain(feed.view(), console.width), refresh=True)
                drawn += 1
        except KeyboardInterrupt:
            return


def print_chain(view: ChainView, missing: int) -> None:
    """Print the chain, all columns unless to a terminal; `missing` is the number of instruments without a quote."""
    console = Console(file=raw_terminal(sys.stdout))
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(render_chain(view, console.width))
    if missing:
        console.print(Text(f"{missing} instruments had no quote yet", "yellow"))


def render_chain(view: ChainView, width: int) -> RenderableType:
    """Build the chain's headline and table with as many columns as `width` holds. Budget: 20 ms for 41 strikes.
    Columns are aligned here, since a `rich` table that measures itself is too slow for ten redraws a second."""
    heads = next(heads for least, heads in _WIDTHS if width >= least)
    lines = [[*heads, "strike", *reversed(heads)], *_rows(view, heads)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return Group(chain_headline(view), _aligned(lines, widths, heads, view))


def _rows(view: ChainView, heads: Sequence[str]) -> Iterable[list[str]]:
    """The cells of each strike: calls, the strike with its marks, puts mirrored."""
    shown = [_HEADS.index(head) for head in heads]
    most = max((side.open_interest or 0 for side in _sides(view)), default=0)
    for row in view.rows:
        calls, puts = ([cells[index] for index in shown] for cells in (_cells(row.call, most), _cells(row.put, most)))
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


def chain_headline(view: ChainView) -> Text:
    """Return the one-line headline: spot, forward, put-call ratios and max pain of the whole chain."""
    figures = {
        "spot": _number(view.spot), "forward": _number(view.forward), "PCR OI": _number(view.pcr_open_interest),
        "PCR volume": _number(view.pcr_volume), "max pain ●": _number(view.max_pain, 0),
    }  # fmt: skip
    text = Text(f" {view.underlying} {view.expiry} ({view.years * 365.0:.1f} days)  ", "bold")
    for name, value in figures.items():
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
        "·" if interest is None else f"{interest:,}", bar, "·" if side.volume is None else f"{side.volume:,}",
        _number(side.vega), _number(side.gamma, 5), _number(side.theta), _number(side.delta),
        "·" if side.iv is None else f"{side.iv:.2%}", _number(side.bid), _number(side.ask), _number(side.ltp),
    ]  # fmt: skip


def _number(value: float | None, digits: int = 2) -> str:
    return "·" if value is None else f"{value:,.{digits}f}"
