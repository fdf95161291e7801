"""Strategy catalogue: the classes of author files by name, and the check of a run against them.

Names are compared without case and underscores; two classes of one name are both refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mytrading.core.text.spelling import name_key
from mytrading.messages.run_config import StrategyRun
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import ParameterError, StrategyError, hint
from mytrading.strategies.parameters import Parameter, declared_parameters, resolve_parameters


class StrategyCatalogue:
    """Classes by normalized name."""

    def __init__(self, classes: Iterable[type[BaseStrategy]]) -> None:
        self._classes: dict[str, list[type[BaseStrategy]]] = {}
        for item in classes:
            self._classes.setdefault(name_key(strategy_name(item)), []).append(item)

    @property
    def names(self) -> list[str]:
        """The names strategies give themselves, sorted."""
        return sorted(strategy_name(items[0]) for items in self._classes.values())

    def find(self, name: str) -> type[BaseStrategy]:
        """The class of a name; `StrategyError` suggests others."""
        found = self._classes.get(name_key(name), [])
        if not found:
            raise StrategyError(f"no strategy is called {name}{hint(name, self.names)}")
        if len(found) > 1:
            files = " and ".join(item.__module__.rpartition(".")[2] + ".py" for item in found)
            raise StrategyError(f"{files} both define a strategy called {name}; give one another `name`")
        return found[0]

    def check(self, run: StrategyRun) -> None:
        """Raise `StrategyError` (`ParameterError`) if this run cannot start."""
        parameters_of(self.find(run.name), run.parameters)


def parameters_of(strategy: type[BaseStrategy], overrides: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters a strategy would run with; raises `ParameterError`."""
    return resolve_parameters(strategy, BaseStrategy, overrides)


def defaults_of(strategy: type[BaseStrategy]) -> dict[str, Parameter]:
    """Name and default of each parameter."""
    return declared_parameters(strategy, BaseStrategy)


__all__ = ["ParameterError", "StrategyCatalogue", "StrategyError", "defaults_of", "parameters_of"]
