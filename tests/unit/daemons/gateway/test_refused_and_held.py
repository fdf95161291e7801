"""What the gateway says of strategies that can enter nothing: refused signals, halts; and of limits with their use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.core.time import MINUTE
from mytrading.messages.account_events import EntriesStopped
from mytrading.messages.commands import SignalDenied
from mytrading.messages.control import EntryLimitUse, LimitUse, RiskPicture, TradingState
from mytrading.messages.enums import LimitAction, LimitKind, OrderState, TradingLevel
from mytrading.messages.ops import RiskQuery, StatusQuery, StrategiesQuery
from mytrading.messages.orders import OrderChanged
from mytrading.messages.signals import StrategyStarted
from mytrading.runtime.host.clock import MarketClock
from tests.kit.gateway_queries import NAME, ask, ops_server
from tests.kit.order_samples import order
from tests.kit.run_configs import run_config


def refused(view: StackView, at_ns: int) -> None:
    view.apply(
        SignalDenied(
            signal=f"w{at_ns}", strategy=NAME, code="MAX_POSITIONS_PER_SYMBOL", message="5 positions of NIFTY reach it",
            at_ns=at_ns, account="main", value=5, limit=5,
        )
    )  # fmt: skip


def test_row_of_a_strategy_has_its_newest_denial_until_a_signal_enters(tmp_path: Path) -> None:
    now, view = MarketClock.load(run_config(tmp_path).clock_path).now(), StackView()
    for minutes in (3, 2, 1):
        refused(view, now - minutes * MINUTE)
    (row,) = [one for one in ask(view, tmp_path, StrategiesQuery()) if one["name"] == NAME]
    found = row["refused"]
    assert (found["rule"], found["in_a_row"], found["since_ns"]) == ("positions per symbol 5 of 5", 3, now - 3 * MINUTE)
    assert "reach it" in found["message"]
    (told,) = ask(view, tmp_path, StatusQuery())["refused"]
    assert (told["strategy"], told["code"], told["value"], told["limit"]) == (NAME, "MAX_POSITIONS_PER_SYMBOL", 5, 5)
    entry = order(client_order_id="e", strategy=NAME, account="main", state=OrderState.ACCEPTED, created_ns=now)
    view.apply(OrderChanged(event="accepted", order=entry, machine_ns=1))
    (row,) = [one for one in ask(view, tmp_path, StrategiesQuery()) if one["name"] == NAME]
    assert row["refused"] is None and ask(view, tmp_path, StatusQuery())["refused"] == []


def level(account: str, word: TradingLevel) -> TradingState:
    return TradingState(level=word, generation=1, reason="lunch", at_ns=1, account=account, by="console:asha")


def held(folder: Path, *told: Any) -> str:
    config = run_config(folder)
    view, control = StackView(), ControlMachine()
    view.apply(StrategyStarted(strategy=NAME, parameters={}, watches=(), warm_bars=0, at_ns=1))
    for message in told:
        view.apply(message)
        control.apply(message)
    (row,) = [one for one in ops_server(config, view, control).answer(StrategiesQuery()) if one["name"] == NAME]
    return str(row["held"])


def reached(scope: str, name: str, action: LimitAction) -> RiskPicture:
    use = LimitUse(
        kind=LimitKind.DAILY_LOSS, scope=scope, name=name, most=1.0, action=action, value=-1.0, used=1.0, left=0.0,
        reached="it is",
    )  # fmt: skip
    return RiskPicture(at_ns=1, machine_ns=1, limits=(use,))


def test_strategy_is_held_while_no_entry_of_it_can_pass(tmp_path: Path) -> None:
    account = run_config(tmp_path).venue.account
    assert held(tmp_path) == ""
    assert held(tmp_path, level("", TradingLevel.HALT)) == "entries are halted"
    assert held(tmp_path, level(account, TradingLevel.REDUCE)) == "positions are only reduced"
    assert held(tmp_path, level("another", TradingLevel.HALT)) == "", "it does not trade there"
    assert held(tmp_path, reached("strategy", NAME, LimitAction.NO_ENTRIES)) == "its limit of the day is reached"
    assert held(tmp_path, reached("account", account, LimitAction.HALT)) == "a limit of the account is reached"
    assert held(tmp_path, reached("account", account, LimitAction.ALERT)) == "", "nothing follows from it"
    stopped = EntriesStopped(account=account, instrument="", stopped=True, reason="churn", at_ns=1)
    assert held(tmp_path, stopped) == "entries of the account are stopped"
    (tmp_path / "state" / "KILL").write_text("halt the broker is down")
    assert held(tmp_path) == "entries are halted"


def test_limits_of_a_day_and_of_entries_stand_in_one_list_the_fullest_first(tmp_path: Path) -> None:
    view = StackView()
    use = EntryLimitUse(
        code="MAX_POSITIONS_PER_SYMBOL", scope="underlying", name="NIFTY", account="main", most=5, value=5, used=1.0,
        denies=True,
    )  # fmt: skip
    size = EntryLimitUse(
        code="MAX_POSITION_SIZE", scope="instrument", name="NSE:SBIN", account="main", most=100.0, value=20.0, used=0.2
    )
    day = LimitUse(
        kind=LimitKind.DAILY_LOSS, scope="account", name="main", most=100.0, action=LimitAction.HALT, value=-50.0,
        used=0.5, left=50.0,
    )  # fmt: skip
    view.apply(RiskPicture(at_ns=1, machine_ns=1, limits=(day,), entry_limits=(size, use)))
    body = ask(view, tmp_path, RiskQuery())
    assert [(row["kind"], row["unit"], row["action"]) for row in body["limits"]] == [
        ("MAX_POSITIONS_PER_SYMBOL", "count", "deny"), ("DAILY_LOSS", "rupees", "halt"),
        ("MAX_POSITION_SIZE", "rupees", "deny"),
    ]  # fmt: skip
    full = body["limits"][0]
    assert (full["value"], full["most"], full["left"], full["account"]) == (5, 5, 0, "main")
    assert full["reached"] == "no more entries there"
    assert ask(view, tmp_path, StatusQuery())["limits_reached"] == [], "a full count is no reached limit of the day"
    assert "MAX_CONSECUTIVE_LOSSES" in body["limits_off"]


@pytest.mark.parametrize("field", ["max_entries_per_session", "daily_stop_r"])
def test_limit_that_is_on_is_not_among_those_switched_off(tmp_path: Path, field: str) -> None:
    config = run_config(tmp_path)
    config = msgspec.structs.replace(config, risk=msgspec.structs.replace(config.risk, **{field: 3}))
    off = ops_server(config).answer(StatusQuery())["limits_off"]
    assert field.upper() not in off and "DAILY_TARGET_R" in off
