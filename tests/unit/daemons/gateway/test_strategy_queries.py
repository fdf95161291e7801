"""Replies of the gateway on one strategy: its own books, which add up over its accounts."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.gateway.request_context import RequestRefused
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action, OrderState, Product, Purpose, Side
from mytrading.messages.leg_plan import LegPlan, LegRule
from mytrading.messages.market import Quote
from mytrading.messages.ops import OrdersQuery, StrategiesQuery, StrategyQuery, SwitchCommand
from mytrading.messages.orders import Goal, GoalChanged, OrderChanged, Position, PositionChanged, TradeClosed
from mytrading.messages.signals import Leg, Signal, StrategyStarted
from tests.kit.gateway_queries import NAME, ask, ops_server
from tests.kit.run_configs import run_config
from tests.kit.sliced_orders import order

CALL = "NFO:NIFTY30DEC2526000CE"


def hold(view: StackView, account: str, quantity: int, realised: float, strategy: str = NAME) -> None:
    position = Position(
        account=account, instrument=CALL, product=Product.MIS, strategy=strategy, run="r", quantity=quantity,
        quantity_seen=quantity, average_price=100.0, realised=realised,
    )  # fmt: skip
    view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=1, fill_price=100.0, at_ns=1))


def close(view: StackView, strategy: str, realised: float) -> None:
    view.apply(
        TradeClosed(
            account="main", instrument=CALL, product=Product.MIS, strategy=strategy, run="r", side=Side.BUY,
            quantity=75, entry_price=100.0, exit_price=101.0, realised=realised, opened_ns=1, closed_ns=2,
        )
    )  # fmt: skip


def reported() -> StackView:
    view = StackView()
    view.apply(Quote(CALL, 1, 1, 110.0, bid=109.0, ask=111.0))
    hold(view, "main", 75, 500.0)
    hold(view, "second", 150, -200.0)
    hold(view, "main", 75, 9_999.0, "Another")
    for number, state in ((1, OrderState.FILLED), (2, OrderState.ACCEPTED)):
        mine = msgspec.structs.replace(order(number, state), strategy=NAME, account="main")
        view.apply(OrderChanged(event="x", order=mine, machine_ns=1))
    other = msgspec.structs.replace(order(3, OrderState.ACCEPTED), strategy="Another")
    view.apply(OrderChanged(event="x", order=other, machine_ns=1))
    close(view, NAME, 75.0)
    close(view, "Another", 1.0)
    return view


@pytest.mark.parametrize("word", ["sma_crossover", "SMA Crossover", "smacrossover"])
def test_strategy_is_meant_whatever_the_case_and_the_signs_between_words(tmp_path: Path, word: str) -> None:
    assert ask(reported(), tmp_path, StrategyQuery(strategy=word))["name"] == NAME
    switch = SwitchCommand(request_id="r", strategy=word, enabled=False)
    assert ask(reported(), tmp_path, switch).switch.strategy == NAME


def test_misspelt_strategy_is_refused_with_the_near_one(tmp_path: Path) -> None:
    word = "SMA_Crosover"
    for request in (StrategyQuery(strategy=word), SwitchCommand(request_id="r", strategy=word, enabled=True)):
        with pytest.raises(RequestRefused, match=f"did you mean {NAME}"):
            ask(reported(), tmp_path, request)


def test_books_of_a_strategy_are_its_own_and_add_up_over_accounts(tmp_path: Path) -> None:
    body = ask(reported(), tmp_path, StrategyQuery(strategy=NAME))
    assert (body["realised"], body["unrealised"], body["open"]) == (300.0, 2_025.0, 2)
    assert sum(row["realised"] for row in body["accounts"]) == body["realised"]
    assert sum(row["unrealised"] for row in body["accounts"]) == body["unrealised"]
    assert sum(row["quantity"] for row in body["positions"]) == 225
    assert sum(row["units"] for row in body["accounts"]) == 225
    assert len(body["orders"]) == sum(row["orders"] for row in body["accounts"]) == 2
    assert [row["state"] for row in body["live"]] == ["ACCEPTED"]
    assert [row["realised"] for row in body["trades"]] == [75.0]


def test_strategy_that_is_gone_still_has_its_books(tmp_path: Path) -> None:
    body = ask(reported(), tmp_path, StrategyQuery(strategy="Another", limit=0))
    assert (body["state"], body["enabled"], body["realised"]) == ("GONE", False, 9_999.0)
    assert len(body["orders"]) == 1


def test_owner_of_a_position_that_does_not_run_is_among_the_strategies_and_says_what_it_holds(tmp_path: Path) -> None:
    view = reported()
    hold(view, "main", 0, 10.0, "Flat")
    hold(view, "main", 65, 0.0, "manual")
    rows = ask(view, tmp_path, StrategiesQuery())
    assert [(row["name"], row["state"], row["positions"]) for row in rows] == [
        (NAME, "LOADING", 2),
        ("Another", "GONE", 1),
    ]
    assert rows[1]["problem"].startswith(f"holds +75 {CALL} in main, and does not run: its file is gone")
    assert "mytrading flatten --strategy Another" in rows[1]["problem"]


def test_name_that_never_traded_is_refused_with_those_that_did(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match=f"\\({NAME}, Another\\); found 'Nobody'"):
        ask(reported(), tmp_path, StrategyQuery(strategy="Nobody"))


def test_list_shows_kind_and_switch(tmp_path: Path) -> None:
    off = StrategySwitch(strategy=NAME, enabled=False, generation=1, at_ns=1)
    row, _of_another = ask(reported(), tmp_path, StrategiesQuery(), off)
    assert (row["name"], row["kind"], row["enabled"], row["positions"]) == (NAME, "code", False, 2)


def test_list_shows_what_a_strategy_waits_for_and_the_prices_of_what_it_watches(tmp_path: Path) -> None:
    view = reported()
    row, _of_another = ask(view, tmp_path, StrategiesQuery())
    assert (row["state"], row["waits"]) == ("LOADING", "")
    (watched,) = row["watches"][:1]
    assert row["prices"][watched] is None
    view.apply(StrategyStarted(strategy=NAME, parameters={}, watches=(watched,), warm_bars=0, at_ns=1))
    view.apply(Quote(watched, 1, 1, 26_081.35))
    row, _of_another = ask(view, tmp_path, StrategiesQuery())
    assert row["waits"].startswith("entry of ") and row["waits"].endswith(" to fill")
    assert row["prices"][watched] == 26_081.35


def test_strategy_of_legs_waits_for_the_re_entry_of_a_leg_that_its_stop_closed(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    legs = (LegRule(lots=-1, strike="OTM 4", right="CE", reentries=2),)
    run = msgspec.structs.replace(config.strategies[0], plan=LegPlan(legs=legs, entry_time=33_600))
    server = ops_server(msgspec.structs.replace(config, strategies=(run,)), StackView())
    view, now = server.context.view, server.context.clock.now()
    view.apply(StrategyStarted(strategy=NAME, parameters={}, watches=run.symbols, warm_bars=0, at_ns=now))
    view.apply(
        Signal(
            id="s1", strategy=NAME, watch=run.symbols[0], action=Action.BUY, created_ns=now, expires_ns=now,
            expires_machine_ns=1, account="main", legs=(Leg(instrument=CALL, lots=-1),),
        )
    )  # fmt: skip
    hold(view, "main", -75, 0.0)
    stopped = order(1, OrderState.FILLED, purpose=Purpose.STOP, parent="", slice=0)
    stopped = msgspec.structs.replace(stopped, strategy=NAME, instrument=CALL, filled=75, filled_seen=75)
    (row,) = server.answer(StrategiesQuery())
    assert row["waits"] == "its exit"
    view.apply(OrderChanged(event="filled", order=stopped, machine_ns=1))
    hold(view, "main", 0, -500.0)
    (row,) = server.answer(StrategiesQuery())
    assert re.fullmatch(r"re-entry of leg 1, SELL OTM 4 CE at \d\d:\d\d at the market, 2 left today", row["waits"])


def test_exit_order_tells_why_it_was_sent_also_when_it_is_done(tmp_path: Path) -> None:
    view = StackView()
    leaving = order(1, OrderState.FILLED, purpose=Purpose.EXIT, parent="", slice=0)
    view.apply(OrderChanged(event="filled", order=leaving, machine_ns=1))
    goal = Goal(
        id="g", account="main", instrument="NFO:A", product=Product.MIS, strategy="s", run="r", cause="c",
        reason="stop: 34.95 is at or beyond 35.00", purpose=Purpose.EXIT, order=leaving.client_order_id,
    )  # fmt: skip
    for state in ("open", "done"):
        view.apply(GoalChanged(goal=msgspec.structs.replace(goal, state=state), at_ns=1))
    (row,) = ask(view, tmp_path, OrdersQuery())
    assert row["reason"] == "stop: 34.95 is at or beyond 35.00"
