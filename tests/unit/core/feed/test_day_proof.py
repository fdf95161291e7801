"""Which frames prove that an exchange trades today, on a day of a year without holidays, and which do not."""

from __future__ import annotations

import tomllib
from datetime import date, time

import pytest

from mytrading.core.calendar import Calendar
from mytrading.core.feed.day_proof import REST, DayProof
from mytrading.core.feed.quote_fields import DEPTH, LTP, QUOTE
from mytrading.core.time import DAY, SECOND, to_ns
from mytrading.messages.brokers import FeedRules, FrameKind, StampSource
from mytrading.messages.market import Quote
from tests.kit.project import ROOT

DATE = date(2027, 1, 27)
OPEN = to_ns(DATE, time(9, 15))
SHARE, FUTURE = "NSE:SBIN", "MCX:GOLDPETAL29JAN27FUT"
EQUITY = {"NSE", "NFO", "BSE", "BFO", "NSE_INDEX", "BSE_INDEX"}
STAMPED = FeedRules(stamps=StampSource.EXCHANGE)


class Looked:
    """A feed's look at frames from the open on, a second apart."""

    def __init__(self, rules: FeedRules | None = None) -> None:
        calendar = Calendar.from_dict(tomllib.loads((ROOT / "config" / "calendar.toml").read_text(encoding="utf-8")))
        self.rules, self.now = rules or FeedRules(), OPEN
        self.proof = DayProof(calendar)
        self.proof.follow(self.now)

    def frame(
        self, ltp: float, volume: int | None = None, *, kind: int = QUOTE, instrument: str = SHARE, traded: int = 0,
        bid: float = 99.0,
    ) -> None:  # fmt: skip
        self.now += SECOND
        quote = Quote(instrument, self.now, self.now, ltp, bid=bid, volume=volume, exchange_ns=traded or None)
        self.proof.on_frame(quote, kind, self.now, self.rules)

    @property
    def proven(self) -> set[str]:
        level = self.proof.level()
        return set(level.exchanges) if level is not None else set()


def test_frames_of_a_closed_day_were_taken_for_trading() -> None:
    """A server repeats the last close, its book may change, and each frame has the time of its receipt."""
    looked = Looked()
    for bid in (99.0, 99.5, 0.0):
        for kind in (LTP, QUOTE, DEPTH, REST):
            looked.frame(100.0, 5000, kind=kind, bid=bid)
    assert looked.proven == set() and looked.proof.news() is None and looked.proof.waits


@pytest.mark.parametrize("second", [(100.05, 5000), (100.0, 5001)])
def test_last_price_or_volume_that_changes_in_the_session_proves_the_day(second: tuple[float, int]) -> None:
    looked = Looked()
    looked.frame(100.0, 5000)
    assert looked.proven == set(), "one frame says nothing"
    looked.frame(*second)
    assert looked.proven == EQUITY
    news = looked.proof.news()
    assert news is not None and (news.day, news.exchanges["NFO"]) == ("2027-01-27", SHARE)
    assert looked.proof.news() is None and looked.proof.level() is not None
    assert looked.proof.waits, "of commodities nothing is known yet"


def test_price_of_a_share_proves_nothing_of_commodities_and_theirs_nothing_of_shares() -> None:
    looked = Looked()
    for price in (100.0, 101.0):
        looked.frame(price, instrument=FUTURE)
    assert looked.proven == {"MCX", "NCO"}


@pytest.mark.parametrize(
    ("frames", "rules"),
    [
        ([(100.0, 5000, LTP), (100.4, 5000, QUOTE)], FeedRules()),  # the middle of a book and a trade
        ([(100.0, 5000, QUOTE), (100.0, 0, QUOTE)], FeedRules()),  # a counter that began anew
        ([(100.0, 5000, QUOTE), (100.0, 5010, QUOTE)], FeedRules(has_volume=False)),  # quantities of something else
        ([(100.0, 5000, LTP), (100.0, 5010, LTP)], FeedRules(volume_frame=FrameKind.QUOTE)),
        ([(0.0, None, QUOTE), (100.0, None, QUOTE)], FeedRules()),  # no price, and then the last close
    ],
)
def test_frames_that_differ_for_another_reason_were_taken_for_trading(
    frames: list[tuple[float, int | None, int]], rules: FeedRules
) -> None:
    looked = Looked(rules)
    for ltp, volume, kind in frames:
        looked.frame(ltp, volume, kind=kind)
    assert looked.proven == set()


def test_prices_of_before_the_open_and_of_another_day_prove_nothing() -> None:
    looked = Looked()
    looked.proof.follow(OPEN - SECOND)
    looked.now = OPEN - 3 * SECOND
    looked.frame(100.0)
    looked.frame(101.0)
    looked.proof.follow(OPEN)
    looked.now = OPEN
    looked.frame(102.0)
    assert looked.proven == set(), "the first of the session has none to differ from"
    looked.frame(103.0)
    assert looked.proven == EQUITY
    looked.proof.follow(OPEN + DAY)
    assert looked.proven == set() and looked.proof.waits, "each day asks for a price of its own"


def test_time_of_a_trade_counts_only_where_the_stamps_are_the_exchanges() -> None:
    for rules, proven in ((FeedRules(), set()), (FeedRules(stamps=StampSource.RECEIPT), set()), (STAMPED, EQUITY)):
        looked = Looked(rules)
        looked.frame(100.0, traded=OPEN + SECOND)
        assert looked.proven == proven
    looked = Looked(STAMPED)
    looked.frame(100.0, traded=OPEN - 18 * 3600 * SECOND)
    assert looked.proven == set(), "yesterday's last trade"


def test_year_with_holidays_is_not_looked_at() -> None:
    looked = Looked()
    looked.proof.follow(to_ns(date(2026, 11, 25), time(11, 0)))
    assert not looked.proof.waits
