"""Our realised profit against the broker's: a difference, or the reason why there is none to tell."""

from __future__ import annotations

from datetime import date, time

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.core.time import SECOND, to_ns
from mytrading.daemons.gateway.stack_queries import compare_profits
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import Product, TradingLevel
from mytrading.messages.orders import Position, PositionAdjusted, PositionChanged
from mytrading.messages.reports import Funds


def view(broker: float | None, ours: float = 120.0) -> StackView:
    """One closed position of `main`, and the broker's figure for it."""
    made = StackView()
    position = Position(
        account="main", instrument="NSE:A", product=Product.MIS, strategy="s", run="r", realised=ours, bought=1, sold=1
    )
    made.apply(PositionChanged(position=position, client_order_id="o", fill_quantity=-1, fill_price=1.0, at_ns=1))
    if broker is not None:
        made.apply(Funds(account="main", available=1.0, used=0.0, realised=broker, machine_ns=SECOND))
    return made


def test_difference_of_comparable_figures_is_shown_with_its_age() -> None:
    (row,) = compare_profits(view(100.0), 6 * SECOND)
    assert (row["realised"], row["broker_realised"], row["difference"]) == (120.0, 100.0, 20.0)
    assert (row["not_comparable"], row["broker_age_s"]) == ("", 5.0)


def test_figures_that_agree_but_for_rounding_differ_by_nothing() -> None:
    (row,) = compare_profits(view(106.0, 106.0 - 1e-9), 6 * SECOND)
    assert f"{row['difference']:,.2f}" == "0.00"


def test_figure_of_the_broker_that_was_read_long_ago_is_not_held_against_ours() -> None:
    (row,) = compare_profits(view(100.0), 62 * SECOND)
    assert (row["difference"], row["not_comparable"]) == (None, "the broker's funds were last read 61 s ago")


@pytest.mark.parametrize(("broker", "said"), [(None, "not read yet"), (0.0, "reports no realised profit")])
def test_missing_figure_is_a_reason_and_no_difference(broker: float | None, said: str) -> None:
    (row,) = compare_profits(view(broker), SECOND)
    assert row["difference"] is None and said in row["not_comparable"]


def test_unmanaged_and_corrected_units_are_reasons() -> None:
    foreign, corrected = view(100.0), view(100.0)
    foreign.apply(UnmanagedChanged(account="main", instrument="NSE:B", product=Product.MIS, quantity=5, at_ns=1))
    position = next(iter(corrected.positions.values()))
    corrected.apply(PositionAdjusted(position=position, cause="claim", quantity=5, price=1.0, at_ns=1))
    assert "unmanaged" in compare_profits(foreign, SECOND)[0]["not_comparable"]
    assert "claimed or corrected" in compare_profits(corrected, SECOND)[0]["not_comparable"]


def test_fill_after_the_funds_were_asked_for_is_waited_for() -> None:
    made = view(100.0)
    position = next(iter(made.positions.values()))
    later = PositionChanged(position=position, client_order_id="o", fill_quantity=-1, fill_price=1.0, at_ns=2)
    made.apply(later, 3 * SECOND)
    assert "filled since" in compare_profits(made, 6 * SECOND)[0]["not_comparable"]
    asked = {"began_machine_ns": 2 * SECOND, "machine_ns": 4 * SECOND}
    made.apply(Funds(account="main", available=1.0, used=0.0, realised=100.0, **asked))
    assert "filled since" in compare_profits(made, 6 * SECOND)[0]["not_comparable"], "it may be later"
    asked = {"began_machine_ns": 4 * SECOND, "machine_ns": 5 * SECOND}
    made.apply(Funds(account="main", available=1.0, used=0.0, realised=100.0, **asked))
    assert compare_profits(made, 6 * SECOND)[0]["difference"] == 20.0


def test_contract_that_two_strategies_traded_has_no_profit_of_its_own_at_the_broker() -> None:
    made = view(100.0)
    position = next(iter(made.positions.values()))
    again = replace(position, run="r2")
    made.apply(PositionChanged(position=again, client_order_id="p", fill_quantity=1, fill_price=1.0, at_ns=1))
    assert compare_profits(made, SECOND)[0]["not_comparable"] == "", "runs of one strategy follow each other"
    other = replace(position, strategy="t")
    made.apply(PositionChanged(position=other, client_order_id="q", fill_quantity=1, fill_price=1.0, at_ns=1))
    (row,) = compare_profits(made, SECOND)
    assert row["difference"] is None and row["not_comparable"].startswith("s and t traded NSE:A")


def test_resume_of_all_ends_the_halts_of_single_accounts_and_of_one_only_its_own() -> None:
    control = ControlMachine()
    for account in ("", "main", "second"):
        control.apply(control.level_row(TradingLevel.HALT, "test", 1, account))
    assert [row.account for row in control.resume_rows("go", 2, "main")] == ["main"]
    rows = control.resume_rows("go", 2)
    assert [row.account for row in rows] == ["", "main", "second"]
    assert len({row.generation for row in rows}) == 3 and rows[0].generation > control.generation


def test_night_in_which_the_server_still_counts_yesterday_was_shown_as_a_difference() -> None:
    day = to_ns(date(2026, 11, 25), time(0, 30))
    (row,) = compare_profits(view(8_482.25), 6 * SECOND, day)
    assert row["difference"] is None and "until 03:00" in row["not_comparable"]
    (row,) = compare_profits(view(100.0), 6 * SECOND, to_ns(date(2026, 11, 25), time(3, 0)))
    assert (row["difference"], row["not_comparable"]) == (20.0, "")
