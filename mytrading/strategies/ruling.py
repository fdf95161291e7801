"""Asks the rules of the user about wishes that would enter something, and keeps what they cannot do away from them.

Used by the engine's machine. The one rule: a rule that raises, answers with nonsense or cannot be loaded denies, since
whoever wrote it meant something to be held back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mytrading.messages.signals import Signal, WishDenied
from mytrading.strategies.errors import hint, plain
from mytrading.strategies.hosted import Guard
from mytrading.strategies.views import PositionView
from mytrading.strategies.wish_rules import Outgoing, WishRule, outgoing, rule_name

MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000
IST_NS = 19_800_000_000_000


class LoadedRule(NamedTuple):
    """A rule that is enabled; with a `fault` it is not there, and denies everything."""

    name: str
    rule: WishRule | None
    fault: str = ""


def enabled_rules(names: Iterable[str], classes: Iterable[type[WishRule]], faults: Iterable[str]) -> list[LoadedRule]:
    """The rules of these names; those that cannot be had with why. `faults` are those of their files."""
    known = {plain(rule_name(item)): item for item in classes}
    broken = "; ".join(faults)
    return [_loaded(name, known, broken) for name in names]


def _loaded(name: str, known: dict[str, type[WishRule]], broken: str) -> LoadedRule:
    found = known.get(plain(name))
    if found is None:
        near = hint(name, [rule_name(item) for item in known.values()])
        return LoadedRule(name, None, broken or f"no rule is called {name}{near}")
    try:
        return LoadedRule(name, found())
    except Exception as error:  # noqa: BLE001  (an author's class may raise anything)
        return LoadedRule(name, None, f"{type(error).__name__}: {error}")


class Ruling:
    """All enabled rules. What was denied, and by what, is remembered for a minute, so that it is told once."""

    def __init__(self, rules: Iterable[LoadedRule], guard: Guard) -> None:
        self.rules = tuple(rules)
        self._guard = guard
        self._told: dict[tuple[str, str], WishDenied] = {}
        self._sent: dict[str, tuple[int, int]] = {}

    def sent(self, signal: Signal) -> None:
        """A wish went out."""
        day = (signal.created_ns + IST_NS) // DAY_NS
        known, count = self._sent.get(signal.strategy, (day, 0))
        self._sent[signal.strategy] = (day, count + 1 if known == day else 1)

    def told(self, row: WishDenied) -> None:
        """A denial was journaled."""
        self._told[row.strategy, row.watch] = row

    def judge(self, signal: Signal, position: PositionView, now: int) -> WishDenied | None:
        """The first denial of a wish that would enter something; None if all rules let it pass."""
        if not self.rules:
            return None
        day, count = self._sent.get(signal.strategy, (0, 0))
        today = count if day == (now + IST_NS) // DAY_NS else 0
        wish = outgoing(signal, position, today, now)
        for rule in self.rules:
            if text := rule.fault or self._ask(rule, wish):
                return WishDenied(
                    signal=signal.id,
                    strategy=signal.strategy,
                    watch=signal.watch,
                    rule=rule.name,
                    message=text,
                    at_ns=now,
                    action=signal.action,
                    faulted=bool(rule.fault) or text.startswith(_RAISED),
                )
        return None

    def is_news(self, row: WishDenied) -> bool:
        """False if the same was told within the last minute of market time."""
        known = self._told.get((row.strategy, row.watch))
        same = known is not None and (known.rule, known.action) == (row.rule, row.action)
        return known is None or not same or row.at_ns - known.at_ns >= MINUTE_NS

    def _ask(self, rule: LoadedRule, wish: Outgoing) -> str:
        assert rule.rule is not None
        self._guard.begin(wish.strategy)
        deny: Callable[[Outgoing], object] = rule.rule.deny
        answer: object
        try:
            answer = deny(wish)
        except Exception as error:  # noqa: BLE001  (author code may raise anything)
            answer = f"{_RAISED} {type(error).__name__}: {error}; mend it, then start again"
        problem = self._guard.end(wish.strategy, failed=False)
        if problem:
            return f"{_RAISED} {problem}"
        if not isinstance(answer, str):
            return f"{_RAISED} no sentence: deny() must return text, found {answer!r}"
        return answer


_RAISED = "the rule raised"
