"""Subscriptions: batches, answers, refusals, reconnects, and the way from Quote to Depth."""

from __future__ import annotations

from typing import Any

from mytrading.adapters.openalgo.market_feed import Acknowledged, FeedMode
from mytrading.adapters.openalgo.subscriptions import ANSWER_NS, FIRST_RETRY_NS, Subscriptions

LTP, QUOTE, DEPTH = FeedMode
SBIN, INFY, TCS = "NSE:SBIN", "NSE:INFY", "NSE:TCS"


def subscriptions(*instruments: str, most: int = 100, batch: int = 50, depth: bool = True) -> Subscriptions:
    made = Subscriptions(most, batch, depth)
    for instrument in instruments:
        assert made.want(instrument)
    return made


def symbols(request: dict[str, Any] | None) -> list[str]:
    assert request is not None
    return [item["symbol"] for item in request["symbols"]]


def accept(made: Subscriptions, request: dict[str, Any] | None, now: int = 0) -> list[str]:
    assert request is not None
    pairs = tuple((f"{item['exchange']}:{item['symbol']}", request["mode"]) for item in request["symbols"])
    return made.answered(Acknowledged(request["request_id"], pairs, ()), now)


def test_request_is_one_batch_with_an_id_and_the_next_call_gives_the_rest() -> None:
    made = subscriptions(SBIN, INFY, TCS, batch=2)
    first, second = made.next_request(0), made.next_request(0)
    assert (symbols(first), symbols(second)) == (["SBIN", "INFY"], ["TCS"])
    assert first is not None and second is not None
    assert first["mode"] == "Quote" and first["request_id"] != second["request_id"]
    assert made.next_request(0) is None


def test_instrument_counts_as_subscribed_only_once_the_answer_names_it() -> None:
    made = subscriptions(SBIN, INFY)
    request = made.next_request(0)
    assert made.accepted == 0
    answer = Acknowledged(request["request_id"], ((SBIN, "Quote"),), ((INFY, "no token"),))  # type: ignore[index]
    assert made.answered(answer, 0) == [SBIN]
    assert made.is_accepted(SBIN) and not made.is_accepted(INFY)
    assert made.refused == {INFY: "no token"}


def test_instrument_that_the_answer_leaves_out_is_refused() -> None:
    made = subscriptions(SBIN, INFY)
    request = made.next_request(0)
    made.answered(Acknowledged(request["request_id"], ((SBIN, "Quote"),), ()), 0)  # type: ignore[index]
    assert list(made.refused) == [INFY]


def test_refused_instrument_is_tried_again_at_growing_delays() -> None:
    made = subscriptions(SBIN)
    now = 0
    waits = []
    for _ in range(3):
        request = made.next_request(now)
        made.answered(Acknowledged(request["request_id"], (), ((SBIN, "no"),)), now)  # type: ignore[index]
        began = now
        while made.next_request(now) is None:
            now += FIRST_RETRY_NS // 5
        waits.append(now - began)
        made.failed(now)
        now += 20 * FIRST_RETRY_NS
    assert waits == sorted(waits) and waits[0] >= FIRST_RETRY_NS


def test_unanswered_request_is_repeated_only_after_the_longest_known_freeze() -> None:
    made = subscriptions(SBIN)
    made.next_request(0)
    assert made.next_request(ANSWER_NS - 1) is None
    assert symbols(made.next_request(ANSWER_NS)) == ["SBIN"]


def test_new_connection_asks_for_everything_again_at_once() -> None:
    made = subscriptions(SBIN, INFY)
    accept(made, made.next_request(0))
    made.reset()
    assert made.accepted == 0
    assert symbols(made.next_request(1)) == ["SBIN", "INFY"]


def test_error_frame_puts_waiting_requests_off() -> None:
    made = subscriptions(SBIN)
    made.next_request(0)
    made.failed(0)
    assert made.next_request(FIRST_RETRY_NS - 1) is None
    assert symbols(made.next_request(FIRST_RETRY_NS)) == ["SBIN"]


def test_quotes_without_bid_and_ask_become_depth_and_quote_is_given_back() -> None:
    made = subscriptions(SBIN)
    accept(made, made.next_request(0))
    made.upgrade(SBIN)
    request = made.next_request(0)
    assert request is not None and request["mode"] == "Depth"
    assert accept(made, request) == []
    assert made.seen(SBIN, QUOTE) and made.next_request(0) is None
    assert made.seen(SBIN, DEPTH)
    assert not made.seen(SBIN, QUOTE)
    assert made.next_request(0) == {
        "action": "unsubscribe",
        "symbols": [{"symbol": "SBIN", "exchange": "NSE", "mode": "Quote"}],
    }
    assert made.next_request(0) is None
    made.reset()
    again = made.next_request(0)
    assert again is not None and again["mode"] == "Depth"


def test_depth_that_is_refused_leaves_quote_and_is_not_asked_again() -> None:
    made = subscriptions(SBIN)
    accept(made, made.next_request(0))
    made.upgrade(SBIN)
    request = made.next_request(0)
    made.answered(Acknowledged(request["request_id"], (), ((SBIN, "not supported"),)), 0)  # type: ignore[index]
    assert made.is_accepted(SBIN)
    made.upgrade(SBIN)
    assert made.next_request(10 * ANSWER_NS) is None


def test_depth_switched_off_stays_off() -> None:
    made = subscriptions(SBIN, depth=False)
    accept(made, made.next_request(0))
    made.upgrade(SBIN)
    assert made.next_request(0) is None


def test_dropped_instrument_is_unsubscribed_in_the_mode_it_had() -> None:
    made = subscriptions(SBIN)
    accept(made, made.next_request(0))
    made.drop(SBIN)
    request = made.next_request(0)
    assert request is not None and request["symbols"] == [{"symbol": "SBIN", "exchange": "NSE", "mode": "Quote"}]
    assert SBIN not in made and len(made) == 0


def test_instrument_beyond_the_most_is_refused_and_a_known_one_is_not() -> None:
    made = subscriptions(SBIN, INFY, most=2)
    assert not made.want(TCS)
    assert made.want(SBIN)
    assert list(made) == [SBIN, INFY]


def test_first_tick_is_told_apart_from_the_acknowledgement() -> None:
    made = subscriptions(SBIN, INFY)
    accept(made, made.next_request(0))
    assert (made.accepted, made.ticked) == (2, 0)
    assert made.seen(SBIN, QUOTE)
    assert (made.ticked, made.has_ticked(SBIN), made.has_ticked(INFY)) == (1, True, False)
    made.reset()
    assert (made.accepted, made.ticked) == (0, 0)


def test_fuller_mode_is_asked_for_and_the_one_before_given_back_once_it_is_acknowledged() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.want(SBIN, LTP)
    request = made.next_request(0)
    assert request is not None and request["mode"] == "LTP"
    accept(made, request)
    made.want(SBIN, QUOTE)
    request = made.next_request(0)
    assert request is not None and request["mode"] == "Quote"
    assert made.next_request(0) is None
    assert accept(made, request) == []
    assert made.next_request(0) == {
        "action": "unsubscribe",
        "symbols": [{"symbol": "SBIN", "exchange": "NSE", "mode": "LTP"}],
    }


def test_lesser_mode_is_asked_for_and_the_fuller_one_given_back() -> None:
    made = subscriptions(SBIN)
    accept(made, made.next_request(0))
    made.want(SBIN, LTP)
    accept(made, made.next_request(0))
    request = made.next_request(0)
    assert request is not None and request["symbols"][0]["mode"] == "Quote"
    assert made.next_request(0) is None


def test_echo_of_a_fuller_frame_is_told_apart_and_a_change_of_mode_forgets_it() -> None:
    made = subscriptions(SBIN)
    accept(made, made.next_request(0))
    assert made.seen(SBIN, LTP) and made.seen(SBIN, QUOTE) and not made.seen(SBIN, LTP)
    made.want(SBIN, LTP)
    assert made.seen(SBIN, LTP)
    assert not made.seen(INFY, QUOTE)


def test_server_that_answers_with_another_mode_is_not_asked_for_ever() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.want(SBIN, DEPTH)
    request = made.next_request(0)
    assert request is not None
    made.answered(Acknowledged(request["request_id"], ((SBIN, "Quote"),), ()), 0)
    assert made.is_accepted(SBIN) and made.next_request(10 * ANSWER_NS) is None


def test_thousands_are_subscribed_in_batches_each_named_once() -> None:
    names = [f"NSE:S{number}" for number in range(3000)]
    made = subscriptions(*names, most=3000)
    asked = []
    while (request := made.next_request(0)) is not None:
        asked += symbols(request)
        accept(made, request)
    assert asked == [name.removeprefix("NSE:") for name in names]
    assert made.accepted == 3000


def test_depth_that_is_refused_at_the_first_asking_becomes_quote_at_once() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.want(SBIN, DEPTH)
    request = made.next_request(0)
    assert request is not None and request["mode"] == "Depth"
    made.answered(Acknowledged(request["request_id"], (), ((SBIN, "not supported"),)), 0)
    request = made.next_request(0)
    assert request is not None and request["mode"] == "Quote"
    made.answered(Acknowledged(request["request_id"], (), ((SBIN, "no token"),)), 0)
    assert made.next_request(0) is None and made.refused == {SBIN: "no token"}


def test_answer_that_comes_after_the_mode_changed_does_not_end_the_asking() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.want(SBIN, LTP)
    before = made.next_request(0)
    made.want(SBIN, QUOTE)
    assert accept(made, before) == [SBIN]
    request = made.next_request(0)
    assert request is not None and (request["action"], request["mode"]) == ("subscribe", "Quote")
    accept(made, request)
    request = made.next_request(0)
    assert request is not None and (request["action"], request["symbols"][0]["mode"]) == ("unsubscribe", "LTP")
