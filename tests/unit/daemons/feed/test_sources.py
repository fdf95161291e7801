"""The feed's parts: who demand what and for how long, and when the connection counts as sick."""

from __future__ import annotations

from collections.abc import Container
from datetime import date, datetime, time

import pytest

from mytrading.adapters.openalgo.ws.connection import SocketFrame
from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, FeedMode
from mytrading.core.calendar import Calendar
from mytrading.core.feed.instrument_demand import DROP_AFTER_NS, InstrumentDemand
from mytrading.core.feed.source_failover import Condition
from mytrading.core.feed.staleness import FIRST_TICK_NS, LOW_FOR_NS, SETTLE_NS, Coverage, FeedHealth, StalenessLimits
from mytrading.core.time import IST, SECOND
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged
from mytrading.messages.run_config import AccountRun, DataRules
from mytrading.runtime.host.clock import machine_now

NOON = int(datetime(2026, 11, 20, 12, 0, tzinfo=IST).timestamp()) * SECOND
SBIN, NIFTY, CALL = "NSE:SBIN", "NSE_INDEX:NIFTY", "NFO:NIFTY24NOV2626000CE"


@pytest.fixture
def calendar() -> Calendar:
    hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": ["X"]}
    return Calendar.from_dict(
        {"exchanges": {"NSE": hours, "NFO": hours, "NSE_INDEX": {"like": "NSE"}}, "holidays": {"X": {}}}
    )


@pytest.fixture
def health(calendar: Calendar) -> FeedHealth:
    made = FeedHealth(calendar, StalenessLimits.of(5.0))
    for instrument in (SBIN, NIFTY, CALL):
        made.add(instrument, NOON, 0)
    return made


def look(health: FeedHealth, seconds: float, *held: str, served: Container[str] = (SBIN, NIFTY, CALL)) -> Coverage:
    """The coverage so many seconds after noon."""
    passed = int(seconds * SECOND)
    return health.update_coverage(NOON + passed, passed, frozenset(held), lambda name: name in served)


def order(state: OrderState) -> OrderChanged:
    made = Order(
        client_order_id="c1", account="main", instrument=SBIN, product=Product.MIS, strategy="s", run="r", cause="x",
        purpose=Purpose.ENTRY, side=Side.BUY, quantity=1, order_type=OrderType.MARKET, state=state,
        created_ns=0, updated_ns=0,
    )  # fmt: skip
    return OrderChanged(event="x", order=made, machine_ns=0)


def position(quantity: int) -> PositionChanged:
    held = Position(account="main", instrument=SBIN, product=Product.MIS, strategy="s", run="r", quantity=quantity)
    return PositionChanged(position=held, client_order_id="c1", fill_quantity=1, fill_price=1.0, at_ns=0)


def test_wanted_instrument_is_kept_for_a_minute_after_the_last_asking() -> None:
    demand = InstrumentDemand(["NSE"])
    demand.request([SBIN], 0)
    demand.request([SBIN], 10 * SECOND)
    assert demand.unwanted([SBIN], 10 * SECOND + DROP_AFTER_NS) == []
    assert demand.unwanted([SBIN], 11 * SECOND + DROP_AFTER_NS) == [SBIN]


def test_watched_instrument_is_kept_for_ever_and_nonsense_is_refused() -> None:
    demand = InstrumentDemand(["NSE"])
    assert demand.watch([SBIN, "MARS:X", "SBIN", "NSE:"]) == (SBIN,)
    assert demand.refused == {"MARS:X", "SBIN", "NSE:"}
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == []


def test_live_order_keeps_its_instrument_until_it_ends() -> None:
    demand = InstrumentDemand(["NSE"])
    assert demand.apply_order_message(order(OrderState.ACCEPTED), 0) == [SBIN]
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == []
    assert demand.apply_order_message(order(OrderState.UNKNOWN), 0) == [SBIN]
    assert demand.apply_order_message(order(OrderState.FILLED), 0) == []
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == [SBIN]


def test_position_keeps_its_instrument_until_it_is_flat() -> None:
    demand = InstrumentDemand(["NSE"])
    assert demand.apply_order_message(position(-5), 0) == [SBIN]
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == []
    demand.apply_order_message(position(0), 0)
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == [SBIN]


def test_position_that_has_not_moved_since_the_feed_began_is_held_as_long_as_risk_says_so() -> None:
    demand = InstrumentDemand(["NSE"])
    demand.set_held("risk", (SBIN, "MARS:X"))
    demand.set_held("engine", ())
    assert demand.held() == {SBIN}
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == []
    demand.set_held("risk", ())
    assert demand.held() == frozenset()
    assert demand.unwanted([SBIN], DROP_AFTER_NS * 10) == [SBIN]


def test_instrument_without_ticks_is_healthy_while_its_source_ticks_and_it_is_acknowledged(health: FeedHealth) -> None:
    assert look(health, 3600).share == 1.0
    assert look(health, 3600, served=(SBIN, NIFTY)).stale == (CALL,)


def test_held_instrument_ages_out_from_its_subscription_and_is_named(health: FeedHealth) -> None:
    assert look(health, 5, SBIN).share == 1.0
    assert look(health, 6, SBIN).stale == (SBIN,)
    assert health.stale_held == (SBIN,)
    health.ticked(SBIN, NOON + 6 * SECOND, 6 * SECOND)
    assert look(health, 6, SBIN).share == 1.0
    assert health.stale_held == ()


def test_held_option_is_given_more_time_than_an_index(health: FeedHealth) -> None:
    assert look(health, 30, NIFTY, CALL).stale == (NIFTY,)
    assert look(health, 61, NIFTY, CALL).stale == (NIFTY, CALL)


def test_coverage_low_for_a_while_is_low_and_heals_at_once(health: FeedHealth) -> None:
    health.on_connected(0)
    settled = SETTLE_NS // SECOND
    look(health, settled - 1, served=())
    look(health, settled, served=())
    assert not health.is_low
    look(health, settled + LOW_FOR_NS // SECOND, served=())
    assert health.is_low
    look(health, settled + LOW_FOR_NS // SECOND)
    assert not health.is_low


def test_coverage_out_of_session_is_whole(health: FeedHealth) -> None:
    for step in range(100):
        assert look(health, 8 * 3600 + step, SBIN, served=()).total == 0
    assert not health.is_low


def test_held_and_silent_in_session_is_what_is_asked_for(health: FeedHealth) -> None:
    health.ticked(NIFTY, NOON, 3 * SECOND)
    assert health.silent_instruments([SBIN, NIFTY, "NSE:OTHER"], 3 * SECOND, NOON, 4 * SECOND) == [SBIN]
    assert health.silent_instruments([SBIN, NIFTY], 3 * SECOND, NOON + 8 * 3600 * SECOND, 4 * SECOND) == []


def test_instrument_whose_frames_come_and_are_not_taken_is_deaf_and_not_well(health: FeedHealth) -> None:
    assert look(health, 3600).fresh == 3
    for second in range(30):
        health.dropped(SBIN, second * SECOND)
        assert (look(health, second).fresh, bool(health.deaf)) == ((3, False) if second < 10 else (2, True))
    assert health.deaf == {SBIN: 30}
    health.ticked(SBIN, NOON + 30 * SECOND, 30 * SECOND)
    assert (look(health, 30).fresh, health.deaf) == (3, {})
    health.dropped(SBIN, 31 * SECOND)
    assert look(health, 3600).fresh == 3, "one dropped and then nothing is the silence of what rarely trades"


def test_ticking_needs_every_liquid_instrument_or_the_time_it_was_given(health: FeedHealth) -> None:
    watched, ticked = (SBIN, NIFTY, CALL), {SBIN}

    def ticking(market_ns: int, machine_ns: int) -> bool:
        return health.is_ticking(watched, ticked.__contains__, (market_ns, machine_ns))

    assert not ticking(NOON, 0)
    health.record_subscription(NIFTY, SECOND)
    assert not ticking(NOON, SECOND + FIRST_TICK_NS)
    assert ticking(NOON, SECOND + FIRST_TICK_NS + 1)
    assert ticking(NOON + 10 * 3600 * SECOND, 0)
    health.on_connected(0)
    assert not ticking(NOON, SECOND + FIRST_TICK_NS + 1)
    ticked.add(NIFTY)
    assert ticking(NOON, 0)


# connections


@pytest.fixture
def connections(calendar: Calendar) -> SourceConnections:
    sources = tuple(
        AccountRun(id=name, rest_url="http://x", ws_url="ws://127.0.0.1:1", api_key="k") for name in ("one", "two")
    )
    return SourceConnections(sources, DataRules(watch=()), calendar, lambda: None)


def modes(connection: SourceConnection, machine_ns: int) -> dict[str, str]:
    """Return the requests of a connection, after an acknowledgement of all of them."""
    asked: dict[str, str] = {}
    while (request := connection.subscriptions.take_next_request(machine_ns)) is not None:
        if request["action"] == "subscribe":
            names = [f"{item['exchange']}:{item['symbol']}" for item in request["symbols"]]
            asked |= dict.fromkeys(names, request["mode"])
            pairs = tuple((name, request["mode"]) for name in names)
            connection.subscriptions.apply_answer(Acknowledged(request["request_id"], pairs, ()), machine_ns)
    return asked


def test_frames_that_were_read_and_wait_hold_the_clock_of_bars_back(connections: SourceConnections) -> None:
    connection = connections.active
    assert connection.caught_up(50) == 50
    connection.taken_ns = 30
    connection.socket.events.put(SocketFrame(b"{}", 40))
    assert connection.caught_up(50) == 30
    connection.socket.drain()
    assert connection.caught_up(50) == 50


def test_torn_answer_keeps_nobody_waiting_for_what_ticks_all_the_same(connections: SourceConnections) -> None:
    """An acknowledgement that came torn is asked for again after 15 s, and the feed was not ready for so long."""
    connection = connections.active
    for name in (SBIN, NIFTY):
        connections.subscribe(name)
    connection.on_connected(0)
    connection.active_since_ns = 0
    connection.pulse.record_quote(SECOND)
    assert "acknowledge" in connection.why_not_serving((SBIN, NIFTY), lambda _: True, SECOND)
    connection.subscriptions.accept_frame(SBIN)
    assert NIFTY in connection.why_not_serving((SBIN, NIFTY), lambda _: True, SECOND)
    connection.subscriptions.accept_frame(NIFTY)
    assert connection.why_not_serving((SBIN, NIFTY), lambda _: True, SECOND) == ""


def test_line_that_stands_by_holds_a_few_liquid_instruments_as_ltp(connections: SourceConnections) -> None:
    for name in (CALL, SBIN, NIFTY, "NSE:INFY", "NSE:TCS"):
        connections.subscribe(name)
    primary, backup = connections.all
    assert set(modes(primary, 0)) == {CALL, SBIN, NIFTY, "NSE:INFY", "NSE:TCS"}
    assert set(modes(primary, 0).values()) <= {"Quote"}
    assert modes(backup, 0) == dict.fromkeys((SBIN, NIFTY, "NSE:INFY"), "LTP")
    connections.drop(SBIN)
    assert modes(backup, 0) == {"NSE:TCS": "LTP"}


def test_backup_that_ticks_takes_over_everything_when_the_primary_is_mute(connections: SourceConnections) -> None:
    for name in (CALL, SBIN):
        connections.subscribe(name)
    primary, backup = connections.all
    start = machine_now()
    for connection in connections.all:
        connection.pulse.record_connect(start)
        modes(connection, start)
        connection.pulse.record_quote(start)
    found = []
    for second in range(1, 20):
        at = start + second * SECOND
        backup.pulse.record_quote(at)
        found += [(second, switch)] if (switch := connections.update_conditions(NOON, at)) else []
    assert [(second, switch.to) for second, switch in found] == [(14, 1)]
    assert connections.active is backup
    assert modes(backup, start) == {CALL: "Quote", SBIN: "Quote"}
    assert modes(primary, start) == {SBIN: "LTP"}
    assert list(primary.subscriptions) == [SBIN]


def test_backup_that_is_as_mute_as_the_primary_changes_nothing(connections: SourceConnections) -> None:
    connections.subscribe(SBIN)
    start = machine_now()
    for connection in connections.all:
        connection.pulse.record_connect(start)
    assert [connections.update_conditions(NOON, start + second * SECOND) for second in range(100)] == [None] * 100


def test_source_that_repeats_its_last_quotes_for_ever_is_mute(connections: SourceConnections) -> None:
    connections.subscribe(SBIN)
    (connection, _), start = connections.all, machine_now()
    connection.on_connected(start)
    connections.update_conditions(NOON, start)

    def frame(second: int, exchange_ns: int) -> None:
        quote = Quote(SBIN, NOON + second, start + second * SECOND, 800.0, volume=7, exchange_ns=exchange_ns)
        found = connection.on_frame(quote, FeedMode.QUOTE, start + second * SECOND)
        assert found is not None
        found.believe()

    for second in range(20):
        frame(second, 5)
    assert connection.pulse.is_mute(start + 20 * SECOND)
    frame(21, 6)
    assert connection.pulse.is_well(start + 21 * SECOND)


def test_primary_whose_pings_fail_is_left_though_it_ticks_and_only_while_that_is_said(
    connections: SourceConnections,
) -> None:
    connections.subscribe(SBIN)
    primary, backup = connections.all
    start = machine_now()
    for connection in connections.all:
        connection.pulse.record_connect(start)

    def second(number: int, ping_down: bool, account: str) -> None:
        at = start + number * SECOND
        for connection in connections.all:
            connection.pulse.record_quote(at)
        if (connection := connections.of_account(account)) is not None:
            connection.set_ping_down(ping_down, at)
        connections.update_conditions(NOON, at)

    for number in range(3):
        second(number, False, primary.source.id)
    assert connections.active is primary
    second(3, True, "another account")
    assert connections.active is primary
    second(4, True, primary.source.id)
    assert connections.active is backup
    assert primary.condition(start + 13 * SECOND) is Condition.SICK
    assert primary.condition(start + 15 * SECOND) is not Condition.SICK, "nobody repeats it: the reconciler is gone"


def test_backup_whose_pings_fail_does_not_take_over(connections: SourceConnections) -> None:
    connections.subscribe(SBIN)
    start = machine_now()
    for connection in connections.all:
        connection.pulse.record_connect(start)
    for number in range(5):
        at = start + number * SECOND
        for connection in connections.all:
            connection.pulse.record_quote(at)
            connection.set_ping_down(True, at)
        assert connections.update_conditions(NOON, at) is None
