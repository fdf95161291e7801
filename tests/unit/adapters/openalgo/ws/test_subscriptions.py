"""Subscriptions: batches, answers, refusals, reconnects, and the way from Quote to Depth."""

from __future__ import annotations

from typing import Any

from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, FeedMode
from mytrading.adapters.openalgo.ws.subscriptions import ANSWER_NS, FIRST_RETRY_NS, Subscriptions

LTP, QUOTE, DEPTH = FeedMode
SBIN, INFY, TCS = "NSE:SBIN", "NSE:INFY", "NSE:TCS"


def subscriptions(*instruments: str, most: int = 100, batch: int = 50, depth: bool = True) -> Subscriptions:
    made = Subscriptions(most, batch, depth)
    for instrument in instruments:
        assert made.subscribe(instrument)
    return made


def symbols(request: dict[str, Any] | None) -> list[str]:
    assert request is not None
    return [item["symbol"] for item in request["symbols"]]


def accept(made: Subscriptions, request: dict[str, Any] | None, now: int = 0) -> list[str]:
    assert request is not None
    pairs = tuple((f"{item['exchange']}:{item['symbol']}", request["mode"]) for item in request["symbols"])
    return made.apply_answer(Acknowledged(request["request_id"], pairs, ()), now)


def given_back(made: Subscriptions) -> list[tuple[str, str]]:
    request = made.take_next_request(0)
    assert request is not None and request["action"] == "unsubscribe", request
    return [(item["symbol"], item["mode"]) for item in request["symbols"]]


def test_request_is_one_batch_with_an_id_and_the_next_call_gives_the_rest() -> None:
    made = subscriptions(SBIN, INFY, TCS, batch=2)
    first, second = made.take_next_request(0), made.take_next_request(0)
    assert (symbols(first), symbols(second)) == (["SBIN", "INFY"], ["TCS"])
    assert first is not None and second is not None
    assert first["mode"] == "Quote" and first["request_id"] != second["request_id"]
    assert made.take_next_request(0) is None


def test_instrument_counts_as_subscribed_only_once_the_answer_names_it() -> None:
    made = subscriptions(SBIN, INFY)
    request = made.take_next_request(0)
    assert made.accepted_count == 0
    answer = Acknowledged(request["request_id"], ((SBIN, "Quote"),), ((INFY, "no token"),))  # type: ignore[index]
    assert made.apply_answer(answer, 0) == [SBIN]
    assert made.is_accepted(SBIN) and not made.is_accepted(INFY)
    assert made.refused == {INFY: "no token"}


def test_instrument_that_the_answer_leaves_out_is_refused() -> None:
    made = subscriptions(SBIN, INFY)
    request = made.take_next_request(0)
    made.apply_answer(Acknowledged(request["request_id"], ((SBIN, "Quote"),), ()), 0)  # type: ignore[index]
    assert list(made.refused) == [INFY]


def test_refused_instrument_is_tried_again_at_growing_delays() -> None:
    made = subscriptions(SBIN)
    now = 0
    waits = []
    for _ in range(3):
        request = made.take_next_request(now)
        made.apply_answer(Acknowledged(request["request_id"], (), ((SBIN, "no"),)), now)  # type: ignore[index]
        began = now
        while made.take_next_request(now) is None:
            now += FIRST_RETRY_NS // 5
        waits.append(now - began)
        made.retry_unanswered(now)
        now += 20 * FIRST_RETRY_NS
    assert waits == sorted(waits) and waits[0] >= FIRST_RETRY_NS


def test_unanswered_request_is_repeated_only_after_the_longest_known_freeze() -> None:
    made = subscriptions(SBIN)
    made.take_next_request(0)
    assert made.take_next_request(ANSWER_NS - 1) is None
    assert symbols(made.take_next_request(ANSWER_NS)) == ["SBIN"]


def test_new_connection_asks_for_everything_again_at_once() -> None:
    made = subscriptions(SBIN, INFY)
    accept(made, made.take_next_request(0))
    made.reset()
    assert made.accepted_count == 0
    assert symbols(made.take_next_request(1)) == ["SBIN", "INFY"]


def test_error_frame_puts_waiting_requests_off() -> None:
    made = subscriptions(SBIN)
    made.take_next_request(0)
    made.retry_unanswered(0)
    assert made.take_next_request(FIRST_RETRY_NS - 1) is None
    assert symbols(made.take_next_request(FIRST_RETRY_NS)) == ["SBIN"]


def with_depth() -> Subscriptions:
    """Quote and, since it had neither bid nor ask, Depth."""
    made = subscriptions(SBIN)
    accept(made, made.take_next_request(0))
    made.request_depth(SBIN)
    request = made.take_next_request(0)
    assert request is not None and request["mode"] == "Depth"
    assert accept(made, request) == []
    return made


def test_quotes_without_bid_and_ask_become_depth_and_quote_is_kept_as_long_as_depth() -> None:
    made = with_depth()
    assert made.take_next_request(0) is None
    made.unsubscribe(SBIN)
    assert given_back(made) == [("SBIN", "Depth"), ("SBIN", "Quote")], "the other way about leaks at the server"
    assert made.take_next_request(0) is None


def test_new_connection_asks_for_depth_where_quotes_lacked_bid_and_ask() -> None:
    made = with_depth()
    made.reset()
    again = made.take_next_request(0)
    assert again is not None and again["mode"] == "Depth"
    accept(made, again)
    made.unsubscribe(SBIN)
    assert given_back(made) == [("SBIN", "Depth")], "nothing of the connection before"


def test_dropped_and_wanted_again_gives_back_before_it_asks() -> None:
    made = with_depth()
    made.unsubscribe(SBIN)
    made.subscribe(SBIN)
    assert given_back(made) == [("SBIN", "Depth"), ("SBIN", "Quote")]
    assert symbols(made.take_next_request(0)) == ["SBIN"]


def test_dropped_while_it_was_asked_for_is_given_back_when_the_server_accepts_it() -> None:
    made = subscriptions(SBIN)
    request = made.take_next_request(0)
    made.unsubscribe(SBIN)
    assert made.take_next_request(0) is None
    assert accept(made, request) == []
    assert given_back(made) == [("SBIN", "Quote")]


def test_depth_that_is_refused_leaves_quote_and_is_not_asked_again() -> None:
    made = subscriptions(SBIN)
    accept(made, made.take_next_request(0))
    made.request_depth(SBIN)
    request = made.take_next_request(0)
    made.apply_answer(Acknowledged(request["request_id"], (), ((SBIN, "not supported"),)), 0)  # type: ignore[index]
    assert made.is_accepted(SBIN)
    made.request_depth(SBIN)
    assert made.take_next_request(10 * ANSWER_NS) is None


def test_depth_switched_off_stays_off() -> None:
    made = subscriptions(SBIN, depth=False)
    accept(made, made.take_next_request(0))
    made.request_depth(SBIN)
    assert made.take_next_request(0) is None


def test_dropped_instrument_is_unsubscribed_in_the_mode_it_had() -> None:
    made = subscriptions(SBIN)
    accept(made, made.take_next_request(0))
    made.unsubscribe(SBIN)
    request = made.take_next_request(0)
    assert request is not None and request["symbols"] == [{"symbol": "SBIN", "exchange": "NSE", "mode": "Quote"}]
    assert SBIN not in made and len(made) == 0


def test_instrument_beyond_the_most_is_refused_and_a_known_one_is_not() -> None:
    made = subscriptions(SBIN, INFY, most=2)
    assert not made.subscribe(TCS)
    assert made.subscribe(SBIN)
    assert list(made) == [SBIN, INFY]


def test_first_tick_is_distinguished_from_the_acknowledgement() -> None:
    made = subscriptions(SBIN, INFY)
    accept(made, made.take_next_request(0))
    assert (made.accepted_count, made.ticked_count) == (2, 0)
    assert made.accept_frame(SBIN)
    assert (made.ticked_count, made.has_ticked(SBIN), made.has_ticked(INFY)) == (1, True, False)
    made.reset()
    assert (made.accepted_count, made.ticked_count) == (0, 0)


def test_fuller_mode_is_asked_for_and_the_one_before_kept_beside_it() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.subscribe(SBIN, LTP)
    request = made.take_next_request(0)
    assert request is not None and request["mode"] == "LTP"
    accept(made, request)
    made.subscribe(SBIN, QUOTE)
    request = made.take_next_request(0)
    assert request is not None and request["mode"] == "Quote"
    assert made.take_next_request(0) is None
    assert accept(made, request) == []
    assert made.take_next_request(0) is None
    made.unsubscribe(SBIN)
    assert given_back(made) == [("SBIN", "Quote"), ("SBIN", "LTP")]


def test_lesser_mode_is_asked_for_and_the_fuller_one_given_back() -> None:
    made = subscriptions(SBIN)
    accept(made, made.take_next_request(0))
    made.subscribe(SBIN, LTP)
    accept(made, made.take_next_request(0))
    request = made.take_next_request(0)
    assert request is not None and request["symbols"][0]["mode"] == "Quote"
    assert made.take_next_request(0) is None


def test_frame_of_an_instrument_that_nobody_wants_is_discarded_and_a_change_of_mode_awaits_a_first_one() -> None:
    made = subscriptions(SBIN)
    accept(made, made.take_next_request(0))
    assert made.accept_frame(SBIN) and made.has_ticked(SBIN)
    made.subscribe(SBIN, LTP)
    assert not made.has_ticked(SBIN)
    assert not made.accept_frame(INFY)


def test_broker_without_depth_is_never_asked_for_it_and_quote_goes_on() -> None:
    made = subscriptions(SBIN)
    made.set_has_depth(False)
    accept(made, made.take_next_request(0))
    made.request_depth(SBIN)
    assert made.take_next_request(10 * ANSWER_NS) is None
    made.subscribe(INFY, DEPTH)
    request = made.take_next_request(0)
    assert request is not None and (symbols(request), request["mode"]) == (["INFY"], "Quote")
    assert (made.refused, made.is_accepted(SBIN)) == ({}, True)


def test_depth_that_was_requested_before_its_broker_was_known_is_quote_on_the_next_connection() -> None:
    made = with_depth()
    made.set_has_depth(False)
    made.reset()
    request = made.take_next_request(0)
    assert request is not None and request["mode"] == "Quote"


def test_server_that_answers_with_another_mode_is_not_asked_for_ever() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.subscribe(SBIN, DEPTH)
    request = made.take_next_request(0)
    assert request is not None
    made.apply_answer(Acknowledged(request["request_id"], ((SBIN, "Quote"),), ()), 0)
    assert made.is_accepted(SBIN) and made.take_next_request(10 * ANSWER_NS) is None


def test_thousands_are_subscribed_in_batches_each_named_once() -> None:
    names = [f"NSE:S{number}" for number in range(3000)]
    made = subscriptions(*names, most=3000)
    asked = []
    while (request := made.take_next_request(0)) is not None:
        asked += symbols(request)
        accept(made, request)
    assert asked == [name.removeprefix("NSE:") for name in names]
    assert made.accepted_count == 3000


def test_depth_that_is_refused_at_the_first_asking_becomes_quote_at_once() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.subscribe(SBIN, DEPTH)
    request = made.take_next_request(0)
    assert request is not None and request["mode"] == "Depth"
    made.apply_answer(Acknowledged(request["request_id"], (), ((SBIN, "not supported"),)), 0)
    request = made.take_next_request(0)
    assert request is not None and request["mode"] == "Quote"
    made.apply_answer(Acknowledged(request["request_id"], (), ((SBIN, "no token"),)), 0)
    assert made.take_next_request(0) is None and made.refused == {SBIN: "no token"}


def test_answer_that_comes_after_the_mode_changed_does_not_end_the_asking() -> None:
    made = Subscriptions(100, 50, depth=True)
    made.subscribe(SBIN, LTP)
    before = made.take_next_request(0)
    made.subscribe(SBIN, QUOTE)
    assert accept(made, before) == [SBIN]
    request = made.take_next_request(0)
    assert request is not None and (request["action"], request["mode"]) == ("subscribe", "Quote")
    accept(made, request)
    assert made.take_next_request(0) is None
    made.unsubscribe(SBIN)
    assert given_back(made) == [("SBIN", "Quote"), ("SBIN", "LTP")]
