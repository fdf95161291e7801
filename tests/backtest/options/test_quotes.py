"""Backtests on recorded bid and ask of contracts: what fills meet, what is held is worth, and bars that have none."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.ledger import Fill
from mytrading.backtest.options.market import Recorded, quotes_before, sane_quotes, spread_around
from mytrading.backtest.results.output import option_price_sources, option_prices_text
from mytrading.backtest.results.report import option_tables
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.core.time import MINUTE
from mytrading.messages.exit_rules import StrategyRules
from tests.kit.hypothesis_budget import examples
from tests.kit.project import ROOT

FILE = str(ROOT / "tests" / "data" / "index-1m.csv.gz")
DAY = date(2024, 1, 30)
TICK = 0.05
Quoted = tuple[float, float]
LONG = pytest.mark.long
QuoteOf = Callable[[int, float], tuple[Any, Any]]
"""Bid and ask of a row that closes so."""
PRICES = st.one_of(st.floats(-1, 500), st.sampled_from([0.0, math.nan, math.inf]))


def asked(*options: str, **given: Any) -> RunRequest:
    return RunRequest("Options_Straddle", (f"NIFTY={FILE}",), first=DAY, last=DAY, options=options, **given)


def straddle(*options: str, **given: Any) -> RunResult:
    return run(prepare(ROOT, asked(*options, **given)).spec)


@cache
def modelled() -> RunResult:
    return straddle("model")


def near(row: int, close: float) -> Quoted:
    """A quote that is never the same twice running, and not in the middle."""
    return round(close - TICK * (1 + row % 3), 2), round(close + TICK * (4 + row % 5), 2)


def rows(quote: QuoteOf | None, columns: Iterable[Columns] = ()) -> Iterator[dict[str, Any]]:
    """The bars of all contracts of the modelled run as a recorder would have kept them."""
    for one in columns or (modelled().priced or pytest.fail("no prices")).columns:
        for row, (start, table) in enumerate(zip(one.start_ns.tolist(), one.table[:4].T.tolist(), strict=True)):
            sides = dict(zip(("bid", "ask"), quote(row, table[3]), strict=True)) if quote is not None else {}
            prices = dict(zip(("open", "high", "low", "close"), table, strict=True))
            yield {"ts": start, "symbol": one.instrument.partition(":")[2], **prices, "volume": 75, **sides}


def write(folder: Path, quote: QuoteOf | None, name: str = "options.csv") -> str:
    found = list(rows(quote))
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return str(path)


def met(result: RunResult, fills: Sequence[Fill], quote: QuoteOf) -> list[tuple[float, float]]:
    """The price of each fill at a bar's open, and what was quoted for its side a moment before."""
    assert result.priced is not None
    by_name = {one.instrument: one for one in result.priced.columns}
    found = []
    for fill in fills:
        columns = by_name[fill.instrument]
        row = int(np.searchsorted(columns.start_ns, fill.at_ns))
        if int(columns.start_ns[row]) == fill.at_ns:
            found.append((fill.price, quote(row - 1, float(columns.close[row - 1]))[fill.units > 0]))
    return found


@pytest.mark.parametrize("slip", [pytest.param(0.0, marks=LONG), 2.0])
def test_buys_fill_at_the_recorded_ask_and_sells_at_the_recorded_bid(tmp_path: Path, slip: float) -> None:
    result = straddle(write(tmp_path, near), slippage_ticks=slip)
    fills = result.ledger.fills
    pairs = met(result, fills, near)
    assert len(pairs) >= 4
    assert {fill.units > 0 for fill in fills} == {True, False}
    for (price, side), fill in zip(pairs, [one for one in fills if one.at_ns % MINUTE == 0], strict=True):
        assert price == pytest.approx(side + math.copysign(slip * TICK, fill.units), abs=1e-6)


def test_a_run_on_recorded_quotes_says_how_many_fills_met_them(tmp_path: Path) -> None:
    result = straddle(write(tmp_path, near))
    found = option_price_sources(result)
    assert found is not None
    assert found["quotes"]["fills"] == len(result.ledger.fills)
    assert found["quotes"]["missing"] == {}
    assert found["quotes"]["bars"] > 0
    fills = len(result.ledger.fills)
    assert f"{fills} of {fills} fills met a recorded bid and ask" in option_prices_text(found)
    assert "with a recorded bid and ask" in str(option_tables(found))


SELDOM = [("", ""), ("nan", "nan"), (0.0, 5.0), (5.0, 0.0), (500.0, 400.0), (-1.0, 5.0)]


@pytest.mark.parametrize("sides", [(0.0, 0.0), *(pytest.param(sides, marks=LONG) for sides in SELDOM)])
def test_quotes_that_cannot_be_believed_change_nothing_and_are_counted(tmp_path: Path, sides: tuple[Any, Any]) -> None:
    bare = straddle(write(tmp_path, None, "bare.csv"))
    result = straddle(write(tmp_path, lambda _row, _close: sides))
    assert result.ledger.trade_hash() == bare.ledger.trade_hash()
    assert result.curve.equity.tolist() == bare.curve.equity.tolist()
    found, before = option_price_sources(result), option_price_sources(bare)
    assert found is not None
    assert before is not None
    assert sum(found["quotes"]["missing"].values()) == sum((result.priced or pytest.fail()).bars.values())
    assert found["quotes"]["fills"] == found["quotes"]["bars"] == 0
    assert "recorded bars had none that could be believed" in option_prices_text(found)
    assert "had none" not in option_prices_text(before)
    assert f"no bid and ask of {next(iter(found['quotes']['missing']))}" in str(option_tables(found))


def test_a_lone_column_of_bids_is_no_quote(tmp_path: Path) -> None:
    path = Path(write(tmp_path, near))
    path.write_text(path.read_text(encoding="utf-8").replace(",ask", ",other", 1), encoding="utf-8")
    options = prepare(ROOT, asked(str(path))).spec.options
    assert options is not None
    assert options.recorded
    assert not options.quotes


@pytest.mark.parametrize("kind", [".parquet", pytest.param(".duckdb", marks=LONG)])
def test_parquet_and_duckdb_hold_the_same_quotes_as_csv(tmp_path: Path, kind: str) -> None:
    text, path = write(tmp_path, near), tmp_path / f"options{kind}"
    source = f"SELECT * RENAME (bid AS best_bid, ask AS best_ask) FROM read_csv('{text}')"
    with duckdb.connect(str(path) if kind == ".duckdb" else ":memory:") as database:
        database.execute(f"CREATE TABLE bars AS {source}" if kind == ".duckdb" else f"COPY ({source}) TO '{path}'")
    found, wanted = (prepare(ROOT, asked(str(one))).spec.options for one in (path, text))
    assert found is not None
    assert wanted is not None
    assert wanted.quotes
    for name, quotes in wanted.quotes.items():
        assert np.array_equal(found.quotes[name], quotes)


def test_sources_say_how_many_contracts_have_quotes(tmp_path: Path) -> None:
    notes = prepare(ROOT, asked(write(tmp_path, near))).notes
    contracts = len((modelled().priced or pytest.fail()).columns)
    assert any(f"bars of {contracts} contracts ({contracts} of them with bid and ask) from" in note for note in notes)


def test_what_is_held_is_worth_what_it_could_be_closed_at(tmp_path: Path) -> None:
    def wide(_row: int, close: float) -> Quoted:
        return close - 1, close + 1

    tight = straddle(write(tmp_path, lambda _row, close: (close, close), "tight.csv"))
    result = straddle(write(tmp_path, wide))
    fills = result.ledger.fills
    at = int(np.searchsorted(result.curve.end_ns, fills[3].at_ns, side="right"))
    units = [fill.units for fill in fills[:4]]
    assert len({fill.instrument for fill in fills[:4]}) == 4
    lost = 2 * sum(map(abs, units))
    apart = float(tight.curve.equity[at] - result.curve.equity[at])
    assert apart == pytest.approx(lost, rel=0.1)


@pytest.mark.parametrize("half", [0.0, 1.0])
def test_a_loss_limit_sees_what_legs_could_be_closed_at(tmp_path: Path, half: float) -> None:
    spec = prepare(ROOT, asked(write(tmp_path, lambda _row, close: (close - half, close + half)))).spec
    limited = replace(spec.run, rules=StrategyRules(max_loss=350))
    result = run(dataclasses.replace(spec, run=limited))
    entries = [trade.entry_ns for trade in result.ledger.trades]
    held = min(trade.exit_ns for trade in result.ledger.trades) - max(entries)
    assert (held <= MINUTE) == bool(half), "four legs of fifty lose 400 by their spread alone"


def test_a_quote_of_later_changes_no_fill_of_before(tmp_path: Path) -> None:
    cut = 60

    def later(row: int, close: float) -> Quoted:
        return near(row, close) if row < cut else (close - 0.5, close + 0.5)

    whole, part = straddle(write(tmp_path, near)), straddle(write(tmp_path, later, "later.csv"))
    assert whole.priced is not None
    moment = int(whole.priced.columns[0].start_ns[cut]) + MINUTE
    fills = [[fill for fill in one.ledger.fills if fill.at_ns < moment] for one in (whole, part)]
    assert len(fills[0]) >= 4
    assert fills[0] == fills[1]
    assert whole.ledger.trade_hash() != part.ledger.trade_hash()


@pytest.mark.parametrize("recorded", [True, pytest.param(False, marks=LONG)])
def test_fills_at_the_close_pay_the_spread_from_the_first_entry_on(tmp_path: Path, recorded: bool) -> None:
    result = straddle(write(tmp_path, near) if recorded else "model", at_close=True)
    assert result.priced is not None
    by_name = {one.instrument: one for one in result.priced.columns}
    for fill in result.ledger.fills[:4]:
        columns = by_name[fill.instrument]
        row = int(np.searchsorted(columns.start_ns, fill.at_ns)) - 1
        close = float(columns.close[row])
        apart = (fill.price - close) * math.copysign(1, fill.units)
        wanted = near(row, close)[fill.units > 0]
        assert fill.price == pytest.approx(wanted) if recorded else apart > TICK / 2


def test_all_machines_called_at_every_bar_lead_to_the_same_trades(tmp_path: Path) -> None:
    path, bare = write(tmp_path, near), {"wings": "0"}
    quick, plain = (straddle(path, parameters=bare, plain=plain) for plain in (False, True))
    assert quick.ledger.trades
    assert quick.ledger.trade_hash() == plain.ledger.trade_hash()


# the pieces


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(PRICES, PRICES), min_size=1, max_size=8))
def test_only_whole_and_uncrossed_quotes_are_believed(pairs: list[Quoted]) -> None:
    found = sane_quotes(np.array(pairs).T)
    for (bid, ask), kept in zip(pairs, found.T.tolist(), strict=True):
        good = math.isfinite(bid) and math.isfinite(ask) and 0 < bid <= ask
        assert kept == [bid, ask] if good else all(map(math.isnan, kept))


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(0, 40))
def test_a_quote_around_a_price_holds_it_and_is_as_wide_in_whole_ticks(price: int, bid: int, apart: int) -> None:
    low, high = spread_around(price * TICK, (bid * TICK, (bid + apart) * TICK), TICK)
    assert low <= price * TICK <= high
    assert low >= TICK - 1e-9
    assert round((high - price * TICK) / TICK, 6) == (apart + 1) // 2


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True))
def test_what_a_bar_begins_with_is_the_quote_of_the_minute_before(minutes: list[int]) -> None:
    start = np.array(sorted(minutes)) * MINUTE
    quotes = np.vstack([start / MINUTE, start / MINUTE + 1])
    before = quotes_before(start, MINUTE, quotes)
    for minute, bid in zip(sorted(minutes), before[0].tolist(), strict=True):
        assert bid == minute - 1 if minute - 1 in minutes else math.isnan(bid)


@settings(max_examples=examples(30), deadline=None)
@given(*[st.sets(st.integers(0, 20), min_size=1, max_size=8)] * 2, st.booleans(), st.booleans())
def test_quotes_stay_with_their_bars_when_files_are_joined(
    first: set[int], second: set[int], one: bool, other: bool
) -> None:
    known = Recorded({}, {})
    for minutes, quoted, value in ((first, one, 1.0), (second, other, 2.0)):
        start = np.array(sorted(minutes)) * MINUTE
        columns = Columns("NFO:X", "1m", start, np.full((5, len(start)), value))
        known.add(columns, np.full((2, len(start)), value) if quoted else None)
    columns = known.columns["NFO:X"]
    assert (columns.start_ns // MINUTE).tolist() == sorted(first | second)
    assert columns.close.tolist() == [1.0 if minute in first else 2.0 for minute in sorted(first | second)]
    assert ("NFO:X" in known.quotes) == (one or other)
    for close, bid in zip(columns.close.tolist(), known.quotes.get("NFO:X", [[]])[0], strict=False):
        assert bid == close if (one if close == 1.0 else other) else math.isnan(bid)
