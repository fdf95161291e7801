"""The six counts of prices, each by made evidence that it must see, and by evidence that it must not.

One share that trades once a second at prices of its own formula, minutes from 10:00; a bar is made here, by hand, from
those of its minute. What a test changes is named in it.
"""

from __future__ import annotations

from datetime import date, time

import pytest
from msgspec.structs import replace

from lab.brokers.price_judge import (
    DEAF_ALERTS,
    HISTORY_ALERTS,
    OWN_CLOCK_NS,
    Facts,
    Look,
    PriceEvidence,
    Sent,
    Span,
    Trial,
    Watched,
    facts_of,
    judge_prices,
)
from lab.brokers.record import AlertSpan
from mytrading.core.time import DAY, MINUTE, SECOND, to_ns
from mytrading.daemons.feed.alerts import STATE_ALERTS
from mytrading.messages.market import Bar
from mytrading.simulator.settings.feed_profile import FeedProfile, FrameForm, HistoryForm, SocketForm

SHARE, INDEX = "NSE:SBIN", "NSE_INDEX:NIFTY"
TEN = to_ns(date(2026, 11, 18), time(10))
YESTERDAY = to_ns(date(2026, 11, 17), time())
MINUTES = 8
LIVE = Span(TEN, TEN + MINUTES * MINUTE)
MUTE = Span(1000 * SECOND, 1030 * SECOND)
"""Machine time, which has nothing to do with the market's."""
QUOTES = tuple(Sent(TEN + s * SECOND, 1000.0 + s % 60 * 0.5, 5000 + 10 * s) for s in range(MINUTES * 60))


def bar(minute: int, *, name: str = SHARE, ticks: int = 60, begin: int = TEN, **other: float) -> Bar:
    """A minute of `QUOTES`: from 1000 up to 1029.5, 600 units."""
    start = begin + minute * MINUTE
    first = 590 if minute == 0 and begin == TEN else 600  # its first quote begins the counter
    values = {"open": 1000.0, "high": 1029.5, "low": 1000.0, "close": 1029.5, "volume": first, **other}
    return Bar(name, "1m", start, start + MINUTE, values["open"], values["high"], values["low"], values["close"],
               int(values["volume"]), ticks)  # fmt: skip


PLAIN = Facts()
PAST = {at.start_ns: at for at in (bar(m, ticks=0, begin=YESTERDAY + 10 * 60 * MINUTE) for m in range(3))}
TRUE = PAST | {at.start_ns: at for at in (bar(m, ticks=0) for m in range(MINUTES))}
GOOD_BARS = (*PAST.values(), *(bar(m) for m in range(MINUTES)))


def share(*bars: Bar, sent: tuple[Sent, ...] = QUOTES, name: str = SHARE, **other: object) -> Watched:
    return Watched(name, 0.05, sent, TRUE, bars or GOOD_BARS, Span(YESTERDAY, YESTERDAY + DAY), **other)  # type: ignore[arg-type]


def with_bar(changed: Bar) -> tuple[Bar, ...]:
    return tuple(changed if one.start_ns == changed.start_ns else one for one in GOOD_BARS)


def look(at_s: float, age: float | None = 0.1, *, ready: bool = True, problem: str = "") -> Look:
    return Look(round(at_s * SECOND), ready, {SHARE: age}, {SHARE: problem} if problem else {})


def found(
    one: Watched, facts: Facts = PLAIN, *, looks: tuple[Look, ...] = (look(1040),), trials: tuple[Trial, ...] = (),
    alerts: tuple[AlertSpan, ...] = (), late: int = 0,
) -> dict[str, list[str]]:  # fmt: skip
    verdict = judge_prices(PriceEvidence(facts, [one], LIVE, MUTE, looks, trials, alerts, late))
    return {kind: lines for kind, lines in verdict._asdict().items() if lines}


def alert(code: str, text: str = "", subject: str = SHARE, last_s: int = 1040) -> AlertSpan:
    return AlertSpan(code, subject, text, 0, last_s * SECOND)


def test_bars_of_what_was_sent_count_nothing() -> None:
    assert found(share()) == {}


@pytest.mark.parametrize(
    ("field", "value"), [("open", 1000.5), ("close", 1029.0), ("high", 1029.0), ("high", 1030.0), ("low", 999.5),
                         ("low", 1000.5)]
)  # fmt: skip
def test_price_of_a_bar_that_is_off_by_more_than_a_tick_is_seen(field: str, value: float) -> None:
    (line,) = found(share(*with_bar(replace(bar(2), **{field: value}))))["price"]
    assert line.startswith(f"{SHARE} 18 Nov 10:02: {field} {value:g}")


@pytest.mark.parametrize("off", [0.05, -0.05])
def test_one_tick_off_is_none(off: float) -> None:
    """The middle of bid and ask, rounded, may lie a tick beside the last trade."""
    assert found(share(*with_bar(bar(2, close=1029.5 + off, high=1029.5 + max(off, 0.0))))) == {}


def test_edge_that_is_off_by_seconds_is_seen_where_frames_are_stamped_and_allowed_where_they_are_not() -> None:
    late = bar(2, close=1028.0, high=1028.0, volume=570)  # without the last three seconds
    assert set(found(share(*with_bar(late)))) == {"price", "volume"}
    assert found(share(*with_bar(late)), Facts(slack_ns=OWN_CLOCK_NS)) == {}
    assert found(share(*with_bar(late)), late=3) == {}, "the feed says that quotes came after their bar"
    half = bar(2, close=1015.0, high=1015.0, volume=310)
    assert set(found(share(*with_bar(half)), Facts(slack_ns=OWN_CLOCK_NS))) == {"price", "volume"}


def test_bar_of_a_minute_in_which_nothing_was_sent_is_seen() -> None:
    quiet = tuple(quote for quote in QUOTES if not 120 <= (quote.at_ns - TEN) // SECOND < 180)
    assert "although nothing was sent" in found(share(sent=quiet))["price"][0]


def test_quote_that_repeats_the_one_before_may_begin_no_bar_where_old_values_are_sent_again() -> None:
    same = tuple(quote._replace(ltp=1029.5) if quote.at_ns == TEN + 2 * MINUTE else quote for quote in QUOTES)
    bars, repeats = with_bar(bar(2, open=1000.5, low=1000.5)), Facts(repeats=True)
    assert set(found(share(*bars, sent=same))) == {"price"}, "the bar misses its first trade, at 1029.5"
    assert found(share(*bars, sent=same), repeats) == {}
    assert set(found(share(*with_bar(bar(2, open=1001.0, low=1001.0)), sent=same), repeats)) == {"price"}


@pytest.mark.parametrize("volume", [0, 599, 601, 1200])
def test_volume_that_is_not_the_growth_of_the_counter_is_seen(volume: int) -> None:
    assert found(share(*with_bar(bar(2, volume=volume)))) == {
        "volume": [f"{SHARE} 18 Nov 10:02: volume {volume}, traded 600"]
    }


def test_volume_of_a_broker_whose_frames_have_none_has_to_be_unknown() -> None:
    without = Facts(has_volume=False)
    assert len(found(share(), without)["volume"]) == MINUTES
    none = tuple(bar(m, volume=0) for m in range(MINUTES))
    assert found(share(*PAST.values(), *none), without) == {}


def test_minute_that_was_sent_and_has_no_bar_is_seen() -> None:
    bars = tuple(one for one in GOOD_BARS if one.start_ns != TEN + 2 * MINUTE)
    assert found(share(*bars)) == {"deaf": [f"{SHARE}: no bar of 1 minutes in which it was sent: 10:02"]}


@pytest.mark.parametrize("code", sorted(DEAF_ALERTS))
def test_alert_of_quotes_that_do_not_come_is_seen(code: str) -> None:
    assert found(share(), alerts=(alert(code, "deaf"),)) == {"deaf": [f"{code} {SHARE}: deaf"]}


def test_alerts_that_the_judge_looks_for_are_those_of_the_feed() -> None:
    """A code that the feed never raises would be looked for in vain."""
    assert STATE_ALERTS >= DEAF_ALERTS | HISTORY_ALERTS


def test_alert_of_an_instrument_that_loses_its_token_is_none_at_brokers_that_look_at_the_token_alone() -> None:
    loser, told = share(shares_token=True), (alert("PRICES_APART"),)
    assert found(loser, Facts(bare_tokens=True), alerts=told) == {}
    assert set(found(loser, alerts=told)) == {"deaf"}


def test_feed_that_is_not_ready_or_has_no_price_or_was_not_looked_at_is_seen() -> None:
    assert found(share(), looks=(look(1, ready=False), look(2)))["deaf"] == ["the feed was not ready at 1 of 2 looks"]
    refused = found(share(), looks=(look(1, None, problem="no such mode"),))["deaf"]
    assert refused == [f"{SHARE}: no price: no such mode"]
    assert found(share(), looks=())["deaf"] == ["the feed was never looked at"]


@pytest.mark.parametrize(
    ("facts", "mode", "said"),
    [
        (PLAIN, "Quote", [f"{SHARE}: not on Depth frames, although its quotes had no offers"]), (PLAIN, "Depth", []),
        (Facts(has_depth=False), "Quote", []),
    ],
)  # fmt: skip
def test_share_whose_quotes_had_no_offers_and_that_is_not_on_depth_is_seen(
    facts: Facts, mode: str, said: list[str]
) -> None:
    looks = (look(1040)._replace(modes={SHARE: mode}),)
    assert found(share(on_depth=True), facts, looks=looks).get("deaf", []) == said
    assert found(share(), facts, looks=looks) == {}, "nobody wants it on Depth"


def test_share_that_loses_its_token_need_not_be_on_depth() -> None:
    looks = (look(1040)._replace(modes={SHARE: "REST"}),)
    assert found(share(on_depth=True, shares_token=True), Facts(bare_tokens=True), looks=looks) == {}


MUTED = Span(TEN + 4 * MINUTE, TEN + 7 * MINUTE)
STALE = {"STALE_QUOTE": "too old"}
AGED, DENIED = look(1025, 24.0), Trial(1025 * SECOND, SHARE, STALE)
MUTED_BARS = tuple(one for one in GOOD_BARS if not MUTED.begin_ns <= one.start_ns < MUTED.end_ns)


def muted(*bars: Bar) -> Watched:
    resumed = bar(7, volume=600 + 1800)
    kept = tuple(resumed if one.start_ns == resumed.start_ns else one for one in bars or MUTED_BARS)
    return share(*kept, muted=MUTED)


def test_share_that_ages_while_nothing_comes_and_is_refused_counts_nothing() -> None:
    assert found(muted(), looks=(AGED, look(1040)), trials=(DENIED,)) == {}


def test_share_that_is_young_while_nothing_comes_is_seen() -> None:
    lines = found(muted(), looks=(look(1025, 0.4), look(1040)), trials=(DENIED,))["frozen"]
    assert lines == [f"{SHARE}: 0.4 s old 25 s after the last quote of it was sent"]


def test_share_that_risk_would_enter_while_nothing_comes_is_seen() -> None:
    (line,) = found(muted(), looks=(AGED,), trials=(Trial(1025 * SECOND, SHARE, {}),))["frozen"]
    assert line.startswith(f"{SHARE}: risk would enter it 25 s after")


def test_mute_at_which_nobody_looked_proves_nothing_and_is_seen() -> None:
    assert len(found(muted(), looks=(look(1040),))["frozen"]) == 2


@pytest.mark.parametrize(("more", "kinds"), [(20, set()), (200, {"volume"})])
def test_bar_behind_a_mute_begins_its_volume_at_quotes_that_were_sent_just_before_it(
    more: int, kinds: set[str]
) -> None:
    """What was sent in the last instant before the mute may not have left the server: two quotes, never twenty."""
    resumed = bar(7, volume=600 + 1800 + more)
    one = share(*(resumed if each.start_ns == resumed.start_ns else each for each in MUTED_BARS), muted=MUTED)
    assert set(found(one, looks=(AGED,), trials=(DENIED,))) == kinds


@pytest.mark.parametrize(("volume", "kinds"), [(600, set()), (0, {"volume"})])
def test_volume_of_a_mute_that_ends_just_before_a_minute_is_in_the_bar_before(volume: int, kinds: set[str]) -> None:
    """Three quotes came in the last seconds of the minute in which the mute ended: the next bar has its own alone."""
    last = bar(6, open=1028.5, low=1028.5, ticks=3, volume=1800)
    muted_now = MUTED._replace(end_ns=TEN + 7 * MINUTE - 3 * SECOND)
    before = (one for one in GOOD_BARS if one.start_ns < MUTED.begin_ns)
    bars = (*before, last, bar(7, volume=volume))
    assert set(found(share(*bars, muted=muted_now), looks=(AGED,), trials=(DENIED,))) == kinds


@pytest.mark.parametrize(("first", "kinds"), [(1002.5, set()), (1020.0, {"price"})])
def test_bar_behind_a_mute_may_open_at_a_quote_of_the_moment_in_which_it_ended(first: float, kinds: set[str]) -> None:
    """The harness knows the end of a mute once the server has answered: quotes of a moment before it came already."""
    resumed = bar(7, open=first, low=first, volume=600 + 1800)
    one = share(
        *(resumed if each.start_ns == resumed.start_ns else each for each in MUTED_BARS),
        muted=MUTED._replace(end_ns=MUTED.end_ns + 6 * SECOND),
    )
    assert set(found(one, looks=(AGED,), trials=(DENIED,))) == kinds


def test_bar_of_repeated_prices_is_seen() -> None:
    """A cache that sends its last value again with new stamps trades nothing."""
    flat = bar(5, open=1029.5, low=1029.5, volume=0)
    seen = found(muted(*MUTED_BARS[:-1], flat, *MUTED_BARS[-1:]), looks=(AGED,), trials=(DENIED,))
    assert [line.partition(": ")[2] for line in seen["price"]] == ["a bar at 1029.5 although nothing was sent"]


def test_past_minutes_that_are_shifted_or_of_other_prices_are_seen() -> None:
    live = GOOD_BARS[len(PAST) :]
    shifted = tuple(bar(m + 30, ticks=0, begin=YESTERDAY + 10 * 60 * MINUTE) for m in range(3))
    lines = found(share(*shifted, *live))["history"]
    assert [("which the market has not" in line) for line in lines] == [True, True, True, False]
    assert "3 of 3 past minutes missing from 17 Nov 10:00 on, unnamed" in lines[-1]
    first, *others = PAST.values()
    odd = bar(0, ticks=0, begin=first.start_ns, volume=1)
    assert len(found(share(odd, *others, *live))["history"]) == 1


def test_past_minutes_that_are_missing_have_to_be_named_with_what_is_wrong() -> None:
    live = share(*GOOD_BARS[len(PAST) :])
    late, told = Facts(minutes_late=30), "history of NSE:SBIN: history is 30 minutes late"
    assert set(found(live, late)) == {"history"}
    assert found(live, late, alerts=(alert("HISTORY_MISSING", told),)) == {}
    assert set(found(live, late, alerts=(alert("HISTORY_MISSING", "history is 330 minutes late"),))) == {"history"}
    assert set(found(live, alerts=(alert("HISTORY_MISSING", told),))) == {"history"}, "a shift that is none"
    ended = alert("HISTORY_MISSING", told, last_s=1000)
    assert set(found(live, late, alerts=(ended,))) == {"history"}, "asked again, and still missing"
    none = Facts(has_history=False)
    assert set(found(live, none)) == {"history"}
    assert found(live, none, alerts=(alert("HISTORY_NONE", subject="feed"),)) == {}
    unreadable = Facts(has_history=False, unreadable=True)
    assert set(found(live, unreadable, alerts=(alert("HISTORY_NONE", subject="feed"),))) == {"history"}
    assert set(found(live, unreadable, alerts=(alert("HISTORY_MISSING", told, INDEX),))) == {"history"}
    assert found(live, unreadable, alerts=(alert("HISTORY_MISSING", "no field `timestamp`"),)) == {}


@pytest.mark.parametrize(
    "code", ["PRICE_DISBELIEVED", "HISTORY_HOLE", "BARS_MISSING", "BROKER_REFUSED", "STALE_QUOTE", "NO_QUOTE"]
)
def test_entry_that_a_rule_refuses_without_a_reason_is_seen(code: str) -> None:
    trial = Trial(1040 * SECOND, SHARE, {code: "so"})
    assert found(share(), trials=(trial, trial)) == {"refused": [f"{SHARE}: {code}: so"]}


@pytest.mark.parametrize(
    ("code", "facts", "shares_token"),
    [
        ("PRICE_DISBELIEVED", Facts(bare_tokens=True), True),
        ("BARS_MISSING", Facts(bare_tokens=True), True), ("HISTORY_HOLE", Facts(has_history=False), False),
        ("BROKER_REFUSED", Facts(refuses=True), False),
    ],
)  # fmt: skip
def test_entry_that_a_rule_refuses_with_a_reason_is_none(code: str, facts: Facts, shares_token: bool) -> None:
    trial, told = Trial(1040 * SECOND, SHARE, {code: "so"}), (alert("HISTORY_NONE", subject="feed"),)
    assert found(share(shares_token=shares_token), facts, trials=(trial,), alerts=told) == {}


def test_index_that_is_asked_for_is_sampled_within_the_moves_of_one_machine_second() -> None:
    asked = Facts(index_prices=False)
    near = tuple(bar(m, name=INDEX, open=1010.0, close=1020.0, high=1025.0, low=1005.0) for m in range(MINUTES))
    looks = (Look(0, True, {INDEX: 0.1}, {}),)
    index = share(*PAST.values(), *near, name=INDEX, is_index=True)
    assert found(index, asked, looks=looks) == {}
    assert set(found(index, looks=looks)) == {"price"}
    far = tuple(bar(m, name=INDEX, high=1040.0) for m in range(MINUTES))
    assert set(found(share(*PAST.values(), *far, name=INDEX, is_index=True), asked, looks=looks)) == {"price"}


def test_facts_are_those_of_the_simulators_profile() -> None:
    plain = FeedProfile(name="plain")
    assert facts_of(plain, refuses=False) == PLAIN
    candle = FeedProfile(name="x", socket=SocketForm(quote=FrameForm(stamp="candle"), token="all"))
    assert facts_of(candle, refuses=True) == Facts(slack_ns=OWN_CLOCK_NS, bare_tokens=True, refuses=True)
    poor = FeedProfile(
        name="y",
        socket=SocketForm(
            quote=FrameForm(volume="last"), depth=FrameForm(volume="none"), index=FrameForm(price="zero")
        ),
        history=HistoryForm(bars="none", minutes_late=30),
    )
    assert facts_of(poor, refuses=False) == Facts(
        has_volume=False, index_prices=False, has_history=False, minutes_late=30
    )
    for mode, has_depth in (("depth", False), ("index depth", True)):
        refuses = FeedProfile(name="z", socket=SocketForm(refuses=(mode,)))
        assert facts_of(refuses, refuses=False) == Facts(has_depth=has_depth)
