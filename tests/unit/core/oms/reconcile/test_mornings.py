"""What the books of a morning settle of positions carried from an earlier day, and what they leave to an operator."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.oms.reconcile import settled_by_hand
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.brokers import PLAIN, UNLISTED, BrokerRules, PositionScope
from mytrading.messages.control import ClaimRequested, FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, Confidence, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.orders import PositionAdjusted
from mytrading.messages.reports import BrokerPosition
from tests.kit.fake_broker import ACCOUNT, NEVER, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

TOMORROW = "1970-01-02"
"""The day after the bench's first one."""
PLAN: dict[str, Any] = {"stop_trigger": 90.0, "stop_limit": 87.0}
PARTIAL = replace(PLAIN, positions=PositionScope.PARTIAL)
DAY = replace(PLAIN, positions=PositionScope.DAY, carried_average=False)
OTHER = ("NFO:Z", Product.MIS)


def end_day(bench: OrderBench) -> None:
    """Orders of the broker end, and its books of the next day list none of them."""
    for placed in bench.broker.orders.values():
        bench.broker.drop(placed, BrokerStatus.EXPIRED)
        placed.booked_at = NEVER


def todays(bench: OrderBench) -> list[Placed]:
    return [placed for placed in bench.broker.orders.values() if placed.booked_at != NEVER]


def morning(product: Product, rules: BrokerRules = PLAIN, *, others: bool = False, strategies: int = 1) -> OrderBench:
    """Fifty units with their stop were held in the evening; today's books begin empty, with a row of another instrument
    in the position book if `others`. The units are gone."""
    bench = OrderBench(OmsLimits(unlisted=rules))
    bench.broker.net[OTHER] = 0
    for number in range(1, strategies + 1):
        bench.hold(f"e{number}", product=product, strategy=f"s{number}", **PLAN)
        bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    bench.open_day(TOMORROW)
    bench.crash((ACCOUNT,))
    bench.see_mode()
    end_day(bench)
    bench.broker.net = {OTHER: 10} if others else {}
    bench.rows.clear()
    return bench


def reads(bench: OrderBench, seconds: int, every: int = 5, **fields: object) -> None:
    """Whole reads for so long; stops that are placed are taken."""
    for _ in range(seconds // every):
        bench.tick(every * SECOND)
        for call in [call for call in bench.calls if call.call is Call.PLACE]:
            bench.accept(call)
        bench.read(**fields)


def held(bench: OrderBench, product: Product, strategy: str = "s1") -> int:
    found = bench.machine.position(ACCOUNT, "NFO:A", product, strategy)
    return found.quantity if found is not None else 0


def resting_stops(bench: OrderBench) -> list[Placed]:
    return [placed for placed in bench.broker.orders.values() if placed.status is BrokerStatus.TRIGGER_PENDING]


def adjusted(bench: OrderBench) -> list[tuple[str, int, float]]:
    rows = [row for row in bench.rows if isinstance(row, PositionAdjusted)]
    return [(row.cause, row.quantity, row.price) for row in rows]


@pytest.mark.parametrize("others", [True, False], ids=["rows of others", "empty beside live funds"])
def test_intraday_position_of_an_earlier_day_that_two_books_do_not_show_was_squared_off(others: bool) -> None:
    """The account's entries were denied without end, and a stop stood for units that the venue had squared off."""
    bench = morning(Product.MIS, others=others)
    fields = {"funds_live": not others}
    reads(bench, 5, **fields)
    assert held(bench, Product.MIS) == 50, "one read proves nothing"
    reads(bench, 15, **fields)
    assert adjusted(bench) == [("venue_square_off", -50, 0.0)]
    assert "VENUE_SQUARE_OFF" in bench.codes() and "POSITION_CORRECTED" not in bench.codes()
    assert bench.machine.has_recovered(ACCOUNT)
    assert not todays(bench), "a stop of a position that is not there would open one"
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_sold_intraday_position_of_an_earlier_day_is_booked_with_its_sign() -> None:
    bench = OrderBench()
    bench.hold("e1", side=Side.SELL, stop_trigger=110.0, stop_limit=113.0)
    bench.accept()
    bench.read()
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net = {}
    reads(bench, 20, funds_live=True)
    assert (held(bench, Product.MIS), adjusted(bench)) == (0, [("venue_square_off", 50, 0.0)])


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_carried_position_whose_empty_book_has_no_live_funds_stays_without_a_new_stop(product: Product) -> None:
    """Three empty books are what most servers answer before their login of the day."""
    bench = morning(product)
    reads(bench, 600, funds_live=False)
    assert (held(bench, product), len(todays(bench)), adjusted(bench)) == (50, 0, [])
    disputes = [alert.message for alert in bench.alerts if alert.code == "POSITION_DISPUTED"]
    assert any("log the server in" in text and "`mytrading positions settle`" in text for text in disputes)
    found = bench.machine.position(ACCOUNT, "NFO:A", product, "s1")
    assert found is not None and found.confidence is Confidence.DISPUTED


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_carried_position_that_the_book_shows_after_the_login_has_its_stop(product: Product) -> None:
    bench = morning(product)
    reads(bench, 60, funds_live=False)
    bench.broker.net["NFO:A", product] = 50
    reads(bench, 15)
    stops = resting_stops(bench)
    assert (held(bench, product), [stop.quantity for stop in stops]) == (50, [50])
    assert adjusted(bench) == []


def test_carried_position_is_gone_after_three_empty_books_over_a_minute_each_beside_live_funds() -> None:
    bench = morning(Product.NRML)
    reads(bench, 20, funds_live=False)  # they end the stop of yesterday
    for after, left in ((1, 50), (30, 50), (28, 50), (3, 0)):
        bench.tick(after * SECOND)
        bench.read(funds_live=True)
        assert held(bench, Product.NRML) == left, f"{after} s later"
    assert adjusted(bench) == [("correction", -50, 0.0)] and not todays(bench)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize(
    "void", [{"funds_live": False}, {"orders": None}, {"trades": None}, {"positions": None}], ids=str
)
def test_empty_read_without_funds_or_without_a_book_counts_for_nothing(void: dict[str, object]) -> None:
    bench = morning(Product.NRML)
    for number in range(40):
        bench.tick(5 * SECOND)
        bench.read(**({"funds_live": True} | (void if number > 1 else {})))
    assert held(bench, Product.NRML) == 50


def test_two_empty_reads_a_minute_apart_are_one_too_few() -> None:
    bench = morning(Product.NRML)
    reads(bench, 20, funds_live=False)  # they end the stop of yesterday
    for left in (50, 50, 0):
        bench.tick(70 * SECOND)
        bench.read(funds_live=True)
        assert held(bench, Product.NRML) == left


def test_book_that_shows_the_units_in_between_begins_the_count_anew() -> None:
    bench = morning(Product.NRML)
    reads(bench, 55, funds_live=True)
    bench.broker.net["NFO:A", Product.NRML] = 50
    reads(bench, 5, funds_live=True)
    bench.broker.net.clear()
    reads(bench, 50, funds_live=True)
    assert held(bench, Product.NRML) == 50


def test_carried_position_that_a_book_with_other_rows_lacks_is_gone_after_two_reads_beside_funds() -> None:
    bench = morning(Product.NRML, others=True)
    reads(bench, 30, funds_live=False)
    assert held(bench, Product.NRML) == 50, "the funds are not there"
    reads(bench, 10, funds_live=True)
    assert (held(bench, Product.NRML), adjusted(bench)) == (0, [("correction", -50, 0.0)])


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_books_before_the_session_settle_nothing(product: Product) -> None:
    bench = morning(product, others=True)
    bench.session_open = False
    reads(bench, 300, funds_live=True)
    assert held(bench, product) == 50
    bench.session_open = True
    bench.tick(5 * SECOND)
    bench.read(funds_live=True)
    assert held(bench, product) == 50, "the first read of the session"
    reads(bench, 10, funds_live=True)
    assert (held(bench, product), len(todays(bench))) == (0, 0)


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
@pytest.mark.parametrize("rules", [PARTIAL, UNLISTED, DAY], ids=["partial", "unlisted", "day"])
@pytest.mark.parametrize("others", [True, False], ids=["rows of others", "empty"])
def test_book_that_need_not_list_carried_units_settles_none_of_them(
    product: Product, rules: BrokerRules, others: bool
) -> None:
    bench = morning(product, rules, others=others)
    reads(bench, 300, funds_live=True)
    assert (held(bench, product), adjusted(bench)) == (50, [])


@pytest.mark.parametrize("funds", [True, False])
def test_delivered_shares_keep_their_stop_at_an_empty_position_book(funds: bool) -> None:
    bench = morning(Product.CNC)
    reads(bench, 300, funds_live=funds)
    stops = [stop.quantity for stop in resting_stops(bench)]
    assert (held(bench, Product.CNC), stops) == (50, [50])
    assert "POSITION_DISPUTED" not in bench.codes()


def test_intraday_units_that_the_broker_carried_under_another_product_were_converted() -> None:
    bench = morning(Product.MIS)
    bench.broker.net["NFO:A", Product.NRML] = 50
    reads(bench, 20)
    assert (held(bench, Product.MIS), held(bench, Product.NRML)) == (0, 50)
    assert [cause for cause, _, _ in adjusted(bench)] == ["conversion"]
    reads(bench, 20)
    stops = resting_stops(bench)
    assert [(stop.product, stop.quantity) for stop in stops] == [(Product.NRML, 50)]


def test_units_under_another_product_that_stood_there_before_are_no_conversion() -> None:
    """Fifty of an operator's own stood under NRML all along: what was held as MIS is gone all the same."""
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    bench.accept()
    bench.broker.net["NFO:A", Product.NRML] = 50
    reads(bench, 60)
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net["NFO:A", Product.MIS] = 0
    reads(bench, 20)
    assert (held(bench, Product.MIS), held(bench, Product.NRML)) == (0, 0)
    assert [cause for cause, _, _ in adjusted(bench)] == ["venue_square_off"]


def test_intraday_position_that_the_book_still_shows_is_held_as_before() -> None:
    bench = morning(Product.MIS)
    bench.broker.net["NFO:A", Product.MIS] = 50
    reads(bench, 300, funds_live=True)
    stops = [stop.quantity for stop in resting_stops(bench)]
    assert (held(bench, Product.MIS), stops, adjusted(bench)) == (50, [50], [])


def test_part_of_a_carried_position_that_the_book_lacks_is_taken_from_the_newest_owner() -> None:
    bench = morning(Product.NRML, strategies=2)
    bench.broker.net["NFO:A", Product.NRML] = 70
    reads(bench, 20, funds_live=True)
    assert (held(bench, Product.NRML, "s1"), held(bench, Product.NRML, "s2")) == (50, 20)


def test_stop_that_rests_for_a_carried_position_stays_while_nothing_is_proven_and_ends_with_it() -> None:
    """A stop valid for more than a day rests on, and the morning's position book is empty."""
    bench = OrderBench()
    bench.hold("e1", product=Product.NRML, **PLAN)
    stop = bench.accept()
    bench.read()
    bench.open_day(TOMORROW)
    bench.broker.orders = {stop.id: stop}
    bench.broker.net = {}
    reads(bench, 120, funds_live=False)
    assert stop.open and not bench.calls
    reads(bench, 75, funds_live=True)
    assert held(bench, Product.NRML) == 0
    (call,) = bench.calls
    assert (call.call, call.order.purpose, call.order.broker_order_id) == (Call.CANCEL, Purpose.STOP, stop.id)


def test_stop_that_ended_in_the_evening_is_not_placed_again_before_a_book_of_the_morning_was_read() -> None:
    """The stack starts within the session: its mode was seen, and the order left before the first book came."""
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    stop = bench.accept()
    bench.read()
    bench.session_open = False
    bench.broker.drop(stop, BrokerStatus.EXPIRED)
    reads(bench, 30)
    assert not bench.machine.state.resting
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net, bench.session_open = {}, True
    bench.crash((ACCOUNT,))
    bench.see_mode()
    for _ in range(5):
        bench.tick(SECOND)
    assert not bench.calls
    reads(bench, 60, funds_live=False)
    assert not todays(bench) and held(bench, Product.MIS) == 50


def test_stop_that_ended_in_the_evening_is_placed_once_the_first_book_shows_its_units() -> None:
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    stop = bench.accept()
    bench.read()
    bench.session_open = False
    bench.broker.drop(stop, BrokerStatus.EXPIRED)
    reads(bench, 30)
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.session_open = True
    bench.crash((ACCOUNT,))
    bench.see_mode()
    bench.tick(SECOND)
    bench.read()
    bench.tick()
    assert [(call.call, call.order.quantity) for call in bench.calls] == [(Call.PLACE, 50)]


def test_position_of_today_in_a_carried_instrument_is_no_carried_one() -> None:
    """What a position book of two rows lacks of MIS that was carried leaves the units that were bought today."""
    bench = morning(Product.MIS, others=True)
    reads(bench, 20)
    bench.hold("e9", 30, strategy="s9", **PLAN)
    bench.accept()
    reads(bench, 20, positions=(BrokerPosition(instrument="NFO:A", product=Product.MIS, quantity=30),))
    assert (held(bench, Product.MIS), held(bench, Product.MIS, "s9")) == (0, 30)


def test_first_book_that_shows_carried_units_proves_them_though_it_ends_yesterdays_stop_as_well() -> None:
    """A buy followed at once and the position book stood still: units bought today were booked as squared off."""
    bench = morning(Product.MIS)
    bench.broker.net["NFO:A", Product.MIS] = 50
    bench.read(positions=None)
    bench.tick(SECOND)
    bench.read()
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]
    bench.accept()
    bench.hold("e9", 30, strategy="s9", **PLAN)
    bench.accept()
    reads(bench, 30, positions=(BrokerPosition(instrument="NFO:A", product=Product.MIS, quantity=50),))
    assert (held(bench, Product.MIS), held(bench, Product.MIS, "s9"), adjusted(bench)) == (50, 30, [])


def test_units_bought_after_the_carried_ones_were_sold_are_held_beside_a_short_of_nobody() -> None:
    """The position book stood still at the short: what the trade book said was bought was booked as squared off."""
    bench = morning(Product.MIS)
    bench.broker.net["NFO:A", Product.MIS] = 50
    reads(bench, 10)
    bench.accept()
    bench.read()
    bench.close("g1")
    bench.cancel()
    bench.read()
    bench.broker.by_hand(43)
    leaving = bench.accept()
    bench.broker.trade(leaving, 50, 100.0)
    bench.report(leaving)
    reads(bench, 20)
    assert [level.quantity for level in bench.machine.state.unmanaged.values()] == [-7]
    bench.hold("e9", 30, strategy="s9", **PLAN)
    bench.accept()
    reads(bench, 30, positions=(BrokerPosition(instrument="NFO:A", product=Product.MIS, quantity=-7),))
    assert (held(bench, Product.MIS, "s9"), adjusted(bench)) == (30, [])


def settle(bench: OrderBench, product: Product) -> None:
    """An operator's word: what s1 holds is gone."""
    position = bench.machine.position(ACCOUNT, "NFO:A", product, "s1")
    assert position is not None
    bench.machine.state.begin_tentative()
    oms = OrderDecision(bench.machine.state, bench.limits, bench.now)
    settled_by_hand.book_as_gone(oms, position, 0.0, "squared off while the stack was away")
    bench.machine.state.roll_back()
    bench._commit(tuple(oms.rows))


@pytest.mark.parametrize("rules", [PLAIN, PARTIAL, UNLISTED, DAY], ids=["whole", "partial", "unlisted", "day"])
def test_carried_position_that_no_book_can_settle_ends_by_an_operators_word(rules: BrokerRules) -> None:
    """Nothing ended it: the account's entries waited, and the cure was to trade something by hand."""
    bench = morning(Product.NRML, rules)
    reads(bench, 60, funds_live=False)
    assert held(bench, Product.NRML) == 50
    settle(bench, Product.NRML)
    assert held(bench, Product.NRML) == 0 and adjusted(bench) == [("settled", -50, 0.0)]
    (row,) = [row for row in bench.rows if isinstance(row, PositionAdjusted)]
    assert row.reason == "squared off while the stack was away"
    bench.tick()
    assert not [call for call in bench.calls if call.call is Call.PLACE]
    reads(bench, 60, funds_live=False)
    assert held(bench, Product.NRML) == 0 and not bench.machine.state.mismatches
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_settlement_cancels_the_stop_that_is_left() -> None:
    bench = morning(Product.NRML, DAY)
    reads(bench, 60, funds_live=False)
    (stop,) = resting_stops(bench)
    settle(bench, Product.NRML)
    bench.tick()
    assert [(call.call, call.order.broker_order_id) for call in bench.calls] == [(Call.CANCEL, stop.id)]


def test_settlement_ends_the_exit_that_waited_for_the_books() -> None:
    bench = morning(Product.NRML)
    bench.close("g1", product=Product.NRML)
    reads(bench, 15, funds_live=False)
    settle(bench, Product.NRML)
    assert [goal.state for goal in bench.machine.goals()] == ["done"]
    assert not [call for call in bench.calls if call.call is Call.PLACE]


def test_flatten_of_an_account_whose_carried_position_was_gone_is_proven_by_empty_books_beside_funds() -> None:
    """Its sums of trades waited for a sale of units that no trade of the day took."""
    bench = morning(Product.MIS)
    reads(bench, 30, funds_live=True)
    until = bench.time + 60 * SECOND
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="all"))
    reads(bench, 20, funds_live=True)
    (level,) = bench.machine.state.flattens.sorted_values()
    assert level.state == "done"


def test_flatten_after_a_round_trip_of_today_does_not_wait_for_a_sale_of_what_went_over_night() -> None:
    """The sum of the day's trades began with the units that the venue had squared off the day before."""
    bench = morning(Product.MIS, others=True)
    reads(bench, 30)
    bench.hold("e9", 30, strategy="s9", **PLAN)
    bench.broker.net.clear()
    until = bench.time + 60 * SECOND
    bench.broker.net["NFO:A", Product.MIS] = 30
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="all"))
    for _ in range(20):
        bench.tick(SECOND)
        bench.answer_calls()
        for placed in todays(bench):
            if placed.order_type is OrderType.MARKET and placed.open:
                bench.broker.trade(placed, 30, 99.0)
                bench.report(placed)
        bench.broker.net = {key: units for key, units in bench.broker.net.items() if units}
        bench.read(funds_live=False)
    assert not bench.broker.net and held(bench, Product.MIS, "s9") == 0
    (level,) = bench.machine.state.flattens.sorted_values()
    assert level.state == "done"


def test_units_of_today_after_a_settled_position_are_judged_by_their_own_trades() -> None:
    """The sum of the day counted what it began with, though an operator had booked that as gone."""
    bench = morning(Product.NRML, PARTIAL)
    reads(bench, 60, funds_live=False)
    settle(bench, Product.NRML)
    bench.hold("e9", 30, product=Product.NRML, strategy="s9", **PLAN)
    bench.accept()
    bench.broker.by_hand(0, "NFO:A", Product.NRML)
    bench.broker.unlisted.add(("NFO:A", Product.NRML))
    reads(bench, 30)
    assert held(bench, Product.NRML, "s9") == 0, "a sale of all 30 stands in the order book"


def exit_units(bench: OrderBench) -> list[int]:
    """Units of the exits whose placing is out."""
    return [call.order.quantity for call in bench.calls if call.order.purpose is Purpose.EXIT]


def evening_exit(*, gone: bool, rules: BrokerRules = PLAIN) -> OrderBench:
    """Fifty units without a stop are held over the night, and their exit waits since the evening."""
    bench = OrderBench(OmsLimits(unlisted=rules))
    bench.broker.funds_live = True
    bench.hold()
    bench.read()
    bench.tick(10 * SECOND)
    bench.squares_off_ns = bench.now
    bench.close("g1")
    bench.tick(60 * SECOND)
    assert not exit_units(bench)
    bench.squares_off_ns = 0
    bench.open_day(TOMORROW)
    end_day(bench)
    if gone:
        bench.broker.net = {}
    bench.tick(SECOND)
    return bench


def test_exit_of_the_evening_sold_at_the_open_what_the_venue_had_squared_off() -> None:
    bench = evening_exit(gone=True)
    assert not exit_units(bench)
    reads(bench, 30)
    assert not exit_units(bench) and bench.position().quantity == 0
    assert [goal.state for goal in bench.machine.goals()] == ["done"]
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_exit_asked_for_at_the_open_sold_what_the_venue_had_squared_off() -> None:
    bench = OrderBench()
    bench.broker.funds_live = True
    bench.hold()
    bench.tick(10 * SECOND)
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net = {}
    bench.close("g1")
    assert not exit_units(bench)
    reads(bench, 30)
    assert not exit_units(bench) and bench.position().quantity == 0


@pytest.mark.parametrize("rules", [PLAIN, PARTIAL])
def test_exit_of_the_evening_goes_with_the_first_book_of_the_morning(rules: BrokerRules) -> None:
    bench = evening_exit(gone=False, rules=rules)
    assert not exit_units(bench)
    bench.read()
    assert exit_units(bench) == [50]


def test_exit_of_carried_units_goes_after_twenty_seconds_without_an_answer_of_the_books() -> None:
    bench = evening_exit(gone=False)
    for _ in range(18):
        bench.tick(SECOND)
        bench.read(positions=None)
    assert not exit_units(bench)
    bench.tick(2 * SECOND)
    assert exit_units(bench) == [50] and "EXIT_BEYOND_BOOK" in bench.codes()


def stop_units(bench: OrderBench) -> list[int]:
    """Units of the stops whose placing is out."""
    return [call.order.quantity for call in bench.calls if call.order.purpose is Purpose.STOP]


def bare_evening(*, gone: bool, entry_out: bool = False) -> OrderBench:
    """Fifty units whose stop could not be sent in the evening, and waits for the next session; with `entry_out` the
    fate of another entry is unknown."""
    bench = OrderBench()
    bench.broker.funds_live = True
    bench.hold(**PLAN)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.read()
    bench.calls.clear()
    if entry_out:
        bench.enter("e2", 75, order_type=OrderType.LIMIT, price=99.0)
    bench.open_day(TOMORROW)
    if entry_out:
        bench.end(next(call for call in bench.calls if call.order.client_order_id == "e2"), Outcome.UNKNOWN)
        bench.calls.clear()
    end_day(bench)
    if gone:
        bench.broker.net = {}
    bench.tick(6 * SECOND)
    return bench


def test_stop_made_in_the_evening_was_placed_at_the_open_for_what_the_venue_had_squared_off() -> None:
    """It triggered before two books had told that nothing was there to guard."""
    bench = bare_evening(gone=True)
    assert not stop_units(bench)
    reads(bench, 30)
    assert not stop_units(bench) and bench.position().quantity == 0
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_stop_made_in_the_evening_goes_with_the_first_position_book_of_the_morning() -> None:
    bench = bare_evening(gone=False)
    bench.read(positions=None)
    bench.tick(SECOND)
    assert not stop_units(bench)
    bench.read()
    bench.tick(SECOND)
    assert stop_units(bench) == [50]


def gone_over_night() -> OrderBench:
    """Fifty units whose stop ended with the evening, and which the venue has squared off."""
    bench = OrderBench()
    bench.broker.funds_live = True
    bench.hold(**PLAN)
    bench.accept()
    bench.read()
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net = {}
    bench.tick(6 * SECOND)
    return bench


def test_stop_was_placed_for_squared_off_units_while_an_entry_of_unknown_fate_kept_the_books_from_being_compared() -> (
    None
):
    """The first book of the day lacked them, and nothing was in dispute yet: the stop triggered and opened a short."""
    bench = bare_evening(gone=True, entry_out=True)
    for _ in range(3):
        bench.read()
        assert not stop_units(bench)
        bench.tick(2 * SECOND)
    reads(bench, 30)
    assert not resting_stops(bench) and bench.position().quantity == 0
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_stop_was_placed_for_squared_off_units_that_one_source_had_told_of_in_the_evening() -> None:
    """Nothing was confirmed, so that nothing counted as carried: the stop was placed in the morning."""
    bench = OrderBench()
    bench.read()
    bench.enter("e1", 50, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    placed = bench.accept()
    bench.broker.trade(placed, 10, 100.0)
    bench.report(placed)
    assert (bench.position().quantity, bench.position().quantity_seen) == (0, 10)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.calls.clear()
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net, bench.broker.funds_live = {}, True
    for _ in range(10):
        bench.tick(2 * SECOND)
        assert not stop_units(bench)
        bench.read()
    assert bench.position().quantity_seen == 0


def test_stop_was_placed_for_squared_off_units_because_the_book_showed_those_that_another_bought_today() -> None:
    """The book of the day shows 75 and none of the fifty: a stop of theirs would sell the other's."""
    bench = gone_over_night()
    bench.read()
    bench.enter("e2", 75, strategy="s2", **PLAN)
    bench.tick(SECOND)
    placed = bench.accept()
    bench.broker.trade(placed, 75, 100.0)
    bench.report(placed)
    bench.read()
    assert (bench.position("s1").quantity, bench.position("s2").quantity) == (50, 75)
    assert {call.order.strategy for call in bench.calls} == {"s2"}
    reads(bench, 30)
    assert [(stop.quantity, bench.order(stop.client_order_id).strategy) for stop in resting_stops(bench)] == [
        (75, "s2")
    ]
    assert (bench.position("s1").quantity, bench.position("s2").quantity) == (0, 75), "the newest lost them"
    assert adjusted(bench) == [("venue_square_off", -50, 0.0)]


def test_exit_beside_a_strangers_order_that_is_like_no_order_of_ours_had_no_end() -> None:
    """The stop was of unknown fate when its day ended; what a person places today is not it."""
    bench = OrderBench()
    bench.broker.funds_live = True
    bench.hold(**PLAN)
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    bench.close("g1")
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.read()
    bench.broker.stranger(bench.broker.orders["B1"], bench.time, OrderType.LIMIT, Side.SELL, 30)
    reads(bench, 20)
    bench.cancel()  # of the stop that had followed
    reads(bench, 10)
    assert [order.quantity for order in bench.machine.orders() if order.purpose is Purpose.EXIT] == [50]


def test_stop_of_delivered_shares_that_filled_was_taken_for_ended_while_the_trade_book_was_late() -> None:
    """The position book lists none of them, before the sale and after it: the shares were sold twice."""
    bench = OrderBench()
    bench.broker.funds_live = True
    bench.broker.net[OTHER] = 5
    bench.hold(product=Product.CNC, **PLAN)
    bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.begin_day(bench.time)
    reads(bench, 40)
    stop = next(placed for placed in bench.broker.orders.values() if placed.open)
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 50, 87.0)
    bench.broker.net.pop(("NFO:A", Product.CNC))
    bench.close("g1", product=Product.CNC)
    bench.end(bench.calls[0], Outcome.REFUSED, message="order is not open")
    for _ in range(8):
        bench.tick(SECOND)
        bench.read(trades=())
    assert not exit_units(bench)
    reads(bench, 10, every=1)
    assert not exit_units(bench) and [goal.state for goal in bench.machine.goals()] == ["done"]


def test_claim_of_units_that_stood_there_over_night_has_its_stop_with_the_read_that_decided_it() -> None:
    """That read lists the units, and no further one is waited for."""
    bench = OrderBench(OmsLimits(book_first=True))
    bench.broker.net["NFO:A", Product.MIS] = 50
    for _ in range(3):
        bench.read()
        bench.tick(6 * SECOND)
    bench.open_day(TOMORROW)
    bench.read()
    bench.tick(SECOND)
    bench.step(
        ClaimRequested(
            id="c1", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", at_ns=bench.now,
            price=99.0, stop=90.0, stop_limit=87.0,
        )
    )  # fmt: skip
    assert not stop_units(bench)
    bench.read()
    assert bench.position().quantity == 50 and stop_units(bench) == [50]


def test_exit_sold_squared_off_units_because_an_exit_of_another_strategy_may_have_taken_them() -> None:
    """The book shows none of either's fifty. That the fate of one exit was unknown let the other go at once."""
    bench = OrderBench()
    bench.broker.funds_live = True
    bench.hold("e1")
    bench.tick(10 * SECOND)
    bench.hold("e2", strategy="s2")
    bench.close("g2", strategy="s2")
    out = bench.calls[-1]
    bench.open_day(TOMORROW)
    end_day(bench)
    bench.broker.net = {}
    bench.end(out, Outcome.UNKNOWN)
    bench.close("g1")
    for _ in range(10):
        bench.read()
        assert not exit_units(bench)
        bench.tick(2 * SECOND)
    assert bench.position("s1").quantity == bench.position("s2").quantity == 0
