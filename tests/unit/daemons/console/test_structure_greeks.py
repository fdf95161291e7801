"""Greeks of a structure: the sums over its legs, as changes of Black's price show them."""

from __future__ import annotations

from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.options.black76 import carried_forward, price_one
from mytrading.core.options.chain import YEAR_NS
from mytrading.core.time import MINUTE
from mytrading.daemons.console.scenario import RATE
from mytrading.daemons.console.structure_greeks import GreekLeg, net_greeks
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.risk_bench import CALL, NOW, PUT, WATCH, option

SPOT, VOLATILITY = 23_010.0, 0.14
FUTURE = "NFO:NIFTY30MAR26FUT"
BOOK = InstrumentBook(
    [
        Instrument(id=WATCH, exchange="NSE_INDEX", symbol="NIFTY", kind=InstrumentKind.INDEX, underlying="NIFTY"),
        Instrument(id=FUTURE, exchange="NFO", symbol=FUTURE[4:], kind=InstrumentKind.FUT, underlying="NIFTY"),
        option(CALL, InstrumentKind.CE),
        option(PUT, InstrumentKind.PE),
    ]
)
YEARS = (BOOK.expires_at_ns("NFO", "2026-03-24") - NOW) / YEAR_NS


def value(forward_move: float = 0.0, volatility: float = VOLATILITY, days: float = 0.0) -> float:
    """Of the straddle, sold once, in rupees."""
    forward = float(carried_forward(SPOT, YEARS, RATE)) + forward_move
    years = YEARS - days / 365
    return -65 * sum(price_one(forward, 23_000.0, years, volatility, RATE, call) for call in (True, False))


def test_greeks_are_what_a_small_move_makes() -> None:
    forward = float(carried_forward(SPOT, YEARS, RATE))
    prices = [price_one(forward, 23_000.0, YEARS, VOLATILITY, RATE, call) for call in (True, False)]
    legs = [GreekLeg(CALL, -65, prices[0]), GreekLeg(PUT, -65, prices[1]), GreekLeg(FUTURE, 65, SPOT)]
    found = net_greeks(legs, BOOK, {WATCH: SPOT}, NOW)
    assert found is not None
    assert abs(found.delta - 65 - (value(1) - value(-1)) / 2) < 0.01
    assert abs(found.gamma - (value(1) - 2 * value() + value(-1))) < 1e-3
    assert abs(found.vega - (value(volatility=VOLATILITY + 0.005) - value(volatility=VOLATILITY - 0.005))) < 1
    assert abs(found.theta - (value(days=0.001) - value()) / 0.001) < 2


def test_greeks_are_not_known_without_a_price_of_each_leg_and_of_the_underlying() -> None:
    leg = GreekLeg(CALL, -65, 150.0)
    assert net_greeks([leg, leg._replace(price=None)], BOOK, {WATCH: SPOT}, NOW) is None
    assert net_greeks([leg], BOOK, {WATCH: None}, NOW) is None
    assert net_greeks([leg], BOOK, {}, NOW) is None
    assert net_greeks([leg._replace(price=1e-9)], BOOK, {WATCH: SPOT * 1.2}, NOW) is None
    assert net_greeks([leg._replace(instrument="NFO:NIFTY01DEC2626000CE")], BOOK, {WATCH: SPOT}, NOW) is None
    closed = net_greeks([leg._replace(units=0)], BOOK, {}, NOW)
    assert closed is not None and tuple(closed) == (0, 0, 0, 0)


def test_decay_of_the_last_hour_is_no_more_than_the_time_value() -> None:
    late = BOOK.expires_at_ns("NFO", "2026-03-24") - 60 * MINUTE
    left = net_greeks([GreekLeg(CALL, -65, 18.0)], BOOK, {WATCH: SPOT}, late)
    assert left is not None
    inside = SPOT * (1 + RATE / 8760) - 23_000.0
    assert 0 < left.theta <= 65 * (18.0 - inside) + 1
