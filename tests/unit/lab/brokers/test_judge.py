"""The five counts of conformance, each by a made record of a venue that it must see, and by one that it must not."""

from __future__ import annotations

from lab.brokers.judge import Evidence, Span, Verdict, judge
from lab.brokers.record import ENTRY, EXIT, STRANGER, AlertSpan, Asked
from mytrading.core.exchange.model import BookOrder, OrderRequest
from mytrading.messages.enums import BrokerStatus, OrderType, Side
from mytrading.simulator.venue.event_log import ORDER, LoggedEvent

S = 1_000_000_000
SHARE = "NSE:INFY"
BOUGHT = Asked(10 * S, SHARE, ENTRY, 10)
SOLD = Asked(40 * S, SHARE, EXIT)


def at(
    second: float, name: str, side: Side, kind: OrderType, filled: int, status: BrokerStatus, **more: object
) -> LoggedEvent:
    tag = str(more.get("tag", f"tag-{name}"))
    units = int(str(more.get("units", 10)))
    request = OrderRequest(instrument=SHARE, side=side, quantity=units, order_type=kind, strategy=tag)
    order = BookOrder(
        order_id=name, request=request, status=status, day="2026-11-18", placed_ns=0, updated_ns=0, filled=filled
    )
    return LoggedEvent(round(second * S), ORDER, order)


ENTERED = at(11, "1", Side.BUY, OrderType.MARKET, 10, BrokerStatus.COMPLETE)
GUARDED = at(12, "2", Side.SELL, OrderType.SL, 0, BrokerStatus.TRIGGER_PENDING)
WITHDRAWN = at(41, "2", Side.SELL, OrderType.SL, 0, BrokerStatus.CANCELLED)
LEFT = at(42, "3", Side.SELL, OrderType.MARKET, 10, BrokerStatus.COMPLETE)
GOOD = (ENTERED, GUARDED, WITHDRAWN, LEFT)


def judged(
    *events: LoggedEvent, asked: tuple[Asked, ...] = (BOUGHT, SOLD), alerts: tuple[AlertSpan, ...] = ()
) -> Verdict:
    return judge(Evidence(SHARE, events, asked, alerts, (Span(0, 60 * S),)))


def nonzero(verdict: Verdict) -> dict[str, int]:
    return {name: count for name, count in verdict.counts.items() if count}


def test_story_without_a_fault_counts_nothing() -> None:
    assert nonzero(judged(*GOOD)) == {}


def test_sale_that_nothing_asked_for_is_a_position_closed_without_a_reason() -> None:
    gone = at(17, "3", Side.SELL, OrderType.MARKET, 10, BrokerStatus.COMPLETE)
    taken = at(16, "2", Side.SELL, OrderType.SL, 0, BrokerStatus.CANCELLED)
    assert nonzero(judged(ENTERED, GUARDED, taken, gone, asked=(BOUGHT,))) == {"closed": 1}


def test_stop_that_sold_before_an_exit_was_asked_for_is_one_too() -> None:
    sold = at(20, "2", Side.SELL, OrderType.SL, 10, BrokerStatus.COMPLETE)
    assert nonzero(judged(ENTERED, GUARDED, sold, asked=(BOUGHT,))) == {"closed": 1}


def test_sale_of_a_stranger_is_none_of_ours() -> None:
    foreign = at(17, "9", Side.SELL, OrderType.MARKET, 10, BrokerStatus.COMPLETE, tag=STRANGER)
    assert nonzero(judged(ENTERED, GUARDED, foreign, WITHDRAWN, LEFT)) == {}


def test_stop_that_comes_after_eleven_seconds_is_late_unless_an_alert_told() -> None:
    late = at(22.5, "2", Side.SELL, OrderType.SL, 0, BrokerStatus.TRIGGER_PENDING)
    assert nonzero(judged(ENTERED, late, WITHDRAWN, LEFT)) == {"bare": 1}
    told = AlertSpan("POSITION_BARE", SHARE, "no stop", 19 * S, 23 * S)
    assert nonzero(judged(ENTERED, late, WITHDRAWN, LEFT, alerts=(told,))) == {}
    too_late = told._replace(first_ns=round(22.4 * S))
    assert nonzero(judged(ENTERED, late, WITHDRAWN, LEFT, alerts=(too_late,))) == {"bare": 1}
    elsewhere = told._replace(subject="9f3a", text="Desk in NSE:TCS: no stop")
    assert nonzero(judged(ENTERED, late, WITHDRAWN, LEFT, alerts=(elsewhere,))) == {"bare": 1}
    by_order = told._replace(subject="9f3a", text=f"Desk in {SHARE}: no stop")
    assert nonzero(judged(ENTERED, late, WITHDRAWN, LEFT, alerts=(by_order,))) == {}
    another = told._replace(code="DATA_COVERAGE")
    assert nonzero(judged(ENTERED, late, WITHDRAWN, LEFT, alerts=(another,))) == {"bare": 1}


def test_stop_of_less_than_the_units_leaves_the_rest_bare() -> None:
    part = at(12, "2", Side.SELL, OrderType.SL, 0, BrokerStatus.TRIGGER_PENDING, units=4)
    assert nonzero(judged(ENTERED, part, WITHDRAWN, LEFT)) == {"bare": 1}


def test_night_is_no_time_without_a_stop() -> None:
    seen = Evidence(SHARE, (ENTERED, LEFT), (BOUGHT, SOLD), (), (Span(0, 15 * S), Span(35 * S, 60 * S)))
    assert nonzero(judge(seen)) == {}


def test_two_orders_of_one_tag_and_units_beyond_those_asked_for_are_doubled() -> None:
    again = at(13, "5", Side.BUY, OrderType.MARKET, 0, BrokerStatus.REJECTED, tag="tag-1")
    assert nonzero(judged(ENTERED, again, GUARDED, WITHDRAWN, LEFT)) == {"doubled": 1}
    more = at(13, "5", Side.BUY, OrderType.MARKET, 10, BrokerStatus.COMPLETE)
    assert judged(ENTERED, more, GUARDED, WITHDRAWN, LEFT).doubled == ["20 units were bought, 10 were asked for"]


def test_exit_that_sells_twice_turns_the_position_round() -> None:
    again = at(43, "4", Side.SELL, OrderType.MARKET, 10, BrokerStatus.COMPLETE)
    assert nonzero(judged(*GOOD, again)) == {"doubled": 1}


def test_stop_that_rests_after_the_exit_could_sell_more_than_is_held() -> None:
    assert nonzero(judged(ENTERED, GUARDED, LEFT)) == {"doubled": 1}


def test_exit_counts_as_late_after_five_seconds_from_when_it_could_go() -> None:
    taken = at(44, "2", Side.SELL, OrderType.SL, 0, BrokerStatus.CANCELLED)
    late = at(45.5, "3", Side.SELL, OrderType.LIMIT, 10, BrokerStatus.COMPLETE)
    assert nonzero(judged(ENTERED, GUARDED, taken, late)) == {"late": 1}
    could = SOLD._replace(could_ns=43 * S)
    assert nonzero(judged(ENTERED, GUARDED, taken, late, asked=(BOUGHT, could))) == {}


def test_exit_that_never_came_is_late_and_one_of_nothing_is_not() -> None:
    assert judged(ENTERED, GUARDED).late == [f"the exit of {SHARE} was at the venue never"]
    assert nonzero(judged(asked=(BOUGHT, SOLD))) == {}


def test_differences_of_the_ledger_are_counted_as_they_were_found() -> None:
    seen = Evidence(SHARE, GOOD, (BOUGHT, SOLD), (), (Span(0, 60 * S),), ("the stack holds 10, the venue 0",))
    assert nonzero(judge(seen)) == {"ledger": 1}
