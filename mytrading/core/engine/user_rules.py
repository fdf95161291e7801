"""The user's own rules: asked about each signal that would enter something, and able to veto it.

A rule that raises, returns anything but text or cannot be loaded vetoes: its author meant to hold something back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mytrading.core.engine.strategy_host import CallGuard
from mytrading.core.text.spelling import name_key
from mytrading.core.time import DAY, IST_OFFSET, MINUTE
from mytrading.messages.signals import Signal, SignalVetoed
from mytrading.strategies.errors import hint
from mytrading.strategies.rules import Outgoing, SignalRule, outgoing, rule_name
from mytrading.strategies.views import PositionView

_RAISED = "the rule raised"


class LoadedRule(NamedTuple):
    """An enabled rule; one with a `fault` could not be loaded and vetoes everything."""

    name: str
    rule: SignalRule | None
    fault: str = ""


def load_rules(names: Iterable[str], classes: Iterable[type[SignalRule]], faults: Iterable[str]) -> list[LoadedRule]:
    """One object for each enabled name, or its fault. `faults` are those of the rules' files."""
    known = {name_key(rule_name(item)): item for item in classes}
    broken = "; ".join(faults)
    return [_load(name, known, broken) for name in names]


def _load(name: str, known: dict[str, type[SignalRule]], broken: str) -> LoadedRule:
    found = known.get(name_key(name))
    if found is None:
        near = hint(name, [rule_name(item) for item in known.values()])
        return LoadedRule(name, None, broken or f"no rule is called {name}{near}")
    try:
        return LoadedRule(name, found())
    except Exception as error:  # noqa: BLE001  (an author's class may raise anything)
        return LoadedRule(name, None, f"{type(error).__name__}: {error}")


class UserRules:
    """All enabled rules. A veto is reported once a minute while it repeats."""

    def __init__(self, rules: Iterable[LoadedRule], guard: CallGuard) -> None:
        self.rules = tuple(rules)
        self._guard = guard
        self._vetoes: dict[tuple[str, str], SignalVetoed] = {}
        self._sent: dict[str, tuple[int, int]] = {}
        """Day and signals sent on it, by strategy."""

    def apply_signal(self, signal: Signal) -> None:
        """Count a sent signal."""
        day = (signal.created_ns + IST_OFFSET) // DAY
        known, count = self._sent.get(signal.strategy, (day, 0))
        self._sent[signal.strategy] = (day, count + 1 if known == day else 1)

    def apply_veto(self, row: SignalVetoed) -> None:
        """Record a journaled veto."""
        self._vetoes[row.strategy, row.watch] = row

    def veto_of(self, signal: Signal, position: PositionView, now: int) -> SignalVetoed | None:
        """The first veto of a signal that would enter something; None if all rules let it pass."""
        if not self.rules:
            return None
        day, count = self._sent.get(signal.strategy, (0, 0))
        today = count if day == (now + IST_OFFSET) // DAY else 0
        shown = outgoing(signal, position, today, now)
        for rule in self.rules:
            if text := rule.fault or self._ask(rule, shown):
                return SignalVetoed(
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

    def is_new(self, row: SignalVetoed) -> bool:
        """False if the same rule vetoed the same action within the last minute of market time."""
        known = self._vetoes.get((row.strategy, row.watch))
        same = known is not None and (known.rule, known.action) == (row.rule, row.action)
        return known is None or not same or row.at_ns - known.at_ns >= MINUTE

    def _ask(self, rule: LoadedRule, signal: Outgoing) -> str:
        assert rule.rule is not None
        self._guard.begin(signal.strategy)
        deny: Callable[[Outgoing], object] = rule.rule.deny
        answer: object
        try:
            answer = deny(signal)
        except Exception as error:  # noqa: BLE001  (author code may raise anything)
            answer = f"{_RAISED} {type(error).__name__}: {error}; mend it, then start again"
        problem = self._guard.end(signal.strategy, failed=False)
        if problem:
            return f"{_RAISED} {problem}"
        if not isinstance(answer, str):
            return f"{_RAISED} no sentence: deny() must return text, found {answer!r}"
        return answer
