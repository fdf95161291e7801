"""Changes of resting orders against a broker that loses them, makes them late, or fills the order instead."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from mytrading.core.oms import OmsLimits
from mytrading.core.order import ModifyRules, live
from mytrading.messages.enums import Call, OrderType, Outcome, Purpose
from mytrading.messages.orders import Order, OrderChanged
from tests.examples import examples
from tests.fake_broker import SECOND, OpenCall
from tests.property.test_oms_machine import INSTRUMENTS, OWNERS, PACE, PICK, SIDES, SOAK, TradingWithStops

MOST = 3
ENDS = ("ok", "ok", "silent", "lost", "late", "not sent", "limited", "refused", "fills", "ends")
"""How a modify call ends: made (told or not), lost, late, not made, refused, or too late for the order."""


class TradingWithChanges(TradingWithStops):
    """Entries rest at a limit and are changed, stops too, by calls that get lost, come late, or lose to a fill."""

    in_place = True

    def _limits(self) -> OmsLimits:
        rules = ModifyRules(most=MOST, in_place=self.in_place)
        return OmsLimits(lost_after=30 * SECOND, modify=rules, churn_instrument=1000, churn_account=1000)

    def _changeable(self) -> list[Order]:
        """Orders that a person may change: resting limits and stops."""
        found = [order for order in self._live() if order.order_type in (OrderType.LIMIT, OrderType.SL)]
        return [order for order in found if order.broker_order_id and not order.pending_cancel]

    def _live(self) -> list[Order]:
        return [order for order in self.bench.machine.orders() if live(order)]

    @rule(instrument=INSTRUMENTS, owner=OWNERS)
    def rest(self, instrument: str, owner: str) -> None:
        """An entry at a limit, that the broker takes."""
        limit = {"order_type": OrderType.LIMIT, "price": 100.0, **self.plan_of[instrument]}
        self.bench.enter(self._name("l"), 100, instrument=instrument, strategy=owner, side=SIDES[instrument], **limit)
        for call in list(self.bench.calls):
            if call.order.order_type is OrderType.LIMIT and call.call is Call.PLACE:
                self.bench.accept(call)
        self.bench.read()

    @precondition(lambda self: self._changeable())
    @rule(
        pick=PICK,
        ticks=st.sampled_from([-2, -1, 1, 2]),
        quantity=st.sampled_from([0, 0, 25, 50, 75]),
        end=st.sampled_from(["", "", *ENDS]),
        delay=st.integers(1, 100),
    )
    def change(self, pick: int, ticks: int, quantity: int, end: str, delay: int) -> None:
        """A person asks, and with an `end` the call is answered at once."""
        order = self._changeable()[pick % len(self._changeable())]
        if order.purpose is Purpose.STOP:
            self.bench.ask_modify(order.client_order_id, trigger_price=order.trigger_price + ticks)
        else:
            self.bench.ask_modify(order.client_order_id, price=100.0 + ticks, quantity=quantity)
        if end and self._modify_calls():
            self.answer_modify(len(self._modify_calls()) - 1, end, delay)

    @rule(
        instrument=INSTRUMENTS,
        owner=OWNERS,
        of=st.sampled_from(["entry", "stop"]),
        ticks=st.sampled_from([-2, -1, 1, 2]),
        quantity=st.sampled_from([0, 0, 50]),
        end=st.sampled_from(["", *ENDS]),
        delay=st.integers(1, 100),
    )
    def change_anew(
        self, instrument: str, owner: str, of: str, ticks: int, quantity: int, end: str, delay: int
    ) -> None:
        """Something comes to rest, and is changed at once."""
        if of == "entry":
            self.rest(instrument, owner)
        else:
            self.guard(instrument, owner)
        if self._changeable():
            self.change(len(self._changeable()) - 1, ticks, quantity, end, delay)

    def _modify_calls(self) -> list[OpenCall]:
        return [call for call in self.bench.calls if call.call is Call.MODIFY]

    @precondition(lambda self: self._changeable())
    @rule(pick=PICK)
    def take_away(self, pick: int) -> None:
        """People cancel entries; their stops they leave, since the end compares these with what is held."""
        self.bench.ask_cancel(self._changeable()[pick % len(self._changeable())].client_order_id)

    @rule(instrument=INSTRUMENTS, owner=OWNERS)
    def guard(self, instrument: str, owner: str) -> None:
        """Something is held, and its stop rests."""
        self._hold(instrument, owner, 2)
        for call in [call for call in self.bench.calls if call.order.purpose is Purpose.STOP]:
            if call.call is Call.PLACE:
                self.bench.accept(call)
        self.bench.read()

    @precondition(lambda self: self._holders())
    @rule(pick=PICK, step=st.sampled_from([0.0, 1.0]))
    def close_at_a_price(self, pick: int, step: float) -> None:
        held = self._holders()[pick % len(self._holders())]
        name = self._name("p")
        self.bench.close(name, instrument=held.instrument, strategy=held.strategy, price=99.0, price_step=step)

    @precondition(lambda self: any(call.call is Call.MODIFY for call in self.bench.calls))
    @rule(
        pick=PICK,
        end=st.sampled_from(ENDS),
        delay=st.integers(1, 100),
    )
    def answer_modify(self, pick: int, end: str, delay: int) -> None:
        bench, call = self.bench, self._call(Call.MODIFY, pick)
        assert call is not None
        placed = bench.broker.orders[call.order.broker_order_id]
        if end == "fills":
            bench.broker.trade(placed, 25 if delay % 2 else placed.quantity, 100.0)
        elif end == "ends":
            bench.broker.drop(placed)
        elif end == "late":
            bench.broker.late_modifies.append((bench.time + self.late_most * delay // 100, call.order))
        if end in ("ok", "fills", "ends"):
            bench.modify(call)
        elif end == "silent":
            bench.modify(call, Outcome.UNKNOWN)
        else:
            kinds = {"not sent": Outcome.NOT_SENT, "limited": Outcome.RATE_LIMITED, "refused": Outcome.REFUSED}
            bench.end(call, kinds.get(end, Outcome.UNKNOWN))

    @invariant()
    def orders_are_changed_no_more_often_than_allowed(self) -> None:
        asked = Counter(
            row.order.client_order_id
            for row in self.bench.rows
            if isinstance(row, OrderChanged) and row.event == "modify_requested"
        )
        undone = Counter(call for call in self._undone())
        assert all(count - undone[name] <= MOST for name, count in asked.items()), asked

    def _undone(self) -> list[str]:
        return [
            row.order.client_order_id
            for row in self.bench.rows
            if isinstance(row, OrderChanged)
            and (row.event == "modify_not_sent" or (row.event == "rate_limited" and row.order.pending_modify))
        ]

    @invariant()
    def one_intent_has_one_live_order(self) -> None:
        """An order and the one that replaces it are never both at work at the broker."""
        working = {placed.client_order_id for placed in self.bench.broker.orders.values() if placed.open}
        for order in self.bench.machine.orders():
            assert not (order.replaces in working and order.client_order_id in working), order

    def _check_orders(self) -> None:
        super()._check_orders()
        for order in self.bench.machine.orders():
            placed = self.bench.broker.orders.get(order.broker_order_id)
            if placed is not None and placed.open and not order.pending_modify:
                assert (order.price, order.quantity) == (placed.price, placed.quantity), order
                assert not order.modifying


class TradingWithReplacements(TradingWithChanges):
    """The broker changes nothing in place."""

    in_place = False


TestTradingWithChanges = TradingWithChanges.TestCase
TestTradingWithChanges.settings = settings(PACE, max_examples=SOAK or examples(12))
TestTradingWithReplacements = TradingWithReplacements.TestCase
TestTradingWithReplacements.settings = settings(PACE, max_examples=SOAK or examples(8))
