"""A position whose stop coverage risk judges by reads of the books."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import Alert
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import (
    OrderChanged,
)
from mytrading.messages.reports import (
    BrokerHeld,
    BrokerPosition,
    LiveOrder,
)
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import SECOND, SHARE, RiskBench


class Guarded:
    """Ten shares held, and whatever the test puts at the broker."""

    def __init__(self, stop: StopPlan = StopPlan.BROKER, product: Product = Product.MIS) -> None:
        self.bench = RiskBench()
        self.product = self.bench.product = product
        (run,) = self.bench.machine.environment.strategies.values()
        self.bench.machine.environment.strategies["S"] = replace(run, stop=stop)
        self.bench.quote(SHARE, 800.0)
        rows = self.bench.intent("a", Leg(instrument=SHARE, lots=10), product=product)
        entry = next(row for row in rows if isinstance(row, PlaceEntry))
        self.bench.fill(entry)
        self.bench.pass_time(1)
        self.covered = 10
        self.net = 10

    def stop(self, state: OrderState = OrderState.ACCEPTED, quantity: int = 10, name: str = "B2") -> None:
        """An event of the stop."""
        order = order_of(
            client_order_id=f"stop-{name}", account="main", instrument=SHARE, product=self.product, strategy="S",
            run="r", cause="c", purpose=Purpose.STOP, side=Side.SELL, quantity=quantity, order_type=OrderType.SL,
            state=state, created_ns=0, updated_ns=0, broker_order_id=name,
        )  # fmt: skip
        self.bench.give(OrderChanged(event="x", order=order, machine_ns=self.bench.machine_ns))

    def read(
        self,
        seconds: float = 1.0,
        began: float = 0.0,
        covered: int | None = None,
        unread: tuple[str, ...] = (),
        **fields: Any,
    ) -> list[Any]:
        """A reading that ends after some seconds; it began `began` seconds before its end."""
        bench = self.bench
        rows = list(bench.pass_time(seconds))
        units = self.covered if covered is None else covered
        live = LiveOrder(broker_order_id="B2", instrument=SHARE, side=Side.SELL, quantity=units)
        row = BrokerPosition(instrument=SHARE, product=self.product, quantity=self.net)
        bench.give(
            BrokerHeld(
                account="main",
                began_machine_ns=bench.machine_ns - int(began * SECOND),
                ended_machine_ns=bench.machine_ns,
                at_ns=bench.now,
                orders=(live,) if units else (),
                positions=(row,) if self.net else (),
                unread=unread,
                **fields,
            )
        )
        return rows

    def found(self) -> list[str]:
        """Alarms and goals so far."""
        kinds = (Alert, CloseGoal)
        rows = [row for row in self.bench.rows if isinstance(row, kinds)]
        return [row.code if isinstance(row, Alert) else row.reason for row in rows]
