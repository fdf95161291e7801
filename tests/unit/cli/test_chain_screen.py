"""The picture of an option chain: columns by width, dots for what is unknown, the money and max pain marked."""

from __future__ import annotations

import io
import time

import pytest
from msgspec.structs import replace
from rich.console import Console

from mytrading.cli.chain.screen import REDRAW_S, picture
from mytrading.core.options.chain import ChainRow, ChainSide, ChainView


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
    console.print(picture(view(), width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120, 180])
def test_picture_fits_its_width_and_cuts_nothing(width: int) -> None:
    lines = drawn(width)
    assert all("…" not in line for line in lines)
    assert ("volume" in lines[-3]) == (width == 180)
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


def test_forty_one_strikes_are_drawn_in_a_fraction_of_what_ten_times_a_second_leave() -> None:
    call = ChainSide(instrument="c", tag="OTM 1", ltp=120.5, bid=120.0, ask=121.0, open_interest=5_000_000, volume=99,
                     iv=0.1312, delta=0.52, theta=-3.2)  # fmt: skip
    rows = tuple(ChainRow(strike=24_000.0 + 50 * k, call=call, put=call) for k in range(41))
    chain = replace(view(), rows=rows, forward=24_050.0)
    console = Console(width=180, height=50, file=io.StringIO(), force_terminal=True)
    console.print(picture(chain, 180))
    spent = []
    for _ in range(5):
        began = time.process_time()
        console.print(picture(chain, 180))
        spent.append(time.process_time() - began)
    assert min(spent) < REDRAW_S / 2, "processor time; the rest of a tenth of a second is for quotes and greeks"
