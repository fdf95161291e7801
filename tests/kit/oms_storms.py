"""A stormy day for the order machine: calls that take seconds, books that lag one at a time, updates sent again.

Used by `test_oms_storms` and by the scan of many seeds (`storm_scan`). All that happens follows from a seed. Calls
reach the broker and are answered at their own times, so that a cancel crosses a fill, a change a cancel, and a death of
the router both. Acts of weight 0 draw nothing: the same seed and weights give the same storm whatever acts are added.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.oms.exits.odd_lots import is_refused
from mytrading.core.orders.state_machine import ABSENT, ModifyRules, is_live
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.brokers import PLAIN, BrokerRules
from mytrading.messages.control import (
    ClaimRequested,
    FlattenRequested,
    ResolveRequested,
    TradingState,
    WithdrawRequested,
)
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
from mytrading.messages.orders import TRIGGER_CROSSED, Order, OrderChanged
from mytrading.messages.reports import BooksRead, BrokerOrder, OrderReport
from tests.kit.fake_broker import (
    ACCOUNT,
    BECOMES_LIMIT,
    CALL_EVENTS,
    FOREVER,
    MS,
    OPEN_ALL_ALONG,
    SECOND,
    TELLS_TRIGGERED,
    USUAL_WORDS,
    OpenCall,
    OrderBench,
    Placed,
)
from tests.kit.state_digest import state_digest

STEP = 250 * MS
NIGHT = 17 * 3600 * SECOND
SIDES = {"NFO:A": Side.BUY, "NFO:B": Side.SELL, "NFO:C": Side.BUY}
PLANS: dict[str, dict[str, float]] = {
    "NFO:A": {"lot": 10, "freeze": 60, "stop_trigger": 90.0, "stop_limit": 87.0},
    "NFO:B": {"lot": 25, "freeze": 75, "stop_trigger": 110.0, "stop_limit": 113.0},
    "NFO:C": {"stop_trigger": 90.0, "stop_limit": 87.0},
}
EITHER = "NFO:D"
"""An instrument that one strategy trades in both directions, where a storm has one."""
EITHER_PLANS: dict[Side, dict[str, float]] = {
    Side.BUY: {"stop_trigger": 90.0, "stop_limit": 87.0},
    Side.SELL: {"stop_trigger": 110.0, "stop_limit": 113.0},
}
OWNERS = ("s1", "s2")
WORDS = (USUAL_WORDS, OPEN_ALL_ALONG, TELLS_TRIGGERED, BECOMES_LIMIT)
ACTS = {
    "": 120.0,
    "enter": 5.0,
    "close": 2.0,
    "flip": 1.0,
    "trade": 6.0,
    "stop": 1.0,
    "limit": 2.0,
    "change": 2.0,
    "repeat": 0.3,
    "lag": 0.3,
    "crash": 0.4,
    "withdraw": 0.2,
    "flatten": 0.1,
    "hand": 0.3,
    "night": 0.02,
    "oldrows": 0.0,
    "ids": 0.0,
    "empty": 0.0,
    "away": 0.0,
    "ended": 0.0,
    "tradelag": 0.0,
    "orderlag": 0.0,
    "stranger": 0.0,
    "squareoff": 0.0,
    "claim": 0.0,
    "band": 0.0,
    "delivery": 0.0,
}
"""Acts of a step, with their weights."""
OLD_NIGHTS = {"night": 1.5, "lag": 1.0, "hand": 1.0}
"""Weights of a storm over several days with position books that lag."""
NIGHT_ACTS = {
    **OLD_NIGHTS,
    "night": 0.3,
    "oldrows": 0.3,
    "ids": 0.2,
    "empty": 0.3,
    "away": 0.3,
    "ended": 0.2,
    "tradelag": 1.0,
    "orderlag": 0.5,
    "stranger": 0.7,
    "squareoff": 0.2,
    "claim": 0.7,
    "band": 0.5,
    "delivery": 1.0,
}
"""Weights that turn on all that a broker, its books and people at its terminal may do, over about as many nights."""
TELLING = 30 * SECOND
"""After the time in which a lost order may appear: time for its row to be read (`OmsLimits.slow`)."""
DELIVERED = "NSE:E"
"""Shares that some storms hold for delivery."""
DELIVERY_PLAN: dict[str, float] = {"stop_trigger": 90.0, "stop_limit": 87.0}


class _Fate(NamedTuple):
    """Fate of a call: when it reaches the broker and when it is answered (seconds; None: never), and how."""

    reaches: float | None
    answers: float
    outcome: Outcome


class Storm:
    """One day: `run` it, `calm` it, and look at what is left. With `either` one strategy turns from long to short.

    `rules` are what may be believed of the broker, `broker` the form of its books (fields of `FakeBroker`), `acts`
    weights in place of those of `ACTS`.
    """

    def __init__(
        self,
        seed: int,
        *,
        either: bool = False,
        rules: BrokerRules = PLAIN,
        broker: dict[str, Any] | None = None,
        acts: Mapping[str, float] | None = None,
    ) -> None:
        self.acts = dict(acts or {})
        self.instruments = (EITHER,) if either else tuple(sorted(SIDES))
        self.rng = random.Random(seed)
        self.by_hand = self.rng.random() < 0.3
        limits = OmsLimits(
            lost_after=30 * SECOND,
            calls_per_second=self.rng.choice((2, 4, 8)),
            modify=ModifyRules(most=3, in_place=self.rng.random() < 0.7, after_fill=self.rng.random() < 0.5),
            churn_instrument=1000,
            churn_account=1000,
            unlisted=rules,
        )
        said = {"words": WORDS[seed % len(WORDS)], **(broker or {})}
        self.bench = OrderBench(limits, names_filled=self.rng.random() < 0.7, **said)
        self.quiet = False
        self.serial = 0
        self.sold_by_hand: dict[str, int] = {}
        self.days = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._met: set[int] = set()
        self._kept: list[OpenCall] = []
        self._reached: set[int] = set()
        self._reported: list[BrokerOrder] = []
        self._lag_until = 0
        self._stale_net: tuple[int, dict[tuple[str, Product], int]] = (0, {})
        self._stale_books: dict[str, tuple[int, Any]] = {}
        self._away = False
        self._empty_until = 0
        self._locked: dict[str, int] = {}
        self._squares_off_at = 0
        self._squared_off: list[Placed] = []
        self.bench.read()

    # time

    def run(self, seconds: int) -> None:
        """Let it storm for so long."""
        for _ in range(seconds * SECOND // STEP):
            self._act()
            self._pass()

    def calm(self, seconds: int) -> None:
        """All works again, exits fill at once, and a person ends what reading cannot."""
        self.quiet, self._lag_until = True, 0
        self._all_works_again()
        for turn in range(seconds * SECOND // STEP):
            for placed in list(self.bench.broker.orders.values()):
                order = self.bench.machine.state.orders.get(placed.client_order_id)
                if placed.status is BrokerStatus.OPEN and order is not None and order.purpose.reduces:
                    self._trade(placed, placed.quantity)
            self._pass()
            if turn % 4 == 0:
                self.bench.read()
            if turn == seconds * SECOND // STEP // 2:
                self._decide()

    def _all_works_again(self) -> None:
        if self._squares_off_at or self._away or not self.bench.session_open:
            self._end_day()
        self._stale_books.clear()
        self._locked.clear()
        self._away, self._empty_until, self.bench.session_open = False, 0, True
        for placed in self.bench.broker.orders.values():
            placed.gone_at = placed.gone_at if placed.gone_at == FOREVER else 0
        for placed in self.bench.broker.archive:
            placed.gone_at = 0

    def _pass(self) -> None:
        bench = self.bench
        for call in list(bench.calls):
            if id(call) not in self._met:
                self._met.add(id(call))
                self._kept.append(call)
                self._send(call)
        if bench.reads_wanted:
            bench.reads_wanted = 0
            self._in(0.05 if self.quiet else self.rng.uniform(0.05, 0.8), self._read)
        bench.tick(STEP)
        while self._due and self._due[0][0] <= bench.time:
            heapq.heappop(self._due)[2]()
        self._no_order_twice()
        bench.no_waiting_stop_is_taken_for_triggered()

    def _in(self, seconds: float, what: Callable[[], None]) -> None:
        self.serial += 1
        heapq.heappush(self._due, (self.bench.time + int(seconds * SECOND), self.serial, what))

    def _name(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}{self.serial}"

    # calls

    def _send(self, call: OpenCall) -> None:
        fate = _Fate(0.05, 0.1, Outcome.ACCEPTED) if self.quiet else self._fate(call)
        known = {"id": "", "done": ""}
        if fate.reaches is not None:
            self._in(fate.reaches, lambda: self._reach(call, known))
        self._in(fate.answers, lambda: self._answer(call, fate, known))

    def _fate(self, call: OpenCall) -> _Fate:
        rng, slow = self.rng, self.rng.uniform(0.0, 4.0)
        if self._away:
            if call.order.product is not Product.CNC and rng.random() < 0.2:
                return _Fate(slow, 4.0, Outcome.UNKNOWN)
            return _Fate(None, 4.0, rng.choice((Outcome.UNKNOWN, Outcome.NOT_SENT)))
        lies = Outcome.ACCEPTED if call.call is not Call.PLACE else Outcome.UNKNOWN
        return rng.choices(
            (
                _Fate(0.05, rng.uniform(0.1, 0.5), Outcome.ACCEPTED),
                _Fate(slow, slow + rng.uniform(0.0, 6.0), Outcome.ACCEPTED),
                _Fate(slow, 4.0, Outcome.UNKNOWN),
                _Fate(None, 3.0, Outcome.UNKNOWN),
                _Fate(1.0 + slow, 1.0, Outcome.UNKNOWN),
                _Fate(None, 0.1, Outcome.REFUSED),
                _Fate(None, 0.1, Outcome.NOT_SENT),
                _Fate(None, 0.1, Outcome.RATE_LIMITED),
                _Fate(None, 0.2, lies),
            ),
            (60, 12, 7, 5, 4, 4, 3, 2, 3),
        )[0]

    def _reach(self, call: OpenCall, known: dict[str, str]) -> None:
        self._reached.add(id(call))
        broker, order = self.bench.broker, call.order
        if self._away and order.product is Product.CNC:
            known["done"] = "the server is away"
            return
        if call.call is Call.PLACE:
            if self._crossed(order):
                known["done"] = TRIGGER_CROSSED
                return
            if self._is_locked(order) and order.order_type is OrderType.SL and self.rng.random() < 0.5:
                known["done"] = "trigger price outside the circuit limit"
                return
            placed = broker.place(order, self.bench.time, self.bench.time + self._booked_in())
            known["id"] = placed.id
            if order.order_type is OrderType.MARKET and not self._is_locked(order) and self.rng.random() < 0.7:
                self._trade(placed, placed.quantity if self.rng.random() < 0.7 else placed.quantity // 2)
            elif order.order_type is OrderType.SL and not self.quiet and self.rng.random() < 0.05:
                broker.trigger(placed)
            self._tell(placed)
            return
        if order.broker_order_id not in broker.orders:
            known["done"] = "no such order today"
            return
        placed = broker.orders[order.broker_order_id]
        if call.call is Call.CANCEL and not self.quiet and self.rng.random() < 0.1:
            self._trade(placed, placed.quantity)
        done = broker.cancel(placed.id) if call.call is Call.CANCEL else broker.modify(order)
        known["done"] = "" if done else "order is not open"
        self._tell(placed)

    def _crossed(self, order: Order) -> bool:
        return order.order_type is OrderType.SL and not self.quiet and self.rng.random() < 0.05

    def _booked_in(self) -> int:
        return 0 if self.quiet else int(self.rng.choice((0, 0, 0, 1.0, 2.5)) * SECOND)

    def _answer(self, call: OpenCall, fate: _Fate, known: dict[str, str]) -> None:
        if call not in self.bench.calls:
            return  # whoever made it is dead
        if fate.outcome is Outcome.ACCEPTED and (known["done"] or (call.call is Call.PLACE and not known["id"])):
            self.bench.end(call, Outcome.REFUSED, message=known["done"] or "margin")
        else:
            # a refusal has words, and this broker, which takes every quantity, refuses none for its size
            refused = fate.outcome is Outcome.REFUSED and call.call is Call.PLACE
            said = "margin" if refused else ""
            self.bench.end(call, fate.outcome, known["id"] if fate.outcome is Outcome.ACCEPTED else "", message=said)

    # the broker's word

    def _trade(self, placed: Placed, units: int) -> None:
        if self._is_locked(placed):
            return
        self.bench.broker.trade(placed, units, self.rng.choice((99.0, 100.0, 101.5)))
        self._tell(placed)

    def _tell(self, placed: Placed) -> None:
        row = placed.row(True, False)
        self._reported.append(row)
        if not self._away and (self.quiet or self.rng.random() < 0.75):
            self._in(0.05 if self.quiet else self.rng.choice((0.05, 0.3, 5.0)), lambda: self._report(row))

    def _report(self, row: BrokerOrder) -> None:
        self.bench.time += MS
        self.bench.step(OrderReport(account=ACCOUNT, order=row, received_machine_ns=self.bench.time))

    def _read(self) -> None:
        bench, rng = self.bench, self.rng
        fields: dict[str, object] = {}
        if not self.quiet and rng.random() < 0.15:
            fields[rng.choice(("orders", "trades", "positions"))] = None
        past = [read for at, read in bench.broker.past[-40:] if at >= bench.time - 3 * SECOND]
        source = past[0] if past and not self.quiet and rng.random() < 0.15 else None
        if bench.time < self._lag_until and "positions" not in fields:
            net = bench.broker.net
            bench.broker.net = self._stale_net[1]
            fields["positions"] = bench.broker.books(bench.time).positions
            bench.broker.past.pop()
            bench.broker.net = net
        bench.read(source, **{**fields, **self._doubtful_books(fields)})

    def _doubtful_books(self, fields: Mapping[str, object]) -> dict[str, object]:
        """What the books of a read show in place of the truth: nothing, no answer, or what stood there earlier."""
        books = ("orders", "trades", "positions")
        if self._away:
            return {**dict.fromkeys(books), "funds_live": False}
        if self.bench.time < self._empty_until:
            return {**dict.fromkeys(books, ()), "funds_live": False}
        late = {book: rows for book, (until, rows) in self._stale_books.items() if self.bench.time < until}
        return {book: rows for book, rows in late.items() if book not in fields}

    # what people and prices do

    def _act(self) -> None:
        weights = {**ACTS, **self.acts}
        what = self.rng.choices(tuple(weights), tuple(weights.values()))[0]
        if what == "hand" and not self.by_hand:
            return
        if what:
            instrument = self.rng.choice(self.instruments)
            getattr(self, f"_act_{what}")(instrument, "s1" if instrument == EITHER else self.rng.choice(OWNERS))

    def _act_enter(self, instrument: str, owner: str) -> None:
        until = self.bench.time + 20 * SECOND
        side, plan = self._signal(instrument, owner)
        self.bench.enter(
            self._name("e"),
            self.rng.choice((50, 75, 150)),
            instrument=instrument,
            strategy=owner,
            side=side,
            reference_price=100.0,
            expires_ns=until,
            expires_machine_ns=until,
            **plan,
        )

    def _signal(self, instrument: str, owner: str) -> tuple[Side, dict[str, float]]:
        """Side and plan of the next entry; of the other side than what is held or under way it closes that first."""
        if instrument != EITHER:
            return SIDES[instrument], PLANS[instrument]
        side = self.rng.choice((Side.BUY, Side.SELL))
        position = self.bench.machine.position(ACCOUNT, instrument, Product.MIS, owner)
        held = position is not None and (position.quantity or position.quantity_seen) * side.sign < 0
        entries = [order for order in self.bench.machine.orders() if order.purpose is Purpose.ENTRY and is_live(order)]
        if held or any(order.instrument == instrument and order.side is not side for order in entries):
            self._act_close(instrument, owner)
        return side, EITHER_PLANS[side]

    def _act_limit(self, instrument: str, owner: str) -> None:
        side, plan = self._signal(instrument, owner)
        terms = {"order_type": OrderType.LIMIT, "price": 100.0, **plan}
        self.bench.enter(
            self._name("l"), 50, instrument=instrument, strategy=owner, side=side, reference_price=100.0, **terms
        )

    def _act_close(self, instrument: str, owner: str) -> None:
        self.bench.close(self._name("g"), instrument=instrument, strategy=owner)

    def _act_flip(self, instrument: str, owner: str) -> None:
        """A target of the other size while slices of the one before are filling: closed, and entered anew."""
        self._act_close(instrument, owner)
        self._act_enter(instrument, owner)

    def _act_trade(self, instrument: str, _owner: str) -> None:
        rest = [p for p in self.bench.broker.orders.values() if p.status is BrokerStatus.OPEN]
        rest = [p for p in rest if p.instrument == instrument]
        if rest:
            self._trade(self.rng.choice(rest), self.rng.choice((10, 25, 1000)))

    def _act_stop(self, instrument: str, _owner: str) -> None:
        rest = [p for p in self.bench.broker.orders.values() if p.status is BrokerStatus.TRIGGER_PENDING]
        rest = [p for p in rest if p.instrument == instrument]
        if rest:
            placed = self.rng.choice(rest)
            if self.rng.random() < 0.6:
                self.bench.broker.trigger(placed)
            else:
                self.bench.broker.drop(placed, self.rng.choice((BrokerStatus.REJECTED, BrokerStatus.CANCELLED)))
            self._tell(placed)

    def _act_change(self, instrument: str, owner: str) -> None:
        mine = [o for o in self.bench.machine.orders() if (o.instrument, o.strategy) == (instrument, owner)]
        mine = [o for o in mine if is_live(o) and o.broker_order_id and o.order_type in (OrderType.LIMIT, OrderType.SL)]
        if mine:
            order, ticks = self.rng.choice(mine), self.rng.choice((-2, -1, 1, 2))
            stop = order.purpose is Purpose.STOP
            new = {"trigger_price": order.trigger_price + ticks} if stop else {"price": order.price + ticks}
            self.bench.ask_modify(order.client_order_id, **new)

    def _act_repeat(self, _instrument: str, _owner: str) -> None:
        """The stream was away, and tells all of the day again."""
        for row in list(self._reported):
            self._report(row)

    def _act_lag(self, _instrument: str, _owner: str) -> None:
        """The position book stands still, by itself."""
        if self.bench.time >= self._lag_until:
            self._stale_net = (self.bench.time, dict(self.bench.broker.net))
            self._lag_until = self.bench.time + self.rng.choice((4, 20, 60)) * SECOND

    def _act_crash(self, _instrument: str, _owner: str) -> None:
        self.bench.crash((ACCOUNT,))

    def _act_withdraw(self, _instrument: str, _owner: str) -> None:
        self.bench.step(WithdrawRequested(id=self._name("w"), reason="test", at_ns=self.bench.now))

    def _act_flatten(self, _instrument: str, _owner: str) -> None:
        until = self.bench.time + 30 * SECOND
        self.bench.step(
            FlattenRequested(
                id=self._name("f"), account=ACCOUNT, reason="test", at_ns=self.bench.now, deadline_machine_ns=until
            )
        )

    def _act_hand(self, instrument: str, _owner: str) -> None:
        """Sell a part at the terminal, in a quantity that no order of ours has."""
        net = self.bench.broker.net.get((instrument, Product.MIS), 0)
        units = min(7, abs(net))
        if units and self.bench.time >= self._lag_until:
            self.bench.broker.by_hand(net - units * (1 if net > 0 else -1), instrument)
            self.sold_by_hand[instrument] = self.sold_by_hand.get(instrument, 0) + units

    def _act_night(self, _instrument: str, _owner: str) -> None:
        """The day turns: the broker's day orders end and its books begin anew; ours are carried over.

        What was out when the machine slept has reached the broker or not, and no answer says so; nobody tells what was
        filled meanwhile but the positions of the next day.
        """
        self._turn_day()

    def _turn_day(self, *, rows_for: int = 0, ids_again: bool = False) -> None:
        """Yesterday's rows are shown for so many seconds of the new day; `ids_again`: its ids begin anew."""
        bench = self.bench
        self._show_deliveries()
        self._evening()
        self._due.clear()
        self._lag_until = 0
        self._stale_books.clear()
        bench.time += NIGHT
        bench.broker.begin_day(bench.time, rows_until=bench.time + rows_for * SECOND, ids_again=ids_again)
        bench.squares_off_ns = self._squares_off_at = 0
        self.days += 1
        day = f"2026-11-{self.days + 9:02}"
        bench.machine.set_machine_time(bench.time)
        bench._commit(bench.machine.expire_day(bench.now, day))
        opened = bench.machine.snapshot(day)
        bench.machine = OrderMachine(bench.limits, bench._is_open, bench._squares_off)
        bench.machine.apply(opened)
        bench.journal = [opened]
        self._reported.clear()
        if self.rng.random() < 0.5:
            bench.calls.clear()
            bench._commit(bench.machine.recover_rows(bench.time, bench.now, (ACCOUNT,)))
        bench.see_mode()
        for call in bench.calls:
            self._in(self.rng.uniform(0.0, 3.0), partial(self._answer, call, _Fate(None, 0.0, Outcome.UNKNOWN), {}))

    def _show_deliveries(self) -> None:
        """The books of the evening are read where shares were traded for delivery: those of later days lack them. No
        call for such an order is out until the night, which would leave its row to nobody."""
        traded = any(placed.product is Product.CNC for placed in self._todays())
        if traded and not self._away:
            self._stale_books.clear()
            self._lag_until = 0
            for call in [call for call in self.bench.calls if call.order.product is Product.CNC]:
                self._answer(call, _Fate(None, 0.0, Outcome.UNKNOWN), {})
            for _ in range(4):
                self.bench.tick(2 * SECOND)
                self.bench.read()

    def _todays(self) -> list[Placed]:
        return [placed for placed in self.bench.broker.orders.values() if placed.gone_at == FOREVER]

    def _evening(self) -> None:
        """Each call that is still out reaches the broker or does not, and some of what rests there is filled."""
        for call in self.bench.calls:
            self._met.add(id(call))
            self._kept.append(call)
            if call.order.product is Product.CNC:
                continue
            if id(call) not in self._reached and self.rng.random() < 0.5:
                self._reach(call, {})
        for placed in list(self.bench.broker.orders.values()):
            if placed.status is BrokerStatus.OPEN and placed.product is Product.MIS and self.rng.random() < 0.3:
                self._trade(placed, self.rng.choice((10, 1000)))

    def _act_oldrows(self, _instrument: str, _owner: str) -> None:
        """A night after which the books go on showing the rows of the day before."""
        self._turn_day(rows_for=self.rng.choice((5, 20, 60)))

    def _act_ids(self, _instrument: str, _owner: str) -> None:
        """A night after which the broker gives out the ids of the day before."""
        self._turn_day(ids_again=True)

    def _act_empty(self, _instrument: str, _owner: str) -> None:
        """A night after which the books are empty with success until somebody has logged in."""
        self._turn_day()
        self._empty_until = self.bench.time + self.rng.choice((5, 20, 60)) * SECOND

    def _act_away(self, _instrument: str, _owner: str) -> None:
        """The server is away from before the close until after the open of the next day."""
        delivering = any(placed.open and placed.product is Product.CNC for placed in self._todays())
        delivering = delivering or any(call.order.product is Product.CNC for call in self.bench.calls)
        if not self._away and not self._squares_off_at and not delivering:
            self._show_deliveries()
            self._away = True
            self._in(self.rng.choice((2, 5, 15)), self._close_session)
            self._in(self.rng.choice((16, 20)), self._end_day)

    def _close_session(self) -> None:
        self.bench.session_open = False

    def _end_day(self) -> None:
        """The night after a day's end; in the morning a server that was away comes back before or after the open."""
        self._turn_day()
        self._in(self.rng.choice((1, 6)), self._open_session)
        self._in(self.rng.choice((0.5, 3, 8)), self._return)

    def _open_session(self) -> None:
        self.bench.session_open = True

    def _return(self) -> None:
        self._away = False

    def _act_ended(self, _instrument: str, _owner: str) -> None:
        """A night in which the broker squared all off while nobody looked: the next day knows nothing of it."""
        broker = self.bench.broker
        self._turn_day()
        broker.net = {key: net for key, net in broker.net.items() if key[1] is not Product.MIS}
        broker.funds_live = True

    def _act_tradelag(self, _instrument: str, _owner: str) -> None:
        """The trade book stands still, by itself."""
        self._freeze("trades", self.rng.choice((1, 3, 6, 10, 20)))

    def _act_orderlag(self, _instrument: str, _owner: str) -> None:
        """The order book stands still, by itself."""
        self._freeze("orders", self.rng.choice((1, 3, 6)))

    def _freeze(self, book: str, seconds: int) -> None:
        if self._stale_books.get(book, (0, ()))[0] <= self.bench.time:
            read: BooksRead = self.bench.broker.books(self.bench.time)
            self.bench.broker.past.pop()
            self._stale_books[book] = (self.bench.time + seconds * SECOND, getattr(read, book))

    def _act_stranger(self, instrument: str, _owner: str) -> None:
        """A person places an order like one of ours, most likely like one of unknown fate or given up as lost."""
        ours = [order for order in self.bench.machine.orders() if order.instrument == instrument]
        doubtful = [order for order in ours if order.state is OrderState.UNKNOWN or order.state in ABSENT]
        if ours and not self._away:
            like = self.rng.choice(doubtful if doubtful and self.rng.random() < 0.7 else ours)
            rests = self.rng.random() < 0.4
            kind = OrderType.LIMIT if rests else OrderType.MARKET
            placed = self.bench.broker.stranger(like, self.bench.time, kind)
            if not rests:
                self._trade(placed, placed.quantity)
            self._tell(placed)

    def _act_squareoff(self, _instrument: str, _owner: str) -> None:
        """The venue squares MIS off at a known time, and the day ends soon after."""
        if not self._squares_off_at and not self._away:
            self._squares_off_at = self.bench.squares_off_ns = self.bench.time + 40 * SECOND
            self._in(40, self._square_off)
            self._in(self.rng.choice((50, 70)), self._end_day)

    def _square_off(self) -> None:
        made = self.bench.broker.square_off(self.bench.time)
        self._squared_off += made
        for placed in made:
            self._tell(placed)

    def _act_claim(self, instrument: str, owner: str) -> None:
        """A person gives units that nobody owns to a strategy, guarded by a stop or to be closed at once."""
        plan, sign = (
            (EITHER_PLANS[Side.BUY], 1) if instrument == EITHER else (PLANS[instrument], SIDES[instrument].sign)
        )
        units = self._unmanaged().get(instrument, 0)
        if units * sign <= 0:
            return
        closes = self.rng.random() < 0.3
        terms: dict[str, Any] = {"account": ACCOUNT, "instrument": instrument, "product": Product.MIS}
        terms |= {name: int(plan[name]) for name in ("lot", "freeze") if name in plan}
        terms |= {} if closes else {"stop": plan["stop_trigger"], "stop_limit": plan["stop_limit"]}
        claim = ClaimRequested(
            id=self._name("u"), strategy=owner, at_ns=self.bench.now, reason="test", to_close=closes, **terms
        )
        self.bench.step(claim)
        if closes:
            self._act_close(instrument, owner)

    def _act_band(self, instrument: str, _owner: str) -> None:
        """The price stands at the edge of its band: who wants out finds nobody to trade with."""
        self._locked.setdefault(instrument, self.bench.time + self.rng.choice((5, 15, 40)) * SECOND)
        if self._locked[instrument] <= self.bench.time:
            del self._locked[instrument]

    def _is_locked(self, order: Order | Placed) -> bool:
        opens = SIDES.get(order.instrument, Side.BUY)
        return order.side is not opens and self.bench.time < self._locked.get(order.instrument, 0)

    def _act_delivery(self, _instrument: str, _owner: str) -> None:
        """Shares are bought for delivery, guarded, and sold on the same day or on a later one."""
        rest = [p for p in self.bench.broker.orders.values() if p.open and p.instrument == DELIVERED]
        if self._away:
            return
        what = self.rng.choice(("enter", "trade", "trade", "close"))
        terms: dict[str, Any] = {"instrument": DELIVERED, "product": Product.CNC, "strategy": "s1"}
        if what == "enter" and not rest:
            self.bench.enter(self._name("d"), 50, reference_price=100.0, **terms, **DELIVERY_PLAN)
        elif what == "close":
            self.bench.close(self._name("g"), **terms)
        elif rest:
            placed = self.rng.choice(rest)
            if placed.status is BrokerStatus.TRIGGER_PENDING and self.rng.random() < 0.3:
                self.bench.broker.trigger(placed)
            self._trade(placed, self.rng.choice((10, 1000)))

    def _decide(self) -> None:
        """A person looks at the broker and ends the doubts that are left; of twins, the rows that are nobody's yet."""
        earlier = {placed.client_order_id for placed in self.bench.broker.archive}  # their ids are others' today
        for order in self.bench.machine.orders():
            if order.state is OrderState.UNKNOWN:
                bound = {o.broker_order_id for o in self.bench.machine.orders() if o.client_order_id not in earlier}
                alike = [p for p in self.bench.broker.orders.values() if p.client_order_id == order.client_order_id]
                self.bench.step(
                    ResolveRequested(
                        id=self._name("r"),
                        order=order.client_order_id,
                        at_ns=self.bench.now,
                        broker_order_id=next((p.id for p in alike if p.id not in bound), ""),
                        force=True,
                    )
                )
        self._take_away()

    def _take_away(self) -> None:
        """The person does what an alert asks for: orders of nobody here, because of which units have no stop, are
        cancelled at the broker."""
        for outside in self.bench.machine.state.outside.sorted_values():
            for name in outside.orders if outside.told else ():
                if (placed := self.bench.broker.orders.get(name)) is not None and placed.open:
                    self.bench.broker.drop(placed)
                    self._tell(placed)

        self._resume_odd_lots()

    def _resume_odd_lots(self) -> None:
        """A person does what `ODD_LOT` says: orders here fill in parts of a lot, and a remainder that was refused
        twice, for want of margin or otherwise, is tried once more after a resume."""
        state = self.bench.machine.state
        if any(is_refused(state, row) for row in state.odd_lots.values()):
            now = self.bench.now
            self.bench.step(TradingState(level=TradingLevel.NORMAL, generation=now, reason="test", at_ns=now))

    # what must hold

    def _no_order_twice(self) -> None:
        broker = self.bench.broker
        assert all(count == 1 for count in broker.placements.values()), "an order was placed twice"
        for (instrument, _), net in broker.net.items():
            if instrument == EITHER:
                continue
            beyond = -(net + broker.holdings.get(instrument, 0)) * SIDES.get(instrument, Side.BUY).sign
            if beyond > 0:
                ghosts = {
                    row.order.client_order_id: row.order.quantity
                    for row in self.bench.rows
                    if isinstance(row, OrderChanged) and row.event == "ghost" and row.order.instrument == instrument
                }
                allowed = sum(ghosts.values()) + self.sold_by_hand.get(instrument, 0) + self._by_strangers(instrument)
                assert beyond <= allowed, f"{instrument} was reversed by {beyond}, ghosts {ghosts}"

    def judge(self) -> None:
        """Check the invariants that hold when all is calm again."""
        bench = self.bench
        for order in bench.machine.orders():
            assert order.state is not OrderState.SUBMITTED and order.filled == order.filled_seen, order
            assert not (is_live(order) and order.purpose is Purpose.EXIT), order
        assert not [goal for goal in bench.machine.goals() if goal.state != "done"], bench.machine.goals()
        unmanaged = self._unmanaged()
        for instrument in (*self.instruments, DELIVERED):
            held = [p for p in bench.machine.positions() if p.instrument == instrument]
            owned = sum(p.quantity for p in held)
            product = Product.CNC if instrument == DELIVERED else Product.MIS
            net = bench.broker.net.get((instrument, product), 0) + bench.broker.holdings.get(instrument, 0)
            assert net == owned + unmanaged.get(instrument, 0), f"{instrument}: {net}, {owned} owned, {unmanaged}"
            self._guarded(instrument, {sign: sum(max(0, p.quantity * sign) for p in held) for sign in (1, -1)})
        self._levels_in_force()
        sent = [row.machine_ns for row in bench.rows if isinstance(row, OrderChanged) and row.event in CALL_EVENTS]
        for first, after in zip(sent, sent[bench.limits.calls_per_second :], strict=False):
            assert after - first >= SECOND, "more calls in a second than the budget"
        assert state_digest(bench.replayed()) == state_digest(bench.machine)
        self._strangers_keep_theirs()

    def _strangers_keep_theirs(self) -> None:
        """Check that no order of ours took one that a person placed when its own could not appear any more."""
        bench = self.bench
        for order in bench.machine.orders():
            placed = bench.broker.orders.get(order.broker_order_id)
            if placed is not None and placed.stranger:
                after = placed.placed_at - max(order.call.ended_machine_ns, order.call.began_machine_ns)
                late = after > bench.limits.lost_after + TELLING
                assert not late, (
                    f"{order.client_order_id} took a stranger's order, {after / SECOND:.0f} s after its call"
                )

    def _unmanaged(self) -> dict[str, int]:
        """Units that nobody owns by instrument, as last said."""
        rows = [row for row in self.bench.rows if isinstance(row, UnmanagedChanged)]
        return {row.instrument: row.quantity for row in rows}

    def _by_strangers(self, instrument: str) -> int:
        """Units that people traded against the side of an instrument."""
        broker = self.bench.broker
        orders = [p for p in (*broker.archive, *broker.orders.values()) if p.stranger and p.instrument == instrument]
        against = (p for p in orders if p.side is not SIDES.get(instrument, Side.BUY))
        return sum(placed.filled for placed in against if placed not in self._squared_off)

    def _guarded(self, instrument: str, held: dict[int, int]) -> None:
        """Check that positions are guarded by stops of the other side at the broker, unit for unit; `held` by sign."""
        stops = {1: 0, -1: 0}
        for placed in self.bench.broker.orders.values():
            order = self.bench.machine.state.orders.get(placed.client_order_id)
            if placed.open and placed.instrument == instrument and order is not None and order.purpose is Purpose.STOP:
                stops[-order.side.sign] += placed.quantity - placed.filled
        assert stops == held, f"{held} of {instrument} is guarded by {stops}"

    def _levels_in_force(self) -> None:
        """Check that every protection says where its stops at the broker are, and that no move is left over."""
        orders = self.bench.machine.state.orders
        for level in self.bench.machine.state.open_protections():
            names = [
                order.broker_order_id for order in orders.values() if order.owner == level.owner and is_live(order)
            ]
            resting = [placed for name in names if (placed := self.bench.broker.orders.get(name)) and placed.open]
            # a stop whose change the broker refused, or did not make, stays where it is, and an operator is told
            told = {alert.subject for alert in self.bench.alerts if alert.code == "STOP_NOT_MOVED"}
            moved = [placed for placed in resting if placed.client_order_id not in told]
            triggers = {placed.trigger_price for placed in moved if placed.order_type is OrderType.SL}
            settled = not triggers or (level.moving is None and triggers == {level.trigger})
            assert settled, f"{level}: stops rest at {triggers}"
