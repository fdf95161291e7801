"""Legs of a plan over a day: which contract stands for each, how often it was rolled or entered again, and what is due.

Kept in the strategy's memory, so that a restart goes on with the counts. A roll or re-entry counts once the engine has
signalled it, also if risk denies it.

Invariant: a sold leg that bought legs of the plan cover is rolled or entered again only with that cover: what of it is
gone by then, for whatever reason, comes back in the same signal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.risk.protection.hedges import match_rule_covers
from mytrading.messages.leg_plan import LegPlan, LegRoll, LegRule, RollTrigger
from mytrading.messages.signals import Signal

if TYPE_CHECKING:
    from mytrading.strategies.views import LegView  # loads numpy, which the gateway has no use for

KEY = "legs"
"""The name in a strategy's memory."""
SQUARE_OFF_LEAD = 180
"""Seconds before a square-off time at which closing begins, so that it is done by then."""
_DAY, _NAMES, _ENTRIES, _ROLLS, _GONE, _SEEN = "day", "names", "entries", "rolls", "gone_ns", "signal"


class DueLegs(NamedTuple):
    """Work due at a bar: legs to roll, with their rules, rules of legs to enter again, and of cover of either that is
    gone and comes back with them."""

    rolls: tuple[tuple[LegView, LegRule], ...] = ()
    reentries: tuple[LegRule, ...] = ()
    cover: tuple[LegRule, ...] = ()


class WaitingLeg(NamedTuple):
    """A leg that a stop or target closed, by its place in the plan from 0, with the contract that it held last, and how
    often it may be entered again today."""

    place: int
    rule: LegRule
    instrument: str
    left: int


class LegTracker:
    """The legs of one plan; `memory` is that of its strategy."""

    def __init__(self, rules: Sequence[LegRule], memory: Callable[[], dict[str, Any]]) -> None:
        self._rules = numbered_legs(rules)
        self._memory = memory
        self._covers = covers_by_sold_leg(rules)

    @property
    def is_needed(self) -> bool:
        """True if any leg may be rolled or entered again."""
        return any(rule.roll is not None or rule.reentries for rule in self._rules)

    def due_legs(
        self,
        day: str,
        last: Signal | None,
        held: Sequence[LegView],
        closed_by: Callable[[str], str],
        spot: float,
        now: int,
    ) -> DueLegs:
        """Return what is due at `now` (market ns) on a `day` (ISO), after the last signal, with these legs held, at a
        price of the underlying."""
        state = self._state(day, last)
        if state is None:
            return DueLegs()
        views = {view.instrument: view for view in held}
        flat_by_stops = bool(held) or all(closed_by(names[-1]) for names in state[_NAMES])
        rolls: list[tuple[LegView, LegRule]] = []
        again: list[LegRule] = []
        gone: set[int] = set()
        for number, rule in enumerate(self._rules):
            names = state[_NAMES][number]
            mine = (views[name] for name in reversed(names) if name in views)
            view = next((one for one in mine if one.quantity * rule.lots > 0), None)
            if view is None:
                gone.add(number)
            if view is not None:
                state[_GONE][number] = 0
                roll = rule.roll
                if roll is not None and state[_ROLLS][number] < roll.times and _is_tested(view, roll, spot):
                    rolls.append((view, rule))
            elif flat_by_stops and self._left(state, number) and closed_by(names[-1]):
                since = state[_GONE][number] = state[_GONE][number] or now
                if since < now:  # a bar without the signal lies between
                    again.append(rule)
        sold = [rule for _, rule in rolls] or again
        cover = {place for rule in sold for place in self._covers.get(rule.number - 1, ()) if place in gone}
        return DueLegs(tuple(rolls), tuple(again), tuple(self._rules[place] for place in sorted(cover)))

    def waiting_legs(
        self, day: str, last: Signal | None, held: frozenset[str], closed_by: Callable[[str], str]
    ) -> list[WaitingLeg]:
        """Return the legs that are entered again on a `day` (ISO) once a bar has ended, after the last signal, with
        these instruments held."""
        state = self._state(day, last)
        if state is None or not (held or all(closed_by(names[-1]) for names in state[_NAMES])):
            return []
        return [
            WaitingLeg(number, rule, names[-1], left)
            for number, (rule, names) in enumerate(zip(self._rules, state[_NAMES], strict=True))
            if (left := self._left(state, number)) and closed_by(names[-1]) and held.isdisjoint(names)
        ]

    def _left(self, state: dict[str, Any], number: int) -> int:
        return max(self._rules[number].reentries - int(state[_ENTRIES][number]), 0)

    def _state(self, day: str, last: Signal | None) -> dict[str, Any] | None:
        """The memory of the day, with what the last signal changed; None before the plan has entered on it."""
        memory = self._memory()
        state: dict[str, Any] | None = memory.get(KEY)
        if last is None or not last.legs:
            return None
        if state is None or state[_DAY] != day:
            count, whole = len(self._rules), not last.changes and len(last.legs) == len(self._rules)
            if not whole and state is None:
                return None
            names = [[leg.instrument] for leg in last.legs] if whole or state is None else state[_NAMES]
            state = memory[KEY] = {_DAY: day, _NAMES: names, _ENTRIES: [0] * count, _ROLLS: [0] * count,
                                   _GONE: [0] * count, _SEEN: last.id}  # fmt: skip
        if state[_SEEN] != last.id:
            state[_SEEN] = last.id
            self._note(state, last)
        return state

    def _note(self, state: dict[str, Any], last: Signal) -> None:
        """Note the leg of each contract that a further signal opened: a roll names the one it replaces, what was
        entered again has the number of its leg."""
        opened = {leg.instrument: leg for leg in last.entry_legs}
        for change in last.changes:
            for number, names in enumerate(state[_NAMES]):
                if change.closes and change.closes in names:
                    names.append(change.opens)
                    state[_ROLLS][number] += 1
                    opened.pop(change.opens, None)
        for leg in opened.values():
            number = leg.number - 1 if len(self._rules) > 1 else 0
            if 0 <= number < len(self._rules):
                state[_NAMES][number].append(leg.instrument)
                state[_ENTRIES][number] += 1
                state[_GONE][number] = 0


def numbered_legs(rules: Sequence[LegRule]) -> tuple[LegRule, ...]:
    """Return the legs of a plan with their places in it, from 1, as their numbers; a leg that is alone has none."""
    if len(rules) < 2:
        return tuple(rules)
    return tuple(replace(rule, number=number) for number, rule in enumerate(rules, 1))


def closing_second(plan: LegPlan) -> int:
    """Return the second of the day (IST) at which closing begins; 0 if the plan names none."""
    times = [plan.exit_time, plan.square_off_time - SQUARE_OFF_LEAD if plan.square_off_time else 0]
    return min((at for at in times if at), default=0)


def covers_by_sold_leg(rules: Sequence[LegRule]) -> dict[int, tuple[int, ...]]:
    """Return the places, from 0, of the bought legs of a plan that cover a sold one, by the place of that."""
    places = {f"legs[{number}]": number - 1 for number in range(1, len(rules) + 1)}
    found: dict[int, tuple[int, ...]] = {}
    for cover in match_rule_covers(rules):
        sold = places[cover.sold]
        found[sold] = (*found.get(sold, ()), places[cover.bought])
    return found


def _is_tested(view: LegView, roll: LegRoll, spot: float) -> bool:
    """True if a sold option has come to the delta or the distance at which it is rolled."""
    if roll.trigger is RollTrigger.DELTA:
        greeks = view.greeks
        return greeks is not None and abs(greeks.delta) >= roll.value
    if view.contract is None:
        return False
    away = view.contract.strike - spot
    return (away if view.contract.kind.value == "CE" else -away) <= roll.value
