"""Instruments of an exchange on followed quotes: the stack's master contract, and others that it knows or holds."""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path

import pytest

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import to_ns
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.venue.followed import FollowedWorld
from mytrading.simulator.venue.store import BookStore
from mytrading.simulator.venue.venue import SimulatedVenue
from tests.kit.project import ROOT

DAY = date(2026, 11, 20)
OWN = "NFO:NIFTY23NOV2626000CE"
"""Listed by the facts."""


def option(symbol: str, lot: int, underlying: str = "NIFTY", tick: float = 0.05) -> Instrument:
    return Instrument(
        id=f"NFO:{symbol}",
        exchange="NFO",
        symbol=symbol,
        kind=InstrumentKind.CE,
        underlying=underlying,
        expiry="2026-11-23",
        strike=26_000.0,
        lot_size=lot,
        tick_size=tick,
    )


def reported(state: Path, *instruments: Instrument, day: str = "2026-11-20") -> None:
    InstrumentFile(state).write(Snapshot(day=day, fetched_ns=1, instruments=instruments))


@pytest.fixture
def world(tmp_path: Path) -> FollowedWorld:
    def read(name: str) -> dict[str, object]:
        return tomllib.loads((ROOT / "config" / name).read_text(encoding="utf-8"))

    calendar, facts = Calendar.from_dict(read("calendar.toml")), ContractFacts.from_dict(read("instruments.toml"))
    return FollowedWorld(calendar, facts, 7, DAY, tmp_path)


@pytest.fixture
def venue(world: FollowedWorld) -> SimulatedVenue:
    clock = MarketClock((ClockSegment(machine_now(), to_ns(DAY, time(10)), 1.0),))
    return SimulatedVenue(clock, world, BookStore(None), 1_000_000.0)


def push(venue: SimulatedVenue, quote: SimulatedQuote) -> None:
    venue.publish_pushed_quote(quote, hold=True)
    venue.match(quote)


def test_contracts_are_those_of_the_master_contract_with_its_lots(world: FollowedWorld, tmp_path: Path) -> None:
    assert OWN in world.listing(DAY), "nothing was fetched yet"
    reported(tmp_path, option("NIFTY23NOV2626100CE", 75))
    listed = world.listing(DAY)
    found = listed.get("NFO:NIFTY23NOV2626100CE")
    assert found is not None and found.lot_size == 75
    assert OWN not in listed and "NSE_INDEX:NIFTY" in listed


def test_list_without_a_tick_gets_one(world: FollowedWorld, tmp_path: Path) -> None:
    reported(tmp_path, option("NIFTY23NOV2626100CE", 75, tick=0.0))
    found = world.listing(DAY).get("NFO:NIFTY23NOV2626100CE")
    assert found is not None and found.tick_size == 0.05


def test_held_contract_that_is_listed_no_more_is_known_from_an_earlier_day(
    world: FollowedWorld, tmp_path: Path
) -> None:
    reported(tmp_path, option("GOLDX23NOV26100CE", 30, "GOLDX"), day="2026-11-19")
    reported(tmp_path, option("NIFTY23NOV2626100CE", 75))
    found = world.find_instrument("NFO:GOLDX23NOV26100CE", DAY)
    assert found is not None and found.lot_size == 30
    assert world.find_instrument("NFO:SILVERX23NOV26100CE", DAY) is None


def test_new_master_contract_is_listed_while_the_venue_runs(venue: SimulatedVenue, tmp_path: Path) -> None:
    venue.open_day(DAY)
    known = venue.instrument(OWN)
    assert known is not None and known.lot_size == 65
    push(venue, SimulatedQuote(known, 1, 150.0, 149.95, 150.05, 0, 0, 0.0, 0.0, 0.0, 0.0))
    assert not venue.world.listing_changed
    reported(tmp_path, option("NIFTY23NOV2626000CE", 75), option("NIFTY23NOV2626100CE", 75))
    assert venue.world.listing_changed
    venue.relist_instruments()
    assert not venue.world.listing_changed
    listed = venue.instrument(OWN)
    assert listed is not None and listed.lot_size == 75
    quote = venue.quote(listed)
    assert quote is not None and (quote.ltp, quote.instrument.lot_size) == (150.0, 75)


def test_contract_on_what_is_not_listed_has_a_mark_without_a_band(venue: SimulatedVenue, tmp_path: Path) -> None:
    reported(tmp_path, option("GOLDX23NOV26100CE", 30, "GOLDX"))
    venue.open_day(DAY)
    listed = venue.instrument("NFO:GOLDX23NOV26100CE")
    assert listed is not None
    push(venue, SimulatedQuote(listed, 1, 150.0, 149.95, 150.05, 0, 0, 0.0, 0.0, 0.0, 140.0))
    venue.quote_ages.record(listed.id, venue.clock.now())
    mark = venue.mark(listed.id)
    assert mark is not None and (mark.ltp, mark.lower, mark.upper) == (150.0, 0.0, 0.0)


def test_contract_with_a_price_stays_listed_when_the_server_lists_it_no_more(
    venue: SimulatedVenue, tmp_path: Path
) -> None:
    reported(tmp_path, option("GOLDX23NOV26100CE", 30, "GOLDX"))
    venue.open_day(DAY)
    listed = venue.instrument("NFO:GOLDX23NOV26100CE")
    assert listed is not None
    push(venue, SimulatedQuote(listed, 1, 150.0, 149.95, 150.05, 0, 0, 0.0, 0.0, 0.0, 0.0))
    reported(tmp_path, option("NIFTY23NOV2626100CE", 75))
    venue.relist_instruments()
    assert venue.instrument(listed.id) == listed
    assert venue.instrument("NFO:NIFTY23NOV2626100CE") is not None
