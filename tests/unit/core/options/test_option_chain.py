"""The option chain: tags of both sides, ratios and max pain by hand, greeks from quotes, strikes by a rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.options.chain import OptionChain, at_the_money, fair_price, max_pain, nearest_delta
from mytrading.core.options.chain import nearest_premium as by_premium
from mytrading.messages.market import Quote
from tests.kit.option_market import CE, NOW, PE, RATE, SPOT, WEEK, Market, name, option


@pytest.fixture
def market() -> Market:
    return Market()


def test_tags_mirror_each_other_and_move_when_the_spot_crosses_a_midpoint(market: Market) -> None:
    def tags() -> dict[float, tuple[str, str]]:
        view = market.chain.view(NOW, around=5)
        return {row.strike: (row.call.tag, row.put.tag) for row in view.rows if row.call and row.put}

    before = tags()
    assert before[24_050.0] == ("ATM", "ATM")
    assert before[23_900.0] == ("ITM 3", "OTM 3")
    assert before[24_200.0] == ("OTM 3", "ITM 3")
    market.move(24_075.5)
    assert tags()[24_050.0] == ("ITM 1", "OTM 1")
    assert tags()[24_100.0] == ("ATM", "ATM")


@pytest.mark.parametrize(("spot", "strike"), [(24_025.0, 24_000.0), (24_025.05, 24_050.0), (1.0, 23_000.0)])
def test_spot_between_two_strikes_takes_the_lower(market: Market, spot: float, strike: float) -> None:
    assert market.strikes[at_the_money(market.strikes, spot)] == strike


def test_strikes_that_are_not_listed_are_stepped_over() -> None:
    options = [option(strike, CE) for strike in (24_000.0, 24_050.0, 24_200.0)]
    chain = OptionChain("NIFTY", "2025-12-30", options, SPOT, NOW + WEEK, RATE)
    chain.apply(Quote(instrument=SPOT, market_ns=NOW, received_ns=0, ltp=24_040.0))
    view = chain.view(NOW)
    assert [(row.strike, row.call.tag if row.call else "", row.put) for row in view.rows] == [
        (24_000.0, "ITM 1", None), (24_050.0, "ATM", None), (24_200.0, "OTM 1", None)]  # fmt: skip


def test_both_sides_of_41_strikes_show_their_newest_quote(market: Market) -> None:
    def shown() -> dict[str, tuple[float | int | None, ...]]:
        sides = [side for row in market.chain.view(NOW, around=20).rows for side in (row.call, row.put)]
        return {
            side.instrument: (side.ltp, side.bid, side.ask, side.open_interest, side.volume) for side in sides if side
        }

    market.move(24_000.0)
    for turn in (0, 1):
        quoted = {}
        for place, strike in enumerate(market.strikes):
            for offset, right in ((0.0, CE), (0.5, PE)):
                price, count = 50.0 + place + offset + 100 * turn, 1000 * (turn + 1) + place
                fields = {"bid": price - 0.05, "ask": price + 0.1, "open_interest": count, "volume": 2 * count}
                market.quote(name(strike, right), price, **fields)
                quoted[name(strike, right)] = (price, *fields.values())
        assert shown() == quoted and len(quoted) == 82


def test_ratios_and_max_pain_equal_a_hand_calculation(market: Market) -> None:
    interest = {24_000.0: (100, 900), 24_050.0: (400, 500), 24_100.0: (1000, 200)}
    for strike, (calls, puts) in interest.items():
        market.quote(name(strike, CE), 50.0, open_interest=calls, volume=2 * calls)
        market.quote(name(strike, PE), 50.0, open_interest=puts, volume=puts)
    view = market.chain.view(NOW, around=0)
    assert (view.call_open_interest, view.put_open_interest) == (1500, 1600)
    assert view.pcr_open_interest == pytest.approx(1600 / 1500)
    assert view.pcr_volume == pytest.approx(1600 / 3000)
    assert (view.strikes_counted, view.strikes_listed) == (3, 41)
    # at 24,000 writers pay puts 50·500 + 100·200 = 45,000; at 24,050 calls 50·100 + puts 50·200 = 15,000;
    # at 24,100 calls 100·100 + 50·400 = 30,000
    assert view.max_pain == 24_050.0
    assert len(view.rows) == 1


def test_ratios_without_interest_are_none_not_zero(market: Market) -> None:
    view = market.chain.view(NOW)
    assert (view.pcr_open_interest, view.pcr_volume, view.max_pain) == (None, None, None)
    assert max_pain(np.array([]), np.array([]), np.array([])) is None


def test_volatility_and_greeks_come_back_from_quotes(market: Market) -> None:
    market.priced(24_061.0, 0.13)
    view = market.chain.view(NOW, around=10)
    assert view.forward == pytest.approx(24_061.0, abs=1e-6)
    for row in view.rows:
        assert row.call is not None
        assert row.put is not None
        assert row.call.iv == pytest.approx(0.13, abs=1e-9)
        assert row.put.iv == pytest.approx(0.13, abs=1e-9)
        assert row.call.delta is not None
        assert row.put.delta is not None
        assert row.call.delta - row.put.delta == pytest.approx(math.exp(-RATE * 7 / 365))
        assert row.call.gamma == pytest.approx(row.put.gamma)
        assert row.call.rho is not None
        assert row.call.rho < 0.0, "of an option on a forward that is held: the premium is discounted more"


def test_option_without_a_quote_says_so_and_invents_nothing(market: Market) -> None:
    market.quote(name(24_050.0, CE), 120.0)
    (row,) = market.chain.view(NOW, around=0).rows
    assert row.call is not None
    assert row.put is not None
    assert (row.call.bid, row.call.ask, row.call.open_interest, row.call.ltp) == (None, None, None, 120.0)
    assert row.call.iv is not None, "the forward is carried from the spot while no pair is quoted"
    assert (row.put.why, row.put.iv, row.put.ltp) == ("no quote", None, None)


def test_price_without_time_value_has_no_volatility_and_a_reason(market: Market) -> None:
    market.priced(24_037.0, 0.13)
    market.quote(name(23_500.0, CE), 500.0)
    row = next(row for row in market.chain.view(NOW).rows if row.strike == 23_500.0)
    assert row.call is not None
    assert (row.call.iv, row.call.why) == (None, "below intrinsic")


@pytest.mark.parametrize(
    ("ltp", "bid", "ask", "price"),
    [(100.0, 99.0, 101.0, 100.0), (100.0, 50.0, 150.0, 100.0), (100.0, 0.0, 101.0, 100.0), (100.0, 102.0, 101.0, 100.0),
     (100.0, None, None, 100.0), (0.0, 9.0, 11.0, 10.0), (0.0, None, None, None)],
)  # fmt: skip
def test_fair_price_is_the_middle_of_a_sane_spread(
    ltp: float, bid: float | None, ask: float | None, price: float | None
) -> None:
    assert fair_price(Quote(instrument="x", market_ns=0, received_ns=0, ltp=ltp, bid=bid, ask=ask)) == price


def test_older_quote_and_foreign_one_change_nothing(market: Market) -> None:
    assert not market.quote("NFO:BANKNIFTY30DEC2551000CE", 1.0)
    market.clock -= 100
    assert not market.quote(SPOT, 1.0)
    assert market.chain.spot_price() == 24_037.0


def test_premium_tie_takes_the_one_not_above_then_the_lower_strike(market: Market) -> None:
    for strike, premium in {24_000.0: 131.0, 24_050.0: 104.0, 24_100.0: 96.0, 24_150.0: 80.0}.items():
        market.quote(name(strike, CE), premium)
    assert by_premium(market.chain.view(NOW), CE, 100.0).instrument == name(24_100.0, CE)
    market.quote(name(24_150.0, CE), 96.0)
    assert by_premium(market.chain.view(NOW), CE, 100.0).instrument == name(24_100.0, CE)
    with pytest.raises(NoSuchContract, match="no PE of NIFTY 2025-12-30 has a price"):
        by_premium(market.chain.view(NOW), PE, 100.0)


def test_delta_picks_the_nearest_on_either_side(market: Market) -> None:
    market.priced(24_037.0, 0.13)
    view = market.chain.view(NOW)
    for right in (CE, PE):
        found = nearest_delta(view, right, 0.30)
        assert found.delta is not None
        best = min(abs(abs(side.delta) - 0.30) for _, side in view.options_of(right) if side.delta is not None)
        assert abs(abs(found.delta) - 0.30) == best
        assert found.tag.startswith("OTM")
    with pytest.raises(NoSuchContract, match="has a delta yet"):
        nearest_delta(Market().chain.view(NOW), CE, 0.3)


def test_instruments_to_watch_are_those_around_the_money(market: Market) -> None:
    names = market.chain.instruments(24_037.0, 20)
    assert len(names) == 1 + 2 * 40, "the money is one strike above the middle of those listed"
    assert names[0] == SPOT
    assert market.chain.instruments(24_037.0, 1)[1:] == tuple(
        name(strike, right) for strike in (24_000.0, 24_050.0, 24_100.0) for right in (CE, PE)
    )


def test_chain_without_options_is_refused() -> None:
    with pytest.raises(NoSuchContract, match="no option of NIFTY expires on 2025-12-30"):
        OptionChain("NIFTY", "2025-12-30", [], SPOT, NOW, RATE)
