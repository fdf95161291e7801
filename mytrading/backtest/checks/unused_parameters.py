"""Parameters that do nothing: declared and never read, or read and without any effect.

Every parameter is varied widely on its own; the first variation that changes a decision, or is refused, acquits it. One
that is read and has no effect may have one on other data: that is advice, unless the strategy overwrites it. A
parameter is only accused where the strategy decided something in the run.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mytrading.backtest.checks.observer import CheckOutcome, Log, Observer, code_line
from mytrading.backtest.run import Spec
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.parameters import Parameter, declared_parameters, resolve_parameters

NAME = "parameters"
ASKS = "does every parameter change something?"


def check_parameters(spec: Spec, file: Path | None, observer: Observer, whole: Log) -> CheckOutcome:
    """Check for declared parameters never read, or whose change alters no decision of the full run (`whole`)."""
    found = CheckOutcome(NAME, ASKS)
    names = list(declared_parameters(spec.strategy, BaseStrategy))
    lines, used = _declared(file)
    places = {name: code_line(str(file), lines[name]) if name in lines else "" for name in names}
    effects: dict[str, str] = {}
    read, written = _read(spec, whole, names)
    present = resolve_parameters(spec.strategy, BaseStrategy, dict(spec.run.parameters))
    for name in names:
        if name not in read and name not in used:
            effects[name] = "never read"
            found.add(f"parameter {name} is declared and never read", places[name], "use it, or take it out")
            continue
        if not whole.decisions:
            effects[name] = "not judged"
            continue
        changed = _effect(spec, observer, whole, name, present[name])
        effects[name] = changed or ("no effect" if name in read else "not reached")
        if not changed and name in read:
            others = ", ".join(map(repr, _others(present[name])))
            found.add(
                f"parameter {name} changes nothing: {present[name]!r}, {others} decide the same",
                places[name],
                "use it, take it out, or check on data on which it has a say",
                must=name in written,
            )
    found.figures["effects"] = effects
    if not names:
        found.skipped = "it has no parameters"
    elif not whole.decisions:
        found.skipped = "it decided nothing, so no parameter could change that" if not found.findings else ""
    return found


def _others(value: Parameter) -> Iterator[Parameter]:
    numbers: tuple[Parameter, ...] = ()
    if isinstance(value, bool):
        numbers = (not value,)
    elif isinstance(value, int):
        numbers = (value * 2 + 1, value // 2, value + 1, value * 10 + 7, 0)
    elif isinstance(value, float):
        numbers = (value * 2 + 0.1, value / 2, value * 10 + 1, value / 100, -value)
    else:
        yield from _other_texts(value)
    yield from dict.fromkeys(item for item in numbers if item != value)


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
    """Return the first value of a parameter that changes the decisions, as text; empty if none does."""
    keys = [one.key for one in whole.decisions]
    for other in _others(value):
        run = replace(spec.run, parameters={**spec.run.parameters, name: other})
        log = observer.replay(dataclasses.replace(spec, run=run), whole)
        if log.fault is not None or [one.key for one in log.decisions] != keys:
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
    Observer(type(strategy.__name__, (strategy,), {"__module__": strategy.__module__, **body})).replay(spec, whole)
    return read, written


def _declared(file: Path | None) -> tuple[dict[str, int], set[str]]:
    """Of a strategy's file: the lines of class attributes, and the names that any line, run or not, reads or quotes."""
    lines: dict[str, int] = {}
    used: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")) if file is not None else ast.Module([], [])):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                targets = [item.target] if isinstance(item, ast.AnnAssign) else getattr(item, "targets", [])
                lines |= {target.id: item.lineno for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            used.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used.add(node.value)
    return lines, used
