"""The generated market: the same from the same seed, joined over days, and equal live and in history."""

from __future__ import annotations

import itertools
import tomllib
from datetime import date, time, timedelta
from functools import cache
from pathlib import Path

import pytest

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import to_ns
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.market.history import MarketHistory
from mytrading.simulator.market.replay import BadTickFile, read_ticks
from mytrading.simulator.market.world import SimulatedWorld, with_generated_shares
from tests.kit.project import ROOT

ANCHOR = date(2025, 12, 3)
CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
FACTS = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))
TICKS = ROOT / "tests/data/ticks-2024-03-13.csv.gz"


def world(seed: int = 3) -> SimulatedWorld:
    return SimulatedWorld(CALENDAR, FACTS, seed, ANCHOR)


@cache
def shared() -> SimulatedWorld:
    return world()


def nifty() -> Instrument:
    found = shared().listing(ANCHOR).get("NSE_INDEX:NIFTY")
    assert found is not None
    return found


def test_same_seed_gives_the_same_day_whatever_was_asked_before() -> None:
    later = date(2025, 12, 9)
    first, second = world(), world()
    first.day(ANCHOR).series(nifty())
    assert (first.day(later).series(nifty()).ltp == second.day(later).series(nifty()).ltp).all()
    assert (world(4).day(later).series(nifty()).ltp != second.day(later).series(nifty()).ltp).any()


def test_fewer_ticks_have_the_prices_and_volumes_of_their_moments() -> None:
    every, fifth = shared().day(ANCHOR), SimulatedWorld(CALENDAR, FACTS, 3, ANCHOR, tick_seconds=5).day(ANCHOR)
    spot = shared().opening_price("NIFTY", ANCHOR)
    option = shared().listing(ANCHOR).option("NIFTY", "", "ATM", InstrumentKind.CE, spot)
    assert (fifth.times == every.times[::5]).all()
    for instrument in (nifty(), option):
        assert (fifth.series(instrument).ltp == every.series(instrument).ltp[::5]).all()
        assert (fifth.series(instrument).volume == every.series(instrument).volume[::5]).all()


@pytest.mark.parametrize("day", [date(2025, 11, 20), ANCHOR, date(2025, 12, 9)])
def test_close_leads_to_the_next_open_without_a_leap(day: date) -> None:
    following = CALENDAR.next_trading_day("NSE", day)
    leap = shared().opening_price("NIFTY", following) / shared().closing_price("NIFTY", day)
    assert leap == pytest.approx(1.0, abs=0.02)


def test_minute_bars_of_history_are_those_of_the_live_ticks() -> None:
    market = shared().day(ANCHOR)
    option = (
        shared().listing(ANCHOR).option("NIFTY", "", "ATM", InstrumentKind.CE, shared().opening_price("NIFTY", ANCHOR))
    )
    for instrument in (nifty(), option):
        live = [market.quote(instrument, index).ltp for index in range(60, 120)]
        bar = MarketHistory(shared()).rows(instrument, 1, ANCHOR, ANCHOR, int(market.times[500]))[1]
        assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (live[0], max(live), min(live), live[-1])


def test_sensex_and_its_contracts_trade_on_the_bse() -> None:
    listed, market = shared().listing(ANCHOR), shared().day(ANCHOR)
    option = listed.option("SENSEX", "", "ATM", InstrumentKind.PE, shared().opening_price("SENSEX", ANCHOR))
    assert (option.exchange, option.lot_size, option.expiry) == ("BFO", 20, "2025-12-04")
    assert market.quote(option, 600).ltp > 50
    assert market.quote(listed.future("SENSEX"), 600).ltp == pytest.approx(85_000, rel=0.05)
    assert len(MarketHistory(shared()).rows(option, 15, ANCHOR, ANCHOR, int(market.times[-1]))) == 25


def test_generated_share_moves_as_its_family_and_keeps_its_own_price() -> None:
    crowded = SimulatedWorld(CALENDAR, with_generated_shares(FACTS, 40), 3, ANCHOR)
    listed, market = crowded.listing(ANCHOR), crowded.day(ANCHOR)
    first, same, other = (listed.get(f"NSE:GEN000{number}") for number in ("01", "17", "02"))
    assert first is not None
    assert same is not None
    assert other is not None
    moves = [market.quote(share, 9000).ltp / market.quote(share, 0).ltp for share in (first, same, other)]
    assert moves[0] == pytest.approx(moves[1], abs=1e-3)
    assert moves[0] != pytest.approx(moves[2], abs=1e-4)
    assert market.quote(first, 0).ltp != market.quote(same, 0).ltp
    for index in (0, 5000, 20_000):
        quote = market.quote(first, index)
        assert quote.low <= quote.ltp <= quote.high
        assert quote.bid < quote.ltp < quote.ask
    bars = MarketHistory(crowded).rows(first, 0, ANCHOR, ANCHOR, int(market.times[-1]))
    last = market.quote(first, market.series(first).last - 1)
    assert (bars[0]["close"], bars[0]["high"], bars[0]["low"]) == (last.ltp, last.high, last.low)
    following = CALENDAR.next_trading_day("NSE", ANCHOR)
    assert crowded.opening_price("GEN00001", following) == pytest.approx(last.ltp, rel=0.02)


@pytest.mark.slow
def test_days_go_back_ten_years_and_lead_into_those_of_ticks() -> None:
    made, now = world(), to_ns(ANCHOR, time(12))
    rows = MarketHistory(made).rows(nifty(), 0, date(2010, 1, 1), ANCHOR, now)
    days = [date(1970, 1, 1) + timedelta(days=row["timestamp"] // 86_400) for row in rows]
    assert days[0] == date(2015, 12, 1) and days[-1] == ANCHOR
    assert days == sorted(set(days)) and len(days) > 2_400
    assert all(
        row["low"] <= min(row["open"], row["close"]) <= max(row["open"], row["close"]) <= row["high"] for row in rows
    )
    assert all(abs(after["open"] / before["close"] - 1) < 0.02 for before, after in itertools.pairwise(rows))
    assert rows[: len(days) // 2] == MarketHistory(world()).rows(nifty(), 0, days[0], days[len(days) // 2 - 1], now)


def test_minutes_of_a_year_agree_with_its_days() -> None:
    made, now = world(), to_ns(ANCHOR, time(12))
    day = date(2024, 12, 4)
    minutes = MarketHistory(made).rows(nifty(), 1, day, day, now)
    (daily,) = MarketHistory(made).rows(nifty(), 0, day, day, now)
    assert len(minutes) == 375
    assert (daily["open"], daily["close"]) == (minutes[0]["open"], minutes[-1]["close"])
    assert (daily["high"], daily["low"]) == (max(row["high"] for row in minutes), min(row["low"] for row in minutes))
    assert MarketHistory(made).earliest(nifty(), 1, now) <= day


def test_old_days_are_not_made_before_they_are_asked_for() -> None:
    made = world()
    made.listing(ANCHOR)
    made.day(ANCHOR)
    assert not [day for _, day in made._opens if day < ANCHOR - timedelta(days=30)]


def test_forming_bar_ends_at_the_present_tick() -> None:
    market = shared().day(ANCHOR)
    rows = MarketHistory(shared()).rows(nifty(), 5, ANCHOR, ANCHOR, int(market.times[430]))
    assert len(rows) == 2
    assert rows[-1]["close"] == market.quote(nifty(), 430).ltp


def test_quote_stands_inside_its_spread_and_range() -> None:
    market, listed = shared().day(ANCHOR), shared().listing(ANCHOR)
    tradable = [instrument for instrument in listed if instrument.kind is not InstrumentKind.INDEX]
    for instrument in tradable[:40]:
        quote = market.quote(instrument, 5000)
        assert quote.bid <= quote.ltp < quote.ask
        assert quote.low <= quote.ltp <= quote.high
        assert quote.volume > 0


def test_averages_cross_often_enough_to_trade() -> None:
    market = shared().day(ANCHOR)
    rows = MarketHistory(shared()).rows(nifty(), 1, ANCHOR, ANCHOR, int(market.times[-1]))
    closes = [float(row["close"]) for row in rows]
    above = [sum(closes[i - 2 : i + 1]) / 3 > sum(closes[i - 7 : i + 1]) / 8 for i in range(7, len(closes))]
    assert sum(a != b for a, b in itertools.pairwise(above)) > 20


def test_file_of_ticks_is_read_whole() -> None:
    (ticks,) = read_ticks(TICKS)
    assert (ticks.day, ticks.bid, ticks.volume) == (date(2024, 3, 13), None, None)
    assert len(ticks.times) == len(ticks.ltp) > 20_000
    replayed = SimulatedWorld(CALENDAR, FACTS, 1, ticks.day, (ticks,))
    assert replayed.opening_price("NIFTY", ticks.day) == pytest.approx(float(ticks.ltp[0]), rel=0.01)
    assert replayed.listing(ticks.day).future("NIFTY").lot_size == 50


def test_optional_columns_are_read_and_zones_respected(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("timestamp,ltp,bid,ask,volume\n2024-03-13T03:45:00+00:00,10,9.5,10.5,7\n", encoding="utf-8")
    (ticks,) = read_ticks(file)
    assert ticks.bid is not None
    assert ticks.volume is not None
    assert (ticks.bid[0], ticks.volume[0], ticks.times[0]) == (9.5, 7, 1_710_301_500_000_000_000)


def test_file_that_is_no_gzip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.csv.gz"
    file.write_bytes(b"plain text")
    with pytest.raises(BadTickFile, match="expected a CSV of ticks or bars"):
        read_ticks(file)
