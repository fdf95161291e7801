"""The gateway's verb for trial orders: journaled at a paper venue, refused elsewhere and when something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.daemons.gateway.request_context import RequestRefused
from mytrading.messages.control import ProbeRequested
from mytrading.messages.ops import ErrorReply, PaperOrderCommand
from mytrading.messages.run_config import ServerMode
from tests.kit.gateway_queries import ops_server, rows_of
from tests.kit.run_configs import run_config

ORDER = PaperOrderCommand(request_id="r1", id="doctor-1", instrument="NSE:SBIN", quantity=1, price=940.5)


def ask(folder: Path, request: PaperOrderCommand, **venue: Any) -> list[ProbeRequested]:
    config = run_config(folder)
    return rows_of(msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **venue)), request)


def test_trial_order_and_its_end_are_journaled_for_the_account(tmp_path: Path) -> None:
    (order,) = ask(tmp_path, ORDER)
    assert (order.account, order.quantity, order.price, order.withdraw) == ("paper", 1, 940.5, False)
    (end,) = ask(tmp_path, msgspec.structs.replace(ORDER, quantity=0, price=0.0))
    assert (end.id, end.withdraw) == (order.id, True)


def test_trial_order_at_a_live_venue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="trial orders are paper only"):
        ask(tmp_path, ORDER, expected_mode=ServerMode.LIVE)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "probe: id: expected str of length >= 1, found ''"),
        ({"instrument": ""}, "probe: instrument: expected str of length >= 1, found ''"),
        ({"instrument": None}, "probe: instrument: expected str, found None"),
        ({"quantity": -1}, "probe: quantity: expected int >= 0, found -1"),
        ({"quantity": "\u00b2"}, "probe: quantity: expected int, found '\u00b2'"),
        ({"price": float("inf")}, "probe: price: expected float < 1000000000000.0, found inf"),
    ],
)
def test_trial_order_without_its_parts_is_refused(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    given = {**msgspec.to_builtins(ORDER), **wrong}
    reply = ops_server(run_config(tmp_path)).reply(msgspec.msgpack.encode(given))
    assert reply == ErrorReply(error=said)
