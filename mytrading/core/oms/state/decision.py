"""A decision in the making: rows that follow from one message, each learnt before the next.

Who journals the rows first takes back what was learnt (`State.roll_back`), and applies them once they are journaled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger as positions
from mytrading.core.calendar.square_off import SILENCE_NS
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.folds import FOLDS
from mytrading.core.oms.state.settings import OmsLimits
from mytrading.core.oms.state.state import State
from mytrading.core.orders import rate_limit
from mytrading.core.orders.state_machine import TRANSITIONS, ModifyRules, is_of_day, with_cancel
from mytrading.core.time import ist_date
from mytrading.messages import orders
from mytrading.messages.account_events import InstrumentHalted
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.control import Alert
from mytrading.messages.enums import Call, Confidence, OrderState, Product, Purpose, Severity
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.reports import ReadRequest
from mytrading.messages.settlements import SettlementPlan

IsOpen = Callable[[str, int], bool]
"""Function: true if an exchange trades continuously at a market time."""
SquaresOff = Callable[[str, int], int]
"""Market time at which the venue itself closes MIS of an exchange, on the day of a market time; 0 if it does not."""
ALWAYS_OPEN: IsOpen = lambda _exchange, _now: True  # noqa: E731
NEVER_PROVISIONAL: IsOpen = lambda _exchange, _now: False  # noqa: E731
"""That no day is of a year whose holidays nobody has listed."""
NEVER_SQUARES_OFF: SquaresOff = lambda _exchange, _now: 0  # noqa: E731


class OrderDecision:
    """One decision of the order machine: state, rows so far, market time `now` and machine time `machine` (ns)."""

    def __init__(
        self, state: State, limits: OmsLimits, now: int, is_open: IsOpen = ALWAYS_OPEN,
        squares_off: SquaresOff = NEVER_SQUARES_OFF, is_provisional: IsOpen = NEVER_PROVISIONAL,
    ) -> None:  # fmt: skip
        self.state, self.limits = state, limits
        self._is_open, self._squares_off, self._is_provisional = is_open, squares_off, is_provisional
        self.now, self.machine = now, state.machine_ns
        self.rows: list[Any] = []
        self._open: dict[NetKey, list[orders.Order]] = {}
        self._silent: dict[str, bool] = {}

    def emit(self, row: Any) -> None:
        """Add a row to the decision and apply it to the state."""
        self.rows.append(row)
        kind = type(row)
        if (learn := FOLDS.get(kind)) is not None:
            learn(self.state, row)
        if kind is orders.OrderChanged:
            self._open = {}

    def order(self, name: str) -> orders.Order:
        """Return the current order of this id; raises `KeyError` if there is none."""
        if (order := self.state.orders.get(name)) is None:
            raise KeyError(f"no order {name}: an index names an order that the state does not hold")
        return order

    def open_orders(self, key: NetKey) -> list[orders.Order]:
        """Return unsettled orders of a key (account, instrument, product), sorted by id; do not change the list."""
        if (found := self._open.get(key)) is None:
            found = self._open[key] = self.state.open_orders(key)
        return found

    def why_absent(self, account: str) -> str:
        """Return that an account is not in this run, and the ways out of that; empty if it is."""
        if not self.state.is_absent(account):
            return ""
        cure = f"name it again and start, or `mytrading positions settle --account {account}` says what is gone there"
        return f"account {account} is not in this run, so that nothing is read of it or sent to it; {cure}"

    def broker(self, account: str) -> BrokerRules:
        """Return the row of the table of brokers that holds for an account: what may be believed of its books."""
        limits = self.limits
        return limits.broker_rules(self.state.brokers.get(account) or "") if limits.brokers else limits.unlisted

    def modify_rules(self, account: str) -> ModifyRules:
        """Return how orders of an account are changed: by its broker's row and the settings."""
        return self.limits.modify_rules(self.state.brokers.get(account) or "")

    def is_trading(self, instrument: str) -> bool:
        """True while orders may be sent: the instrument's exchange trades continuously, and where nobody has listed
        the year's holidays, a price of today was traded."""
        return self.is_trading_at(instrument, self.now) and not self.is_unproven(instrument.partition(":")[0])

    def is_trading_at(self, instrument: str, at_ns: int) -> bool:
        """True if the instrument's exchange trades continuously at a market time (ns), by the calendar."""
        return self._is_open(instrument.partition(":")[0], at_ns)

    def has_been_open(self, exchange: str, since_ns: int) -> bool:
        """True if the exchange is in session by the calendar, and was `since_ns` of market time ago."""
        return self._is_open(exchange, self.now) and self._is_open(exchange, self.now - since_ns)

    def is_unproven(self, exchange: str) -> bool:
        """True on a provisional day without a traded price: a broker may keep an order of a closed day for the next."""
        if not self._is_provisional(exchange, self.now):
            return False
        return self.state.traded_days.get(exchange) != ist_date(self.now).isoformat()

    def is_of_earlier_day(self, order: orders.Order) -> bool:
        """True for an order of an earlier day, also where the journal's day could not be ended since: a broker's books
        begin anew each morning, whatever our file is called."""
        carried = order.client_order_id in self.state.carried
        if order.call.attempt and not order.call.sent_ns:
            return carried  # an older version sent it, and did not note when
        return carried or not is_of_day(order, ist_date(self.now).isoformat())

    def is_venue_square_off(self, thing: orders.Order | orders.Goal | orders.Protection | NetKey) -> bool:
        """True for MIS from shortly before the venue itself squares off: nothing is sent for `thing` from then on."""
        if thing.product is not Product.MIS:
            return False
        exchange = thing.instrument.partition(":")[0]
        if (silent := self._silent.get(exchange)) is None:
            venue = self._squares_off(exchange, self.now)
            silent = self._silent[exchange] = bool(venue) and self.now >= venue - SILENCE_NS
        return silent

    def change(self, order: orders.Order, event: str, **fields: Any) -> orders.Order:
        """Emit and return an order with these fields changed; an illegal state change is only recorded as illegal."""
        wanted = fields.get("state", order.state)
        if wanted is not order.state and wanted not in TRANSITIONS[order.state]:
            return self.record_illegal(order, f"{order.state} → {wanted} ({event}) is not a legal move")
        changed = replace(order, updated_ns=self.now, **fields)
        self.emit(orders.OrderChanged(event=event, order=changed, machine_ns=self.machine))
        return changed

    def record_illegal(self, order: orders.Order, what: str, **fields: Any) -> orders.Order:
        """Record an illegal event of an order, alert, and halt entries in the instrument until an operator resumes."""
        changed = replace(order, updated_ns=self.now, message=what, **fields)
        self.emit(orders.OrderChanged(event="illegal", order=changed, machine_ns=self.machine))
        self.halt(order.net, what)
        self.alert(EventAlert.ORDER_ILLEGAL, Severity.CRITICAL, order.client_order_id, f"{order.instrument}: {what}")
        return changed

    def halt(self, key: NetKey, reason: str) -> None:
        """Halt entries of an account's instrument and product, unless they are halted already."""
        if key not in self.state.halted:
            self.emit(InstrumentHalted(**key._asdict(), halted=True, reason=reason, at_ns=self.now))

    def change_goal(self, goal: orders.Goal, **fields: Any) -> orders.Goal:
        """Emit an exit goal with these fields changed; returns it."""
        changed = replace(goal, **fields)
        self.emit(orders.GoalChanged(goal=changed, at_ns=self.now))
        return changed

    def change_protection(self, level: orders.Protection, **fields: Any) -> orders.Protection:
        """Emit a protection with these fields changed; returns it."""
        changed = replace(level, **fields)
        self.emit(orders.ProtectionChanged(protection=changed, at_ns=self.now))
        return changed

    def change_flatten(self, level: orders.Flatten, **fields: Any) -> orders.Flatten:
        """Return the flatten `level` with these fields changed; it becomes a row of the decision."""
        changed = replace(level, **fields)
        self.emit(orders.FlattenChanged(flatten=changed, at_ns=self.now))
        return changed

    def answer(self, request: str, problem: str, done: str, plan: SettlementPlan | None = None) -> None:
        """Answer an operator's request of this id: refused for `problem` if there is one, else with the text `done`.
        `plan`: what it does to the ledger, or would do."""
        text = problem or done
        self.emit(orders.RequestAnswered(id=request, ok=not problem, message=text, at_ns=self.now, plan=plan))

    def alert(self, code: StateAlert | EventAlert, severity: Severity, subject: str, message: str) -> None:
        """Raise an alert that the state ends, or one of an event; the daemon counts repeats by code and
        subject."""
        at = self.now
        self.emit(Alert(code=code.value, severity=severity, subject=subject, message=message, daemon="router",
                        first_ns=at, last_ns=at))  # fmt: skip

    def request_read(
        self, account: str, cause: str, *, positions: bool = False, proof: bool = False, at_once: bool = False
    ) -> None:
        """Request a read of an account's books, unless one was requested within `read_spacing`.

        `positions`: the position book too. Only the rate limit prevents it if `at_once`, and if `proof`: an exit waits
        for the read, which is made beside another. Of an account that is not in this run nothing can be read."""
        if self.state.in_run and account not in self.state.in_run:
            return
        asked, limits = self.state.reads.get(account) or (), self.limits
        if proof or at_once:
            if rate_limit.calls_left(asked, self.machine, limits.reads_per_second, limits.call_window) <= 0:
                return
        elif asked and self.machine - asked[-1] < limits.read_spacing:
            return
        name, now = f"{account}-{self.machine}", self.machine
        self.emit(ReadRequest(id=name, account=account, positions=positions, cause=cause, machine_ns=now, proof=proof))

    def request_orders(self, account: str, broker_ids: tuple[str, ...]) -> None:
        """Request the state of these orders of an account by their ids, with trades and positions, unless the rate of
        requests prevents it."""
        if self.state.is_absent(account):
            return
        asked, limits = self.state.reads.get(account) or (), self.limits
        if rate_limit.calls_left(asked, self.machine, limits.reads_per_second, limits.call_window) > 0:
            self.emit(
                ReadRequest(
                    id=f"{account}-{self.machine}-ids", account=account, orders=False, positions=True, cause="by id",
                    machine_ns=self.machine, order_ids=broker_ids,
                )
            )  # fmt: skip

    def is_cancel_unanswered(self, account: str, name: str = "") -> bool:
        """True while a cancel call of the account (of order `name`, if given), sent lately, is unanswered."""
        young = self.machine - self.limits.cancel_first
        return any(
            of == account and call is Call.CANCEL and began > young and name in ("", order)
            for (of, order, call), began in self.state.calling.items()
        )

    def position(self, order: orders.Order | orders.Goal | orders.Protection | orders.Position) -> orders.Position:
        """Return the present position of the owner of an order, goal, protection or former level; flat if it never held
        any."""
        owner: OwnerKey = tuple.__new__(OwnerKey, (order.account, order.instrument, order.product, order.strategy))
        return self.state.positions.get(owner) or orders.Position(
            account=order.account, instrument=order.instrument, product=order.product, strategy=order.strategy,
            run=order.run,
        )  # fmt: skip

    def record_fill(self, position: orders.Position, order: orders.Order, units: int, price: float) -> orders.Position:
        """Emit and return a position after a fill of `units` (signed; 0: unconfirmed as yet) at `price` rupees."""
        seen = position.quantity + self._sighted(order)
        sure = self._confidence(order.net, held=bool(position.quantity or seen))
        changed = replace(position, quantity_seen=seen, confidence=sure, updated_ns=self.now)
        self.emit_position(changed, order.client_order_id, units, price)
        return changed

    def emit_position(self, level: orders.Position, order: str = "", units: int = 0, price: float = 0.0) -> None:
        """Emit a position, with the order whose fill of `units` (signed) at `price` rupees changed it, if one did."""
        self.emit(
            orders.PositionChanged(
                position=level, client_order_id=order, fill_quantity=units, fill_price=price, at_ns=self.now
            )
        )

    def record_adjustment(self, position: orders.Position, cause: str, units: int, *, untraded: int = 0) -> None:
        """Emit a position that changed by `units` (signed) without an order of ours; `cause` is a word like claim, and
        `untraded` of them (signed) were carried into the day and went without a trade of it."""
        sure = self._confidence(position.net, held=bool(position.quantity))
        level = replace(position, confidence=sure, updated_ns=self.now)
        price = position.average_price
        self.emit(
            orders.PositionAdjusted(
                position=level, cause=cause, quantity=units, price=price, at_ns=self.now, untraded=untraded
            )
        )

    def confidence_of(self, position: orders.Position) -> Confidence:
        """Return the confidence of a position's level; a flat one is never disputed."""
        return self._confidence(position.net, held=bool(position.quantity))

    def _confidence(self, key: NetKey, *, held: bool) -> Confidence:
        """Return the confidence of a position; a flat one is never disputed, as no later read could clear it."""
        return Confidence.DISPUTED if held and key in self.state.mismatches else Confidence.CONFIRMED

    def record_quantity_seen(self, order: orders.Order) -> None:
        """Emit the position of the order's owner if `quantity_seen`, its units with unconfirmed fills, changed."""
        position = self.position(order)
        seen = position.quantity + self._sighted(order)
        if seen != position.quantity_seen:
            if not position.quantity and order.purpose is Purpose.ENTRY:
                position = positions.with_exit_levels(position, order if seen else None)
            self.record_fill(position, order, 0, 0.0)

    def _sighted(self, order: orders.Order) -> int:
        return sum(
            (other.filled_seen - other.filled) * other.side.sign
            for other in self.open_orders(order.net)
            if other.strategy == order.strategy
        )

    def end_unsent(self, order: orders.Order, state: OrderState, event: str, message: str) -> None:
        """End an order never sent to the broker, in this state; `event` and `message` go into its row."""
        evidence = with_cancel(order.evidence, wanted=False) if order.evidence.cancel.wanted else order.evidence
        self.change(order, event, state=state, message=message, evidence=evidence)
