"""Invented histories of signals, quotes and order events for a risk machine."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.risk.runs.run import run_basis
from mytrading.core.risk.state.folds import settle_satisfied_intents
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.enums import Action, OrderState, OrderType, Product
from mytrading.messages.orders import Goal, GoalChanged, Order, OrderChanged, Position, PositionChanged
from mytrading.messages.run_config import RateLimits
from mytrading.messages.signals import Leg
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import CALL, LIMITS, PUT, SHARE, RiskBench

SIGNALS_PER_MINUTE = RateLimits(entries_per_minute=10_000)
SIZES = {CALL: 65, PUT: 65, SHARE: 1}
LEGS = st.sampled_from([(), ((CALL, 1),), ((CALL, 2),), ((PUT, 1),), ((SHARE, 5),), ((SHARE, -5),), ((SHARE, 10),)])
ENDED = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED)


class SignalHistory(RuleBasedStateMachine):
    """One strategy wants one watched instrument; the router here answers as `core/oms` does, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = RiskBench(replace(LIMITS, min_order_size=0, max_daily_loss=1e9), SIGNALS_PER_MINUTE)
        self.orders: dict[str, Order] = {}
        self.withdrawn: set[str] = set()
        self.goals: dict[str, CloseGoal] = {}
        self.positions: dict[str, Position] = {}
        self.answered = 0
        self.serial = 0
        self.intended: tuple[tuple[str, int], ...] = ()

    # what strategies, feed and clock do

    @rule(legs=LEGS)
    def intent(self, legs: tuple[tuple[str, int], ...]) -> None:
        self.serial += 1
        self.intended = legs
        action = Action.BUY if legs else Action.EXIT
        self.bench.now += 1000
        rows = self.bench.intent(f"s{self.serial}", *(Leg(instrument=i, lots=n) for i, n in legs), action=action)
        assert legs or not any(isinstance(row, SignalDenied) for row in rows), "a flat signal was denied"

    @rule()
    def quotes(self) -> None:
        for instrument in SIZES:
            self.bench.quote(instrument)

    @rule(seconds=st.sampled_from([0.25, 3.0, 70.0]))
    def time(self, seconds: float) -> None:
        self.bench.pass_time(seconds)

    # what the router does

    def _take_commands(self) -> None:
        """Learn what risk sent since the last time, as the router would from the journal."""
        rows = [row for row in self.bench.rows if isinstance(row, PlaceEntry | CloseGoal | WithdrawEntries)]
        for row in rows[self.answered :]:
            self.answered += 1
            if isinstance(row, PlaceEntry):
                assert row.id not in self.orders, "an entry was placed twice"
                self.orders[row.id] = _order(row)
            elif isinstance(row, CloseGoal):
                assert row.id not in self.goals, "a goal was opened twice"
                self.goals[row.id] = row
                self._goal(row, "open")
                self._withdraw(row.instrument)
            else:
                self._withdraw(row.instrument)

    def _withdraw(self, instrument: str) -> None:
        self.withdrawn |= {name for name, order in self.orders.items() if order.instrument == instrument}

    def _goal(self, row: CloseGoal, state: str) -> None:
        goal = Goal(
            id=row.id, account=row.account, instrument=row.instrument, product=row.product, strategy=row.strategy,
            run=row.run, cause=row.cause, reason=row.reason, purpose=row.purpose, state=state,
        )  # fmt: skip
        self.bench.give(GoalChanged(goal=goal, at_ns=self.bench.now))

    def _tell(self, order: Order, event: str = "x") -> None:
        self.orders[order.client_order_id] = order
        self.bench.give(OrderChanged(event=event, order=order, machine_ns=self.bench.machine_ns))
        self._another_look_finds_nothing()

    def _another_look_finds_nothing(self) -> None:
        """A look at intents that was spared for a row would have settled none, and moved nothing of a run."""
        state, runs = self.bench.machine.state, self.bench.machine.runs.books.runs
        found = [intent.settled for intent in state.intents.values()], set(state.awaited_instruments)
        state.recheck_intents()
        settle_satisfied_intents(state, "S")
        assert found == ([intent.settled for intent in state.intents.values()], state.awaited_instruments)
        for run in runs.values():
            assert run.entering == any(order.strategy == run.strategy for order in state.all_live_entries())
            assert run.entering or run.basis == run_basis(run.past)
            assert run.legs or state.run_of(run.strategy) == run.id

    def _book(self, instrument: str, units: int, order: str, run: str) -> None:
        self.bench.now += 1000
        held = self.positions.get(instrument) or Position(
            account="main", instrument=instrument, product=Product.MIS, strategy="S", run=run
        )
        booked = position_ledger.book_fill(held, units, 100.0, self.bench.now, run)
        position = self.positions[instrument] = replace(booked.position, quantity_seen=booked.position.quantity)
        self.bench.give(
            PositionChanged(
                position=position, client_order_id=order, fill_quantity=units, fill_price=100.0, at_ns=self.bench.now
            )
        )
        if booked.trade:
            self.bench.give(booked.trade)

    def _live(self) -> list[Order]:
        return [order for order in self.orders.values() if order.state not in ENDED]

    @precondition(lambda self: self._live())
    @rule(pick=st.integers(0, 9), part=st.sampled_from([0.2, 0.5, 1.0]))
    def fill(self, pick: int, part: float) -> None:
        order = self._live()[pick % len(self._live())]
        units = max(1, int((order.quantity - order.filled) * part))
        whole = order.filled + units == order.quantity
        state = OrderState.FILLED if whole else OrderState.PARTIALLY_FILLED
        self._tell(replace(order, filled=order.filled + units, filled_seen=order.filled + units, state=state))
        self._book(order.instrument, units * order.side.sign, order.client_order_id, order.run)
        self._take_commands()

    @precondition(lambda self: self._live())
    @rule(pick=st.integers(0, 9))
    def accept_or_refuse(self, pick: int) -> None:
        order = self._live()[pick % len(self._live())]
        if order.state is OrderState.INITIALIZED:
            self._tell(replace(order, state=OrderState.ACCEPTED if pick % 2 else OrderState.REJECTED))
        elif order.client_order_id in self.withdrawn:
            self._tell(replace(order, state=OrderState.CANCELLED))
        self._take_commands()

    @precondition(lambda self: any(order.state in ENDED for order in self.orders.values()))
    @rule(pick=st.integers(0, 9), event=st.sampled_from(["observed", "contradicted"]))
    def look_at_an_ended_order(self, pick: int, event: str) -> None:
        ended = [order for order in self.orders.values() if order.state in ENDED]
        self._tell(ended[pick % len(ended)], event)

    def _cancelled(self) -> list[Order]:
        return [o for o in self.orders.values() if o.state is OrderState.CANCELLED and o.filled < o.quantity]

    @precondition(lambda self: self._cancelled())
    @rule()
    def fill_late(self) -> None:
        """The exchange was faster than the cancel."""
        order = self._cancelled()[0]
        units = order.quantity - order.filled
        self._tell(replace(order, filled=order.quantity, filled_seen=order.quantity, state=OrderState.FILLED))
        self._book(order.instrument, units * order.side.sign, order.client_order_id, order.run)
        self._take_commands()

    @precondition(lambda self: self.goals)
    @rule()
    def close(self) -> None:
        """The oldest goal is reached: its entries are gone, its position is sold."""
        goal = self.goals.pop(next(iter(self.goals)))
        for order in self._live():
            if order.instrument == goal.instrument:
                state = OrderState.CANCELLED if order.client_order_id in self.withdrawn else order.state
                if order.state is OrderState.INITIALIZED and state is OrderState.INITIALIZED:
                    continue
                self._tell(replace(order, state=state))
        held = self.positions.get(goal.instrument)
        if held is not None and held.quantity:
            self._book(goal.instrument, -held.quantity, "exit", goal.run)
        self._goal(goal, "done")
        self._take_commands()

    @rule()
    def learn(self) -> None:
        self._take_commands()

    # what must hold

    @invariant()
    def one_entry_for_each_intent_and_leg(self) -> None:
        placed = [(row.cause, row.instrument) for row in self.bench.rows if isinstance(row, PlaceEntry)]
        assert len(placed) == len(set(placed))

    @invariant()
    def what_is_held_and_coming_never_exceeds_the_largest_intent(self) -> None:
        for instrument, lot in SIZES.items():
            held = self.positions[instrument].quantity if instrument in self.positions else 0
            coming = sum(o.quantity - o.filled for o in self._live() if o.instrument == instrument)
            assert abs(held) + coming <= 2 * max(10, 2 * lot)

    def _replayed_rows_give_the_same_state(self) -> None:
        again = RiskBench(replace(LIMITS, min_order_size=0, max_daily_loss=1e9), SIGNALS_PER_MINUTE)
        for row in self.bench.rows:
            again.machine.apply(row)
        assert msgspec.msgpack.encode(again.machine.snapshot("2026-03-18")) == msgspec.msgpack.encode(
            self.bench.machine.snapshot("2026-03-18")
        )

    def teardown(self) -> None:
        """Positions in the end: once the router has done all, and quotes come, the last target is held."""
        self._work_off()
        self._replayed_rows_give_the_same_state()
        assert not set(self._held()) - {name for name, _ in self.intended}, (
            f"held {self._held()}, wanted {self.intended}"
        )
        self.intent(self.intended)
        self._work_off()
        denials = [row for row in self.bench.rows if isinstance(row, SignalDenied) and row.signal == f"s{self.serial}"]
        if not denials:
            assert self._held() == {name: lots * SIZES[name] for name, lots in self.intended}
        assert {row.code for row in denials} <= {"PARTIAL_REDUCTION", "SIGNAL_SPENT", "WHOLE_LOTS"}, denials

    def _held(self) -> dict[str, int]:
        return {name: position.quantity for name, position in self.positions.items() if position.quantity}

    def _work_off(self) -> None:
        for _ in range(6):
            self.quotes()
            self._take_commands()
            while self.goals:
                self.close()
            for order in self._live():
                if order.client_order_id in self.withdrawn:
                    self._tell(replace(order, state=OrderState.CANCELLED))
                    continue
                units = (order.quantity - order.filled) * order.side.sign
                self._tell(replace(order, state=OrderState.FILLED, filled=order.quantity, filled_seen=order.quantity))
                self._book(order.instrument, units, order.client_order_id, order.run)
            self.bench.pass_time(0.25)


def _order(row: PlaceEntry) -> Order:
    return order_of(
        client_order_id=row.id, account=row.account, instrument=row.instrument, product=row.product,
        strategy=row.strategy, run=row.run, cause=row.cause, purpose=row.purpose, side=row.side,
        quantity=row.quantity, order_type=OrderType.MARKET, state=OrderState.INITIALIZED, created_ns=0, updated_ns=0,
    )  # fmt: skip
