"""The order machine against a broker that times out, forgets, repeats and lies about the past; the router crashes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested, ResolveRequested
from mytrading.messages.enums import OrderState, Product
from mytrading.messages.orders import Order, OrderChanged
from tests.kit.fake_broker import ACCOUNT, SECOND
from tests.kit.hypothesis_budget import examples
from tests.kit.oms_histories import (
    INSTRUMENTS,
    OWNERS,
    PACE,
    PICK,
    SIDES,
    SOAK,
    Trading,
    TradingInSlices,
    TradingWithStops,
)


class TradingWithGhosts(Trading):
    """Placings come up to 40 s late: an exit given up may still fill, is reversed, flattened and alarmed."""

    late_most = 40 * SECOND
    reversal_allowed = True

    @invariant()
    def a_reversal_is_at_most_the_ghosts(self) -> None:
        bench = self.bench
        for (instrument, _), net in bench.broker.net.items():
            beyond = -net * SIDES[instrument].sign
            ghosts = {
                row.order.client_order_id: row.order.quantity
                for row in bench.rows
                if isinstance(row, OrderChanged)
                and row.event in ("ghost", "not_placed")
                and row.order.instrument == instrument
            }
            assert beyond <= sum(ghosts.values()), f"{instrument}: {net}, ghosts {ghosts}"


class TradingWithAPerson(TradingWithGhosts):
    """Somebody trades at the terminal too, claims what is nobody's, and ends orders of unknown fate, rightly or not."""

    @rule(instrument=INSTRUMENTS, lots=st.integers(1, 2))
    def trade_at_the_terminal(self, instrument: str, lots: int) -> None:
        """An order and a trade of nobody here, in a quantity that no order of ours has."""
        net = self.bench.broker.net.get((instrument, Product.MIS), 0)
        self.bench.broker.by_hand(net + (lots * 50 + 7) * SIDES[instrument].sign, instrument)
        for _ in range(2):
            self.bench.read()
            self.bench.tick(6 * SECOND)

    @rule(instrument=INSTRUMENTS, owner=OWNERS, quantity=st.sampled_from([0, 0, 25, 500]), guarded=st.booleans())
    def claim(self, instrument: str, owner: str, quantity: int, guarded: bool) -> None:
        before, sign = self._ours(instrument), SIDES[instrument].sign
        self.bench.step(
            ClaimRequested(
                id=self._name("c"),
                account=ACCOUNT,
                instrument=instrument,
                product=Product.MIS,
                strategy=owner,
                at_ns=self.bench.now,
                quantity=quantity,
                price=100.0,
                stop=100.0 - 10 * sign if guarded else 0.0,
                stop_limit=100.0 - 13 * sign if guarded else 0.0,
            )
        )
        assert self._ours(instrument) == before, "a claim made or lost units"

    @rule(pick=PICK, truly=st.booleans())
    def resolve(self, pick: int, truly: bool) -> None:
        open_fates = (OrderState.UNKNOWN, OrderState.LOST, OrderState.GHOST)
        orders = [order for order in self.bench.machine.orders() if order.state in open_fates]
        if not orders:
            return
        order = orders[pick % len(orders)]
        placed = [p.id for p in self.bench.broker.orders.values() if p.client_order_id == order.client_order_id]
        if bool(placed) == truly:
            name = placed[0] if placed else ""
            request = ResolveRequested(
                id=self._name("r"), order=order.client_order_id, at_ns=self.bench.now, broker_order_id=name
            )
            self.bench.step(request)

    def _check_orders(self) -> None:
        """A trade at the terminal hides what became of an exit: the machine alarms, a person ends it, all goes on."""
        for order in self.bench.machine.orders():
            if order.state is OrderState.UNKNOWN:
                assert {"GOAL_STUCK", "ORDER_UNKNOWN"} & self.bench.codes()
                self._tell_the_truth(order)
        for _ in range(60):
            self._quiet_turn()
        super()._check_orders()

    def _tell_the_truth(self, order: Order) -> None:
        placed = [p.id for p in self.bench.broker.orders.values() if p.client_order_id == order.client_order_id]
        request = ResolveRequested(
            id=self._name("r"),
            order=order.client_order_id,
            at_ns=self.bench.now,
            broker_order_id=placed[0] if placed else "",
            force=True,
        )
        self.bench.step(request)

    def _ours(self, instrument: str) -> int:
        owned = sum(p.quantity for p in self.bench.machine.positions() if p.instrument == instrument)
        rows = [row for row in self.bench.rows if isinstance(row, UnmanagedChanged) and row.instrument == instrument]
        return owned + (rows[-1].quantity if rows else 0)

    def _check_ledger(self) -> None:
        bench = self.bench
        assert all(position.quantity == position.quantity_seen for position in bench.machine.positions())
        for instrument in SIDES:
            assert self._ours(instrument) == bench.broker.net.get((instrument, Product.MIS), 0), instrument
        self._check_pace()


TestTrading = Trading.TestCase
TestTrading.settings = settings(PACE, max_examples=SOAK or examples(15))
TestTradingWithGhosts = TradingWithGhosts.TestCase
TestTradingWithGhosts.settings = settings(PACE, max_examples=SOAK or examples(15))
TestTradingWithStops = TradingWithStops.TestCase
TestTradingWithStops.settings = PACE
TestTradingInSlices = TradingInSlices.TestCase
TestTradingInSlices.settings = settings(PACE, max_examples=SOAK or examples(20))
TestTradingWithAPerson = TradingWithAPerson.TestCase
TestTradingWithAPerson.settings = settings(PACE, max_examples=SOAK or examples(15))
