"""Units that no strategy owns: their price and profit on screens, from quotes that the gateway asks for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.gateway.daemon import MOST_UNMANAGED, Gateway
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import WantInstruments
from mytrading.messages.enums import Product
from mytrading.messages.market import Quote
from mytrading.messages.ops import PositionsQuery
from tests.kit.feed_process import runtime_folder
from tests.kit.gateway_queries import ask
from tests.kit.run_configs import run_config

SBIN = "NSE:SBIN"


def unmanaged(quantity: int, average: float = 800.0, instrument: str = SBIN) -> UnmanagedChanged:
    return UnmanagedChanged(
        account="main", instrument=instrument, product=Product.MIS, quantity=quantity, at_ns=1, average_price=average
    )


@pytest.mark.parametrize(("quantity", "average", "profit"), [(10, 800.0, 110.0), (-10, 800.0, -130.0), (10, 0.0, None)])
def test_unmanaged_units_have_the_last_price_and_the_profit_of_closing_them(
    tmp_path: Path, quantity: int, average: float, profit: float | None
) -> None:
    view = StackView()
    view.apply(unmanaged(quantity, average))
    (row,) = ask(view, tmp_path, PositionsQuery())
    assert (row["ltp"], row["unrealised"]) == (None, None)
    view.apply(Quote(SBIN, 1, 1, 812.0, bid=811.0, ask=813.0))
    (row,) = ask(view, tmp_path, PositionsQuery())
    assert (row["ltp"], row["unrealised"]) == (812.0, profit)


def test_gateway_asks_for_prices_of_unmanaged_units_while_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_folder() as runtime:
        gateway = Gateway(msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime)))
        gateway.setup()
        sent: list[tuple[str, ...]] = []

        def send(_topic: str, message: object) -> None:
            assert isinstance(message, WantInstruments)
            sent.append(message.instruments)

        monkeypatch.setattr(gateway.status, "send", send)
        for row in (unmanaged(10), unmanaged(0)):
            gateway.view.apply(row)
            gateway._poll_tails()
            gateway._send_wants(1)
            assert (SBIN in gateway._watched) is bool(row.quantity)
        for number in range(MOST_UNMANAGED + 5):
            gateway.view.apply(unmanaged(1, instrument=f"NSE:N{number:03d}"))
        gateway._send_wants(1)
        gateway.teardown()
        gateway.context.destroy(linger=0)
    assert sent[:2] == [(SBIN,), ()] and len(sent[2]) == MOST_UNMANAGED
