"""TA-Lib's functions without pandas and polars, which its package would load (160 MB) just to recognise their types.

The only module that imports talib. Nothing else imports it, or the first import decides for all.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_HEAVY = ("pandas", "polars")


def _import_talib() -> ModuleType:
    """A None in `sys.modules` makes an import fail as if the package were not installed; TA-Lib copes with that."""
    absent = [name for name in _HEAVY if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import talib
    finally:
        for name in absent:
            del sys.modules[name]
    module: ModuleType = talib
    return module


talib = _import_talib()


def description(function: str, **parameters: float) -> Any:
    """TA-Lib's own description of a function: `info` with inputs, outputs and defaults, and `lookback`."""
    from talib import abstract

    return abstract.Function(function, **parameters)  # type: ignore[attr-defined]
