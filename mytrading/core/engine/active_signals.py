"""Active signals: the last signal of each strategy and watched instrument, and whether a new one only repeats it.

Signals are idempotent by value: a strategy that returns the same one at every bar sends it once, until its position
shows it, until its order ends unfilled, or until it expires without an order. State follows from signals and orders
alone, so a restart comes to the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from mytrading.core.orders.state_machine import TERMINAL
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.orders import Goal, Order
from mytrading.messages.signals import Leg, LegChange, Signal
from mytrading.strategies.views import PositionView

Key = tuple[str, str]
"""Strategy and watched instrument."""
SIDES = {Action.BUY: 1, Action.SELL: -1, Action.EXIT: 0}
_BARS_KEPT = 4
"""Bars kept since a position closed: the oldest one without a repeated signal decides about re-arming."""


def signal_id(
    strategy: str, watch: str, action: Action, legs: tuple[Leg, ...], at_ns: int, changes: tuple[LegChange, ...] = ()
) -> str:
    """Return a signal's id, a hash (16 hex digits) of its content and `at_ns` (market): the same in every process."""
    content = [strategy, watch, action, str(at_ns)]
    more = False
    for leg in legs:
        content.append(f"{leg.instrument}*{leg.lots}@{leg.limit_price}/{leg.trigger_price}/{leg.stop_price}")
        more = more or bool(leg.target_price or leg.stop_buffer or leg.profile or leg.product)
    if more:
        for mark, name in ((">", "target_price"), ("+", "stop_buffer"), ("=", "profile"), ("~", "product")):
            content += [f"{leg.instrument}{mark}{value}" for leg in legs if (value := getattr(leg, name))]
    for leg in legs:
        for name, at in (("stop", leg.stop), ("target", leg.target), ("limit", leg.limit)):
            if at.value:
                content.append(f"{leg.instrument} {name} {at.kind.value} {at.value}")
    content += [f"-{change.closes}+{change.opens}{'=' if change.same_size else ''}" for change in changes]
    return hashlib.blake2b("\0".join(content).encode(), digest_size=8).hexdigest()


def rules_digest(legs: Iterable[Leg | LegRule]) -> str:
    """Return a digest (16 hex digits) of the contracts that leg rules ask for, stops and prices aside; empty if a leg
    names its contract."""
    rules = [leg for leg in legs if isinstance(leg, LegRule)]
    if not rules:
        return ""
    asked = [(r.kind, r.strike, r.right, r.expiry, r.watch, r.lots, r.profile, r.product or "") for r in rules]
    return hashlib.blake2b(repr([tuple(map(str, one)) for one in asked]).encode(), digest_size=8).hexdigest()


@dataclass(slots=True)
class SignalStatus:
    """The last signal of a strategy for one watched instrument, and what became of it."""

    signal: Signal | None = None
    spent: bool = False
    """An order of it ended unfilled, or its position closed: the same signal counts as new."""
    filled: bool = False
    live_orders: set[str] = field(default_factory=set)
    rejected_in: set[str] = field(default_factory=set)
    """Accounts whose broker rejected an order of it."""
    entered_ns: int = 0
    """Market time of the last long or short signal, 0 if there was none."""
    closed_ns: int = 0
    """Market time at which its position closed."""
    quiet_bars: set[int] | None = None
    """Ends of bars since then at which the signal was not repeated; None while no position of it has closed."""
    repeated_ns: int = 0
    """End of the last bar at which it was repeated."""

    def note_position_closed(self, side: int, at_ns: int) -> None:
        """Mark the signal spent if its side is that of the position closed at `at_ns` (market): `side` 1 long, -1
        short. Bars before that moment do not count for re-arming."""
        if self.signal is not None and side and SIDES[self.signal.action] == side:
            self.spent, self.quiet_bars, self.closed_ns = True, set(), at_ns

    def note_bar(self, start_ns: int, end_ns: int) -> None:
        """Count a completed bar (market ns) as one without the signal, unless a quote repeated the signal within it;
        `note_draft` takes that back if the strategy repeats its signal on the bar."""
        if (quiet := self.quiet_bars) is None or self.repeated_ns > start_ns:
            return
        if end_ns > self.closed_ns and len(quiet) < _BARS_KEPT:
            quiet.add(end_ns)

    def note_draft(self, action: Action, end_ns: int) -> None:
        """Record that the strategy returned `action` for the bar that ended at `end_ns` (market), sent or not."""
        if self.quiet_bars is not None and self.signal is not None and self.signal.action is action:
            self.quiet_bars.discard(end_ns)
            self.repeated_ns = end_ns

    def is_rearmed(self, end_ns: int) -> bool:
        """True if, since the signal's position closed, a bar that ended before `end_ns` (market) did not repeat it."""
        return self.quiet_bars is not None and any(bar < end_ns for bar in self.quiet_bars)

    def is_entry_pending(self, now: int, machine_ns: int) -> bool:
        """True while the last signal is an entry that may still open a position: it has a live order, or none has ended
        unfilled and its validity is not over by both clocks (`now`: market ns)."""
        last = self.signal
        return last is not None and last.action is not Action.EXIT and self._is_active(last, now, machine_ns)

    def is_repeat(self, signal: Signal, names_legs: bool, now: int, machine_ns: int, view: PositionView) -> bool:
        """True if `signal` adds nothing: `view` (the position) has its side, or the last signal is equal and active.
        `names_legs`: the strategy chose the legs itself, so they are compared too. `now` is market ns."""
        last = self.signal
        differs = names_legs and (last is None or signal.legs not in (last.legs, last.instead_of))
        if signal.action is not Action.EXIT and view.side == SIDES[signal.action] and not differs:
            return True
        if last is None or differs or (last.action, last.keeps) != (signal.action, signal.keeps):
            return False
        return self._is_active(last, now, machine_ns)

    def repeats_adjustment(self, signal: Signal, now: int, machine_ns: int) -> bool:
        """True if the last signal is active and adjusts as `signal` does: it closes the same legs, or opens the same
        ones where both only open. `now` is market ns."""
        last = self.signal
        if last is None or not last.changes or not self._is_active(last, now, machine_ns):
            return False
        return last.closed_instruments == signal.closed_instruments and (
            bool(last.closed_instruments) or last.opened_instruments == signal.opened_instruments
        )

    def _is_active(self, last: Signal, now: int, machine_ns: int) -> bool:
        if self.live_orders:
            return True
        return not self.spent and (now < last.expires_ns or machine_ns < last.expires_machine_ns)


_UNKNOWN = SignalStatus()


class ActiveSignals:
    """The last signal of each key with its orders, and the open exit goals of each position."""

    def __init__(self) -> None:
        self._statuses: dict[Key, SignalStatus] = {}
        self._key_of: dict[str, Key] = {}
        """By signal id, of last signals alone."""
        self._goals: dict[tuple[str, str, str], set[str]] = {}
        """Ids of open exit goals by account, strategy and instrument."""

    def status_of(self, key: Key) -> SignalStatus:
        """Return the status of the last signal of a (strategy, watched instrument); an empty one if none was sent."""
        return self._statuses.get(key, _UNKNOWN)

    def apply_signal(self, signal: Signal) -> None:
        """Record a sent signal as the last one of its strategy and watched instrument, without orders yet."""
        key = (signal.strategy, signal.watch)
        status = self._statuses.get(key)
        if status is None:
            status = self._statuses[key] = SignalStatus()
        before, status.signal = status.signal, signal
        if before is not None:
            self._key_of.pop(before.id, None)
        self._key_of[signal.id] = key
        status.spent = status.filled = False
        status.live_orders.clear()
        status.rejected_in.clear()
        if signal.rearmed or before is None or before.action is not signal.action:
            status.quiet_bars = None
        if signal.action is not Action.EXIT:
            status.entered_ns = signal.created_ns

    def apply_order(self, order: Order) -> None:
        """Update the last signal's status by its entry order; an entry that ends unfilled spends the signal."""
        if (key := self._key_of.get(order.cause)) is None or order.purpose.reduces:
            return
        status = self._statuses[key]
        if order.filled or order.filled_seen:
            status.filled = True
        if order.state not in TERMINAL:
            status.live_orders.add(order.client_order_id)
            return
        status.live_orders.discard(order.client_order_id)
        if order.state is OrderState.REJECTED:
            status.rejected_in.add(order.account)
        if not (order.filled or order.filled_seen):
            status.spent = True

    def apply_goal(self, goal: Goal) -> None:
        """Record that an exit goal opened or ended."""
        goals = self._goals.setdefault((goal.account, goal.strategy, goal.instrument), set())
        if goal.state == "open":
            goals.add(goal.id)
        else:
            goals.discard(goal.id)

    def is_exiting(self, account: str, strategy: str, instrument: str) -> bool:
        """True while an exit goal works on the strategy's position in this instrument and account."""
        return bool(self._goals.get((account, strategy, instrument)))

    def next_candidate(self, order: Order, accounts: Collection[str], now: int) -> Signal | None:
        """The signal for the next alternative leg (`otherwise`) after the broker rejected this entry; None if none.

        All `accounts` must have rejected it: a signal is one for all of them, and another candidate would close what
        one account has or may still get. The data time stays that of the first candidate, so late ones expire.
        """
        if (key := self._key_of.get(order.cause)) is None:
            return None
        status = self._statuses[key]
        last = status.signal
        if last is None or not last.otherwise or len(last.legs) != 1 or status.live_orders or status.filled:
            return None
        if not status.rejected_in.issuperset(accounts):
            return None
        legs = (last.otherwise[0],)
        where = f" in {', '.join(sorted(accounts))}" if len(accounts) > 1 else ""
        return replace(
            last,
            id=signal_id(last.strategy, last.watch, last.action, legs, last.bar_ns),
            created_ns=now,
            legs=legs,
            otherwise=last.otherwise[1:],
            instead_of=last.instead_of or last.legs,
            reason=f"{last.legs[0].instrument} was rejected{where}: {order.message}".rstrip(": "),
        )
