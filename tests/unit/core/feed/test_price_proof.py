"""Last prices that contradict their own book or what a call is a call on, and live prices that only look so."""

from __future__ import annotations

import pytest

from mytrading.core.feed.price_proof import BOOK_NS, PriceProof
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.no_price import contradicts_book, stand_in
from mytrading.core.time import SECOND
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote

CALL, PUT, INDEX = "NFO:NIFTY24MAR2623000CE", "NFO:NIFTY24MAR2623000PE", "NSE_INDEX:NIFTY"


def proof() -> PriceProof:
    """Prices are fresh for five seconds; a call, a put and their index are listed."""
    made = PriceProof(5 * SECOND)
    index = Instrument(id=INDEX, exchange="NSE_INDEX", symbol="NIFTY", kind=InstrumentKind.INDEX, underlying="NIFTY")
    options = [
        Instrument(
            id=name, exchange="NFO", symbol=name[4:], kind=kind, underlying="NIFTY", expiry="2026-03-24", strike=23000
        )
        for name, kind in ((CALL, InstrumentKind.CE), (PUT, InstrumentKind.PE))
    ]
    made.set_instruments(InstrumentBook([index, *options]))
    return made


def quote(ltp: float, bid: float | None = None, ask: float | None = None, *, name: str = CALL, at: float = 0) -> Quote:
    return Quote(name, round(at * SECOND), round(at * SECOND), ltp, bid, ask)


@pytest.mark.parametrize(
    ("ltp", "bid", "ask"), [(1010.0, 99.0, 100.0), (8.0, 99.0, 100.0), (9.0, 99.0, None), (23000.0, None, 100.0)]
)
def test_price_ten_times_off_its_own_book_was_believed(ltp: float, bid: float | None, ask: float | None) -> None:
    """FA13: another instrument's price in the frame of an option of 100."""
    made = proof()
    for second in range(30):
        assert made.is_none(quote(ltp, bid, ask, at=second)), "it was believed because it persisted"
    assert made.refused == 30


@pytest.mark.parametrize(
    ("ltp", "bid", "ask"),
    [
        (999.0, 99.0, 100.0),  # less than ten times
        (4.0, 0.05, 0.1),  # forty times, but less than five rupees
        (0.05, 4.0, 4.5),
        (12.0, None, None),
        (1010.0, 120.0, 100.0),  # crossed: the book is not known
    ],
)
def test_live_price_that_a_cheap_or_unknown_book_does_not_contradict_is_one(
    ltp: float, bid: float | None, ask: float | None
) -> None:
    assert not proof().is_none(quote(ltp, bid, ask))


def test_ten_ticks_of_a_coarse_instrument_contradict_nothing() -> None:
    """A tick of 1 rupee: 9.5 rupees above an ask of 0.9 are less than ten ticks; with a tick of 0.05 they are many."""
    assert not contradicts_book(quote(10.4, 0.5, 0.9), 1.0)
    assert contradicts_book(quote(10.4, 0.5, 0.9), 0.05)


def test_call_that_costs_more_than_its_index_was_believed() -> None:
    """F3: the index's token answered in the call's frame."""
    made = proof()
    made.believe(quote(22990.0, name=INDEX))
    assert made.is_none(quote(23000.0, at=4))


def test_put_an_old_index_and_one_never_believed_prove_nothing_of_a_price() -> None:
    made = proof()
    assert not made.is_none(quote(23000.0)), "the index has no believed price"
    made.believe(quote(22990.0, name=INDEX))
    assert not made.is_none(quote(23000.0, name=PUT)), "a put may cost more than its index stands at"
    assert not made.is_none(quote(22990.0)), "as much is not above"
    assert not made.is_none(quote(23000.0, at=6)), "the index is older than a fresh price may be"


def test_rest_price_without_a_book_is_held_against_that_of_the_frame_that_was_none() -> None:
    made = proof()
    assert made.is_none(quote(1010.0, 99.0, 100.0))
    assert made.is_none(quote(1010.0, at=3)), "the same wrong price over REST"
    assert not made.is_none(quote(100.0, at=3))
    assert not made.is_none(quote(1010.0, at=BOOK_NS / SECOND + 1)), "the book is too old to deafen it"


def test_doubt_ends_with_a_believed_price_and_with_the_subscription() -> None:
    made = proof()
    for end in (lambda: made.believe(quote(100.0, at=1)), lambda: made.forget(CALL)):
        assert made.is_none(quote(1010.0, 99.0, 100.0)) and made.is_doubted(CALL)
        end()
        assert not made.is_doubted(CALL)


@pytest.mark.parametrize(
    ("bid", "ask", "option", "middle"),
    [(99.0, 101.0, False, 100.0), (None, 0.3, True, 0.15), (None, 0.3, False, 0.0), (99.0, None, True, 0.0),
     (101.0, 99.0, True, 0.0)],
)  # fmt: skip
def test_middle_stands_in_only_for_a_known_book(
    bid: float | None, ask: float | None, option: bool, middle: float
) -> None:
    assert stand_in(quote(0.0, bid, ask), option) == pytest.approx(middle)
