"""Which signal, if any, a wish leads to: new, in time, allowed, with the legs that trade it.

Used by `strategies/engine_machine` for every wish of a bar, quote or timer. The one rule: it asks what the machine has
learnt and changes nothing but the notes of contracts that nobody lists.
"""

from __future__ import annotations

from mytrading.core.instruments import NoSuchContract
from mytrading.messages.enums import Action
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import (
    TimerFired,
)
from mytrading.messages.runconfig import Direction, StrategyRun
from mytrading.messages.signals import Leg, Signal, WishDenied
from mytrading.strategies.chosen import is_ruled
from mytrading.strategies.engine_books import EngineBooks
from mytrading.strategies.hints import NO_HINTS
from mytrading.strategies.hosted import Hosted
from mytrading.strategies.legs import resolve_leg
from mytrading.strategies.ruling import Ruling
from mytrading.strategies.standing import Key, signal_id
from mytrading.strategies.views import FLAT, PositionView
from mytrading.strategies.wishes import Wish

FLOOR_NS = 2_000_000_000
"""Machine time that a wish lives at least, however fast market time runs; none in lock-step, which waits for it."""
SECOND = 1_000_000_000
Data = Bar | Quote | TimerFired
"""What a wish may follow from."""


class Judge:
    """For one account, or all that a run names; a wish may become an entry until `validity_ns` after its data."""

    def __init__(self, books: EngineBooks, ruling: Ruling, account: str, validity_ns: int) -> None:
        self._books = books
        self._ruling = ruling
        self._account = account
        self._validity_ns = validity_ns

    def judge(self, hosted: Hosted, wish: Wish, data: Data, now: int) -> Signal | None:
        """The signal to send for a wish, or None if it says nothing new or nothing that is allowed."""
        run = hosted.run
        key = (run.name, wish.instrument)
        action = within(run, wish.side, bool(wish.legs))
        if self._books.standing.last_time(key) >= end_of(data):
            return None
        view = hosted.desk.positions.get(wish.instrument, FLAT)
        if wish.keeps:
            return self._judge_withdrawal(hosted, wish, data, now, view)
        if action is Action.EXIT:
            return self._judge_exit(hosted, wish, data, now, view)
        if not self._may_enter(run, wish, key, now):
            return None
        legs = self._legs(run, wish, action, now)
        if not legs:
            return None
        signal = self._signal(run, wish, action, legs, data, now)
        named = wish.hints is not NO_HINTS and wish.hints.names_entry and view.is_flat
        chosen = named or (bool(wish.legs) and not is_ruled(wish.legs))
        if self._books.standing.left_for(key) and self._is_stuck_elsewhere(run, wish.instrument):
            view = FLAT
        return None if self._books.standing.repeats(key, signal, chosen, now, received_at(data), view) else signal

    def rule_on(
        self, hosted: Hosted, wish: Wish, signal: Signal, data: Data, now: int
    ) -> tuple[Signal | None, WishDenied | None]:
        """A wish as the user's rules leave it: one that is denied still closes a position of the other side."""
        view = hosted.desk.positions.get(wish.instrument, FLAT)
        denial = self._ruling.judge(signal, view, now)
        if denial is None:
            return signal, None
        turns = (view.is_long and signal.action is Action.SELL) or (view.is_short and signal.action is Action.BUY)
        return (self._judge_exit(hosted, wish, data, now, view) if turns else None), denial

    def _judge_withdrawal(self, hosted: Hosted, wish: Wish, data: Data, now: int, view: PositionView) -> Signal | None:
        """Nothing to say where nothing is on its way; what is held stays, and so does its stop."""
        key = (hosted.run.name, wish.instrument)
        asked = self._books.standing.entry_pending(key, now, received_at(data))
        if not (asked or self._books.entries.is_live(*key)):
            return None
        signal = self._signal(hosted.run, wish, Action.EXIT, (), data, now)
        return None if self._books.standing.repeats(key, signal, False, now, received_at(data), view) else signal

    def _judge_exit(self, hosted: Hosted, wish: Wish, data: Data, now: int, view: PositionView) -> Signal | None:
        run = hosted.run
        key = (run.name, wish.instrument)
        if view.is_flat and not self._books.standing.entry_pending(key, now, received_at(data)):
            return None
        signal = self._signal(run, wish, Action.EXIT, (), data, now)
        if self._books.standing.repeats(key, signal, False, now, received_at(data), view):
            return None
        return None if self._is_exiting(run, wish.instrument) else signal

    def _is_exiting(self, run: StrategyRun, watch: str) -> bool:
        """True if exit goals already work on all that the strategy holds for `watch`."""
        held = self._books.holdings.held_for(run, watch, self._books.book)
        standing = self._books.standing
        return bool(held) and all(standing.is_exiting(one.account, run.name, one.instrument) for one in held)

    def _is_stuck_elsewhere(self, run: StrategyRun, watch: str) -> bool:
        """True if what is held for `watch` is all being closed, and some account of several holds none of it."""
        if len(run.accounts) < 2 or not self._is_exiting(run, watch):
            return False
        held = {one.account for one in self._books.holdings.held_for(run, watch, self._books.book)}
        return not held.issuperset(run.accounts)

    def _may_enter(self, run: StrategyRun, wish: Wish, key: Key, now: int) -> bool:
        switch = self._books.switches.get(run.name)
        if switch is not None and not switch.enabled:
            return False
        if wish.confidence < run.min_confidence:
            return False
        last = self._books.standing.last_entry(key)
        return not last or now >= last + int(run.cooldown * SECOND)

    def _legs(self, run: StrategyRun, wish: Wish, action: Action, now: int) -> tuple[Leg, ...]:
        books = self._books
        rule = run.long if action is Action.BUY else run.short
        key = (run.name, wish.instrument)
        try:
            if wish.legs:
                legs = books.chosen.legs(run, wish, books.prices, books.book, now)
            else:
                assert rule is not None
                legs = (
                    resolve_leg(run, rule, wish.instrument, wish.price, wish.stop_price, books.book, now, wish.hints),
                )
        except NoSuchContract as error:
            books.problems[key] = str(error)
            return ()
        books.problems.pop(key, None)
        return legs

    def _signal(
        self, run: StrategyRun, wish: Wish, action: Action, legs: tuple[Leg, ...], data: Data, now: int
    ) -> Signal:
        end = end_of(data)
        return Signal(
            id=signal_id(run.name, wish.instrument, action, legs, end),
            strategy=run.name,
            watch=wish.instrument,
            action=action,
            created_ns=now,
            expires_ns=end + self._validity_ns,
            expires_machine_ns=received_at(data) + FLOOR_NS if self._books.speed else 0,
            account=self._account,
            product=wish.hints.product or run.product,
            legs=legs,
            confidence=wish.confidence,
            reason=wish.reason,
            price=wish.price,
            bar_ns=end,
            trace_ns=received_at(data),
            otherwise=wish.otherwise,
            rearmed=action is not Action.EXIT and self._books.standing.is_rearmed((run.name, wish.instrument), end),
            keeps=wish.keeps,
        )


def within(run: StrategyRun, action: Action, chosen: bool) -> Action:
    """The action that the strategy's direction leaves of a wish: an excluded one wishes flat.

    Where the strategy has chosen its legs itself, there need be no rule for what to trade.
    """
    if action is Action.BUY and (run.direction is Direction.SHORT or (run.long is None and not chosen)):
        return Action.EXIT
    if action is Action.SELL and (run.direction is Direction.LONG or (run.short is None and not chosen)):
        return Action.EXIT
    return action


def end_of(data: Data) -> int:
    """When what a wish is about was complete."""
    return data.end_ns if isinstance(data, Bar) else data.market_ns


def too_late(signal: Signal, now: int) -> WishDenied:
    """The note of a wish that was dropped, as what it is about came when its time was over."""
    after = (now - signal.bar_ns) / SECOND
    return WishDenied(
        signal=signal.id,
        strategy=signal.strategy,
        watch=signal.watch,
        rule="",
        message=f"it came {after:.0f} s after its bar or quote; wishes about it are dropped then",
        at_ns=now,
        action=signal.action,
        bar_ns=signal.bar_ns,
    )


def received_at(data: Data) -> int:
    """The machine time at which it was here."""
    return data.machine_ns if isinstance(data, TimerFired) else data.received_ns
