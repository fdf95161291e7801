"""Contracts of legs: from listed strikes, one price for all of them, and reasons where there is none."""

from __future__ import annotations

import pytest

from mytrading.config.leg_plan import LegConfig
from mytrading.core.engine.contract_selection import (
    OptionChains,
    candidate_contracts,
    is_entry_day,
    resolve_legs,
    select_contract,
)
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.orders.leg_levels import price_level, priced_leg
from mytrading.core.time import DAY
from mytrading.messages.enums import OrderType
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import DayKind, LegKind, LegRule, LegStop, StopKind
from mytrading.messages.market import Quote
from tests.kit.engine_bench import NIFTY, OPEN, SBIN, make_book

BOOK = make_book()
PRICES = {NIFTY: 26_012.0, SBIN: 800.0}


def rule(strike: str = "ATM", right: str = "CE", lots: int = -1, **more: object) -> LegRule:
    return LegRule(**{"lots": lots, "strike": strike, "right": right, **more})  # type: ignore[arg-type]


def chosen(leg: LegRule, now: int = OPEN, chains: OptionChains | None = None) -> str:
    look = chains or OptionChains()
    return select_contract(leg, NIFTY, PRICES, BOOK, now, lambda name, day: look.chain_view(BOOK, name, day, now)).id


@pytest.mark.parametrize(
    ("strike", "right", "expected"),
    [
        ("ATM", "CE", "26000CE"),
        ("ITM 2", "CE", "25900CE"),
        ("OTM 2", "CE", "26100CE"),
        ("ITM 2", "PE", "26100PE"),
        ("OTM 2", "PE", "25900PE"),
        ("STRIKE 25850", "PE", "25850PE"),
    ],
)
def test_strikes_are_counted_along_the_listed_ones(strike: str, right: str, expected: str) -> None:
    assert chosen(rule(strike, right)) == f"NFO:NIFTY02DEC25{expected}"


@pytest.mark.parametrize(
    ("strike", "right", "expected"),
    [
        ("ATM", "CE", 24_050), ("ITM 3", "CE", 23_900), ("OTM 3", "CE", 24_200), ("ITM 3", "PE", 24_200),
        ("OTM 3", "PE", 23_900), ("OTM 0", "CE", 24_100), ("OTM 25", "CE", 25_050), ("ITM 25", "CE", 23_050),
        ("OTM 25", "PE", 23_050), ("STRIKE 24500", "PE", 24_500),
    ],
)  # fmt: skip
def test_strike_table_of_files_of_legs(strike: str, right: str, expected: int) -> None:
    index = listed("NSE_INDEX", "NIFTY", InstrumentKind.INDEX, "NIFTY")
    kinds = (InstrumentKind.CE, InstrumentKind.PE)
    chain = [
        listed("NFO", f"NIFTY30DEC25{k}{kind.value}", kind, "NIFTY", float(k))
        for k in range(22_500, 25_600, 50)
        for kind in kinds
    ]
    leg = LegConfig(action="SELL", strike=strike, right=right).rule(NIFTY)  # type: ignore[arg-type]
    found = select_contract(
        leg, NIFTY, {NIFTY: 24_037.0}, InstrumentBook([index, *chain]), OPEN, lambda _name, _day: None
    )
    assert (found.strike, found.kind.value) == (expected, right)


def test_expiry_rules_and_futures_are_followed() -> None:
    assert chosen(rule(expiry="next")) == "NFO:NIFTY30DEC2526000CE"
    assert chosen(rule(expiry="monthly")) == "NFO:NIFTY30DEC2526000CE"
    assert chosen(LegRule(lots=1, kind=LegKind.FUTURE)) == "NFO:NIFTY30DEC25FUT"
    assert chosen(LegRule(lots=10, kind=LegKind.EQUITY, watch=SBIN)) == SBIN


def test_strike_that_is_not_listed_is_refused_with_its_neighbours() -> None:
    with pytest.raises(NoSuchContract, match=r"25825 .* nearest: 25800 and 25850"):
        chosen(rule("STRIKE 25825"))


CALL = "NFO:NIFTY02DEC2526000CE"


@pytest.mark.parametrize(
    ("lots", "limit", "expected"),
    [
        (-1, LegStop(kind=StopKind.PRICE, value=110.0), 110.0),
        (-1, LegStop(kind=StopKind.PERCENT, value=5), 105.15),
        (1, LegStop(kind=StopKind.PERCENT, value=5), 95.1),
        (1, LegStop(kind=StopKind.POINTS, value=3), 97.1),
    ],
)
def test_limit_lies_on_the_better_side_of_the_price_and_on_the_tick(lots: int, limit: LegStop, expected: float) -> None:
    made = rule(lots=lots, order_type=OrderType.LIMIT, limit=limit, stop=LegStop(value=10))
    (leg,) = resolve_legs([made], NIFTY, PRICES, BOOK, OPEN, lambda _name, _day: None)
    leg = priced_leg(leg, 100.12, 0.05)
    assert (leg.order_type, leg.limit_price) == (OrderType.LIMIT, expected)
    assert leg.stop_price == pytest.approx(expected * (1.1 if lots < 0 else 0.9), abs=1e-3), "counted from the limit"


def test_distance_of_a_leg_stays_one_whatever_price_of_its_contract_is_at_hand() -> None:
    made = rule(
        lots=1, order_type=OrderType.LIMIT, limit=LegStop(kind=StopKind.POINTS, value=3), stop=LegStop(value=25)
    )
    (leg,) = resolve_legs([made], NIFTY, {**PRICES, CALL: 242.75}, BOOK, OPEN, lambda _name, _day: None)
    assert (leg.limit_price, leg.stop_price) == (0.0, 0.0)
    assert (leg.limit, leg.stop) == (made.limit, made.stop)


def test_limit_written_as_a_price_below_one_tick_is_refused() -> None:
    made = rule(lots=1, order_type=OrderType.LIMIT, limit=LegStop(kind=StopKind.PRICE, value=0.03))
    with pytest.raises(NoSuchContract, match=r"leg 1: its limit of 0\.03 is less than one tick"):
        resolve_legs([made], NIFTY, PRICES, BOOK, OPEN, lambda _name, _day: None)


def quoted(chains: OptionChains, symbol: str, price: float) -> None:
    chains.apply(Quote(f"NFO:{symbol}", OPEN, 0, price))


def test_premium_takes_the_nearest_and_of_two_the_one_below() -> None:
    chains = OptionChains()
    for strike, price in ((25_950, 131.0), (26_000, 104.0), (26_050, 96.0), (26_100, 80.0)):
        quoted(chains, f"NIFTY02DEC25{strike}CE", price)
    assert chosen(rule("PREMIUM 100"), chains=chains) == "NFO:NIFTY02DEC2526050CE"
    assert chosen(rule("PREMIUM 126"), chains=chains) == "NFO:NIFTY02DEC2525950CE"


def test_premium_without_a_quote_is_refused_not_traded_at_the_money() -> None:
    with pytest.raises(NoSuchContract, match=r"no CE of NIFTY .* has a price yet"):
        chosen(rule("PREMIUM 100"))


def test_delta_without_a_quote_is_refused() -> None:
    with pytest.raises(NoSuchContract, match="has a delta yet"):
        chosen(rule("DELTA 0.3"))


def test_two_legs_on_one_contract_are_refused_by_their_numbers() -> None:
    with pytest.raises(NoSuchContract, match="legs 1 and 2 both choose NFO:NIFTY02DEC2526000CE"):
        resolve_legs([rule(), rule("STRIKE 26000", lots=1)], NIFTY, PRICES, BOOK, OPEN, lambda _a, _b: None)


def test_leg_that_cannot_be_had_is_named() -> None:
    with pytest.raises(NoSuchContract, match=r"leg 2: OTM 20 PE of NIFTY .* off the list"):
        resolve_legs([rule(), rule("OTM 20", "PE")], NIFTY, PRICES, BOOK, OPEN, lambda _a, _b: None)


@pytest.mark.parametrize(
    ("stop", "lots", "expected"),
    [
        (LegStop(kind=StopKind.PERCENT, value=30), -1, 130.0),
        (LegStop(kind=StopKind.PERCENT, value=30), 1, 70.0),
        (LegStop(kind=StopKind.POINTS, value=20), -1, 120.0),
        (LegStop(kind=StopKind.PRICE, value=150), -1, 150.0),
        (LegStop(), -1, 0.0),
    ],
)
def test_stop_lies_against_the_leg(stop: LegStop, lots: int, expected: float) -> None:
    assert price_level(stop, -lots, 100.0) == expected


def test_target_lies_with_the_leg_and_never_below_nothing() -> None:
    assert price_level(LegStop(value=40), 1, 100.0) == 140.0
    assert price_level(LegStop(value=40), -1, 100.0) == 60.0
    assert price_level(LegStop(kind=StopKind.POINTS, value=140), -1, 100.0) == 0.0


def test_leg_without_a_price_keeps_its_distances() -> None:
    (leg,) = resolve_legs([rule(stop=LegStop(value=30))], NIFTY, PRICES, BOOK, OPEN, lambda _a, _b: None)
    assert priced_leg(leg, 0.0, 0.05) is leg


def test_candidates_are_the_contract_or_the_chain_around_the_money() -> None:
    assert candidate_contracts([rule()], NIFTY, PRICES, BOOK, OPEN) == ("NFO:NIFTY02DEC2526000CE",)
    found = candidate_contracts([rule("DELTA 0.3")], NIFTY, PRICES, BOOK, OPEN)
    assert len(found) == 18 and all("02DEC25" in name for name in found)
    assert candidate_contracts([rule("PREMIUM 100")], NIFTY, {}, BOOK, OPEN) == ()


@pytest.mark.parametrize(
    ("days", "now", "expected"),
    [
        (DayKind.ANY, OPEN, True),
        (DayKind.EXPIRY, OPEN, False),
        (DayKind.EXPIRY, OPEN + DAY, True),
        (DayKind.NON_EXPIRY, OPEN, True),
        (DayKind.NON_EXPIRY, OPEN + DAY, False),
    ],
)
def test_days_are_those_on_which_the_first_dated_leg_expires(days: DayKind, now: int, expected: bool) -> None:
    assert is_entry_day(days, [rule()], NIFTY, BOOK, now) is expected


def listed(exchange: str, symbol: str, kind: InstrumentKind, name: str, strike: float = 0.0) -> Instrument:
    expiry = "2025-12-30" if kind.is_derivative else ""
    return Instrument(
        id=f"{exchange}:{symbol}", exchange=exchange, symbol=symbol, kind=kind, underlying=name, expiry=expiry,
        strike=strike,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "index", "venue"), [("BANKNIFTY", "NSE_INDEX", "NFO"), ("SENSEX", "BSE_INDEX", "BFO")]
)
def test_legs_of_other_indices_are_found_on_their_exchange(name: str, index: str, venue: str) -> None:
    book = InstrumentBook(
        [
            listed(index, name, InstrumentKind.INDEX, name),
            listed(venue, f"{name}30DEC25FUT", InstrumentKind.FUT, name),
            listed(venue, f"{name}30DEC2559000CE", InstrumentKind.CE, name, 59_000.0),
            listed(venue, f"{name}30DEC2559100CE", InstrumentKind.CE, name, 59_100.0),
        ]
    )
    watch = f"{index}:{name}"
    rules = [rule("OTM 1", watch=watch), LegRule(lots=1, kind=LegKind.FUTURE, watch=watch)]
    legs = resolve_legs(rules, NIFTY, {watch: 59_020.0}, book, OPEN, lambda _a, _b: None)
    assert [leg.instrument for leg in legs] == [f"{venue}:{name}30DEC2559100CE", f"{venue}:{name}30DEC25FUT"]
