"""Queries of the reader to the gateway: lists once they have changed, for all pages together."""

from __future__ import annotations

from pathlib import Path

from mytrading.daemons.console.stack_reader import MOST_ENDED
from mytrading.messages.commands import BASKET_BROKEN, SignalDenied
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import Action, DaemonState, OrderState, Product, Severity
from mytrading.messages.level_names import bare_figure_name
from mytrading.messages.market import Quote
from mytrading.messages.ops import MOST_ROWS, PositionsQuery
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.messages.signals import Leg, Signal
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.order_samples import order


def test_list_is_read_again_once_the_books_have_changed_and_not_before(tmp_path: Path) -> None:
    made = ConsoleOfTest(tmp_path)
    try:
        page, view = made.browser("asha"), made.gateway.server.context.view
        lists = made.server.reader._lists
        assert page.get("/api/orders").json()["rows"] == {}
        known = lists["orders"]
        view.apply(Quote(instrument="NSE:SBIN", ltp=800.0, market_ns=1, received_ns=1))
        assert page.get("/api/orders").status_code == 200 and lists["orders"] is known, "a quote changes no order"
        rests, filled = (order(client_order_id="o1", state=state) for state in (OrderState.ACCEPTED, OrderState.FILLED))
        view.apply(OrderChanged(order=rests, event="accepted", machine_ns=1))
        assert page.get("/api/needs").status_code == 200 and lists["orders"] is not known
        assert page.get("/api/orders").json()["rows"]["o1"]["state"] == "ACCEPTED"
        view.apply(OrderChanged(order=filled, event="filled", machine_ns=2))
        assert page.get("/api/orders").json()["rows"]["o1"]["state"] == "FILLED"
    finally:
        made.stop()


def test_old_order_of_unknown_fate_and_old_alerts_wait_for_a_person_beside_hundreds_of_newer_ones(
    tmp_path: Path,
) -> None:
    made = ConsoleOfTest(tmp_path)
    try:
        page, context = made.browser("asha"), made.gateway.server.context
        for number in range(MOST_ENDED + 20):
            state = OrderState.FILLED if number else OrderState.UNKNOWN
            one = order(client_order_id=f"o{number}", state=state, created_ns=number, updated_ns=number)
            context.view.apply(OrderChanged(order=one, event="changed", machine_ns=1))
        for number in range(MOST_ROWS + 1):
            context.control.apply(
                Alert(daemon="risk", code="TEST", subject=f"a{number}", message="", severity=Severity.WARNING,
                      first_ns=1, last_ns=1)
            )  # fmt: skip
        needs = page.get("/api/needs").json()["rows"]
        assert "unknown_order|o0" in needs and sum(row["kind"] == "alert" for row in needs.values()) == MOST_ROWS + 1
        shown = page.get("/api/orders").json()["rows"]
        assert len(shown) == MOST_ENDED + 1 and shown["o0"]["unknown"] and "o1" not in shown
        extent = page.get("/api/lists").json()["rows"]["orders"]
        assert extent["total"] == MOST_ENDED + 20
        older = page.get("/api/lists/orders", params={"before": extent["older"]}).json()
        assert [row["id"] for row in older["rows"]] == [f"o{number}" for number in range(1, 20)]
        assert not older["extent"]["older"]
        assert page.get("/api/lists/orders?before=x").json()["code"] == "REFUSED"
        assert page.get("/api/lists/fills").status_code == 404
    finally:
        made.stop()


def test_positions_of_the_page_add_up_to_the_realised_profit_of_the_day(tmp_path: Path) -> None:
    """What was closed today was left out."""
    made = ConsoleOfTest(tmp_path)
    call, put = "NFO:NIFTY30DEC2526000CE", "NFO:NIFTY30DEC2526000PE"
    try:
        page, context = made.browser("asha"), made.gateway.server.context
        for instrument, units, realised in ((call, 75, 120.5), (put, 0, -400.25)):
            position = Position(
                account="main", instrument=instrument, product=Product.MIS, strategy="S", run="r", quantity=units,
                quantity_seen=units, average_price=100.0, realised=realised,
            )  # fmt: skip
            context.view.apply(
                PositionChanged(position=position, client_order_id="c", fill_quantity=75, fill_price=1.0, at_ns=1)
            )
        shown = page.get("/api/positions").json()["rows"].values()
        told = context.view.realised()
        assert sum(row["realised"] for row in shown) == page.get("/api/stack").json()["rows"][""]["realised"] == told
        everything = made.gateway.server.answer(PositionsQuery(all=True))
        assert sorted(row["realised"] for row in everything) == sorted(row["realised"] for row in shown)
        assert [(row["quantity"], row["realised"], row["stop_state"]) for row in shown if not row["quantity"]] == [
            (0, -400.25, "none")
        ]
        assert not page.get("/api/needs").json()["rows"]
    finally:
        made.stop()


def test_basket_that_was_given_up_needs_a_person_until_its_legs_are_closed(tmp_path: Path) -> None:
    made = ConsoleOfTest(tmp_path)
    call, put = "NFO:NIFTY30DEC2526000CE", "NFO:NIFTY30DEC2526000PE"

    def hold(units: int) -> None:
        position = Position(
            account="main", instrument=put, product=Product.MIS, strategy="S", run="r", quantity=units,
            quantity_seen=units, average_price=100.0,
        )  # fmt: skip
        view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=75, fill_price=100.0, at_ns=3))

    try:
        page, view = made.browser("asha"), made.gateway.server.context.view
        signal = Signal(
            id="s1", strategy="S", watch="NSE_INDEX:NIFTY", action=Action.BUY, created_ns=1, expires_ns=9,
            expires_machine_ns=9, account="main", legs=(Leg(instrument=call, lots=-1), Leg(instrument=put, lots=-1)),
        )  # fmt: skip
        view.apply(signal)
        filled = order(client_order_id="o1", cause="s1", strategy="S", account="main", state=OrderState.FILLED)
        view.apply(OrderChanged(order=filled, event="filled", machine_ns=1))
        hold(-75)
        assert not page.get("/api/needs").json()["rows"], "a basket under way"
        view.apply(
            SignalDenied(
                signal="s1",
                strategy="S",
                code=BASKET_BROKEN,
                codes=(BASKET_BROKEN,),
                message="no margin",
                at_ns=2,
                account="main",
            )
        )
        (row,) = page.get("/api/needs").json()["rows"].values()
        assert (row["kind"], row["severity"], row["subject"]) == ("broken_basket", "critical", "S")
        assert f"in main: holds -75 {put} without {call}" in row["text"] and "no margin" in row["text"]
        hold(0)
        assert not page.get("/api/needs").json()["rows"]
    finally:
        made.stop()


def test_sold_leg_that_lost_its_cover_needs_a_person(tmp_path: Path) -> None:
    made = ConsoleOfTest(tmp_path)
    put = "NFO:NIFTY30DEC2526000PE"
    position = Position(
        account="main", instrument=put, product=Product.MIS, strategy="S", run="r", quantity=-75, quantity_seen=-75,
        average_price=100.0,
    )  # fmt: skip
    try:
        page, view = made.browser("asha"), made.gateway.server.context.view
        view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=75, fill_price=1.0, at_ns=3))
        assert not page.get("/api/needs").json()["rows"], "sold without cover from the start"
        for units in (75.0, 0.0):
            view.apply(
                Heartbeat(
                    daemon="risk", pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=1, market_ns=1,
                    started_machine_ns=1, figures={bare_figure_name(position.owner): units},
                )
            )  # fmt: skip
            found = list(page.get("/api/needs").json()["rows"].values())
            assert [(row["kind"], row["severity"], row["subject"]) for row in found] == (
                [("bare_leg", "critical", put)] if units else []
            )
    finally:
        made.stop()
