"""The author files of an engine: the class of every enabled strategy, and the user's own rules.

A file that cannot be loaded is a fault of what needs it, never an end of the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.core.engine.signal_gate import LoadedRule, load_rules
from mytrading.core.engine.strategy_host import Fault
from mytrading.core.text.spelling import name_key
from mytrading.messages.run_config import RunConfig, StrategyRun
from mytrading.runtime.host.author_files import LoadedFile, load_file, load_folder
from mytrading.runtime.observability.logging import get_logger
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import StrategyError, hint
from mytrading.strategies.rules import SignalRule

REMOVED = "removed"
"""Folder to which `mytrading strategies remove` moves files, beside their own."""
RULES_FOLDER = "strategies/rules"


def find_strategies(
    home: Path, runs: Sequence[StrategyRun], overran: Sequence[str] = ()
) -> Mapping[str, type[BaseStrategy] | Fault]:
    """The class of each run by its name, or why it cannot run; loads each author file below `home` once. `overran`:
    strategies that are refused because a call into them never returned."""
    plans = {run.name: leg_strategy(run.plan) for run in runs if run.plan is not None}
    coded = [run for run in runs if run.plan is None]
    paths = list(dict.fromkeys(home / run.file for run in coded))
    loaded = {path: load_file(path, BaseStrategy) for path in paths}
    log = get_logger("engine")
    for item in loaded.values():
        if item.fault is not None and not _removed(item.path):
            log.error("strategy_file.faulty", where=item.fault.where, problem=item.fault.message)
    return plans | {run.name: _class_of(run, loaded[home / run.file], run.name in overran) for run in coded}


def find_rules(config: RunConfig) -> list[LoadedRule]:
    """Load the user's own rules that are enabled, from the files of `strategies/rules`; [] if there are none."""
    if not config.rules:
        return []
    loaded = load_folder(Path(config.home) / RULES_FOLDER, SignalRule)
    classes = [item for file in loaded for item in file.classes]
    faults = [f"{file.fault.where}: {file.fault.message}" for file in loaded if file.fault is not None]
    return load_rules(config.rules, classes, faults)


def find_class(classes: Iterable[type[BaseStrategy]], name: str) -> type[BaseStrategy]:
    """Return the class called `name`, ignoring case and underscores. Raises `StrategyError` for none, which suggests
    others, and for two."""
    by_key: dict[str, list[type[BaseStrategy]]] = {}
    for item in classes:
        by_key.setdefault(name_key(strategy_name(item)), []).append(item)
    if not (found := by_key.get(name_key(name), [])):
        names = sorted(strategy_name(items[0]) for items in by_key.values())
        raise StrategyError(f"no strategy is called {name}{hint(name, names)}")
    if len(found) > 1:
        files = " and ".join(item.__module__.rpartition(".")[2] + ".py" for item in found)
        raise StrategyError(f"{files} both define a strategy called {name}; give one another `name`")
    return found[0]


def _class_of(run: StrategyRun, loaded: LoadedFile, overran: bool) -> type[BaseStrategy] | Fault:
    if overran:
        return Fault(
            "it did not come back from a call, so the engine was killed: look for a loop without end", run.file
        )
    if removed := _removed(loaded.path):
        return Fault(f"it was removed: its file is {REMOVED}/{removed.name} beside where it was", run.file, gone=True)
    if loaded.fault is not None:
        return Fault(loaded.fault.message, loaded.fault.where)
    try:
        return find_class(loaded.classes, run.name)
    except StrategyError as error:
        return Fault(str(error), run.file)


def _removed(path: Path) -> Path | None:
    """Return the present path of a strategy's file that an operator removed; None if nobody did."""
    if path.exists():
        return None
    folder, name = path.parent / REMOVED, path.name
    moved = [folder / name, *sorted(folder.glob(f"{path.stem}-*{path.suffix}"))]
    return next((place for place in reversed(moved) if place.is_file()), None)
