"""Files of legs that roll, enter again or wait for a breakout, on generated days of a known outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.run import LEAN, MACHINES, RunResult, Spec, run
from mytrading.backtest.setup.prepare import prepare
from mytrading.core.time import MINUTE
from tests.kit.option_runs import asked
from tests.kit.project import copy_project

HEAD = """
name = "{name}"
underlying = "NIFTY"
entry_time = "{entry}"
exit_time = "15:05"
stop = "{stop}"
{more}
"""
SELL = '\n[[legs]]\naction = "SELL"\nstrike = "{}"\nright = "{}"\nlots = 1\n{}\n'
SPOT, STEP = 21_720.0, 50.0
DAY_BARS = 375
MakeSpec = Callable[..., Spec]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MakeSpec:
    """Specs of files of legs on the first day of the sample, with closes of the test's own in place of the recorded."""
    folder: Path = tmp_path_factory.mktemp("project")
    copy_project(folder)

    def spec_of(closes: np.ndarray, *legs: str, entry: str = "09:30", stop: str = "none", more: str = "") -> Spec:
        text = HEAD.format(name="Days", entry=entry, stop=stop, more=more) + "".join(legs)
        (folder / "config" / "strategies" / "days.toml").write_text(text, encoding="utf-8")
        spec = prepare(folder, asked("Days", last=date(2024, 1, 31))).spec
        real = spec.data[0]
        opens = np.concatenate(([closes[0]], closes[:-1]))
        prices = [opens, np.maximum(opens, closes), np.minimum(opens, closes), closes, np.zeros(DAY_BARS)]
        data = Columns(real.instrument, real.timeframe, real.start_ns[:DAY_BARS], np.array(prices))
        return dataclasses.replace(spec, data=(data,))

    return spec_of


def path(*corners: tuple[int, float]) -> np.ndarray:
    """Closes of a day that run straight from one (minute, price) to the next."""
    return np.interp(np.arange(DAY_BARS), *zip(*corners, strict=True))


def fills(result: RunResult, *names: str) -> list[tuple[int, str, int]]:
    """The bar at whose open each fill lies, its contract (strike and right) and its sign."""
    assert result.fault is None
    start = result.curve.start_ns[0]
    rows = [
        (round((one.at_ns - start) / MINUTE), one.instrument[-7:], int(np.sign(one.units)))
        for one in result.ledger.fills
    ]
    return [row for row in rows if not names or row[1].endswith(names)]


def call(spot: float, out: int) -> str:
    """The call so many strikes above the one that is nearest to a price."""
    return f"{round(spot / STEP) * STEP + out * STEP:.0f}CE"


def first(found: np.ndarray) -> int:
    return int(np.argmax(found))


@pytest.mark.parametrize("times", [1, 2])
def test_tested_leg_is_rolled_away_as_often_as_its_file_says(made: MakeSpec, times: int) -> None:
    closes = path((0, SPOT), (75, SPOT), (215, SPOT + 280.0), (374, SPOT + 280.0))
    tested = f'roll_at = "10 points"\nroll_to = "OTM 3"\nrolls = {times}'
    result = run(made(closes, SELL.format("OTM 1", "CE", tested), SELL.format("OTM 6", "PE", "")))
    expected, sold = [(15, call(SPOT, 1), -1)], call(SPOT, 1)
    for _ in range(times):
        bar = first(float(sold[:-2]) - closes <= 10.0)
        new = call(closes[bar], 3)
        expected += [(bar + 1, sold, 1), (bar + 1, new, -1)]
        sold = new
    expected.append((350, sold, 1))
    assert fills(result, "CE") == expected
    assert [(bar, sign) for bar, _, sign in fills(result, "PE")] == [(15, -1), (350, 1)], "the put runs on"
    assert result.engine == MACHINES
    assert result.note == "legs that are rolled or entered again"
    assert set(result.ledger.counts) == {"RUN_ENDING"}, "the exit time, and no denial, veto or alert"


def test_stopped_leg_is_entered_again_once_at_the_money_of_then(made: MakeSpec) -> None:
    closes = path((0, SPOT), (75, SPOT), (215, SPOT + 420.0), (374, SPOT + 420.0))
    legs = SELL.format("OTM 1", "CE", 'stop = "30%"\nreentries = 1'), SELL.format("OTM 6", "PE", 'stop = "30%"')
    result = run(made(closes, *legs, stop="broker"))
    assert result.priced is not None
    expected, sold, bar = [], call(SPOT, 1), 15
    for _ in range(2):
        (columns,) = (one for one in result.priced.columns if one.instrument.endswith(sold))
        rows = (columns.start_ns - columns.start_ns[0]) // MINUTE
        opens = dict(zip(rows.tolist(), columns.table[0].tolist(), strict=True))
        stopped = int(rows[first((columns.table[1] >= opens[bar] * 1.3) & (rows >= bar))])
        expected += [(bar, sold, -1), (stopped, sold, 1)]
        bar = stopped + 2  # a bar without a signal lies between
        sold = call(closes[bar - 1], 1)
    assert fills(result, "CE") == expected
    assert len(fills(result, "PE")) == 2, "the put falls, and is held to the end"


@pytest.mark.parametrize("put", [True, False], ids=["beside a put", "alone"])
def test_covered_leg_is_never_sold_without_its_cover(made: MakeSpec, put: bool) -> None:
    """The fall takes the sold call to its target and its hedge, bare then, to the stop; both come back, hedge first."""
    closes = path((0, SPOT), (75, SPOT), (150, SPOT - 160.0), (374, SPOT - 160.0))
    bought = '\n[[legs]]\naction = "BUY"\nstrike = "OTM 6"\nright = "CE"\n'
    legs = [bought, SELL.format("OTM 1", "CE", 'target = "40%"\nreentries = 1')]
    if put:
        legs.append(SELL.format("OTM 6", "PE", 'stop = "900%"'))
    result = run(made(closes, *legs, stop="broker", more="stop_loss_percent = 5"))
    found, held = fills(result, "CE"), 0
    assert [sign for _, _, sign in found][:6] == [1, -1, 1, -1, 1, -1], found
    assert found[4][0] == found[5][0], "both come back at once"
    for _, _, sign in found:
        held += sign
        assert held >= 0, f"a call is sold bare: {found}"
    numbers = {(trade.instrument[-2:], trade.side): trade.leg for trade in result.ledger.trades}
    assert numbers == {("CE", "BUY"): 1, ("CE", "SELL"): 2} | ({("PE", "SELL"): 3} if put else {})
    assert len(result.ledger.trades) == 5 if put else 4
    assert result.engine == MACHINES


@pytest.mark.parametrize(("side", "bar"), [("above", 80), ("below", 50), ("either", 50)])
def test_plan_enters_with_the_bar_after_the_breakout_of_its_range(made: MakeSpec, side: str, bar: int) -> None:
    """The range of 09:15 to 09:45 is SPOT ± 10; minute 49 closes below, minute 79 above."""
    closes = np.full(DAY_BARS, SPOT)
    closes[[5, 20]] = SPOT + 10.0, SPOT - 10.0
    closes[35:40], closes[49:60], closes[79:] = SPOT + 10.0, SPOT - 10.05, SPOT + 10.05
    more = f'range = "09:15-09:45"\nbreakout = "{side}"\nentry_minutes = 120'
    spec = made(closes, SELL.format("OTM 1", "CE", ""), entry="09:45", more=more)
    result = run(spec)
    sold = call(closes[bar - 1], 1)
    assert fills(result) == [(bar, sold, -1), (350, sold, 1)]
    assert (result.engine, result.note) == (LEAN, "")
    assert run(dataclasses.replace(spec, lean=False)).ledger.fills == result.ledger.fills


def priced(result: RunResult, name: str) -> Columns:
    assert result.priced is not None
    (columns,) = (one for one in result.priced.columns if one.instrument.endswith(name))
    assert len(columns) == DAY_BARS
    return columns


def test_stop_of_one_leg_moves_that_of_the_other_to_its_entry_price(made: MakeSpec) -> None:
    """The call is stopped on the way up; on the way down the put comes back to what it was sold at."""
    closes = path((0, SPOT), (75, SPOT), (155, SPOT + 160.0), (160, SPOT + 160.0), (260, SPOT - 140.0), (374, SPOT))
    legs = SELL.format("OTM 1", "CE", 'stop = "30%"'), SELL.format("OTM 1", "PE", 'stop = "90%"')
    result = run(made(closes, *legs, stop="broker", more="[risk]\nstop_to_cost = true"))
    sold = call(SPOT, 1), f"{round(SPOT / STEP) * STEP - STEP:.0f}PE"
    ups, downs = (priced(result, name).table for name in sold)
    stopped = first((ups[1] >= ups[0, 15] * 1.3) & (np.arange(DAY_BARS) >= 15))
    back = first((downs[1] >= downs[0, 15]) & (np.arange(DAY_BARS) > stopped))
    assert stopped < 160 < back < 260
    assert fills(result) == [(15, sold[0], -1), (15, sold[1], -1), (stopped, sold[0], 1), (back, sold[1], 1)]
    assert result.ledger.fills[-1].price == pytest.approx(downs[0, 15], rel=0.05)
    assert result.note == "stops that move to the entry price"


def test_trailing_stop_of_the_whole_counts_what_a_rolled_leg_has_realised(made: MakeSpec) -> None:
    """Two legs decay all morning, the call is rolled at a loss, and the afternoon takes back the best profit."""
    closes = path((0, SPOT), (150, SPOT), (165, SPOT + 25.0), (240, SPOT + 25.0), (330, SPOT + 150.0), (374, SPOT))
    legs = SELL.format("OTM 1", "CE", 'roll_at = "10 points"\nroll_to = "OTM 2"'), SELL.format("OTM 1", "PE", "")
    trailing = '[risk]\ntrailing = 400\ntrailing_type = "amount"\ntrailing_activation = 200'
    result = run(made(closes, *legs, more=trailing))
    rolled, at = call(SPOT, 1), first(closes >= float(call(SPOT, 1)[:-2]) - 10.0) + 1
    sold = call(closes[at - 1], 2)
    put = fills(result, "PE")[0][1]
    lot = abs(result.ledger.fills[0].units)
    was, now, other = (priced(result, name).table for name in (rolled, sold, put))
    held = np.where(np.arange(DAY_BARS) < at, was[3], now[3] + was[0, at] - now[0, at])
    profit = lot * (was[0, 15] + other[0, 15] - held - other[3])
    profit[:15] = -1e9
    best = np.maximum.accumulate(profit)
    ends = first((profit <= best - 400.0) & (best > 200.0))
    assert at < ends < 345
    found = fills(result)
    assert found[:4] == [(15, rolled, -1), (15, put, -1), (at, rolled, 1), (at, sold, -1)]
    assert {row[1:] for row in found[4:]} == {(sold, 1), (put, 1)}
    # within a bar one leg moves after the other, so that the profit may be there a bar before both closes show it
    assert {bar for bar, _, _ in found[4:]} <= {ends - 1, ends}
