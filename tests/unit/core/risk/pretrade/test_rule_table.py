"""The pre-trade rules: what each denies, with its numbers, and that all of them are checked."""

from __future__ import annotations

import re
from datetime import time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import Session
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.pretrade.rule_table import ADJUSTMENTS, RULES, denials_page, find_denials
from mytrading.core.risk.runs.run_events import RUN_ENDING
from mytrading.core.risk.sizing.sizer import SHORT_OF_MARGIN, TOO_MANY_LOTS
from mytrading.core.risk.state.state import EntryCounters
from mytrading.core.time import to_ns
from mytrading.messages.commands import BASKET_BROKEN
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import Action, Confidence, DaemonState, OrderType, Product, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import StopPlan, StrategyRun
from mytrading.messages.signals import Leg, Signal
from tests.kit.risk_bench import CALL, DAY, LIMITS, NOW, SECOND, SHARE, option

STOCK = Instrument(id=SHARE, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
RUN = StrategyRun(name="S", file="s.py", symbols=(SHARE,), long=None, short=None, timeframes=("5m",),
                  stop=StopPlan.NONE)  # fmt: skip


def a_case(name: str = SHARE, leg: Leg | None = None, product: Product = Product.MIS, **fields: Any) -> PreTradeContext:
    """An entry that every rule admits."""
    leg = leg or Leg(instrument=name, lots=10)
    signal = Signal(
        id="s", strategy="S", watch=name, action=Action.BUY, legs=(leg,), product=product, created_ns=NOW,
        expires_ns=NOW + SECOND, expires_machine_ns=SECOND,
    )  # fmt: skip
    share = name == SHARE
    given: dict[str, Any] = {
        "signal": signal,
        "leg": leg,
        "now": NOW,
        "machine_ns": 0,
        "limits": LIMITS,
        "instrument": STOCK if share else option(CALL, InstrumentKind.CE),
        "strategy": RUN,
        "units": 10 if share else 65,
        "price": 800.0 if share else 100.0,
        "quote": a_quote(name, 800.0 if share else 100.0),
        "session": Session(to_ns(DAY, time(9, 15)), to_ns(DAY, time(15, 30)), to_ns(DAY, time(15, 30))),
    }
    return PreTradeContext(**{**given, **fields})


def a_quote(name: str, ltp: float, bid: float | None = None, ask: float | None = None, close: float = 0.0) -> Quote:
    return Quote(name, NOW, 0, ltp, bid or ltp, ask or ltp, previous_close=close or ltp)


def an_old_quote(seconds: float) -> Quote:
    age = round(seconds * SECOND)
    return replace(a_quote(SHARE, 800.0), market_ns=NOW - age, received_ns=-age)


def limits(**changed: Any) -> dict[str, Any]:
    return {"limits": replace(LIMITS, **changed)}


DENIED: list[tuple[str, dict[str, Any], str]] = [
    ("PRODUCT_DISABLED", limits(enabled_products=("NRML",)), "MIS is not one of ENABLED_PRODUCTS NRML"),
    ("TIMEFRAME_DISABLED", limits(enabled_timeframes=("1m", "1h")), "5m, which is not one of ENABLED_TIMEFRAMES 1m,1h"),
    ("STOPPING", {"stopping": True}, "`mytrading down` stops the stack"),
    ("DATA_COVERAGE", {"coverage": 0.89}, "89% of the instruments have data, MIN_DATA_COVERAGE is 90%"),
    ("IMPLAUSIBLE_QUOTE", {"quote": a_quote(SHARE, 800.0, 801.0, 799.0)}, "bid 801.00 of NSE:SBIN lies above"),
    ("IMPLAUSIBLE_QUOTE", {"quote": a_quote(SHARE, float("nan"), 800.0, 800.0, 800.0)}, "which is no price"),
    ("PRICE_COLLAR", {"price": 824.01}, "824.01, 3.0% from the last price 800.00"),
    ("PRICE_COLLAR", {"name": CALL, "price": 125.01}, "PRICE_COLLAR_OPTIONS allows 25.0%"),
    ("PRICE_BAND", {"quote": a_quote(SHARE, 800.0, close=660.0)}, "band 528.00 to 792.00 of NSE:SBIN"),
    ("TICK", {"leg": Leg(instrument=SHARE, lots=10, order_type=OrderType.LIMIT, limit_price=800.03)}, "tick 0.05"),
    ("ENTRIES_PER_SESSION", {**limits(max_entries_per_session=3), "session_entries": 3}, "3 entries of S"),
    ("ACTIVE_ORDERS", {"active_orders": 100}, "MAX_ACTIVE_ORDERS is 100"),
    ("CANCELS_PER_DAY", {"cancels_today": 500}, "500 cancels of the account reach MAX_CANCELS_PER_DAY 500"),
    (
        "LOSS_PAUSE",
        {**limits(max_consecutive_losses=3), "losses": 3, "loss_ns": NOW - 60 * SECOND},
        "until 11:29:00",
    ),
    ("EXCHANGE_DISABLED", limits(enabled_exchanges=("NFO",)), "NSE is not one of ENABLED_EXCHANGES NFO"),
    ("TYPE_DISABLED", limits(enabled_kinds=(InstrumentKind.CE,)), "type EQ is not one of ENABLED_INSTRUMENT_TYPES CE"),
    ("PRODUCT_NOT_ALLOWED", {"name": CALL, "product": Product.CNC}, "CNC is for shares"),
    ("PRODUCT_NOT_ALLOWED", {"product": Product.NRML}, "NRML is for derivatives"),
    ("PRODUCT_NOT_ALLOWED", {"product": Product.CNC, "units": -10}, "cannot be sold short"),
    ("WHOLE_LOTS", {"name": CALL, "units": 100}, "100 is not a multiple of lot size 65"),
    ("NO_QUOTE", {"quote": None}, "there is no quote of NSE:SBIN"),
    ("NO_QUOTE", {"price": 0.0}, "holds no positive price"),
    ("STALE_QUOTE", {"quote": an_old_quote(5.1)}, "is 5.1 s old, at most 5 s"),
    ("MIN_ORDER_SIZE", limits(min_order_size=8000.01), "₹8,000 is below MIN_ORDER_SIZE"),
    ("MAX_POSITIONS_PER_SYMBOL", {"positions_symbol": 5}, "5 positions of SBIN reach MAX_POSITIONS_PER_SYMBOL 5"),
    ("MAX_TOTAL_POSITIONS", {"positions_total": 50}, "50 positions reach MAX_TOTAL_POSITIONS 50"),
    ("DUPLICATE", {"other_watch": "NSE_INDEX:BANKNIFTY"}, "already, for NSE_INDEX:BANKNIFTY"),
    ("MIN_CONFIDENCE", {"strategy": replace(RUN, min_confidence=1.01)}, "confidence 1.00 is below MIN_CONFIDENCE 1.01"),
    ("DAILY_LOSS", {"reached": {"DAILY_LOSS": "lost too much"}}, "lost too much"),
    ("DRAWDOWN", {"reached": {"DRAWDOWN": "fell too far"}}, "fell too far"),
]  # fmt: skip
ADMITTED: list[dict[str, Any]] = [
    {},
    {"name": CALL},
    {"coverage": 0.9},
    {"price": 824.0},
    {"name": CALL, "price": 125.0},
    {"name": CALL, "price": 1.5, "quote": a_quote(CALL, 1.0), **limits(min_order_size=0)},
    {"quote": a_quote(SHARE, 800.0, close=670.0)},
    {**limits(max_entries_per_session=3), "session_entries": 2},
    {"session_entries": 10_000},
    {"active_orders": 99, "cancels_today": 499},
    {**limits(max_consecutive_losses=3), "losses": 2, "loss_ns": NOW},
    {**limits(max_consecutive_losses=3), "losses": 3, "loss_ns": NOW - 30 * 60 * SECOND},
    {"losses": 99, "loss_ns": NOW},
    {"strategy": None, **limits(enabled_timeframes=("1m",))},
    limits(enabled_exchanges=("NSE",), enabled_kinds=(InstrumentKind.EQ,), min_order_size=8000.0),
    {"product": Product.CNC},
    {"name": CALL, "product": Product.NRML},
    {"quote": an_old_quote(5.0)},
    {"positions_symbol": 4, "positions_total": 49},
    {"positions_symbol": 5, "positions_total": 50, "adds_position": False},
    {"strategy": replace(RUN, min_confidence=1.0)},
]


@pytest.mark.parametrize(("code", "fields", "said"), DENIED)
def test_rule_denies_with_its_code_and_its_numbers(code: str, fields: dict[str, Any], said: str) -> None:
    found = {denial.code: denial.message for denial in find_denials(a_case(**fields))}
    assert said in found[code]


@pytest.mark.parametrize("fields", ADMITTED)
def test_entry_at_the_limit_is_admitted(fields: dict[str, Any]) -> None:
    assert find_denials(a_case(**fields)) == ()


def test_every_rule_that_speaks_is_listed_in_the_order_of_the_table() -> None:
    found = find_denials(
        a_case(coverage=0.5, active_orders=1000, cancels_today=1000, spent=True, price=900.0, disk_low=True)
    )
    order = [rule.code for rule in RULES]
    codes = [denial.code for denial in found]
    assert {"DISK_LOW", "DATA_COVERAGE", "PRICE_COLLAR", "SIGNAL_SPENT", "ACTIVE_ORDERS", "CANCELS_PER_DAY"} <= set(
        codes
    )
    assert codes == sorted(codes, key=order.index)
    assert len(set(order)) == len(order)


def test_page_names_every_code_that_is_given_beside_the_rules_and_none_that_is_not() -> None:
    listed = set(re.findall(r"^\| `(\w+)`", denials_page(), re.MULTILINE))
    assert listed == {rule.code for rule in (*RULES, *ADJUSTMENTS)} | {TOO_MANY_LOTS, BASKET_BROKEN}
    assert {SHORT_OF_MARGIN, RUN_ENDING} <= listed


def test_coverage_counts_only_once_it_has_lasted() -> None:
    counts = EntryCounters()

    def beat(share: float, at: int) -> None:
        counts.record_coverage(
            Heartbeat(
                daemon="feed", pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=at * SECOND, market_ns=NOW,
                started_machine_ns=0, figures={"coverage": share, "expected": 10.0},
            )
        )  # fmt: skip

    beat(0.7, 1)
    assert counts.coverage(2 * SECOND) == 1.0
    beat(0.6, 6)
    assert counts.coverage(6 * SECOND) == 0.6
    beat(1.0, 7)
    beat(0.5, 8)
    assert counts.coverage(9 * SECOND) == 1.0


LOW = replace(
    LIMITS, max_entries_per_session=1, max_active_orders=1, max_cancels_per_day=1, max_consecutive_losses=1,
    min_data_coverage=1.0,
)  # fmt: skip
"""The least that the settings allow, at which counts deny soonest."""


def test_rule_that_asks_a_field_first_says_nothing_while_it_is_as_by_default() -> None:
    gated = [rule for rule in RULES if rule.field]
    assert len(gated) >= 24
    hasty = replace(RUN, signal_cooldown=1e9, min_confidence=1.0)
    for case in (a_case(), a_case(limits=LOW, strategy=hasty, entries_per_minute=1, loss_ns=NOW)):
        for rule in gated:
            assert rule.check(case) == "", rule.code


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("BARS_MISSING", {"missing_bars": "bars of NSE:SBIN are waited for"}),
        ("PRICE_DISBELIEVED", {"disbelieved": "NSE:SBIN is closed for entries"}),
        ("HALTED", {"level": TradingLevel.HALT}),
        ("REDUCING", {"level": TradingLevel.REDUCE}),
        ("STRATEGY_DISABLED", {"enabled": False}),
        ("POSITION_IN_DOUBT", {"confidence": Confidence.STALE}),
        ("DATA_COVERAGE", {"coverage": 0.0}),
        ("ENTRIES_PER_SESSION", {"session_entries": 1}),
        ("ACTIVE_ORDERS", {"active_orders": 1}),
        ("CANCELS_PER_DAY", {"cancels_today": 1}),
        ("LOSS_PAUSE", {"losses": 1, "loss_ns": NOW}),
        ("COOLDOWN", {"last_entry_ns": NOW - SECOND, "strategy": replace(RUN, signal_cooldown=2.0)}),
        ("ENTRIES_PER_MINUTE", {"entries_last_minute": 1, "entries_per_minute": 1}),
    ],
)
def test_rule_that_asks_a_field_first_speaks_alone_once_it_differs(code: str, fields: dict[str, Any]) -> None:
    assert [denial.code for denial in find_denials(a_case(limits=LOW, **fields))] == [code]


def test_reasons_that_are_asked_together_stand_in_the_order_of_the_table() -> None:
    reported = find_denials(
        a_case(
            not_ready="the feed is silent", wrong_mode="live", halted="disputed", leaving="max_loss", opposed="T",
            spent=True, reached={"DAILY_LOSS": "lost", "DRAWDOWN": "fell"}, coverage=0.5, active_orders=100,
            units=10_000,
        )
    )  # fmt: skip
    naive = [rule.code for rule in RULES if rule.check(a_case(
        not_ready="the feed is silent", wrong_mode="live", halted="disputed", leaving="max_loss", opposed="T",
        spent=True, reached={"DAILY_LOSS": "lost", "DRAWDOWN": "fell"}, coverage=0.5, active_orders=100, units=10_000,
    ))]  # fmt: skip
    assert [denial.code for denial in reported] == naive
    assert naive[0] == "NOT_READY" and naive[-1] == "DRAWDOWN"
