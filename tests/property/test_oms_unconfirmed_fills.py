"""The order machine against a stream that tells of fills that never were, on entries, stops and exits, open or ended.

Whatever is believed meanwhile, in the end no stop guards a position that nobody holds, and the books agree.
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Purpose
from mytrading.messages.orders import Order
from tests.kit.hypothesis_budget import examples
from tests.kit.oms_histories import INSTRUMENTS, OWNERS, PACE, PICK, SIDES, SOAK, TradingWithStops


class TradingWithLies(TradingWithStops):
    """A stop that stands for a fill that never was may be hit: such a reversal is flattened like any other."""

    reversal_allowed = True
    limits_of: ClassVar = {"NFO:A": 95.0, "NFO:B": 105.0}

    @rule(instrument=INSTRUMENTS, owner=OWNERS)
    def enter_and_rest(self, instrument: str, owner: str) -> None:
        terms = {"order_type": OrderType.LIMIT, "price": self.limits_of[instrument], **self.plan_of[instrument]}
        side = SIDES[instrument]
        self.bench.enter(self._name("e"), 50, instrument=instrument, strategy=owner, side=side, **terms)
        sent = [call for call in self._placings() if call.order.order_type is OrderType.LIMIT]
        if sent:
            self.bench.accept(sent[-1])

    @precondition(lambda self: self.bench.broker.orders)
    @rule(pick=PICK, share=st.sampled_from([0.5, 1.0]))
    def lie(self, pick: int, share: float) -> None:
        orders = list(self.bench.broker.orders.values())
        placed = orders[-1 - pick % len(orders)]
        reported = max(placed.filled, int(placed.quantity * share))
        status = BrokerStatus.COMPLETE if reported == placed.quantity else BrokerStatus.OPEN
        self.bench.report(placed, filled=reported, status=status, average_price=100.0)

    def _waits_for_a_person(self, order: Order) -> bool:
        """A stop whose call got lost for a fill that never was: a book that lists no position tells nothing of it."""
        listed = (order.instrument, order.product) in self.bench.broker.net
        lost = order.purpose is Purpose.STOP and order.state is OrderState.UNKNOWN and order.evidence.cancel.wanted
        return (lost and not listed) or super()._waits_for_a_person(order)


TestTradingWithLies = TradingWithLies.TestCase
TestTradingWithLies.settings = settings(PACE, max_examples=SOAK or examples(12))
