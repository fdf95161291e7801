"""Risk: turns wishes into sized entries and exit goals, or denies them with a reason.

Used by the risk daemon and the backtest. A wish is the whole position that one strategy wants for one watched
instrument: what it holds and no longer wants is closed first, what it lacks is judged by every rule and ordered. The
one rule: exits are never judged, and a wish leads to one entry for each leg, whatever is repeated, late or restarted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mytrading.core.calendar import Calendar
from mytrading.core.identity import client_order_id, content_id
from mytrading.core.instruments import InstrumentBook
from mytrading.core.master import refusal_for
from mytrading.core.risk_books import MACHINE_FLOOR_NS, SECOND, Wish, withdrawal_id
from mytrading.core.risk_case import Case, Denial, expired, stale
from mytrading.core.risk_rules import judge
from mytrading.core.risk_state import RiskState
from mytrading.core.sizing import missing_units, reference_price, side_of, target_units
from mytrading.core.square_off import SquareOff
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Product, Purpose, Severity, TradingLevel
from mytrading.messages.instruments import Snapshot
from mytrading.messages.market import Quote
from mytrading.messages.orders import GoalChanged, Order, OrderChanged, PositionAdjusted, PositionChanged, TimerFired
from mytrading.messages.records import LevelMoved, RiskOpened
from mytrading.messages.runconfig import RateLimits, RiskLimits, StrategyRun
from mytrading.messages.signals import Leg, Signal

UNPRICED_NS = 10 * SECOND
"""Machine time without a quote after which entries are withdrawn."""
OPTION_PATIENCE = 12
_NEVER = 1 << 62
_MOVES = (OrderChanged, PositionChanged, PositionAdjusted, GoalChanged)


class RiskMachine:
    """Wishes in, commands out. The daemon replaces `instruments` and `master` when contracts change.

    Without a `master` (tools, tests of other rules) every listed instrument counts as in order.
    """

    def __init__(
        self,
        limits: RiskLimits,
        rates: RateLimits,
        strategies: Iterable[StrategyRun],
        account: str,
        calendar: Calendar,
        instruments: InstrumentBook,
        square_off: SquareOff,
    ) -> None:
        self.limits, self.rates = limits, rates
        self.strategies = {run.name: run for run in strategies}
        self.account = account
        self.calendar = calendar
        self.instruments = instruments
        self.master: Snapshot | None = None
        self.square_off = square_off
        self.lock_step = False
        """Market time alone makes wishes expire and quotes stale."""
        self.patient_until = 0
        """Machine time until which a wish waits for those whom risk needs, as they may not have been heard yet."""
        self.state = RiskState(self._lot_of)

    def apply(self, row: Any) -> None:
        """Learn a row: an input, or one of our own decisions."""
        self.state.fold(row)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """What follows from a message that was just applied, at market time `now`."""
        if isinstance(message, Quote):
            if message.instrument not in self.state.awaited:
                return ()
            return self._advance_all(now)
        if isinstance(message, Signal):
            return self._advance(self.state.wishes[message.strategy, message.watch], now)
        if isinstance(message, _MOVES):
            return self._advance_all(now, settled_too=True)
        if isinstance(message, TimerFired):
            return (*self._advance_all(now, settled_too=True), *self._square_off(now), *self._unpriced(now),
                    *self._watch_loss(now))  # fmt: skip
        return ()

    def notice(self, machine_ns: int) -> None:
        """Machine time moves on to this; it never goes back."""
        self.state.machine_ns = max(self.state.machine_ns, machine_ns)

    def snapshot(self, day: str) -> RiskOpened:
        """The first row of the journal of `day`: applied to a fresh machine, it carries everything over."""
        return self.state.snapshot(day)

    # wishes

    def _advance_all(self, now: int, settled_too: bool = False) -> tuple[Any, ...]:
        """A settled wish has nothing to enter, but a fill that comes after a cancel may give it something to close."""
        rows: list[Any] = []
        for wish in self.state.wishes.values() if settled_too else self.state.open_wishes():
            rows += self._advance(wish, now)
        return tuple(rows)

    def _advance(self, wish: Wish, now: int) -> tuple[Any, ...]:
        """What one wish still needs: entries withdrawn, positions closed, then its legs entered."""
        rows = [*self._withdrawals(wish), *self._closes(wish)]
        if wish.settled:
            return tuple(rows)
        if rows or self.state.is_closing(wish.signal.strategy, wish.signal.watch):
            late = expired(wish.signal, now, self._machine_ns)
            return (*rows, self._too_late(wish, now)) if late and wish.legs else tuple(rows)
        entries = [row for leg in wish.legs for row in self._enter(wish, leg, now)]
        denials = [row for row in entries if isinstance(row, SignalDenied | SignalExpired)]
        return tuple(denials or entries)

    def _withdrawals(self, wish: Wish) -> list[Any]:
        """Live entries that the wish has no room for: not named, of the other side, or too many."""
        signal = wish.signal
        room = {leg.instrument: leg.lots * self._lot_of(leg.instrument) for leg in wish.legs}
        return [
            row
            for order in self.state.live_entries(signal.strategy, signal.watch)
            if not self._fits(order, room.get(order.instrument, 0), signal.watch)
            for row in self._withdraw(order, signal.id)
        ]

    def _fits(self, order: Order, target: int, watch: str) -> bool:
        there = self.state.units_of(order.strategy, watch, order.instrument)
        after = there + self.state.coming_units(order.strategy, order.instrument)
        return order.side.sign * target > 0 and abs(after) <= abs(target)

    def _withdraw(self, order: Order, cause: str) -> list[Any]:
        if self.state.is_withdrawn(order):
            return []
        return [
            WithdrawEntries(
                id=withdrawal_id(order),
                cause=cause,
                account=order.account,
                strategy=order.strategy,
                instrument=order.instrument,
            )
        ]

    def _closes(self, wish: Wish) -> list[Any]:
        signal = wish.signal
        targets = {leg.instrument: leg.lots for leg in wish.legs}
        rows = []
        for position in self.state.held(signal.strategy, signal.watch):
            target = targets.get(position.instrument, 0)
            quantity = position.quantity or position.quantity_seen
            if target * quantity > 0:
                continue
            rows += self._close(position, signal.id, signal.reason or signal.action.value, signal.trace_ns)
        return rows

    def _close(self, position: Any, cause: str, reason: str, trace_ns: int) -> list[Any]:
        key = (position.account, position.instrument, position.product, position.strategy)
        if key in self.state.closing:
            return []
        goal = content_id("close", cause, *key, position.opened_ns)
        if goal in self.state.issued:
            return []
        return [
            CloseGoal(
                id=goal,
                account=position.account,
                instrument=position.instrument,
                product=position.product,
                strategy=position.strategy,
                run=position.run,
                cause=cause,
                reason=reason,
                trace_ns=trace_ns,
            )
        ]

    def _enter(self, wish: Wish, leg: Leg, now: int) -> list[Any]:
        signal = wish.signal
        identity = client_order_id(self.account, signal.id, Purpose.ENTRY, leg.instrument)
        if identity in self.state.issued or not leg.lots:
            return []
        instrument = self.instruments.get(leg.instrument)
        there = self.state.units_of(signal.strategy, signal.watch, leg.instrument)
        coming = self.state.coming_units(signal.strategy, leg.instrument)
        units = missing_units(target_units(leg.lots, instrument), there, coming) if instrument else leg.lots
        if not units:
            return []
        if instrument is not None and self._must_wait(leg.instrument, signal, now):
            return []
        case = self._case(wish, leg, units, there + coming, now)
        denials = judge(case)
        return [self._denied(wish, leg, denials, now)] if denials else [self._entry(wish, leg, identity, case)]

    def _must_wait(self, instrument: str, signal: Signal, now: int) -> bool:
        """True while a wish is in time but has no fresh quote yet, or an entry of an older wish is being withdrawn.

        The quote was asked for, so it is on its way; so are, on the turn of a day, the day's instruments. What is
        refused today waits for nothing.
        """
        if expired(signal, now, self._machine_ns):
            return False
        patient = self.lock_step or self.state.machine_ns < self.patient_until
        if patient and self.state.not_ready(self.account):
            return True
        if self.master is not None and self.master.day != self._today(now):
            return True
        if self._refusal(instrument, now):
            return False
        if self.state.is_withdrawing(signal.strategy, instrument):
            return True
        quote = self.state.quotes.get(instrument)
        return quote is None or stale(quote, now, self._machine_ns, self.limits.stale_quote_seconds)

    @property
    def _machine_ns(self) -> int:
        """For what has a floor in machine time: in lock-step it has always passed."""
        return _NEVER if self.lock_step else self.state.machine_ns

    def _entry(self, wish: Wish, leg: Leg, identity: str, case: Case) -> PlaceEntry:
        signal = wish.signal
        return PlaceEntry(
            id=identity,
            account=self.account,
            instrument=leg.instrument,
            product=signal.product,
            strategy=signal.strategy,
            run=self.state.run_of(signal.strategy) or content_id("run", signal.strategy, signal.id),
            cause=signal.id,
            side=side_of(case.units),
            quantity=abs(case.units),
            expires_ns=signal.expires_ns,
            expires_machine_ns=self._floor(signal),
            reference_price=case.price,
            trace_ns=signal.trace_ns,
        )

    def _floor(self, signal: Signal) -> int:
        """Machine time that an entry lives at least; none in lock-step."""
        return 0 if self.lock_step else max(signal.expires_machine_ns, self.state.machine_ns + MACHINE_FLOOR_NS)

    def _denied(self, wish: Wish, leg: Leg, denials: tuple[Denial, ...], now: int) -> SignalDenied:
        return SignalDenied(
            signal=wish.signal.id,
            strategy=wish.signal.strategy,
            code=denials[0].code,
            message="; ".join(denial.message for denial in denials),
            at_ns=now,
            instrument=leg.instrument,
            account=self.account,
        )

    def _too_late(self, wish: Wish, now: int) -> SignalExpired:
        signal = wish.signal
        return SignalExpired(signal=signal.id, strategy=signal.strategy, at_ns=now, expired_ns=signal.expires_ns)

    def _case(self, wish: Wish, leg: Leg, units: int, there: int, now: int) -> Case:
        state, signal = self.state, wish.signal
        instrument = self.instruments.get(leg.instrument)
        quote = state.quotes.get(leg.instrument)
        exchange = instrument.exchange if instrument else leg.instrument.split(":")[0]
        known = exchange in self.calendar.exchanges
        day = self.calendar.trading_day(now)
        session = self.calendar.session(exchange, day) if known else None
        entries = state.entries_of(signal.strategy, now)
        underlying = instrument.underlying if instrument else ""
        others = state.busy_instruments(self.account) - {leg.instrument}
        return Case(
            signal=signal,
            leg=leg,
            now=now,
            machine_ns=self._machine_ns,
            limits=self.limits,
            instrument=instrument,
            strategy=self.strategies.get(signal.strategy),
            units=units,
            price=reference_price(quote, side_of(units)) if quote else 0.0,
            quote=quote,
            not_ready=state.not_ready(self.account),
            refused=self._refusal(leg.instrument, now),
            wrong_mode=state.wrong_mode.get(self.account, ""),
            level=state.level(self.account)[0],
            level_reason=state.level(self.account)[1],
            enabled=state.enabled(signal.strategy),
            halted=state.halted.get((self.account, leg.instrument, signal.product), ""),
            confidence=state.confidence(self.account, leg.instrument),
            session=session,
            holiday=self.calendar.holiday_name(exchange, day) or "" if known else "",
            square_off_ns=self.square_off.begins(exchange, now) if signal.product is Product.MIS else 0,
            reduces=there != 0 and there * units < 0,
            units_there=abs(state.units_everywhere(self.account, leg.instrument)),
            adds_position=leg.instrument not in state.busy_instruments(self.account),
            positions_symbol=sum(self._underlying(name) == underlying for name in others),
            positions_total=len(others),
            entries_per_minute=self.rates.entries_per_minute,
            entries_last_minute=len(entries),
            last_entry_ns=state.last_entry.get((signal.strategy, signal.watch), 0),
            disk_low=state.disk_low,
            other_watch=state.other_watch(signal.strategy, signal.watch, leg.instrument),
            opposed=state.opposed(self.account, leg.instrument, signal.product, signal.strategy, units),
            spent=wish.spent,
            day_profit=state.day_profit(day.isoformat()),
            loss_reached=state.loss_reached(day.isoformat()),
        )

    def _refusal(self, instrument: str, now: int) -> str:
        return refusal_for(self.master, instrument, self._today(now)) if self.master is not None else ""

    def _today(self, now: int) -> str:
        return self.calendar.trading_day(now).isoformat()

    def _lot_of(self, name: str) -> int:
        found = self.instruments.get(name)
        return found.lot_size if found else 1

    def _underlying(self, name: str) -> str:
        found = self.instruments.get(name)
        return found.underlying if found else name

    # the clock

    def _square_off(self, now: int) -> list[Any]:
        """Close MIS positions, and withdraw MIS entries, once their time has come."""
        cause = content_id("square_off", self._today(now))
        rows: list[Any] = []
        for order in self.state.all_live_entries():
            if order.product is Product.MIS and self._square_off_begun(order.instrument, now):
                rows += self._withdraw(order, cause)
        for position in self.state.open_positions():
            if position.product is Product.MIS and self._square_off_begun(position.instrument, now):
                rows += self._close(position, cause, "square-off", 0)
        return rows

    def _unpriced(self, now: int) -> list[Any]:
        """Withdraw entries whose instrument has had no quote for long: nobody knows what they would be filled at."""
        rows: list[Any] = []
        for order in self.state.all_live_entries():
            quote = self.state.quotes.get(order.instrument)
            if quote is not None and self._silent(quote, now):
                rows += self._withdraw(order, content_id("unpriced", order.client_order_id))
        return rows

    def _silent(self, quote: Quote, now: int) -> bool:
        """True if a quote is stale in both times: options are quoted less often than the limit is meant for."""
        instrument = self.instruments.get(quote.instrument)
        patience = OPTION_PATIENCE if instrument is not None and instrument.kind.is_option else 1
        old = now - quote.market_ns > self.limits.stale_quote_seconds * patience * SECOND
        return old and self._machine_ns - quote.received_ns > UNPRICED_NS

    def _square_off_begun(self, instrument: str, now: int) -> bool:
        begins = self.square_off.begins(instrument.split(":")[0], now)
        return bool(begins) and now >= begins

    def _watch_loss(self, now: int) -> list[Any]:
        """Note once a day that the loss limit was reached: entries stop for the day, also after a restart."""
        day = self._today(now)
        if self.state.loss_reached(day) or self.state.day_profit(day) > -self.limits.max_daily_loss:
            return []
        profit = self.state.day_profit(day)
        return [
            LevelMoved(name=f"daily_loss:{day}", value=profit, at_ns=now),
            Alert(
                code="DAILY_LOSS",
                severity=Severity.CRITICAL,
                subject=self.account,
                message=f"the day stands at ₹{profit:,.2f}: MAX_DAILY_LOSS is reached, no more entries today",
                daemon="risk",
                first_ns=now,
                last_ns=now,
            ),
        ]

    def wanted(self) -> tuple[str, ...]:
        """Instruments whose quotes risk needs: held, coming and wished for."""
        names = self.state.busy_instruments(self.account) | self.state.awaited
        return tuple(sorted(names))

    @property
    def level(self) -> TradingLevel:
        """The trading level in effect."""
        return self.state.level(self.account)[0]
