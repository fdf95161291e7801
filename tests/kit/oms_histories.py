"""Invented histories of the order machine against a broker that answers late, twice or not at all."""

from __future__ import annotations

import os
from collections import Counter
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import TERMINAL, ModifyRules, is_live, is_untriggered_stop
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import TradingState, WithdrawRequested
from mytrading.messages.enums import (
    BrokerStatus,
    Call,
    OrderState,
    OrderType,
    Outcome,
    Product,
    Purpose,
    Side,
    TradingLevel,
)
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted
from tests.kit.fake_broker import (
    BECOMES_LIMIT,
    CALL_EVENTS,
    MS,
    OPEN_ALL_ALONG,
    SECOND,
    TELLS_TRIGGERED,
    USUAL_WORDS,
    OpenCall,
    OrderBench,
    Placed,
    Words,
)
from tests.kit.hypothesis_budget import examples
from tests.kit.state_digest import state_digest

STALE = 8 * SECOND
BOOKED_LATE = 3 * SECOND
SIDES = {"NFO:A": Side.BUY, "NFO:B": Side.SELL}
INSTRUMENTS = st.sampled_from(sorted(SIDES))
OWNERS = st.sampled_from(["s1", "s2"])
PICK = st.integers(0, 7)
WORDS = st.sampled_from([USUAL_WORDS, OPEN_ALL_ALONG, TELLS_TRIGGERED, BECOMES_LIMIT])


class Trading(RuleBasedStateMachine):
    """Placings come at most 4 s late, so that the ghost rule never errs: nothing may ever be reversed."""

    late_most = 4 * SECOND
    reversal_allowed = False
    plan_of: ClassVar[dict[str, dict[str, float]]] = {}
    """Terms of each instrument's entries: a stop plan, lot and freeze quantity."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = OrderBench(self._limits())
        self.bench.check_purity = True
        self.serial = 0
        self.ghosts = 0
        self.bench.read()

    def _limits(self) -> OmsLimits:
        """The bench's limits; without the churn breaker, which would end most entries of a random day."""
        return OmsLimits(lost_after=30 * SECOND, churn_instrument=1000, churn_account=1000)

    def _name(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}{self.serial}"

    @rule(instrument=INSTRUMENTS, owner=OWNERS, lots=st.integers(1, 2))
    def enter(self, instrument: str, owner: str, lots: int) -> None:
        name = self._name("e")
        expires = self.bench.time + 20 * SECOND
        self.bench.enter(
            name,
            lots * 50,
            instrument=instrument,
            strategy=owner,
            side=SIDES[instrument],
            expires_ns=expires,
            expires_machine_ns=expires,
            **self.plan_of.get(instrument, {}),
        )
        self.bench.enter(name, lots * 50, instrument=instrument, strategy=owner, side=SIDES[instrument])

    @initialize(held=st.lists(st.tuples(INSTRUMENTS, OWNERS, st.integers(1, 2)), max_size=3), words=WORDS)
    def start(self, held: list[tuple[str, str, int]], words: Words) -> None:
        """Most days begin with something held, since exits are where the danger is; brokers call a stop many things."""
        self.bench.broker.words = words
        for instrument, owner, lots in held:
            self._hold(instrument, owner, lots)

    def _hold(self, instrument: str, owner: str, lots: int) -> None:
        bench = self.bench
        self.enter(instrument, owner, lots)
        sent = [call for call in bench.calls if call.order.strategy == owner and call.order.instrument == instrument]
        if sent and sent[-1].call is Call.PLACE and not sent[-1].order.purpose.reduces:
            placed = bench.accept(sent[-1])
            bench.broker.trade(placed, placed.quantity, 100.0)
            bench.report(placed)
            bench.read()

    @rule(instrument=INSTRUMENTS, owner=OWNERS, lots=st.integers(1, 2))
    def enter_well(self, instrument: str, owner: str, lots: int) -> None:
        self._hold(instrument, owner, lots)

    def _holders(self) -> list[Position]:
        return [position for position in self.bench.machine.positions() if position.quantity]

    @precondition(lambda self: self._holders())
    @rule(pick=PICK)
    def close(self, pick: int) -> None:
        held = self._holders()[pick % len(self._holders())]
        self.bench.close(self._name("g"), instrument=held.instrument, strategy=held.strategy)

    @precondition(lambda self: self._holders())
    @rule(
        pick=PICK,
        fate=st.sampled_from(["lost", "silent", "late"]),
        delay=st.integers(1, 100),
        reads=st.integers(0, 3),
        gap=st.sampled_from([1, 16]),
    )
    def close_into_the_dark(self, pick: int, fate: str, delay: int, reads: int, gap: int) -> None:
        """An exit whose call times out, followed by reads that lie far enough apart to judge it, or do not."""
        self.close(pick)
        exits = [number for number, call in enumerate(self._placings()) if call.order.purpose.reduces]
        if exits:
            self.answer_place(exits[-1], fate, delay)
        for _ in range(reads):
            self.bench.tick(gap * SECOND)
            self.bench.read()

    @rule(instrument=INSTRUMENTS, owner=OWNERS)
    def close_anything(self, instrument: str, owner: str) -> None:
        if self.serial % 3 == 0:
            self.bench.close(self._name("g"), instrument=instrument, strategy=owner)

    def _placings(self) -> list[OpenCall]:
        return [call for call in self.bench.calls if call.call is Call.PLACE]

    def _call(self, kind: Call, pick: int) -> OpenCall | None:
        calls = [call for call in self.bench.calls if call.call is kind]
        return calls[pick % len(calls)] if calls else None

    @precondition(lambda self: any(call.call is Call.PLACE for call in self.bench.calls))
    @rule(
        pick=PICK,
        end=st.sampled_from(
            [
                "ok",
                "ok",
                "ok",
                "filled",
                "booked late",
                "refused",
                "not sent",
                "limited",
                "lost",
                "silent",
                "late",
                "late",
            ]
        ),
        delay=st.integers(1, 100),
    )
    def answer_place(self, pick: int, end: str, delay: int) -> None:
        bench, call = self.bench, self._call(Call.PLACE, pick)
        assert call is not None
        if end in ("ok", "filled", "booked late"):
            placed = bench.broker.place(
                call.order, bench.time, bench.time + (BOOKED_LATE if end == "booked late" else 0)
            )
            if end == "filled":
                bench.broker.trade(placed, placed.quantity, 100.0)
                bench.report(placed)
            bench.end(call, Outcome.ACCEPTED, placed.id)
        elif end == "refused":
            bench.end(call, Outcome.REFUSED, message="margin")
        elif end in ("not sent", "limited"):
            bench.end(call, Outcome.NOT_SENT if end == "not sent" else Outcome.RATE_LIMITED)
        else:
            if end == "silent":
                bench.broker.place(call.order, bench.time)
            bench.tick(1 * SECOND)
            if end == "late":
                bench.broker.late.append((bench.time + self.late_most * delay // 100, call.order))
            bench.end(call, Outcome.UNKNOWN, message="timed out")

    @precondition(lambda self: any(call.call is Call.CANCEL for call in self.bench.calls))
    @rule(pick=PICK, end=st.sampled_from(["ok", "ok", "fills first", "silent", "lost", "not sent", "refused"]))
    def answer_cancel(self, pick: int, end: str) -> None:
        bench, call = self.bench, self._call(Call.CANCEL, pick)
        assert call is not None
        placed = bench.broker.orders[call.order.broker_order_id]
        if end == "fills first":
            bench.broker.trade(placed, placed.quantity, 101.0)
        if end in ("ok", "fills first"):
            bench.cancel(call)
        elif end == "silent":
            bench.cancel(call, Outcome.UNKNOWN)
        else:
            outcomes = {"lost": Outcome.UNKNOWN, "not sent": Outcome.NOT_SENT, "refused": Outcome.REFUSED}
            bench.end(call, outcomes[end])

    @precondition(lambda self: self.bench.broker.orders)
    @rule(pick=PICK, lots=st.sampled_from([25, 50, 100]), price=st.sampled_from([99.0, 100.0, 103.5]))
    def trade(self, pick: int, lots: int, price: float) -> None:
        placed = [placed for placed in self.bench.broker.orders.values() if placed.open]
        if placed:
            self.bench.broker.trade(placed[pick % len(placed)], lots, price)

    @precondition(lambda self: self.bench.broker.orders)
    @rule(pick=PICK, copies=st.integers(1, 2), back=st.sampled_from([0, 0, 25]))
    def report(self, pick: int, copies: int, back: int) -> None:
        """Updates come twice, and after newer ones."""
        orders = list(self.bench.broker.orders.values())
        placed = orders[-1 - pick % len(orders)]
        for _ in range(copies):
            if back and placed.open:
                self.bench.report(placed, filled=max(0, placed.filled - back))
            else:
                self.bench.report(placed)

    @rule(
        kind=st.sampled_from(
            ["fresh", "fresh", "fresh", "stale", "stale", "rumour", "orders", "trades", "positions", "empty", "none"]
        )
    )
    def read(self, kind: str) -> None:
        bench = self.bench
        if kind == "stale":
            past = [read for at, read in bench.broker.past if at >= bench.time - STALE]
            bench.read(past[0] if past else None)
        elif kind == "rumour":
            self._rumour()
        elif kind == "empty":
            bench.read(orders=(), trades=(), positions=())
        elif kind == "none":
            bench.read(orders=None, trades=None, positions=None)
        elif kind == "fresh":
            bench.read()
        else:
            bench.read(**{kind: None})

    def _rumour(self) -> None:
        """One read says that open orders were rejected (a known defect of one broker's book), the next does not."""
        book = self.bench.broker.books(self.bench.time)
        self.bench.broker.past.pop()
        shown = (BrokerStatus.REJECTED if row.status is BrokerStatus.OPEN else row.status for row in book.orders or ())
        rows = tuple(replace(row, status=status) for row, status in zip(book.orders or (), shown, strict=True))
        self.bench.read(orders=rows)
        self.bench.read()

    @rule(step=st.sampled_from([100 * MS, 600 * MS, 2 * SECOND, 6 * SECOND, 16 * SECOND]))
    def wait(self, step: int) -> None:
        self.bench.tick(step)

    @rule(what=st.sampled_from(["halt", "resume", "withdraw"]))
    def control(self, what: str) -> None:
        bench, name = self.bench, self._name("c")
        if what == "withdraw":
            bench.step(WithdrawRequested(id=name, reason="test", at_ns=bench.now))
            return
        level = TradingLevel.HALT if what == "halt" and self.serial % 3 == 0 else TradingLevel.NORMAL
        bench.step(TradingState(level=level, generation=self.serial, reason="test", at_ns=bench.now))

    @rule(sent=st.sampled_from(["all", "none", "late"]))
    def crash(self, sent: str) -> None:
        """The process dies: its calls had, had not, or will have reached the broker."""
        bench = self.bench
        for call in bench.calls:
            if call.call is Call.PLACE and sent == "all":
                bench.broker.place(call.order, bench.time)
            elif call.call is Call.PLACE and sent == "late":
                bench.broker.late.append((bench.time + self.late_most // 2, call.order))
            elif sent == "all" and call.call is Call.CANCEL:
                bench.broker.cancel(call.order.broker_order_id)
            elif sent == "all":
                bench.broker.modify(call.order)
            elif call.call is Call.MODIFY and sent == "late":
                bench.broker.late_modifies.append((bench.time + self.late_most // 2, call.order))
        bench.crash()

    @invariant()
    def no_order_is_placed_twice(self) -> None:
        assert all(count == 1 for count in self.bench.broker.placements.values())

    @invariant()
    def nothing_is_reversed(self) -> None:
        if self.reversal_allowed:
            return
        for (instrument, _), net in self.bench.broker.net.items():
            assert net * SIDES[instrument].sign >= 0, f"{instrument} was reversed: {net}"

    def _quiet_turn(self) -> None:
        bench = self.bench
        bench.answer_calls()
        for placed in bench.broker.orders.values():
            order = bench.machine.state.orders.get(placed.client_order_id)
            if placed.open and order is not None and self._fills(order, placed):
                bench.broker.trade(placed, placed.quantity, 100.0)
        bench.tick(1 * SECOND)
        bench.read()
        self.no_order_is_placed_twice()
        self.nothing_is_reversed()

    def _fills(self, order: Order, placed: Placed) -> bool:
        """True if the broker fills an order in quiet times."""
        return order.purpose.reduces

    def teardown(self) -> None:
        """Let all calls succeed for a while: nothing may be left open, and the books must agree."""
        bench = self.bench
        bench.check_purity = False
        for _ in range(80):
            self._quiet_turn()
        for placed in list(bench.broker.orders.values()):
            bench.report(placed)
        for _ in range(40):
            self._quiet_turn()
        self._check_orders()
        self._check_ledger()
        assert state_digest(bench.replayed()) == state_digest(bench.machine)
        self._indices_follow_from_the_orders()

    def _indices_follow_from_the_orders(self) -> None:
        """However an order came to its level, each index holds it as if it had been put there at once."""
        state, fresh = self.bench.machine.state, State()
        for order in self.bench.machine.orders():
            fresh.put_order(order, order.net)
        for name in ("open_by_key", "resting", "waiting", "restless", "seeking"):
            assert getattr(fresh, name).sorted_items() == getattr(state, name).sorted_items(), name

    def _check_orders(self) -> None:
        bench = self.bench
        for order in bench.machine.orders():
            resting = order.state in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)
            may_rest = not order.purpose.reduces or is_untriggered_stop(order)
            left = order.state in TERMINAL or (resting and may_rest)
            assert left or self._waits_for_a_person(order), order
            assert order.filled == order.filled_seen, order
            if order.broker_order_id:
                assert order.filled == bench.broker.orders[order.broker_order_id].filled, order
        # Two owners may have the same exit out at once, both of unknown fate: which of them a broker order then belongs
        # to cannot be told and makes no difference to the net. That it belongs to one of ours can be told.
        bound = {order.broker_order_id for order in bench.machine.orders()}
        ours = {placed.id for placed in bench.broker.orders.values() if placed.client_order_id != placed.id}
        assert ours <= bound, "a broker order is ours, but nobody knows"
        waiting = {order.links.goal for order in bench.machine.orders() if self._waits_for_a_person(order)}
        for goal in bench.machine.goals():
            same = {
                g.id for g in bench.machine.goals() if g.instrument == goal.instrument and g.strategy == goal.strategy
            }
            assert goal.state == "done" or waiting & same, goal

    def _waits_for_a_person(self, order: Order) -> bool:
        """A second exit of one goal, or stop of one protection, is of unknown fate too: that is left to a person.

        Entries of that owner wait behind it.
        """
        if order.purpose is Purpose.ENTRY and order.state is OrderState.INITIALIZED:
            exits = [other for other in self.bench.machine.orders() if other.purpose.reduces]
            mine = [
                other for other in exits if (other.instrument, other.strategy) == (order.instrument, order.strategy)
            ]
            return any(self._waits_for_a_person(other) for other in mine)
        if order.purpose is Purpose.STOP:
            return order.state is OrderState.UNKNOWN and "STOP_IN_DOUBT" in self.bench.codes()
        goals = {goal.id: goal for goal in self.bench.machine.goals()}
        goal = goals.get(order.links.goal)
        is_stuck = (
            goal is not None and goal.ghosts == 1 and goal.state == "stuck" and "GOAL_STUCK" in self.bench.codes()
        )
        return is_stuck and order.state is OrderState.UNKNOWN

    def _check_ledger(self) -> None:
        bench = self.bench
        owned: dict[tuple[str, Product], int] = {}
        for position in bench.machine.positions():
            key = (position.instrument, position.product)
            owned[key] = owned.get(key, 0) + position.quantity
            assert position.quantity == position.quantity_seen, position
        for key in owned.keys() | bench.broker.net.keys():
            assert owned.get(key, 0) == bench.broker.net.get(key, 0), key
        adjusted = [row for row in bench.rows if isinstance(row, PositionAdjusted) and row.quantity]
        unmanaged = [row for row in bench.rows if isinstance(row, UnmanagedChanged)]
        assert not adjusted and not unmanaged, "all orders were ours, so nothing was to be corrected"
        assert "ORDER_ILLEGAL" not in bench.codes(), "the broker contradicts itself only in what is old or a rumour"
        self._check_pace()

    def _check_pace(self) -> None:
        sent = [row.machine_ns for row in self.bench.rows if isinstance(row, OrderChanged) and row.event in CALL_EVENTS]
        limit = self.bench.limits.calls_per_second
        for first, after in zip(sent, sent[limit:], strict=False):
            assert after - first >= SECOND, "more calls in a second than the budget"


class TradingWithStops(Trading):
    """Entries carry a stop plan; stops are refused, dropped, triggered and filled like all other orders."""

    plan_of: ClassVar = {
        "NFO:A": {"stop_trigger": 90.0, "stop_limit": 87.0},
        "NFO:B": {"stop_trigger": 110.0, "stop_limit": 113.0},
    }
    sent = 0
    was_open = True

    def _stops(self) -> list[Placed]:
        found = []
        for placed in self.bench.broker.orders.values():
            order = self.bench.machine.state.orders.get(placed.client_order_id)
            if placed.open and order is not None and order.purpose is Purpose.STOP:
                found.append(placed)
        return found

    @precondition(lambda self: self._stops())
    @rule(pick=PICK, what=st.sampled_from(["trigger", "drop", "reject", "fill"]))
    def move_a_stop(self, pick: int, what: str) -> None:
        broker, stops = self.bench.broker, self._stops()
        placed = stops[pick % len(stops)]
        if what == "trigger":
            broker.trigger(placed)
        elif what == "fill":
            broker.trade(placed, placed.quantity, 95.0)
        else:
            broker.drop(placed, BrokerStatus.REJECTED if what == "reject" else BrokerStatus.CANCELLED)

    @rule(drops=st.booleans())
    def session_ends_or_begins(self, drops: bool) -> None:
        """At the close the venue may end the stops that wait; nothing takes their place until it opens again."""
        self.bench.session_open = not self.bench.session_open
        for placed in self._stops() if drops and not self.bench.session_open else []:
            self.bench.broker.drop(placed, BrokerStatus.EXPIRED)

    @invariant()
    def no_waiting_stop_is_taken_for_triggered(self) -> None:
        self.bench.no_waiting_stop_is_taken_for_triggered()

    @invariant()
    def no_stop_is_sent_while_the_session_is_over(self) -> None:
        sent = [row for row in self.bench.rows if isinstance(row, OrderChanged) and row.event == "submitted"]
        fresh, self.sent = sent[self.sent :], len(sent)
        if not self.was_open and not self.bench.session_open:
            assert not any(row.order.purpose is Purpose.STOP and row.order.call.attempt == 1 for row in fresh)
        self.was_open = self.bench.session_open

    def teardown(self) -> None:
        self.bench.session_open = True
        super().teardown()

    def _fills(self, order: Order, placed: Placed) -> bool:
        return order.purpose.reduces and placed.status is not BrokerStatus.TRIGGER_PENDING

    def _check_orders(self) -> None:
        super()._check_orders()
        # Of two owners' stops of unknown fate, which is whose cannot be told either; what the broker sees is their sum.
        held: dict[str, int] = {}
        for position in self.bench.machine.positions():
            held[position.instrument] = held.get(position.instrument, 0) + abs(position.quantity)
        for instrument, quantity in held.items():
            stops = [placed for placed in self._stops() if placed.instrument == instrument]
            guarded = sum(placed.quantity - placed.filled for placed in stops)
            waits = any(self._waits_for_a_person(order) for order in self.bench.machine.orders())
            assert guarded == quantity or waits, f"{quantity} of {instrument} is guarded by {guarded}"


class TradingInSlices(TradingWithStops):
    """Some entries, exits and stops are above the freeze quantity; some leave odd units behind."""

    plan_of: ClassVar = {
        "NFO:A": {"lot": 10, "freeze": 60, "stop_trigger": 90.0, "stop_limit": 87.0},
        "NFO:B": {"lot": 25, "freeze": 75},
    }

    @invariant()
    def no_order_is_above_the_freeze_quantity(self) -> None:
        for placed in self.bench.broker.orders.values():
            assert placed.quantity <= self.plan_of[placed.instrument]["freeze"], placed

    def _check_orders(self) -> None:
        Trading._check_orders(self)


SOAK = int(os.environ.get("SOAK_EXAMPLES", "0"))
"""Examples of a long run (`make soak`)."""
PACE = settings(
    max_examples=SOAK or examples(30),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


MOST = 3
ENDS = ("ok", "ok", "silent", "lost", "late", "not sent", "limited", "refused", "fills", "ends", "deaf")
"""Ends of a modify call: made (told or not), lost, late, not made, refused, too late for the order, or a success that
was none."""


class TradingWithChanges(TradingWithStops):
    """Entries rest at a limit and are changed, stops too, by calls that get lost, come late, or lose to a fill."""

    in_place = True

    def _limits(self) -> OmsLimits:
        rules = ModifyRules(most=MOST, in_place=self.in_place)
        return OmsLimits(lost_after=30 * SECOND, modify=rules, churn_instrument=1000, churn_account=1000)

    def _changeable(self) -> list[Order]:
        """Orders that a person may change: resting limits and stops."""
        found = [order for order in self._live() if order.order_type in (OrderType.LIMIT, OrderType.SL)]
        return [order for order in found if order.broker_order_id and not order.evidence.cancel.wanted]

    def _live(self) -> list[Order]:
        return [order for order in self.bench.machine.orders() if is_live(order)]

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
        """Place a resting order, and change it at once."""
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
        """Open a position whose stop rests."""
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
            bench.end(call, {**kinds, "deaf": Outcome.ACCEPTED}.get(end, Outcome.UNKNOWN))

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
            and (row.event == "modify_not_sent" or (row.event == "rate_limited" and row.order.evidence.modify.wanted))
        ]

    @invariant()
    def one_intent_has_one_live_order(self) -> None:
        """An order and the one that replaces it are never both at work at the broker."""
        working = {placed.client_order_id for placed in self.bench.broker.orders.values() if placed.open}
        for order in self.bench.machine.orders():
            assert not (order.links.replaces in working and order.client_order_id in working), order

    def _check_orders(self) -> None:
        super()._check_orders()
        for order in self.bench.machine.orders():
            placed = self.bench.broker.orders.get(order.broker_order_id)
            if placed is not None and placed.open and not order.evidence.modify.wanted:
                assert (order.price, order.quantity) == (placed.price, placed.quantity), order
                assert not order.evidence.modify.out
