"""A run that an operator closes: all that its strategy holds, in all its accounts, and nothing once it is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.gateway.request_context import RequestRefused
from mytrading.messages.control import FlattenRequested, RiskPicture, RunUse
from mytrading.messages.enums import Product
from mytrading.messages.ops import CloseRunCommand, FlattenTaken
from mytrading.messages.orders import Position, PositionChanged
from tests.kit.gateway_queries import NAME, ops_server
from tests.kit.run_configs import run_config

RUN = "5d41402abc4b2a76"


def hold(view: StackView, account: str, instrument: str, units: int, run: str = RUN, strategy: str = NAME) -> None:
    position = Position(
        account=account, instrument=instrument, product=Product.MIS, strategy=strategy, run=run, quantity=units,
        quantity_seen=units, average_price=100.0,
    )  # fmt: skip
    view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=1, fill_price=100.0, at_ns=1))


def close(view: StackView, folder: Path, run: str = RUN) -> tuple[FlattenTaken, list[FlattenRequested]]:
    rows: list[object] = []
    server = ops_server(run_config(folder), view, record=rows.extend)
    reply = server.answer(CloseRunCommand(request_id="r", by="me", run=run, reason="enough"))
    assert isinstance(reply, FlattenTaken)
    taken = [row for row in rows if isinstance(row, FlattenRequested)]
    assert len(rows) == len(taken) + 1, "nothing but the flattens and the note of the request: entries stay allowed"
    return reply, taken


@pytest.mark.parametrize("name", [RUN, RUN[:6]])
def test_all_legs_of_the_strategy_are_closed_in_each_account_that_holds_any(tmp_path: Path, name: str) -> None:
    """Also units that it was given: a sold leg that is left alone would have lost its hedge."""
    view = StackView()
    hold(view, "main", "NFO:SOLD", -75)
    hold(view, "main", "NFO:BOUGHT", 75)
    hold(view, "second", "NFO:CLAIMED", -75, run="")
    hold(view, "third", "NFO:OTHER", 75, run="another-run", strategy="Other")
    reply, rows = close(view, tmp_path, name)
    assert [(row.account, row.strategy, row.instrument, row.product) for row in rows] == [
        ("main", NAME, "", None), ("second", NAME, "", None)
    ]  # fmt: skip
    assert all((row.by, row.reason) == ("me", "enough") for row in rows)
    assert reply == FlattenTaken(flatten=tuple(row.id for row in rows), strategy=NAME)


def test_run_that_risk_shows_is_closed_whatever_ids_its_units_carry(tmp_path: Path) -> None:
    view = StackView()
    hold(view, "main", "NFO:SOLD", -75, run="")
    view.apply(RiskPicture(at_ns=1, machine_ns=1, runs=(RunUse(strategy=NAME, run=RUN, opened_ns=1),)))
    assert [row.strategy for row in close(view, tmp_path)[1]] == [NAME]


def test_run_that_is_over_is_left_alone_also_where_the_next_one_holds_something(tmp_path: Path) -> None:
    view = StackView()
    hold(view, "main", "NFO:SOLD", -75)
    hold(view, "main", "NFO:SOLD", 0)
    view.apply(RiskPicture(at_ns=1, machine_ns=1, runs=(RunUse(strategy=NAME, run=RUN, opened_ns=1),)))
    with pytest.raises(RequestRefused, match=r"MOVED: expected a run that holds something .none., found .*: nothing"):
        close(view, tmp_path)
    view = StackView()
    hold(view, "main", "NFO:SOLD", -75, run="next-run")
    with pytest.raises(RequestRefused, match=f"MOVED: .*next-run of {NAME}"):
        close(view, tmp_path)


def test_beginning_of_an_id_that_two_strategies_share_closes_nothing(tmp_path: Path) -> None:
    view = StackView()
    hold(view, "main", "NFO:A", 75, run="shared-1")
    hold(view, "main", "NFO:B", 75, run="shared-2", strategy="Other")
    with pytest.raises(RequestRefused, match="MOVED"):
        close(view, tmp_path, "shared")
    assert close(view, tmp_path, "shared-2")[0].strategy == "Other"
