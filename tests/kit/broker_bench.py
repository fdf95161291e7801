"""The order machine behind one broker of the simulator, in one process: real rows, parsers, schedule of reads, machine.

Used by the conformance of brokers and by whoever looks for a rule that is wrong at one of them. Only the sockets and
the clock are not real: a call ends in the simulator's own handler, and machine time passes as the bench says. What is
true is read from the simulated exchange, never from the program's own view.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import msgspec

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest.book_reader import BookReader
from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, MaybeSent, OpenAlgoClient, Started
from mytrading.adapters.openalgo.ws.connection import Connected, SocketFrame
from mytrading.adapters.openalgo.ws.order_updates import OrderUpdates
from mytrading.adapters.venues import OpenAlgoVenue
from mytrading.config.brokers import load_brokers
from mytrading.core.exchange.model import BookOrder
from mytrading.core.instruments.symbology import split_id
from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.orders.state_machine import TERMINAL, with_wanted_terms
from mytrading.core.reconciler.read_plan import OrderLevels, ReadPlan
from mytrading.core.time import DAY, SECOND, ist_date
from mytrading.daemons.router.watches import BooksWatch
from mytrading.messages.brokers import UNLISTED, BrokerRules, find_broker
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.control import Alert, ModifyRequested, ResolveRequested
from mytrading.messages.enums import Call, OrderState, OrderType, Product, Side
from mytrading.messages.orders import Order, OrderChanged, TimerFired
from mytrading.messages.reports import ModeSeen, ReadRequest
from mytrading.messages.run_config import ServerMode
from mytrading.simulator.rest.order_routes import DropConnection
from tests.kit.live_server import KEY, LiveServer

ACCOUNT, STRATEGY = "main", "s1"
MS = 1_000_000
TICK = 250 * MS
CALM_TICK = SECOND
"""Machine time between two looks where nothing is under way: the router's are 100 ms apart, and find nothing to do."""
ANSWER = 40 * MS
"""A call lasts so long."""
BARE_MOST = 10 * SECOND
"""Held units without a stop or an exit for longer need an alert."""
NEVER = 1 << 60
_CALLS = {"submitted": Call.PLACE, "cancel_requested": Call.CANCEL, "modify_requested": Call.MODIFY}
_STOPS = (OrderType.SL, OrderType.SL_M)
_UNREAD = 3 * 10 * SECOND
"""The order book unread for so long is lost: three polls of it, as the router takes it."""


class BenchClient(OpenAlgoClient):
    """The program's client of one server, whose requests end in the simulator's handlers instead of a socket."""

    def __init__(self, bench: BrokerBench) -> None:
        super().__init__("http://127.0.0.1:9", KEY, lambda: bench.time)
        self._bench = bench
        self._asked: deque[tuple[str, bytes]] = deque()

    def begin(self, endpoint: str, payload: Mapping[str, Any], deadline: Deadline) -> Started:
        """Keep a request for `finish`."""
        self._asked.append((endpoint, msgspec.json.encode(payload)))
        return Started("POST", deadline.value, self._bench.time)

    def finish(self, started: Started) -> HttpReply:
        """Have the server handle the oldest request, and return its answer."""
        endpoint, body = self._asked.popleft()
        bench = self._bench
        bench.time += ANSWER // 2
        try:
            status, answer = bench.server.call(endpoint, **msgspec.json.decode(body))
        except DropConnection:
            raise MaybeSent("connection lost", started.began_ns, bench.time) from None
        bench.time += ANSWER // 2
        return HttpReply(status, msgspec.json.encode(answer), started.began_ns, bench.time)


@dataclass(frozen=True)
class Held:
    """What a story trades, and the prices of its stop."""

    instrument: str = "NSE:SBIN"
    product: Product = Product.MIS
    units: int = 100
    price: float = 985.0
    trigger: float = 950.0
    limit: float = 940.0

    @property
    def place(self) -> dict[str, str]:
        exchange, symbol = split_id(self.instrument)
        return {"symbol": symbol, "exchange": exchange}


SHARE = Held()


class BrokerBench:
    """One account at `broker`. `guarded`: entries have a stop at the broker; `accepted`: the operator takes a refused
    broker as it is. `story` names it in complaints.

    It complains by `AssertionError`, at once, of: more on the way to be sold than is held; a short position; a sale
    that nobody asked for; an order placed twice; units bare for ten seconds without an alert.
    """

    def __init__(
        self, broker: str, story: str = "", held: Held = SHARE, *, guarded: bool = True, accepted: bool = True
    ) -> None:
        self.broker, self.story, self.held, self.guarded = broker, story, held, guarded
        self._accepted = (broker,) if accepted else ()
        self.server = LiveServer(broker)
        self.time = 1000 * SECOND
        self._market_began = self.server.venue.clock.now() // SECOND * SECOND - self.time
        self.session_open = True
        self.may_sell = False
        """True once somebody asked for an exit, or the price has passed the stop."""
        self.alerts: list[tuple[int, Alert]] = []
        self.past_orders: dict[str, BookOrder] = {}
        """Orders of earlier days."""
        self.log: list[str] = []
        self._bare_since = 0
        self._calls: deque[tuple[Call, Order]] = deque()
        self._names = 0
        client, beside = BenchClient(self), BenchClient(self)
        self._venue = OpenAlgoVenue(client, ServerMode.LIVE)
        self._row: BrokerRules = UNLISTED
        self._reader = BookReader(client, beside, ACCOUNT, ServerMode.LIVE, lambda: self.time, lambda: self._row)
        self._stream = OrderUpdates(
            "ws://127.0.0.1:9", KEY, ACCOUNT, ServerMode.LIVE, lambda: self.time, lambda: None, lambda: self._row
        )
        self.machine = self._new_machine()
        self._begin_session(client)

    def _new_machine(self) -> OrderMachine:
        limits = OmsLimits(brokers=load_brokers(), unlisted=UNLISTED, accepted_brokers=self._accepted)
        return OrderMachine(limits, lambda _exchange, _now: self.session_open)

    def _begin_session(self, client: OpenAlgoClient) -> None:
        """What reconciler and router do at a start: the broker by its ping, the stream, a first read of all books."""
        self.plan, self._levels = ReadPlan(ACCOUNT), OrderLevels()
        self._watch = BooksWatch((ACCOUNT,), _UNREAD)
        name = endpoints.ping(client).broker
        self._row = find_broker(load_brokers(), name)
        self._stream._socket.events.put(Connected(1, self.time, name))
        self._to_stream({"type": "subscribe_orders", "status": "success"})
        self._step(ModeSeen(account=ACCOUNT, mode=ServerMode.LIVE, expected=True, machine_ns=self.time, broker=name))
        self.wait(1.0)

    @property
    def now(self) -> int:
        """Market time (ns)."""
        return self._market_began + self.time

    # ---- the program

    def _step(self, message: Any) -> tuple[Any, ...]:
        self.machine.apply(message)
        rows = self.machine.decide(message, self.now)
        for row in rows:
            self.machine.apply(row)
        for row in rows:
            self._effect(row)
        return rows

    def step(self, _stream: str, message: Any, source: str = "", *, keep: bool = False) -> tuple[Any, ...]:
        """Take a message as the router's watches give one."""
        return self._step(message)

    def _effect(self, row: Any) -> None:
        if isinstance(row, Alert):
            self.alerts.append((self.time, row))
            self._note(f"ALERT {row.code} {row.message}")
        elif isinstance(row, ReadRequest):
            self.plan.add_request(row)
        elif isinstance(row, OrderChanged):
            self._note(f"{row.event} {describe_ours(row.order)}")
            if (call := _CALLS.get(row.event)) is not None:
                self._calls.append((call, with_wanted_terms(row.order) if call is Call.MODIFY else row.order))
            if (level := self._levels.on_router_order(row.order)) is not None:
                self._step(level)

    def _note(self, text: str) -> None:
        self.log.append(f"{(self.time - 1000 * SECOND) / SECOND:7.2f} {text}")

    def _to_stream(self, body: Mapping[str, Any]) -> None:
        self._stream._socket.events.put(SocketFrame(msgspec.json.encode(body), self.time))

    def _work(self) -> None:
        """Make the calls that wait, then take what the stream has sent, then the read that is due, until all rests."""
        while True:
            if self._calls:
                call, order = self._calls.popleft()
                outcome = self._venue.send(call, order)
                self._note(f"{call} {outcome.outcome} {outcome.broker_order_id} {outcome.message}")
                self._step(outcome)
            elif self.server.updates:
                self._take_updates()
            elif not self._read_if_due():
                return
            self.look()

    def _take_updates(self) -> None:
        for frame in self.server.updates:
            self._to_stream(frame)
        self.server.updates.clear()
        for report in self._stream.drain():
            if (level := self._levels.on_update(report)) is not None:
                self._step(level)

    def _read_if_due(self) -> bool:
        self._stream.drain()
        self.plan.set_stream_up(self._stream.brings_updates)
        if (job := self.plan.take_next_job(self.time)) is None:
            return False
        visit = self._reader.read_books(job)
        whole = visit.reached and (visit.books.orders is not None or not job.orders)
        self.plan.on_read_ended(job, self.time, whole, 1.0, visit.patience_ns, visit.refused)
        if visit.mode is not None:
            self._step(visit.mode)
        if visit.reached:
            books = self.plan.void_if_outdated(visit.books)
            self._step(books)
            self._watch.on_report(self._as_router(), books, self.time)
            self._levels.drop_shown_by(visit.books)
        return True

    def _as_router(self) -> Any:
        return SimpleNamespace(name="router", orders=self.machine, step=self.step)

    # ---- the driver

    def tick(self) -> None:
        """Machine time passes: timers fire, and what is due is done."""
        before = self.time
        self.time += TICK if self.plan.requests_waiting or self.machine.describe_unsettled() else CALM_TICK
        self._step(TimerFired(name="router", machine_ns=self.time))
        if before // SECOND != self.time // SECOND:
            self._watch.report_changes(self._as_router(), self.time)
            for report in self._levels.updates_to_repeat(self.time):
                self._step(report)
        self._work()
        self.look()

    def wait(self, seconds: float) -> None:
        """Machine time passes for so long."""
        until = self.time + round(seconds * SECOND)
        while self.time < until:
            self.tick()

    def until(self, seen: Callable[[], bool], seconds: float, what: str) -> None:
        """Machine time passes until something is so, at most so long."""
        until = self.time + round(seconds * SECOND)
        while not seen():
            if self.time >= until:
                self.fail(f"not within {seconds:g} s: {what}")
            self.tick()

    def price(self, ltp: float, depth: int = 100_000) -> None:
        """The market moves there and stays, with so many units at its best prices."""
        self.server.push(ltp=ltp, depth=depth, **self.held.place)  # type: ignore[arg-type]
        self._work()
        self.look()

    def enter(self, units: int = 0, **fields: Any) -> None:
        """Risk wants units: a MARKET order if no fields say otherwise."""
        held, stop = self.held, {}
        if self.guarded:
            stop = {"stop_trigger": held.trigger, "stop_limit": held.limit}
        command = PlaceEntry(
            **self._task("e"), side=Side.BUY, quantity=units or held.units, expires_ns=NEVER,
            expires_machine_ns=NEVER, reference_price=held.price, **{**stop, **fields},
        )  # fmt: skip
        self._step(command)
        self._work()

    def withdraw_entries(self) -> None:
        """Risk wants what rests of entries taken back."""
        self._names += 1
        self._step(WithdrawEntries(id=f"w{self._names}", cause="test"))
        self._work()

    def close(self) -> None:
        """Risk wants the position closed."""
        self.may_sell = True
        self._step(CloseGoal(**self._task("x"), reason="exit"))
        self._work()

    def resolve_lost(self) -> None:
        """An operator looks at the broker, and says of every lost order that it was not placed."""
        for order in self.machine.orders():
            if order.state is OrderState.LOST and not order.broker_order_id:
                self._names += 1
                self._step(ResolveRequested(id=f"r{self._names}", order=order.client_order_id, at_ns=self.now))
        self._work()

    def move_stop(self, trigger: float, limit: float) -> None:
        """An operator wants the stop elsewhere."""
        (stop,) = self.our_stops() or [None]
        if stop is None:
            self.fail("no stop of ours to move")
        self._names += 1
        self._step(
            ModifyRequested(
                id=f"m{self._names}", order=stop.client_order_id, at_ns=self.now, price=limit, trigger_price=trigger
            )
        )
        self._work()

    def _task(self, kind: str) -> dict[str, Any]:
        self._names += 1
        return {
            "id": f"{kind}{self._names}", "account": ACCOUNT, "instrument": self.held.instrument,
            "product": self.held.product, "strategy": STRATEGY, "run": "run1", "cause": f"signal-{self._names}",
        }  # fmt: skip

    def pass_night(self, evening: str, morning: str) -> None:
        """The session ends, some minutes later the day, and the next one begins for exchange, router and reconciler."""
        self.session_open = False
        self.past_orders |= self.orders()
        self.server.move_to(evening)
        self.past_orders |= self.orders()
        self._market_began = self.server.venue.clock.now() // SECOND * SECOND - self.time
        self.wait(20.0)
        self._open_day(morning)

    def _open_day(self, morning: str) -> None:
        self.server.move_to(morning)
        day = ist_date(self.server.venue.clock.now())
        self._market_began = self.server.venue.clock.now() // SECOND * SECOND - self.time
        for row in self.machine.expire_day(self.now - DAY // 2, day.isoformat()):
            self.machine.apply(row)
            self._effect(row)
        opened = self.machine.snapshot(day.isoformat())
        self.machine = self._new_machine()
        self.machine.apply(opened)
        self.session_open = True
        self.price(self.held.price)
        self._begin_session(BenchClient(self))

    def end(self) -> None:
        """End the server."""
        self.server.close()

    # ---- the truth, at the exchange

    def orders(self) -> dict[str, BookOrder]:
        """The exchange's orders of today that this program placed, by the broker's id."""
        found = self.server.venue.exchange.books.orders
        return {name: order for name, order in found.items() if order.request.strategy not in ("T", "stranger")}

    @property
    def net(self) -> int:
        """Signed units at the exchange."""
        return self.server.venue.exchange.books.position(self.held.instrument, self.held.product).quantity

    def live(self) -> list[BookOrder]:
        """Our live orders at the exchange."""
        return [order for order in self.orders().values() if order.is_live]

    def stops(self) -> list[BookOrder]:
        """Our live stops at the exchange."""
        return [order for order in self.live() if order.request.order_type in _STOPS]

    @property
    def covered(self) -> int:
        """Units that live stops at the exchange would sell."""
        return sum(order.pending_units for order in self.stops())

    # ---- the program's view

    @property
    def ledger(self) -> int:
        """Confirmed units of our position."""
        found = self.machine.position(ACCOUNT, self.held.instrument, self.held.product, STRATEGY)
        return found.quantity if found is not None else 0

    def our_live(self) -> list[Order]:
        """Orders that the program believes live."""
        return [order for order in self.machine.orders() if order.state not in TERMINAL]

    def our_stops(self) -> list[Order]:
        """Stops that the program believes live."""
        return [order for order in self.our_live() if order.order_type in _STOPS]

    def alerted_since(self, began: int) -> list[Alert]:
        """The alerts since a machine time."""
        return [alert for at, alert in self.alerts if at >= began]

    # ---- complaints

    def fail(self, what: str) -> None:
        """Complain, with what is at the exchange and in the books of the program."""
        at = [describe_venue(order) for order in (self.past_orders | self.orders()).values()]
        ours = [describe_ours(order) for order in self.machine.orders()]
        codes = [alert.code for _, alert in self.alerts]
        lines = [
            f"{self.broker}, {self.story}, after {(self.time - 1000 * SECOND) / SECOND:.1f} s: {what}",
            f"exchange: {self.net} held; {'; '.join(at) or 'no orders'}",
            f"ledger: {self.ledger} held; {'; '.join(ours) or 'no orders'}", f"alerts: {', '.join(codes) or 'none'}",
            *self.log[-30:],
        ]  # fmt: skip
        raise AssertionError("\n".join(lines))

    def look(self) -> None:
        """Complain of what may never be, by the exchange's books."""
        live, net = self.live(), self.net
        selling = sum(order.pending_units for order in live if order.request.side is Side.SELL)
        if net < 0 or selling > net:
            self.fail(f"{selling} units are on their way to be sold of {net} held")
        placed = (self.past_orders | self.orders()).values()
        twice = [name for name, count in Counter(order.request.strategy for order in placed).items() if count > 1]
        if twice:
            self.fail(f"placed twice: {twice}")
        sales = [order for order in placed if order.request.side is Side.SELL and not self._is_stop(order)]
        if sales and not self.may_sell:
            self.fail(f"sold without a reason: {describe_venue(sales[0])}")
        self._look_for_bare(net, selling)

    def _is_stop(self, order: BookOrder) -> bool:
        """By what was sent, since a broker may make something else of it."""
        ours = self.machine.state.orders.get(order.request.strategy)
        return order.request.order_type in _STOPS or (ours is not None and ours.order_type in _STOPS)

    def _look_for_bare(self, net: int, selling: int) -> None:
        if not self.guarded or selling >= net or not self.session_open:
            self._bare_since = 0
            return
        self._bare_since = self._bare_since or self.time
        if self.time - self._bare_since > BARE_MOST and not self.alerted_since(self._bare_since):
            self.fail(f"{net - selling} units bare for more than 10 s and no alert")

    def done(self, held: int) -> None:
        """Complain unless exchange and program agree on `held` units, their stops and the live orders."""
        if self.net != held:
            self.fail(f"{held} units expected at the exchange")
        self.until(lambda: self.ledger == held, 65.0, f"{held} units in the ledger")
        if self.covered != (held if self.guarded else 0):
            self.fail(f"{held} units held, stops for {self.covered}")
        there = {order.order_id for order in self.live()}
        ours = {order.broker_order_id or order.client_order_id for order in self.our_live()}
        if there != ours:
            self.fail(f"live at the exchange {sorted(there)}, live for us {sorted(ours)}")


def describe_venue(order: BookOrder) -> str:
    """An order as the exchange has it, in a few words."""
    asked = order.request
    at = f" at {asked.price:g}" if asked.price else ""
    trigger = f" trigger {asked.trigger_price:g}" if asked.trigger_price else ""
    return (
        f"{order.order_id} {asked.side} {order.filled}/{asked.quantity} {asked.order_type}{at}{trigger} {order.status}"
    )


def describe_ours(order: Order) -> str:
    """An order as the program has it, in a few words."""
    seen = f" (seen {order.filled_seen})" if order.filled_seen != order.filled else ""
    text = f"{order.broker_order_id or order.client_order_id} {order.side} {order.filled}/{order.quantity}{seen}"
    why = f" ({order.message:.60})" if order.message else ""
    return f"{text} {order.order_type} {order.purpose} {order.state}{why}"
