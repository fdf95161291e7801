"""A start of a machine daemon: all rows of its journal are applied, and `status` can tell how far it has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.core.time import iso_day
from mytrading.daemons.router.setup import FiledOrders, OrderRows
from mytrading.messages.codec import encode_body
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.journal_rows import FileTaken, RunStarted
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import SCHEMA_VERSION
from mytrading.runtime.daemon.machine_daemon import RECOVERING, MachineDaemon
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.journal.journal import INPUT, OUTPUT, RECORD, Cursor, Entry, Journal, Row

RUN = RunStarted(
    daemon="router", pid=1, version="1", schema=SCHEMA_VERSION, config_hash="c", machine_ns=1, market_ns=1, speed=1.0
)
HOURS = "[exchanges]\n"
WITHDRAWN = encode_body(WithdrawEntries(id="w", account="paper", instrument="NSE:S1", strategy="S", cause="c"))


def order(number: int) -> Entry:
    level = Order(
        client_order_id=f"o{number}", account="paper", instrument=f"NSE:S{number % 7}", product=Product.MIS,
        strategy="S", run="r", cause=f"c{number}", purpose=Purpose.ENTRY, side=Side.BUY, quantity=5,
        order_type=OrderType.MARKET, state=OrderState.FILLED, created_ns=number, updated_ns=number,
    )  # fmt: skip
    return Entry(OUTPUT, "orders", encode_body(OrderChanged(event="filled", order=level, machine_ns=number)))


class Router(MachineDaemon):
    """The harness around the order machine, without a broker."""

    def __init__(self, config: RunConfig) -> None:
        self.orders = FiledOrders(OmsLimits(), MarketTables(config, keep=False))
        super().__init__("router", config, self.orders)
        self.rows = OrderRows()

    def decode(self, row: Row) -> Any:
        return self.rows.decode(row)


@pytest.fixture
def begun(config: RunConfig) -> Router:
    """A start over a journal of 250 rows, up to where it would begin to decide; `said`: reports meanwhile."""
    day = iso_day(MarketClock.load(config.clock_path).now())
    journal = Journal(config.journal_dir("router"), "router", day, 0)
    taken = FileTaken(name="calendar.toml", text=HOURS, at_ns=1)
    records = [Entry(RECORD, "records", encode_body(row)) for row in (RUN, taken)]
    command = Entry(INPUT, "commands", WITHDRAWN, "risk", 1, 3, b"12345678")
    journal.append([*records, command, *(order(number) for number in range(247))], 1, 1)
    journal.close()
    daemon = Router(config)
    said: list[str] = []
    daemon.beat_if_due = lambda: said.append(daemon.notes[RECOVERING])  # type: ignore[method-assign]
    daemon.open_journal()
    daemon.journal.close()
    daemon.context.destroy(linger=0)
    daemon.said = said  # type: ignore[attr-defined]
    return daemon


def test_start_says_how_far_it_is(begun: Router) -> None:
    assert begun.said == ["100 of 250 rows read", "200 of 250 rows read"]  # type: ignore[attr-defined]
    assert RECOVERING not in begun.notes


def test_start_knows_orders_cursors_and_files_of_its_journal(begun: Router, tmp_path: Path) -> None:
    assert len(begun.orders.orders()) == 247
    assert begun.cursors() == {"risk/commands": 3}
    assert begun.follower.cursors == {("risk", "commands"): Cursor(1, 3, b"12345678")}
    assert begun.files == {"calendar.toml": HOURS}
    assert begun.journal.written("orders") == 247
