"""Subscriptions: batches, answers, refusals, reconnects, and the way from Quote to Depth."""

from __future__ import annotations

from typing import Any

from mytrading.adapters.openalgo.market_feed import Acknowledged
from mytrading.adapters.openalgo.subscriptions import ANSWER_NS, FIRST_RETRY_NS, Subscriptions

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
    assert not made.depth_flows(SBIN)
    made.full_frame(SBIN)
    assert made.depth_flows(SBIN)
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
