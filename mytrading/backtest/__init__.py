"""Strategies over history: `mytrading.backtest(strategy, data)` runs one, with pandas frames in and out.

The package is itself callable, so that `from mytrading import backtest` means the function whether or not a module of
the package was imported before; `mytrading.backtest.api.functions.backtest` describes it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Backtest a strategy: see `mytrading.backtest.api.functions.backtest`."""
        return import_module("mytrading.backtest.api.functions").backtest(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
