"""Wishes that stand: what each strategy last wished for each watched instrument, and whether to say it again.

A target is idempotent by value, so a strategy that wishes the same at every bar is heard once: until its position
shows the wish, until the order behind it has ended unfilled, or until the wish has expired without an order. The one
rule: the signals and orders that are applied decide alone, so a restart comes to the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from msgspec.structs import replace

from mytrading.core.order import TERMINAL
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.orders import Goal, Order
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.views import PositionView

Key = tuple[str, str]
_SIDES = {Action.BUY: 1, Action.SELL: -1, Action.EXIT: 0}
_BARS_NOTED = 4
"""Bars since a position went that are remembered: the oldest without a wish decides."""


def signal_id(strategy: str, watch: str, action: Action, legs: tuple[Leg, ...], at_ns: int) -> str:
    """The id of a wish: the same content at the same market time has the same id in every process and every run."""
    content = [strategy, watch, action, str(at_ns)]
    more = False
    for leg in legs:
        content.append(f"{leg.instrument}*{leg.lots}@{leg.limit_price}/{leg.trigger_price}/{leg.stop_price}")
        more = more or bool(leg.target_price or leg.stop_buffer or leg.profile or leg.product)
    if more:
        content += [f"{leg.instrument}>{leg.target_price}" for leg in legs if leg.target_price]
        content += [f"{leg.instrument}+{leg.stop_buffer}" for leg in legs if leg.stop_buffer]
        content += [f"{leg.instrument}={leg.profile}" for leg in legs if leg.profile]
        content += [f"{leg.instrument}~{leg.product}" for leg in legs if leg.product]
    return hashlib.blake2b("\0".join(content).encode(), digest_size=8).hexdigest()


def _everywhere(accounts: Collection[str]) -> str:
    return f" in {', '.join(sorted(accounts))}" if len(accounts) > 1 else ""


class Standing:
    """The last wish of each (strategy, watched instrument) and the orders and exit goals that came of it."""

    def __init__(self) -> None:
        self._last: dict[Key, Signal] = {}
        self._over: set[Key] = set()
        self._filled: set[Key] = set()
        self._rejected: dict[Key, set[str]] = {}
        self._entered: dict[Key, int] = {}
        self._cause: dict[str, Key] = {}
        self._live: dict[Key, set[str]] = {}
        self._goals: dict[tuple[str, str, str], set[str]] = {}
        self._quiet: dict[Key, set[int]] = {}
        self._gone_ns: dict[Key, int] = {}
        self._same_ns: dict[Key, int] = {}

    def made(self, signal: Signal) -> None:
        """A wish was sent."""
        key = (signal.strategy, signal.watch)
        before = self._last.get(key)
        if before is not None:
            self._cause.pop(before.id, None)
        self._last[key] = signal
        self._cause[signal.id] = key
        self._live.pop(key, None)
        self._over.discard(key)
        self._filled.discard(key)
        self._rejected.pop(key, None)
        if signal.rearmed or before is None or before.action is not signal.action:
            self._quiet.pop(key, None)
        if signal.action is not Action.EXIT:
            self._entered[key] = signal.created_ns

    def order_changed(self, order: Order) -> None:
        """An order moved: one that ended with nothing filled ends the wish behind it."""
        key = self._cause.get(order.cause)
        if key is None or order.purpose.reduces:
            return
        live = self._live.setdefault(key, set())
        if order.filled or order.filled_seen:
            self._filled.add(key)
        if order.state not in TERMINAL:
            live.add(order.client_order_id)
            return
        live.discard(order.client_order_id)
        if order.state is OrderState.REJECTED:
            self._rejected.setdefault(key, set()).add(order.account)
        if not (order.filled or order.filled_seen):
            self._over.add(key)

    def next_choice(self, order: Order, accounts: Collection[str], now: int) -> Signal | None:
        """The wish for the next candidate, if the broker just rejected the only entry of a wish that names one.

        Of several `accounts` all must have rejected it: a wish is one for all of them, and what one account has, or may
        still get, another candidate would close. Its time is that of the first one: what took too long is not tried
        any more.
        """
        key = self._cause.get(order.cause)
        last = self._last.get(key) if key is not None else None
        if key is None or last is None or not last.otherwise or len(last.legs) != 1:
            return None
        if order.state is not OrderState.REJECTED or self._live.get(key) or key in self._filled:
            return None
        if not self._rejected.get(key, set()).issuperset(accounts):
            return None
        legs = (last.otherwise[0],)
        return replace(
            last,
            id=signal_id(last.strategy, last.watch, last.action, legs, last.bar_ns),
            created_ns=now,
            legs=legs,
            otherwise=last.otherwise[1:],
            instead_of=last.instead_of or last.legs,
            reason=f"{last.legs[0].instrument} was rejected{_everywhere(accounts)}: {order.message}".rstrip(": "),
        )

    def goal_changed(self, goal: Goal) -> None:
        """An exit goal opened or ended."""
        goals = self._goals.setdefault((goal.account, goal.strategy, goal.instrument), set())
        if goal.state == "open":
            goals.add(goal.id)
        else:
            goals.discard(goal.id)

    def went_flat(self, key: Key, side: int, at_ns: int) -> None:
        """The position of this side is gone (market time): a wish for that side is used up.

        One of the other side is what the position made way for. Bars before this moment count for nothing.
        """
        last = self._last.get(key)
        if last is not None and side and _SIDES[last.action] == side:
            self._over.add(key)
            self._quiet[key] = set()
            self._gone_ns[key] = at_ns

    def bar_shown(self, key: Key, start_ns: int, end_ns: int) -> None:
        """A completed bar was shown to a strategy; that it wished the same again on it is told afterwards.

        One within which it wished the same on a quote is none without that wish.
        """
        quiet = self._quiet.get(key)
        if quiet is None or self._same_ns.get(key, 0) > start_ns:
            return
        if end_ns > self._gone_ns[key] and len(quiet) < _BARS_NOTED:
            quiet.add(end_ns)

    def wished(self, key: Key, action: Action, end_ns: int) -> None:
        """On the bar that ends then the strategy wished this: what it wished before does not count as let go of."""
        quiet, last = self._quiet.get(key), self._last.get(key)
        if quiet is not None and last is not None and last.action is action:
            quiet.discard(end_ns)
            self._same_ns[key] = end_ns

    def is_rearmed(self, key: Key, end_ns: int) -> bool:
        """True if a bar has passed, since the position behind the last wish is gone, without that same wish."""
        quiet = self._quiet.get(key)
        return quiet is not None and any(bar < end_ns for bar in quiet)

    def last_time(self, key: Key) -> int:
        """Market time of the bar or quote of the last wish sent, 0 if there was none."""
        last = self._last.get(key)
        return last.bar_ns if last is not None else 0

    def last_entry(self, key: Key) -> int:
        """Market time at which a long or short wish was last sent, 0 if never."""
        return self._entered.get(key, 0)

    def is_exiting(self, account: str, strategy: str, instrument: str) -> bool:
        """True while an exit goal works on what the strategy holds of this instrument in this account."""
        return bool(self._goals.get((account, strategy, instrument)))

    def is_idle(self, key: Key) -> bool:
        """True if neither an order nor an exit goal of a wish is at work."""
        return not self._live.get(key) and not any(self._goals.values())

    def left_for(self, key: Key) -> bool:
        """True if the last wish was to be flat."""
        last = self._last.get(key)
        return last is not None and last.action is Action.EXIT and not last.keeps

    def entry_pending(self, key: Key, now: int, machine_ns: int) -> bool:
        """True while a long or short wish may still lead to a position that does not show yet."""
        last = self._last.get(key)
        return last is not None and last.action is not Action.EXIT and self._stands(key, last, now, machine_ns)

    def repeats(self, key: Key, wish: Signal, chosen: bool, now: int, machine_ns: int, view: PositionView) -> bool:
        """True if `wish` says nothing new. `chosen`: the strategy named the legs itself, so they count."""
        last = self._last.get(key)
        side = _SIDES[wish.action]
        if wish.action is not Action.EXIT and view.side == side and not self._differs(last, wish, chosen):
            return True
        if last is None or (last.action, last.keeps) != (wish.action, wish.keeps) or self._differs(last, wish, chosen):
            return False
        return self._stands(key, last, now, machine_ns)

    def _differs(self, last: Signal | None, wish: Signal, chosen: bool) -> bool:
        return chosen and (last is None or wish.legs not in (last.legs, last.instead_of))

    def _stands(self, key: Key, last: Signal, now: int, machine_ns: int) -> bool:
        if self._live.get(key):
            return True
        if key in self._over:
            return False
        return now < last.expires_ns or machine_ns < last.expires_machine_ns
