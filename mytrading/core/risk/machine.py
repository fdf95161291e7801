"""Risk: turns wishes into sized entries and exit goals, or denies them with a reason.

Used by the risk daemon and the backtest. A wish is the whole position that one strategy wants for one watched
instrument, in each of its accounts: what it holds and no longer wants is closed first, what it lacks is judged by every
rule and ordered. The one rule: exits are never judged, and a wish leads to one entry for each leg and account, whatever
is repeated, late or restarted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.exit_events import without_lost
from mytrading.core.identity import content_id
from mytrading.core.instruments import InstrumentBook
from mytrading.core.money.margin_table import RiskTables
from mytrading.core.risk import watches as risk_watches
from mytrading.core.risk.books import Place
from mytrading.core.risk.carry import snapshot
from mytrading.core.risk.case import expired
from mytrading.core.risk.closing import Closing, once_each, units
from mytrading.core.risk.entries import Entries
from mytrading.core.risk.exits import RiskExits
from mytrading.core.risk.limits import Limits
from mytrading.core.risk.margin import Margins
from mytrading.core.risk.overdue import overdue
from mytrading.core.risk.readiness import blind, unpriced
from mytrading.core.risk.scene import Scene
from mytrading.core.risk.state import RiskState
from mytrading.core.risk.times import SECOND
from mytrading.core.risk.wish import Wish
from mytrading.core.rollover import Rollover
from mytrading.core.runs.rules import StrategyRisk
from mytrading.core.square_off import SquareOff
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import StrategySwitch, TradingState
from mytrading.messages.enums import TradingLevel
from mytrading.messages.instruments import Snapshot
from mytrading.messages.market import Quote
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    TimerFired,
)
from mytrading.messages.records import LevelMoved, RiskOpened
from mytrading.messages.reports import MarginAnswer
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded
from mytrading.messages.runconfig import RateLimits, RiskLimits, StrategyRun
from mytrading.messages.signals import Signal

HEDGE_PATIENCE_NS = 60 * SECOND
"""Market time of a square-off in which what covers a sold leg waits for that to be flat."""
_MOVES = (OrderChanged, PositionChanged, PositionAdjusted, GoalChanged)


class RiskMachine:
    """Wishes in, commands out. The daemon replaces `instruments` and `master` when contracts change."""

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
        scene = self._scene = Scene(limits, rates, strategies, account, calendar, instruments, square_off)
        self.state = RiskState(
            scene.lot_of,
            scene.is_open,
            scene.is_guarded,
            scene.accounts_of,
            limits.stale_quote_seconds,
            scene.watch_for,
            scene.contract_of,
            scene.reach,
        )
        self._closing = Closing(self.state, scene)
        self.margins = Margins(self.state, scene)
        self.limits = Limits(self.state, scene, self._closing)
        self._entries = Entries(self.state, scene, self._closing, self.margins, self.limits)
        self.rollover = Rollover(self.state, scene, self._closing, self._entries, self.limits)
        self.exits = RiskExits(self.state, limits, scene.is_open, self._closing)
        self.runs = StrategyRisk(self.state, scene, self._closing)

    @property
    def account(self) -> str:
        """The first account."""
        return self._scene.account

    @property
    def strategies(self) -> dict[str, StrategyRun]:
        """The strategies by name."""
        return self._scene.strategies

    @property
    def square_off(self) -> SquareOff:
        """When closing begins; its speed is the market clock's."""
        return self._scene.square_off

    @property
    def instruments(self) -> InstrumentBook:
        """Today's contracts."""
        return self._scene.instruments

    @instruments.setter
    def instruments(self, book: InstrumentBook) -> None:
        self._scene.instruments = book
        self.state.look_again()

    @property
    def master(self) -> Snapshot | None:
        """The day's snapshot with what it refuses."""
        return self._scene.master

    @master.setter
    def master(self, snapshot: Snapshot | None) -> None:
        self._scene.master = snapshot

    @property
    def tables(self) -> RiskTables:
        """Margin figures, shares and grades; the daemon replaces them when their file changes."""
        return self._scene.tables

    @tables.setter
    def tables(self, tables: RiskTables) -> None:
        self._scene.tables = tables

    @property
    def asks_broker(self) -> bool:
        """The broker is asked what futures and sold options need; its figure counts if it is more than the table's."""
        return self._scene.asks_broker

    @asks_broker.setter
    def asks_broker(self, on: bool) -> None:
        self._scene.asks_broker = on

    @property
    def needs_funds(self) -> bool:
        """What an account has free must be known before anything is entered there; not where nobody tells it."""
        return self._scene.needs_funds

    @needs_funds.setter
    def needs_funds(self, on: bool) -> None:
        self._scene.needs_funds = on

    @property
    def funds_stale(self) -> int:
        """Machine ns after which funds that were read no longer tell what is free; 0 where that time does not count."""
        return self._scene.funds_stale

    @funds_stale.setter
    def funds_stale(self, machine_ns: int) -> None:
        self._scene.funds_stale = machine_ns

    @property
    def accounts(self) -> tuple[str, ...]:
        """All accounts in which anything is traded, the host's own first."""
        return self._scene.accounts()

    @property
    def lock_step(self) -> bool:
        """Market time alone makes wishes expire and quotes stale."""
        return self._scene.lock_step

    @lock_step.setter
    def lock_step(self, on: bool) -> None:
        self._scene.lock_step = on

    @property
    def patient_until(self) -> int:
        """Machine time until which a wish waits for those whom risk needs, as they may not have been heard yet."""
        return self._scene.patient_until

    @patient_until.setter
    def patient_until(self, machine_ns: int) -> None:
        self._scene.patient_until = machine_ns

    def given(self) -> dict[str, Any]:
        """What is not its state, by name: a state that is kept refers to it, and finds it again in another machine."""
        return {"machine": self, "scene": self._scene, **self._scene.parts()}

    def apply(self, row: Any) -> None:
        """Learn a row: an input, or one of our own decisions. What is told once more of an ended order is no news."""
        self.state.fold(row)
        if type(row) is not OrderChanged or not self.state.retold:
            self.runs.apply(row)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """What follows from a message that was just applied, at market time `now`."""
        if isinstance(message, Quote):
            return self._on_quote(message, now)
        if isinstance(message, Signal):
            return self._advance(self.state.wishes[message.strategy, message.watch], now)
        if isinstance(message, OrderChanged) and self.state.retold:
            return ()
        if isinstance(message, _MOVES):
            found = (*self.runs.on_change(message, now), *self.exits.on_fill(message, now),
                     *self.limits.on_move(message, now))  # fmt: skip
            changed = self._then_advance(found, now, settled_too=True)
            return _whole((*changed, *self.margins.after_refusal(message, now), *self.rollover.on_time(now)))
        if isinstance(message, MarginAnswer):
            return self._advance_all(now)
        if isinstance(message, TimerFired):
            found = (*self.runs.on_time(now), *self._square_off(now), *self.limits.on_time(now),
                     *self.exits.on_time(now))  # fmt: skip
            timed = self._then_advance(found, now, settled_too=True)
            unbound = risk_watches.alarms(self.state, self._scene.today(now), now)
            return _whole((*timed, *unbound, *self._unpriced(now), *self.rollover.on_time(now)))
        if isinstance(message, TradingState | StrategySwitch):
            return tuple(self.limits.on_word(message, now))
        return ()

    def _on_quote(self, quote: Quote, now: int) -> tuple[Any, ...]:
        """Stops, limits and rules of runs first: what ends a wish is known when it is judged, with the next quote."""
        name = quote.instrument
        limited = tuple(self.limits.on_quote(name, now))
        found = (*self.exits.at_price(name, now), *limited, *self.runs.at_price(quote, now))
        if name in self.state.awaited and all(isinstance(row, LevelMoved) for row in limited):
            found = self._then_advance(found, now)
        return without_lost(once_each(found)) if found else found

    def notice(self, machine_ns: int) -> None:
        """Machine time moves on to this; it never goes back."""
        self.state.machine_ns = max(self.state.machine_ns, machine_ns)

    def snapshot(self, day: str) -> RiskOpened:
        """The first row of the journal of `day`: applied to a fresh machine, it carries everything over."""
        carried = snapshot(self.state, day)
        names = sorted({thing.instrument for things in (carried.positions, carried.orders) for thing in things})
        sizes = {name: self._scene.sizes(name) for name in names}
        return replace(
            carried,
            sizes={name: (each.lot, each.freeze) for name, each in sizes.items() if each.lot},
            levels={**carried.levels, **self.margins.carried(), **self.runs.books.carried()},
            bars=self.runs.bars(),
            **self.runs.events.carried(),
        )

    # wishes

    def _then_advance(self, rows: tuple[Any, ...], now: int, settled_too: bool = False) -> tuple[Any, ...]:
        """These rows, and what wishes need; where they close something, wishes are judged with the next message."""
        ends = any(isinstance(row, RiskEventRecorded) and row.action is RiskAction.CLOSE_ALL for row in rows)
        if ends or any(isinstance(row, CloseGoal) for row in rows):
            return rows
        return (*rows, *self._advance_all(now, settled_too))

    def _advance_all(self, now: int, settled_too: bool = False) -> tuple[Any, ...]:
        """A settled wish has nothing to enter, but a fill that comes after a cancel may give it something to close.

        One wish enters at a time: what it takes of limits, rates and margin is known when the next is judged, with the
        next message. What wishes withdraw and close waits for nobody.
        """
        rows: list[Any] = []
        entered = False
        busy = self._busy() if settled_too else set()
        for wish in self.state.wishes.values() if settled_too else self.state.open_wishes():
            if wish.settled and (wish.signal.strategy, wish.signal.watch) not in busy:
                continue
            found = self._advance(wish, now)
            enters = any(isinstance(row, PlaceEntry) for row in found)
            if not (enters and entered):
                rows += found
            entered = entered or enters
        return tuple(rows)

    def _busy(self) -> set[Place]:
        """Whose settled wishes may have something to withdraw or to close, by strategy and watched instrument.

        What everybody holds and has coming is gone through once, not once for each wish.
        """
        held, live = self.state.by_watch()
        busy: set[Place] = set()
        for place in held.keys() | live.keys():
            busy.update(self._which(place, held.get(place, []), live.get(place, [])))
        return busy

    def _which(self, place: Place, held: list[Position], live: list[Order]) -> Iterable[Place]:
        strategy, watch = place
        if watch is None:
            return [key for key in self.state.wishes if key[0] == strategy]
        wish = self.state.wishes.get((strategy, watch))
        if wish is None:
            return ()
        unwanted = any(wish.unwanted(one, units(one)) for one in held)
        return (place,) if unwanted or not all(self._fits(order, wish) for order in live) else ()

    def _advance(self, wish: Wish, now: int) -> tuple[Any, ...]:
        """What one wish still needs: entries withdrawn, positions closed, then its legs entered."""
        if self.rollover.holds(wish):
            return ()
        rows = [*self._withdrawals(wish), *self._closes(wish)]
        if wish.settled:
            return tuple(rows)
        signal = wish.signal
        closing = self.state.closing_in(signal.strategy, signal.watch)
        if rows or closing:
            return (*rows, *self._beside(wish, closing.union(row.account for row in rows), now, wait=bool(rows)))
        for account in self._scene.accounts_of(signal.strategy):
            if account not in wish.ended:
                rows += self._enter(wish, account, now)
        return tuple(rows)

    def _enter(self, wish: Wish, account: str, now: int) -> list[Any]:
        if doubt := self.runs.in_doubt(wish.signal.strategy):
            return self._entries.kept_by(doubt, wish, account, now)
        return self.rollover.ahead(wish, account, now) or self._entries.enter(wish, account, now)

    def _beside(self, wish: Wish, closing: set[str], now: int, *, wait: bool) -> list[Any]:
        """What a wish needs while something is withdrawn or closed in these accounts; the others go on, unless `wait`.

        They wait there until that is done, or the wish too late. A basket that began is not let go with it: `enter`
        breaks it once its own time is over.
        """
        if not wish.legs:
            return []
        late = expired(wish.signal, now, self._entries.machine_ns)
        there = [name for name in self._scene.accounts_of(wish.signal.strategy) if name not in wish.ended]
        idle = {name for name in there if late and name in closing and not self._entries.has_begun(wish, name)}
        if late and len(idle) == len(there):
            return [self._entries.too_late(wish, now)]
        rows: list[Any] = []
        for account in [] if wait else there:
            if account in idle:
                rows.append(self._entries.left_out(wish, account, now))
            elif account not in closing or self._entries.is_basket_late(wish.signal, now):
                rows += self._enter(wish, account, now)
        return rows

    def _withdrawals(self, wish: Wish) -> list[Any]:
        """Live entries that the wish has no room for: not named, of the other side, or too many."""
        signal = wish.signal
        if not self.state.orders.of(signal.strategy):
            return []
        entries = self.state.live_entries(signal.strategy, signal.watch)
        return self._closing.withdraw((order for order in entries if not self._fits(order, wish)), signal.id)

    def _fits(self, order: Order, wish: Wish) -> bool:
        watch = wish.signal.watch
        target = wish.target(order.instrument, order.account) * self._scene.lot_of(order.instrument)
        there = self.state.units_of(order.strategy, watch, order.instrument, order.account)
        after = there + self.state.coming_units(order.strategy, order.instrument, order.account)
        return order.side.sign * target > 0 and abs(after) <= abs(target) and wish.accepts(order)

    def _closes(self, wish: Wish) -> list[Any]:
        signal = wish.signal
        held = self.state.held(signal.strategy, signal.watch)
        if not held:
            return []
        unwanted = (one for one in held if wish.unwanted(one, units(one)))
        return self._closing.close_all(unwanted, signal.id, signal.reason or signal.action.value, signal.trace_ns)

    # the clock

    def _square_off(self, now: int) -> list[Any]:
        """Close MIS positions, and withdraw MIS entries, once their time has come."""
        cause = content_id("square_off", self._scene.today(now))
        entries = (order for order in self.state.all_live_entries() if self._is_due(order, now))
        due = [position for position in self.state.open_positions() if self._is_due(position, now)]
        patient = all(self._is_early(position, now) for position in due)
        return [
            *self._closing.withdraw(entries, cause),
            *self._closing.close_all(due, cause, "square-off", 0, patient=patient),
            *overdue(self._scene, self.state, now),
        ]

    def _is_due(self, thing: Order | Position, now: int) -> bool:
        begins = self._scene.square_off_begins(thing.strategy, thing.instrument, thing.product, now)
        return bool(begins) and now >= begins

    def _is_early(self, position: Position, now: int) -> bool:
        begins = self._scene.square_off_begins(position.strategy, position.instrument, position.product, now)
        return now - begins < HEDGE_PATIENCE_NS

    def _unpriced(self, now: int) -> list[Any]:
        """Withdraw entries whose instrument has had no quote for long: nobody knows what they would be filled at."""
        rows: list[Any] = []
        for order in self.state.all_live_entries():
            quote = self.state.quotes.get(order.instrument)
            if quote is not None and unpriced(self.state, quote, self._scene, now):
                cause = content_id("unpriced", order.parent or order.client_order_id)
                rows += self._closing.withdraw([order], cause)
        return list({row.id: row for row in rows}.values())

    def hedges(self) -> list[tuple[Position, int]]:
        """Positions with their units that hedge something sold."""
        return [(position, n) for position in self.state.open_positions() if (n := self.state.hedging(position))]

    def closed(self, now: int) -> str:
        """Why no entry of the first account is admitted now but for trading hours, in words; empty if some may be."""
        return self._entries.closed(self.account, now)

    def blind(self, now: int) -> dict[str, str]:
        """What keeps risk from seeing prices come to stops that it holds, by strategy."""
        names = {key[3] for key in self.state.stop_levels}
        return {name: why for name in sorted(names) if (why := blind(self.state, name, self._scene, now))}

    def wanted(self) -> tuple[str, ...]:
        """Instruments whose quotes risk needs: held, coming and wished for."""
        busy = map(self.state.busy_instruments, self._scene.accounts())
        names = self.state.awaited.union(self.rollover.wanted(), self.runs.wanted(), *busy)
        return tuple(sorted(names))

    @property
    def level(self) -> TradingLevel:
        """The trading level in effect."""
        return self.state.level(self.account)[0]


def _whole(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decision with one goal for each position, and no event of a position whose goal is another's."""
    return without_lost(once_each(rows))
