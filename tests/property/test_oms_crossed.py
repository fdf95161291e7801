"""Stops, changes, slices, a person at the terminal and restarts, all at once: what each alone does not meet."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from mytrading.core.orders.slicing import Sizes, closing_slice_quantities
from mytrading.core.orders.state_machine import RESTING
from mytrading.messages.enums import OrderType
from tests.kit.fake_broker import SECOND, Placed
from tests.kit.hypothesis_budget import examples
from tests.kit.oms_histories import PACE, PICK, SOAK, TradingWithChanges


class TradingWithAll(TradingWithChanges):
    """Entries, exits and stops above the freeze quantity, changed here and at the broker; the router crashes."""

    plan_of: ClassVar = {
        "NFO:A": {"lot": 10, "freeze": 60, "stop_trigger": 90.0, "stop_limit": 87.0},
        "NFO:B": {"lot": 25, "freeze": 75, "stop_trigger": 110.0, "stop_limit": 113.0},
    }

    def _known(self) -> list[Placed]:
        """Resting orders that have prices and that the machine knows by their broker's id."""
        ours = [order for order in self.bench.machine.orders() if order.broker_order_id and order.state in RESTING]
        found = [self.bench.broker.orders[order.broker_order_id] for order in ours]
        return [placed for placed in found if placed.open and placed.order_type in (OrderType.LIMIT, OrderType.SL)]

    @precondition(lambda self: self._known())
    @rule(pick=PICK, ticks=st.sampled_from([-2, 0, 2]), units=st.sampled_from([0, 5, 25]), reads=st.integers(0, 4))
    def change_at_the_terminal(self, pick: int, ticks: int, units: int, reads: int) -> None:
        """A person moves one of our orders, or makes it smaller; nobody tells the machine."""
        placed = self._known()[pick % len(self._known())]
        placed.price += ticks
        placed.trigger_price += ticks if placed.trigger_price else 0
        if placed.quantity - units > placed.filled:
            placed.quantity -= units
        for _ in range(reads):
            self.bench.tick(3 * SECOND)
            self.bench.read()

    @invariant()
    def no_position_has_more_stops_than_it_may(self) -> None:
        most: dict[tuple[str, str], int] = {}
        for position in self.bench.machine.positions():
            plan = self.plan_of[position.instrument]
            units = max(abs(position.quantity), abs(position.quantity_seen))
            slices = len(closing_slice_quantities(max(units, 1), Sizes(int(plan["lot"]), int(plan["freeze"]))))
            most[position.strategy, position.instrument] = self.bench.limits.stops_most + slices + 1
        for placed in self._stops():
            order = self.bench.order(placed.client_order_id)
            most[order.strategy, order.instrument] -= 1
        assert all(left >= 0 for left in most.values()), most


TestTradingWithAll = TradingWithAll.TestCase
TestTradingWithAll.settings = settings(PACE, max_examples=SOAK or examples(8))
