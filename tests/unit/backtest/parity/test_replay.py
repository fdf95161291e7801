"""The machines walked through quotes: an order meets the quotes of its moment, and a perturbed day is explained."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace as replace_fields
from datetime import time
from typing import Any

from msgspec.structs import replace

from mytrading.adapters.storage.tape import TapeFrame
from mytrading.backtest.parity.explain import Explainer
from mytrading.backtest.parity.facts import DayFacts, DaySide, MarketMoment, Opening, Quotes
from mytrading.backtest.parity.recorded_day import (
    ReceivedEvent,
    accepted_frames,
    bar_moments,
    fill_pauses,
    merge_moments,
    tape_moments,
)
from mytrading.backtest.parity.replay import UNLIMITED, Replay, ReplayContext
from mytrading.backtest.run import without_rupee_limits
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.feed.quote_fields import QuoteFields
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import MINUTE, SECOND, to_ns
from mytrading.messages.brokers import BrokerRules, FeedRules, FrameKind
from mytrading.messages.enums import Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import DayOpened, FundsRecorded, RiskOpened
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import Position
from mytrading.messages.run_config import Direction, RateLimits, SizingRule, StopPlan, StrategyRun, TradeKind, TradeRule
from tests.kit.backtest_specs import DAY, LIMITS, SBIN, Script, calendar, facts
from tests.kit.project import ROOT

TEN = to_ns(DAY, time(10, 0))
BOOK = InstrumentBook(
    [Instrument(id=SBIN, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN", tick_size=0.05)]
)


FUTURE = "NFO:SBIN28MAR24FUT"
LISTED = Instrument(
    id=FUTURE,
    exchange="NFO",
    symbol="SBIN28MAR24FUT",
    kind=InstrumentKind.FUT,
    underlying="SBIN",
    expiry="2024-03-28",
    lot_size=10,
    tick_size=0.05,
    freeze_qty=1000,
)


def world(plan: str, **given: Any) -> ReplayContext:
    run = StrategyRun(
        name="Script", file="", symbols=(SBIN,), long=TradeRule(kind=TradeKind.SAME, side=Side.BUY),
        short=TradeRule(kind=TradeKind.SAME, side=Side.SELL), direction=Direction.BOTH, product=Product.MIS,
        stop=given.pop("stop", StopPlan.NONE), lots=10, parameters={"plan": plan}, accounts=given.pop("accounts", ()),
    )  # fmt: skip
    tables = RiskTables.from_dict(tomllib.loads((ROOT / "config" / "risk.toml").read_text(encoding="utf-8")))
    fields: dict[str, Any] = {
        "engine": EngineMachine([run], {"Script": Script}, BOOK, "main"),
        "strategies": [run],
        "limits": without_rupee_limits(LIMITS),
        "rates": RateLimits(),
        "calendar": calendar(),
        "facts": facts(),
        "tables": tables,
        "book": BOOK,
        "capitals": {"main": 1e7},
        "openings": [Opening(TEN, {"Script": (SBIN,)})],
    }
    return ReplayContext(**{**fields, **given})


def quote(at: int, price: float, spread: float = 0.10) -> Quote:
    return Quote(SBIN, at, 0, price, round(price - spread / 2, 2), round(price + spread / 2, 2))


def minute(number: int, price: float) -> Bar:
    start = TEN + number * MINUTE
    return Bar(SBIN, "1m", start, start + MINUTE, price, price, price, price, 100, 1, start + MINUTE)


def day(prices: Sequence[float]) -> list[MarketMoment]:
    """A quote each half minute; the bar of a minute is complete with the first quote after it."""
    moments = [MarketMoment(TEN, (quote(TEN, prices[0]),))]
    for number, price in enumerate(prices[1:], 1):
        begins = TEN + number * MINUTE
        before = prices[number - 1]
        moments.append(MarketMoment(begins - 30 * SECOND, (quote(begins - 30 * SECOND, before),)))
        moments.append(MarketMoment(begins, (quote(begins, price),), (minute(number - 1, before),)))
    return moments


PRICES = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]


def walked(plan: str, moments: Sequence[MarketMoment], **given: Any) -> DaySide:
    return Replay(world(plan, **given)).run(moments)


def trades(side: DaySide) -> list[tuple[int, float, int]]:
    return [(fill.units, fill.price, (fill.at_ns - TEN) // SECOND) for fill in side.fills.values()]


def test_orders_meet_bid_and_ask_of_the_moment_in_which_they_are_made() -> None:
    side = walked("0 BUY, 2 EXIT", day(PRICES))
    assert trades(side) == [(10, 101.05, 60), (-10, 102.95, 180)]
    assert [order.purpose for order in side.orders.values()] == [Purpose.ENTRY, Purpose.EXIT]


def test_stop_at_the_venue_triggers_at_the_quote_that_comes_to_it() -> None:
    side = walked("0 BUY", day([100.0, 100.0, 100.0, 98.5, 98.5]), stop=StopPlan.BROKER)
    entry, stop = side.fills.values()
    assert (entry.units, stop.units) == (10, -10)
    assert (stop.at_ns - TEN) // SECOND == 180
    assert [order.purpose for order in side.orders.values()] == [Purpose.ENTRY, Purpose.STOP]


def walk_of_future(*funds: FundsRecorded) -> DaySide:
    """The future bought at the first minute and sold at the third: 10 units of about ₹100 need ₹200 at 20 %."""
    return Replay(replace_fields(world_of_future("0 BUY, 2 EXIT"), funds=funds)).run(moments_of_future())


def world_of_future(plan: str, sizing: str = "fixed") -> ReplayContext:
    book = InstrumentBook([*BOOK, LISTED])
    run = StrategyRun(
        name="Script",
        file="",
        symbols=(SBIN,),
        long=TradeRule(kind=TradeKind.FUTURE, side=Side.BUY),
        short=TradeRule(kind=TradeKind.FUTURE, side=Side.SELL),
        product=Product.MIS,
        stop=StopPlan.NONE,
        lots=1,
        sizing=SizingRule(by=sizing),
        parameters={"plan": plan},
    )
    engine = EngineMachine([run], {"Script": Script}, book, "main")
    return world("", book=book, engine=engine, strategies=[run])


def moments_of_future() -> list[MarketMoment]:
    return [
        one._replace(quotes=tuple(item for each in one.quotes for item in (each, of_future(each))))
        for one in day(PRICES)
    ]


def of_future(quote: Quote) -> Quote:
    return replace(quote, instrument=FUTURE)


def recorded(available: float, at_ns: int = TEN) -> FundsRecorded:
    return FundsRecorded(account="main", available=available, used=0.0, collateral=0.0, at_ns=at_ns)


def test_future_trades_on_a_day_without_recorded_funds_as_if_they_were_unlimited() -> None:
    side = walk_of_future()
    assert side.denials == []
    assert trades(side) == [(10, 101.05, 60), (-10, 102.95, 180)]


def sized_future(**given: Any) -> list[int]:
    """Units of the entry of a future that is sized by 40 % of what is free; a lot of 10 needs about ₹200."""
    context = world_of_future("0 BUY", "conservative")
    side = Replay(replace_fields(context, **given)).run(moments_of_future())
    return [fill.units for fill in side.fills.values()]


def test_sizes_on_a_day_without_recorded_funds_go_by_the_capital_and_not_by_endless_funds() -> None:
    assert sized_future(capitals={"main": 5_100.0}) == [100]
    assert sized_future(capitals={"main": 2_600.0}) == [50]
    assert sized_future(capitals={"main": 2_600.0}, venue_cash=UNLIMITED) == [50]
    assert sized_future(capitals={"main": 2_600.0}, funds=(recorded(5_100.0),)) == [100]


def test_future_is_denied_for_want_of_the_margin_that_the_journal_recorded() -> None:
    assert len(trades(walk_of_future(recorded(1_000.0)))) == 2
    side = walk_of_future(recorded(1_000.0), recorded(100.0, TEN + 59 * SECOND))
    assert trades(side) == []
    assert {one.code for one in side.denials} == {"INSUFFICIENT_MARGIN"}


def test_two_walks_through_the_same_moments_are_equal() -> None:
    explainer = Explainer(walked("0 BUY, 2 EXIT", day(PRICES)), walked("0 BUY, 2 EXIT", day(PRICES)), DayFacts())
    assert explainer.explain_day() == []
    assert Counter(one.kind for one in explainer.agreed) == {"signal": 2, "order": 2, "fill": 2}


def test_walk_with_other_limits_differs_by_a_denial_and_what_follows_from_it() -> None:
    tight = LIMITS.__class__(**{**{n: getattr(LIMITS, n) for n in LIMITS.__struct_fields__}, "max_order_size": 500.0})
    stack = walked("0 BUY, 2 EXIT", day(PRICES), limits=tight)
    found = Explainer(stack, walked("0 BUY, 2 EXIT", day(PRICES)), DayFacts()).explain_day()
    assert {one.cause.value for one in found} == {"denial"}
    assert "MAX_POSITION_SIZE" in found[0].why or "MAX_ORDER_SIZE" in found[0].why


def test_walk_a_moment_late_differs_by_latency() -> None:
    moments = day(PRICES)
    late = [
        MarketMoment(one.now + SECOND, (quote(one.now + SECOND, one.quotes[0].ltp + 0.5),), one.bars) for one in moments
    ]
    quotes = Quotes(sorted((q for m in (*moments, *late) for q in m.quotes), key=lambda one: one.market_ns))
    found = Explainer(
        walked("0 BUY, 2 EXIT", late), walked("0 BUY, 2 EXIT", day(PRICES)), DayFacts(quotes)
    ).explain_day()
    assert [(one.kind, one.cause.value) for one in found] == [("fill", "latency"), ("fill", "latency")]


def test_two_accounts_each_have_their_own_venue() -> None:
    side = walked("0 BUY, 2 EXIT", day(PRICES), accounts=("main", "second"), capitals={"main": 1e7, "second": 1e7})
    assert sorted((fill.account, fill.units) for fill in side.fills.values()) == [
        ("main", -10), ("main", 10), ("second", -10), ("second", 10),
    ]  # fmt: skip


def test_strategies_that_open_later_see_earlier_bars_as_history() -> None:
    side = walked("0 BUY", day(PRICES), openings=[Opening(TEN + 3 * MINUTE + 1, {"Script": (SBIN,)})])
    assert side.signals == {}


# moments


def frame(at: int, received: int, ltp: float, kind: str = "market_data") -> TapeFrame:
    data = {"ltp": ltp, "bid": ltp - 0.05, "ask": ltp + 0.05, "timestamp": at // 1_000_000}
    body = {"type": kind, "symbol": "SBIN", "exchange": "NSE", "mode": 2, "data": data}
    return TapeFrame(received, at, json.dumps(body).encode())


def mark(at: int, received: int) -> TapeFrame:
    return TapeFrame(received, at, b'{"type": "step", "mark": 1}')


def taken_of(frames: list[TapeFrame], speed: float) -> list[ReceivedEvent]:
    return list(accepted_frames(frames, PriceCheck(20.0), QuoteFields(calendar()), speed))


def test_tape_in_lock_step_makes_one_moment_of_a_step_and_gives_a_bar_with_the_frame_that_ended_it() -> None:
    frames = [frame(TEN, 10, 100.0), mark(TEN, 11), frame(TEN + MINUTE, 20, 101.0), mark(TEN + MINUTE, 21)]
    taken = taken_of(frames, 0.0)
    bar = Bar(SBIN, "1m", TEN, TEN + MINUTE, 100.0, 100.0, 100.0, 100.0, 0, 1, 20)
    first, second = tape_moments(taken, [bar], lock_step=True)
    assert (first.now, len(first.quotes), first.bars) == (TEN, 1, ())
    assert (second.now, second.quotes[0].ltp, second.bars) == (TEN + MINUTE, 101.0, (bar,))


def test_tape_makes_a_moment_of_each_frame_and_gives_a_bar_of_the_history_at_its_end() -> None:
    frames = [frame(TEN, 10, 100.0), frame(TEN, 11, 100.1), frame(TEN + MINUTE, 20, 101.0)]
    bar = Bar(SBIN, "1m", TEN, TEN + MINUTE, 100.0, 100.0, 100.0, 100.0)
    made = tape_moments(taken_of(frames, 1.0), [bar], lock_step=False)
    assert [one.now for one in made] == [TEN, TEN, TEN + MINUTE]
    assert made[-1].bars == (bar,)


def test_bar_that_the_clock_completed_after_a_freeze_is_not_shown_before_its_end() -> None:
    frames = [frame(TEN + 45 * SECOND, 100, 100.0), frame(TEN + 171 * SECOND, 352, 101.0)]
    taken = taken_of(frames, 1.0)
    bar = Bar(SBIN, "1m", TEN, TEN + MINUTE, 100.0, 100.0, 100.0, 100.0, 0, 1, 350)
    first, second, third = tape_moments(taken, [bar], lock_step=False)
    assert (first.now, first.bars) == (TEN + 45 * SECOND, ())
    assert (second.now, second.quotes, second.bars) == (TEN + 170 * SECOND, (), (bar,))
    assert (third.now, third.bars) == (TEN + 171 * SECOND, ())


def test_price_that_the_feed_did_not_believe_is_not_accepted() -> None:
    frames = [frame(TEN, 10, 100.0), frame(TEN + SECOND, 20, 900.0), frame(TEN + 2 * SECOND, 30, 100.1)]
    assert [one.quote.ltp for one in taken_of(frames, 1.0) if one.quote] == [100.0, 100.1]


def test_price_that_its_own_book_contradicts_is_a_book_alone_in_a_replay_as_in_the_feed() -> None:
    """It was believed in the replay once it had come for thirty seconds, and the replay made other bars."""

    def wrong(at: int, received: int) -> TapeFrame:
        right = frame(at, received, 100.0)
        return right._replace(data=right.data.replace(b'"ltp": 100.0', b'"ltp": 23000.0'))

    frames = [frame(TEN, 10, 100.0), *(wrong(TEN + n * SECOND, 20 + n * SECOND) for n in range(1, 60))]
    quotes = [one.quote for one in taken_of([*frames, frame(TEN + MINUTE, 99 * SECOND, 101.0)], 1.0) if one.quote]
    assert [quote.ltp for quote in quotes] == [100.0, *[0.0] * 59, 101.0]
    assert {(quote.bid, quote.ask) for quote in quotes[1:-1]} == {(99.95, 100.05)}


def test_tape_of_a_broker_whose_book_has_a_middle_price_gives_the_quotes_that_the_feed_made_of_it() -> None:
    """Last trade 12, book 1 to 50: a replay by the frames alone had 25.5 as a price."""

    def depth(at: int, received: int, bid: float) -> TapeFrame:
        levels = {"buy": [{"price": bid, "quantity": 5}], "sell": [{"price": 50.0, "quantity": 5}]}
        data = {"ltp": (bid + 50.0) / 2, "timestamp": at // 1_000_000, "depth": levels}
        body = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 3, "data": data, "broker": "middle"}
        return TapeFrame(received, at, json.dumps(body).encode())

    rules = FeedRules(price_frames=(FrameKind.LTP, FrameKind.QUOTE))
    brokers = {"middle": BrokerRules(name="middle", feed=rules)}
    first = frame(TEN, 10, 12.0)
    first = first._replace(data=first.data.replace(b'"mode": 2', b'"mode": 2, "broker": "middle"'))
    frames = [first, depth(TEN + SECOND, 20, 1.0), depth(TEN + 2 * SECOND, 30, 1.0), depth(TEN + 3 * SECOND, 40, 2.0)]
    taken = [one.quote for one in accepted_frames(frames, PriceCheck(20.0), QuoteFields(calendar()), 1.0, brokers)]
    assert [(one.ltp, one.bid, one.ask, one.market_ns) for one in taken if one] == [
        (12.0, 11.95, 12.05, TEN), (12.0, 1.0, 50.0, TEN), (12.0, 2.0, 50.0, TEN),
    ]  # fmt: skip


def test_bars_without_a_tape_fill_at_the_next_open() -> None:
    bars = [minute(number, price) for number, price in enumerate(PRICES)]
    side = walked("0 BUY, 2 EXIT", bar_moments(bars))
    assert trades(side) == [(10, 101.0, 60), (-10, 103.0, 180)]


def test_time_passes_where_nothing_comes() -> None:
    moments = list(fill_pauses([MarketMoment(TEN + 3 * SECOND)], TEN, TEN + 5 * SECOND + 1))
    assert [(one.now - TEN) // SECOND for one in moments] == [1, 2, 3, 4, 5]


def test_what_is_held_from_the_day_before_can_be_sold() -> None:
    held = Position(
        account="main", instrument=SBIN, product=Product.CNC, strategy="Script", run="r", quantity=10,
        quantity_seen=10, average_price=90.0, opened_ns=TEN - 48 * 60 * MINUTE, trip_quantity=10, trip_value=900.0,
    )  # fmt: skip
    opened = DayOpened(day=DAY.isoformat(), positions=(held,))
    carried = {"engine": [opened], "router": [opened], "risk": [RiskOpened(day=DAY.isoformat(), positions=(held,))]}
    side = walked("1 EXIT", day(PRICES), carried=carried)
    assert trades(side) == [(-10, 101.95, 120)]


def test_moments_at_one_time_are_joined() -> None:
    one, other = MarketMoment(TEN, (quote(TEN, 100.0),)), MarketMoment(TEN, (), (minute(0, 100.0),))
    made = merge_moments([MarketMoment(TEN + 1), one], [other])
    assert [(moment.now, len(moment.quotes), len(moment.bars)) for moment in made] == [(TEN, 1, 1), (TEN + 1, 0, 0)]
