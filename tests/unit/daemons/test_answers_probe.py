"""The gateway's verb for trial orders: journaled at a paper venue, refused elsewhere and when something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.control import ControlMachine
from mytrading.core.view import StackView
from mytrading.daemons.answers import Answers, UsageError
from mytrading.daemons.gateway import Totals
from mytrading.messages.control import OpsRequest, ProbeRequested
from mytrading.messages.runconfig import ServerMode
from mytrading.runtime.clock import MarketClock
from tests.unit.cli.stacks import run_config

ARGUMENTS = {"id": "doctor-1", "instrument": "NSE:SBIN", "quantity": "1", "price": "940.50"}


def ask(folder: Path, arguments: dict[str, str], **venue: Any) -> list[ProbeRequested]:
    config = run_config(folder)
    config = msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **venue))
    rows: list[Any] = []
    clock = MarketClock.load(config.clock_path)
    answers = Answers(config, StackView(0), ControlMachine(), clock, Totals(), rows.extend)
    answers.answer(OpsRequest(verb="probe", arguments=arguments))
    return rows


def test_trial_order_and_its_end_are_journaled_for_the_account(tmp_path: Path) -> None:
    (order,) = ask(tmp_path, ARGUMENTS)
    assert (order.account, order.quantity, order.price, order.withdraw) == ("paper", 1, 940.5, False)
    (end,) = ask(tmp_path, {"id": "doctor-1", "instrument": "NSE:SBIN"})
    assert (end.id, end.withdraw) == (order.id, True)


def test_trial_order_at_a_live_venue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="trial orders are paper only"):
        ask(tmp_path, ARGUMENTS, expected_mode=ServerMode.LIVE)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "probe: expected id, instrument, quantity and price"),
        ({"instrument": ""}, "probe: expected id, instrument, quantity and price"),
        ({"quantity": "-1"}, "quantity: expected a whole number of at most 9 digits, found '-1'"),
        ({"quantity": "\u00b2"}, "quantity: expected a whole number of at most 9 digits, found '\u00b2'"),
        ({"price": "1.2.3"}, "price: expected a number above 0, below 1e[+]12, found '1.2.3'"),
    ],
)
def test_trial_order_without_its_parts_is_refused(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(tmp_path, {**ARGUMENTS, **wrong})
