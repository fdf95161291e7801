"""Parameters that do nothing: declared and never read, or read and without any effect.

Every parameter is varied widely on its own; the first variation that changes a decision, or is refused, acquits it. One
that is read and has no effect may have one on other data: that is advice, unless the strategy overwrites it. A
parameter is only accused where the strategy decided something in the run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mytrading.backtest.checks.findings import CheckOutcome
from mytrading.backtest.checks.observer import Log, Observer, parameterised, short
from mytrading.backtest.run import Spec
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.parameters import Parameter, declared_parameters, resolve_parameters

NAME = "parameters"


def parameters(spec: Spec, file: Path | None, observer: Observer, whole: Log) -> CheckOutcome:
    """Look for parameters without use, then for parameters without effect."""
    found = CheckOutcome(NAME, "does every parameter change something?")
    names = list(declared_parameters(spec.strategy, BaseStrategy))
    text = _Text(file)
    effects: dict[str, str] = {}
    read, written = _read(spec, whole, names)
    present = resolve_parameters(spec.strategy, BaseStrategy, dict(spec.run.parameters))
    for name in names:
        if name not in read and not text.reads(name):
            effects[name] = "never read"
            found.find(f"parameter {name} is declared and never read", text.place(name), "use it, or take it out")
            continue
        if not whole.decisions:
            effects[name] = "not judged"
            continue
        changed = _effect(spec, observer, whole, name, present[name])
        effects[name] = changed or ("no effect" if name in read else "not reached")
        if not changed and name in read:
            found.find(
                f"parameter {name} changes nothing: {present[name]!r}, {_told(present[name])} decide the same",
                text.place(name),
                "use it, take it out, or check on data on which it has a say",
                must=name in written,
            )
    found.figures["effects"] = effects
    if not names:
        found.skipped = "it has no parameters"
    elif not whole.decisions:
        found.skipped = "it decided nothing, so no parameter could change that" if not found.findings else ""
    return found


def _told(value: Parameter) -> str:
    return ", ".join(repr(item) for item in _others(value))


def _others(value: Parameter) -> Iterator[Parameter]:
    """Other values of a parameter, near and far."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from dict.fromkeys(
            item for item in (value * 2 + 1, value // 2, value + 1, value * 10 + 7, 0) if item != value
        )
    elif isinstance(value, float):
        yield from dict.fromkeys(
            item for item in (value * 2 + 0.1, value / 2, value * 10 + 1, value / 100, -value) if item != value
        )
    else:
        yield from _other_texts(value)


def _other_texts(value: str) -> Iterator[str]:
    """Other times of the day for what is one; for any other text one that is none of its."""
    hour, colon, minute = value.partition(":")
    if colon and hour.isdigit() and minute.isdigit():
        for shift in (-180, -31, 31, 180):
            at = int(hour) * 60 + int(minute) + shift
            if 0 <= at < 1440:
                yield f"{at // 60:02d}:{at % 60:02d}"
    else:
        yield f"{value}x"


def _effect(spec: Spec, observer: Observer, whole: Log, name: str, value: Parameter) -> str:
    """Which value led to something else; empty if none did."""
    said = [one.said for one in whole.decisions]
    for other in _others(value):
        log = observer.again(parameterised(spec, **{name: other}), whole)
        if log.fault is not None or [one.said for one in log.decisions] != said:
            return f"{other:.6g}" if isinstance(other, float) else f"{other!r}"
    return ""


def _read(spec: Spec, whole: Log, names: list[str]) -> tuple[set[str], set[str]]:
    """The parameters that are read in a run, and those that the strategy itself sets."""
    read: set[str] = set()
    written: set[str] = set()

    def watched(name: str) -> property:
        def get(self: Any) -> Any:
            read.add(name)
            return self.__dict__[f"_{name}"]

        def put(self: Any, value: Any) -> None:
            if f"_{name}" in self.__dict__:
                written.add(name)
            self.__dict__[f"_{name}"] = value

        return property(get, put)

    body = {name: watched(name) for name in names}
    strategy = spec.strategy
    watching = type(strategy.__name__, (strategy,), {"__module__": strategy.__module__, **body})
    Observer(watching).again(spec, whole)
    return read, written


class _Text:
    """The strategy's file: where a parameter is declared, and whether any line reads one of its name."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        tree = ast.parse(file.read_text(encoding="utf-8")) if file is not None else ast.Module([], [])
        self._lines: dict[str, int] = {}
        self._names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                self._note(node)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                self._names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._names.add(node.value)

    def _note(self, node: ast.ClassDef) -> None:
        for item in node.body:
            targets = (
                item.targets
                if isinstance(item, ast.Assign)
                else [item.target]
                if isinstance(item, ast.AnnAssign)
                else []
            )
            self._lines |= {target.id: item.lineno for target in targets if isinstance(target, ast.Name)}

    def reads(self, name: str) -> bool:
        """True if a line of the file, run or not, reads an attribute or names a text like this."""
        return name in self._names

    def place(self, name: str) -> str:
        """Where a parameter is declared."""
        if self._file is None:
            return ""
        return short(str(self._file), self._lines[name]) if name in self._lines else ""
