"""Observed runs of a strategy, and what a check finds in them.

The strategy itself is not changed: a subclass of it passes every call on. One whole backtest is made; every run that is
compared with it is a replay: other bars, parameters or beginnings, but the orders and fills of the whole run. Up to the
first decision that differs those are the ones that it would have had, so a replay finds the same first difference as a
backtest would, without its machines. What is written down may not depend on anything but the calls.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.feeds import SHOWN, Feed, merge_steps
from mytrading.backtest.engine.assumptions import ACCOUNT, MarketContext
from mytrading.backtest.run import RunResult, Spec, run
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.strategy_host import Fault, NoCallGuard, StrategyHost, encode_memory
from mytrading.core.time import ist_date
from mytrading.messages.journal_rows import StrategyMemory
from mytrading.messages.market import Bar
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.signals import StrategySignal

_PLACES = 6


@dataclass(frozen=True)
class CheckFinding:
    """`where` is `folder/file.py:line` when it is known; without `must` it is advice and fails nothing."""

    check: str
    what: str
    where: str = ""
    cure: str = ""
    must: bool = True


@dataclass
class CheckOutcome:
    """One check: its question, findings, figures by name, and why it was not judged (empty if it was)."""

    check: str
    asks: str
    findings: list[CheckFinding] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""

    @property
    def passes(self) -> bool:
        """True unless a finding that fails the check was made."""
        return not any(finding.must for finding in self.findings)

    @property
    def verdict(self) -> str:
        """Return the result for tables: holds, fails, advice (findings that fail nothing) or not judged."""
        if self.skipped:
            return "not judged"
        if not self.passes:
            return "fails"
        return "advice" if self.findings else "holds"

    @property
    def details(self) -> str:
        """Return as one line why the check was skipped, else its figures."""
        figures = (f"{name.replace('_', ' ')} {_plain(value)}" for name, value in self.figures.items())
        return self.skipped or "; ".join(figures)

    def add(self, what: str, where: str = "", cure: str = "", must: bool = True) -> None:
        """Add a finding: what is wrong, `file:line`, how to mend it, and whether it fails the check (`must`)."""
        self.findings.append(CheckFinding(self.check, what, where, cure, must))

    def json_body(self) -> dict[str, Any]:
        """Return the outcome as a dictionary for `--json`."""
        return {**vars(self), "holds": self.passes, "findings": [vars(finding) for finding in self.findings]}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return "–" if value is None else str(value)


class Decision(NamedTuple):
    """A strategy's signal at a market time (ns); `where` is the line that made it, no part of equality."""

    at_ns: int
    instrument: str
    action: str
    terms: tuple[Any, ...]
    where: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """Return the parts of the decision that must be equal in another run (all but the code line)."""
        return self[:4]


class DecisionDifference(NamedTuple):
    """The first decisions in which two runs differ; None of a run that decided nothing there."""

    whole: Decision | None
    other: Decision | None

    @property
    def at_ns(self) -> int:
        """Return the market time (ns) of the earlier of the two differing decisions."""
        return min(one.at_ns for one in self if one is not None)

    @property
    def actions(self) -> tuple[str, str]:
        """Return the actions (BUY …) of the full and the other run; `nothing` for a run that made no decision."""
        whole, other = ("nothing" if one is None else one.action for one in self)
        return whole, other

    def code_line(self, spec: Spec) -> str:
        """Return `file:line` of the code that made the differing decision, else of the strategy's method."""
        return next((one.where for one in self if one is not None and one.where), "") or method_line(spec.strategy)


def first_difference(whole: list[Decision], other: list[Decision]) -> DecisionDifference | None:
    """Return the first pair of decisions in which two runs differ; None if they are equal."""
    for one, two in zip_longest(whole, other):
        if one is None or two is None:
            return DecisionDifference(one, two)
        if one.key != two.key:
            if one.at_ns != two.at_ns:
                return DecisionDifference(one, None) if one.at_ns < two.at_ns else DecisionDifference(None, two)
            return DecisionDifference(one, two)
    return None


class BarGiven(NamedTuple):
    """A bar was given to the strategy."""

    instrument: str
    end_ns: int


class MemoryKept(NamedTuple):
    """The strategy's memory is this text now."""

    text: str


@dataclass
class Log:
    """Of one run: decisions in order, ns that each `on_data` took, and all that the engine learnt.

    `events` holds `BarGiven`, `MemoryKept` and rows of the engine; `story` the same with every bar that was shown in
    its place.
    """

    decisions: list[Decision] = field(default_factory=list)
    took_ns: list[int] = field(default_factory=list)
    calls_ns: list[int] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    story: list[Any] = field(default_factory=list)
    memory: str = "{}"
    place: tuple[StrategySignal | None, str] = (None, "")
    fault: Fault | None = None
    result: RunResult | None = None

    def decisions_until(self, end_ns: int) -> list[Decision]:
        """Return the decisions made at or before a market time (ns)."""
        return [decision for decision in self.decisions if decision.at_ns <= end_ns]


class Observer:
    """A strategy's class whose calls are written into `log`; the class stays the same over runs, as in one process."""

    def __init__(self, strategy: type[BaseStrategy]) -> None:
        self.log = Log()
        self.strategy = strategy
        self.watched = _watching(strategy, self)

    def record_run(self, spec: Spec) -> Log:
        """Backtest the spec with the observed strategy, by the machines; return its complete log."""
        log = self.log = Log()

        class Recording(EngineMachine):
            def apply(self, row: Any) -> None:
                log.events.append(row)
                super().apply(row)

        log.result = run(dataclasses.replace(spec, strategy=self.watched, lean=False), machine=Recording)
        log.fault = log.result.fault
        log.story = list(_story(spec, log))
        return log

    def replay(self, spec: Spec, whole: Log, end_ns: int = 1 << 62) -> Log:
        """Repeat the run `whole` up to market ns `end_ns` by feeding its recorded rows; return the new log."""
        log = self.log = Log()
        machine = build_machine(spec, self.watched)
        host = machine.hosts[0]
        if host.fault is None:
            for columns in spec.data:
                Feed(columns, host, spec.calendar)
            machine.open(())
            for event in whole.story:
                if type(event) is Bar:
                    if event.end_ns > end_ns:
                        break
                    host.on_bar(event, loaded=True)
                elif not isinstance(event, MemoryKept | StrategyMemory):
                    machine.apply(event)
        log.fault = host.fault
        return log


def build_machine(spec: Spec, strategy: type[BaseStrategy]) -> EngineMachine:
    """Build the engine machine of a spec with the contracts of its first day; it is not opened yet."""
    world = MarketContext(spec.calendar, spec.facts, (columns.instrument for columns in spec.data))
    book = world.open_day(ist_date(int(spec.data[0].start_ns[0])))
    machine = EngineMachine([replace(spec.run, accounts=())], {spec.run.name: strategy}, book, ACCOUNT)
    machine.speed = 0
    return machine


def _story(spec: Spec, log: Log) -> Iterator[Any]:
    """Yield the engine's events in order, with every bar in its place; no bar if it fails before the first."""
    host = StrategyHost(spec.run, spec.strategy, NoCallGuard())
    feeds = [Feed(columns, host, spec.calendar) for columns in spec.data] if host.fault is None else []
    steps = merge_steps(feeds) if feeds else iter(())
    bars = (feed.shown_bar(frame, row) for phase, feed, frame, row, _ in steps if phase == SHOWN)
    for event in log.events:
        if not isinstance(event, BarGiven):
            yield event
            continue
        for bar in bars:
            yield bar
            if (bar.instrument, bar.end_ns, bar.timeframe) == (event.instrument, event.end_ns, spec.run.timeframes[0]):
                break
    yield from bars


def _watching(strategy: type[BaseStrategy], observer: Observer) -> type[BaseStrategy]:
    """A subclass that overrides only what the author wrote, so that the host treats it as it treats the original."""

    def on_data(self: Any, data: Any) -> Any:
        began = time.perf_counter_ns()
        found = strategy.on_data(self, data)
        log = observer.log
        log.took_ns.append(time.perf_counter_ns() - began)
        log.calls_ns.append(self.now_ns)
        if type(data) is Bar:
            log.events.append(BarGiven(data.instrument, data.end_ns))
        _note(log, self, () if found is None else (found,))
        return found

    def on_timer(self: Any, name: str) -> Any:
        found = strategy.on_timer(self, name)
        _note(observer.log, self, () if found is None else (found,))
        return found

    def generate_signals(self: Any) -> Any:
        found = strategy.generate_signals(self)
        many = list(found) if isinstance(found, Iterable) and not isinstance(found, StrategySignal) else [found]
        _note(observer.log, self, many)
        return many

    def create_signal(self: Any, *given: Any, **named: Any) -> StrategySignal:
        made = strategy.create_signal(self, *given, **named)
        frame = sys._getframe(1)
        observer.log.place = (made, code_line(frame.f_code.co_filename, frame.f_lineno))
        return made

    body: dict[str, Any] = {"on_data": on_data, "create_signal": create_signal, "name": strategy_name(strategy)}
    for method in (on_timer, generate_signals):
        if getattr(strategy, method.__name__) is not getattr(BaseStrategy, method.__name__):
            body[method.__name__] = method
    return type(strategy.__name__, (strategy,), {"__module__": strategy.__module__, **body})


def _note(log: Log, strategy: BaseStrategy, signals: Iterable[Any]) -> None:
    for signal in signals:
        if isinstance(signal, StrategySignal) and signal.action != "HOLD":
            where = log.place[1] if log.place[0] is signal else ""
            numbers = (round(signal.confidence, _PLACES), round(signal.stop_price, _PLACES))
            terms = (*numbers, repr(signal.hints), repr(signal.legs), repr(signal.otherwise))
            log.decisions.append(Decision(strategy.now_ns, signal.instrument, signal.action, terms, where))
    if strategy.memory or log.memory != "{}":
        try:
            text = encode_memory(strategy.memory)
        except StrategyError:
            return  # the host says so at the next signal
        if text != log.memory:
            log.memory = text
            log.events.append(MemoryKept(text))


def code_line(file: str, line: int) -> str:
    """Return a source position as `folder/file.py:line`."""
    return f"{'/'.join(file.rsplit('/', 2)[-2:])}:{line}"


def method_line(strategy: type[BaseStrategy], name: str = "on_data") -> str:
    """Return `folder/file.py:line` where a method of the strategy class begins."""
    code = getattr(getattr(strategy, name, None), "__code__", None)
    return code_line(code.co_filename, code.co_firstlineno) if code is not None else ""


def with_data(spec: Spec, data: Iterable[Columns]) -> Spec:
    """Return the spec with other bars in place of its data."""
    return dataclasses.replace(spec, data=tuple(data))


def copy_between(columns: Columns, first_ns: int = -(1 << 62), end_ns: int = 1 << 62) -> Columns:
    """Return a copy (not a view) of the bars that start at or after `first_ns` and end at or before `end_ns`."""
    part = columns.between(first_ns, end_ns - columns.span_ns + 1)
    return Columns(part.instrument, part.timeframe, part.start_ns.copy(), np.array(part.table, order="C"))


def bar_ends(spec: Spec) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the end times (ns) of all bars of the first instrument."""
    return spec.data[0].start_ns + spec.data[0].span_ns
