"""The picture of an option chain: columns by width, dots for what is unknown, the money and max pain marked."""

from __future__ import annotations

import io
import time

import pytest
from msgspec.structs import replace
from rich.console import Console
from rich.live import Live
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.market.chain_view import REDRAW_S, chain_headline, render_chain, watch_chain
from mytrading.core.options.chain import ChainRow, ChainSide, ChainView
from tests.kit.option_market import NOW, Market


def view() -> ChainView:
    call = ChainSide(
        instrument="c", tag="ATM", ltp=120.5, bid=120.0, ask=121.0, open_interest=5000, iv=0.1312, delta=0.52
    )
    put = ChainSide(instrument="p", tag="ATM", why="no quote")
    rows = (ChainRow(strike=24050.0, call=call, put=put), ChainRow(strike=24100.0, call=None, put=put))
    return ChainView(
        underlying="NIFTY", expiry="2025-12-30", at_ns=0, years=7 / 365, spot=24037.0, forward=None, atm=24050.0,
        rows=rows, pcr_open_interest=0.0, pcr_volume=None, max_pain=24100.0, call_open_interest=5000,
        put_open_interest=0, call_volume=0, put_volume=0,
    )  # fmt: skip


def drawn(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(render_chain(view(), width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120, 180, 220])
def test_picture_fits_its_width_and_cuts_nothing(width: int) -> None:
    lines = drawn(width)
    assert all("…" not in line for line in lines)
    assert ("volume" in lines[-3]) == (width >= 180)
    assert ("Γ" in lines[-3]) == ("ν" in lines[-3]) == (width == 220)
    assert ("bid" in lines[-3]) == (width >= 120)


def test_unknown_figures_are_dots_and_the_money_is_marked() -> None:
    *head_lines, _, at, above = drawn(80)
    head = " ".join(head_lines)
    assert "forward ·" in head
    assert "PCR OI 0.00" in head
    assert "▶ 24050" in at
    assert "13.12%" in at
    assert "120.50" in at
    assert at.count("·") == 4
    assert "24100 ●" in above


def test_wide_picture_shows_all_greeks_of_a_side() -> None:
    side = ChainSide(instrument="c", tag="ATM", iv=0.2, delta=0.51, gamma=0.00062, theta=-18.16, vega=13.02)
    row = ChainRow(strike=24_050.0, call=side, put=None)
    console = Console(width=220, file=io.StringIO())
    console.print(render_chain(replace(view(), rows=(row,)), 220))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1].split()[2:7] == ["13.02", "0.00062", "-18.16", "0.51", "20.00%"]


@pytest.mark.parametrize(("counted", "said"), [(7, "of 7 of 41 strikes"), (41, "")])
def test_headline_says_how_many_strikes_its_ratios_are_of(counted: int, said: str) -> None:
    text = chain_headline(replace(view(), strikes_counted=counted, strikes_listed=41)).plain
    assert text.endswith(said)
    assert ("strikes" in text) == bool(said)


@pytest.mark.parametrize(
    ("given", "said"), [(("--for", "3"), "--for ends --watch"), (("--rate", "6.5"), "less than or equal to 1")]
)
def test_option_that_would_mean_nothing_is_refused(given: tuple[str, str], said: str) -> None:
    found = CliRunner().invoke(app, ["chain", "NIFTY", *given])
    assert found.exit_code
    assert said in " ".join(f"{found.output} {found.exception}".split())


def test_forty_one_strikes_are_drawn_in_a_fraction_of_what_ten_times_a_second_leave() -> None:
    call = ChainSide(instrument="c", tag="OTM 1", ltp=120.5, bid=120.0, ask=121.0, open_interest=5_000_000, volume=99,
                     iv=0.1312, delta=0.52, theta=-3.2)  # fmt: skip
    rows = tuple(ChainRow(strike=24_000.0 + 50 * k, call=call, put=call) for k in range(41))
    chain = replace(view(), rows=rows, forward=24_050.0)
    console = Console(width=180, height=50, file=io.StringIO(), force_terminal=True)
    console.print(render_chain(chain, 180))
    spent = []
    for _ in range(5):
        began = time.process_time()
        console.print(render_chain(chain, 180))
        spent.append(time.process_time() - began)
    assert min(spent) < REDRAW_S / 2, "processor time; the rest of a tenth of a second is for quotes and greeks"


def test_whole_redraw_of_82_symbols_takes_half_of_a_tenth_of_a_second() -> None:
    """All that a redraw does but wait: a quote of each symbol, volatilities and greeks, the picture on the screen."""
    market = Market()
    out = io.StringIO()
    console = Console(width=180, height=50, file=out, force_terminal=True)
    spent = []
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for turn in range(8):
            began = time.process_time()
            market.move(24_000.0 + turn)
            market.priced(24_061.0 + turn, 0.13)
            shown = market.chain.view(NOW, around=20)
            live.update(render_chain(shown, 180), refresh=True)
            spent.append(time.process_time() - began)
    assert sum(side is not None for row in shown.rows for side in (row.call, row.put)) == 82
    assert "13.00%" in out.getvalue()
    assert min(spent) < REDRAW_S / 2, "processor time; the rest of a tenth of a second is for the stack beside it"


class Paced:
    """A chain whose clock moves by what is waited, and by what a picture is said to cost."""

    def __init__(self, costs: dict[int, float], cost: float) -> None:
        self.costs, self.cost = costs, cost
        self.now = 0.0
        self.drawn: list[float] = []

    def poll(self, seconds: float) -> None:
        self.now += seconds

    def view(self) -> ChainView:
        self.drawn.append(self.now)
        self.now += self.costs.get(len(self.drawn), self.cost)
        return view()


@pytest.mark.parametrize("stall", [0.0, 0.9])
def test_chain_is_redrawn_ten_times_in_each_second_of_a_minute(stall: float) -> None:
    feed = Paced({100: stall}, cost=0.06)
    watch_chain(feed, 60.0, lambda: feed.now)
    assert 599 <= len(feed.drawn) <= 601
    for second in range(15 if stall else 0, 59):
        assert 9 <= sum(second < moment <= second + 1 + 1e-6 for moment in feed.drawn) <= 11
    assert max(after - before for before, after in zip(feed.drawn, feed.drawn[1:], strict=False)) < stall + 0.11
