"""The decision table, every row: the position that each mode, action and size wants, or the refusal."""

import pytest

from mytrading.core.webhooks.decision_table import DECISIONS, SCAN_DECISIONS, wanted_units
from mytrading.messages.run_config import Direction
from mytrading.messages.webhooks import AlertAction, AlertIntent, AlertRefusal, Sender

MAPPED = 50


def wanted(mode: str, action: str, size: int | None, sender: Sender = Sender.GENERIC, **more: int) -> int | str:
    intent = AlertIntent(symbol="SBIN", action=AlertAction(action), position_size=size, quantity=more.get("quantity"))
    found = wanted_units(sender, Direction(mode.lower()), intent, MAPPED, more.get("most", 0))
    return found.code if isinstance(found, AlertRefusal) else found


@pytest.mark.parametrize(
    ("mode", "action", "size", "expected"),
    [
        ("LONG", "BUY", None, 50),
        ("LONG", "BUY", 0, 50),
        ("LONG", "BUY", 100, 100),
        ("LONG", "BUY", -100, 100),
        *(("LONG", "SELL", size, 0) for size in (None, 0, 100, -100)),
        ("SHORT", "SELL", None, -50),
        ("SHORT", "SELL", 0, -50),
        ("SHORT", "SELL", 100, -100),
        ("SHORT", "SELL", -100, -100),
        *(("SHORT", "BUY", size, 0) for size in (None, 0, 100, -100)),
        ("BOTH", "BUY", 100, 100),
        ("BOTH", "BUY", 0, 0),
        ("BOTH", "BUY", -1, "WRONG_SIDE"),
        ("BOTH", "SELL", -100, -100),
        ("BOTH", "SELL", 0, 0),
        ("BOTH", "SELL", 1, "WRONG_SIDE"),
        ("BOTH", "BUY", None, "MISSING_FIELD"),
        ("BOTH", "SELL", None, "MISSING_FIELD"),
        ("SHORT", "SHORT", None, -50),
        ("SHORT", "COVER", None, 0),
        ("LONG", "SHORT", None, "BAD_ACTION"),
        ("LONG", "COVER", None, "BAD_ACTION"),
        ("BOTH", "SHORT", -100, -100),
        ("BOTH", "SHORT", 100, "WRONG_SIDE"),
        ("BOTH", "COVER", 0, 0),
        ("BOTH", "COVER", 100, "WRONG_SIDE"),
        ("BOTH", "COVER", None, "MISSING_FIELD"),
    ],
)
def test_order_alert_wants_what_the_table_says(mode: str, action: str, size: int | None, expected: int | str) -> None:
    assert wanted(mode, action, size) == expected


@pytest.mark.parametrize(
    ("mode", "keyword", "expected"),
    [
        ("BOTH", "BUY", 50),
        ("BOTH", "SELL", 0),
        ("BOTH", "SHORT", -50),
        ("BOTH", "COVER", 0),
        ("LONG", "BUY", 50),
        ("LONG", "SELL", 0),
        ("LONG", "SHORT", "BAD_ACTION"),
        ("LONG", "COVER", "BAD_ACTION"),
        ("SHORT", "BUY", "BAD_ACTION"),
        ("SHORT", "SELL", "BAD_ACTION"),
        ("SHORT", "SHORT", -50),
        ("SHORT", "COVER", 0),
    ],
)
def test_scan_wants_what_its_keyword_says(mode: str, keyword: str, expected: int | str) -> None:
    assert wanted(mode, keyword, None, Sender.CHARTINK) == expected


def test_quantity_of_an_alert_counts_up_to_the_mapping_most_alone() -> None:
    assert wanted("LONG", "BUY", None, quantity=7) == 50
    assert wanted("LONG", "BUY", None, quantity=7, most=20) == 7
    assert wanted("LONG", "BUY", None, quantity=70, most=20) == 20
    assert wanted("SHORT", "SELL", None, quantity=7, most=20) == -7


def test_both_tables_have_a_row_for_each_mode_and_action() -> None:
    every = {(mode, action) for mode in Direction for action in AlertAction}
    assert set(DECISIONS) == set(SCAN_DECISIONS) == every
