"""When a strategy's timers are due. Used by the desk's strategies and the host.

The one rule: timers run by market time, so a backtest and a restart's walk through history fire the same ones.
"""

from __future__ import annotations

import math
import re

from mytrading.strategies.errors import StrategyError

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_IST = 19_800 * _SECOND
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def due_ns(now: int, name: str, seconds: float, at: str) -> int:
    """The market time at which a timer set at `now` is due; `StrategyError` says what was expected."""
    if bool(at) == bool(seconds):
        raise StrategyError(
            f'set_timer({name!r}): expected seconds, say 30, or at, say at="15:10"; found {seconds!r} and {at!r}'
        )
    if at:
        return _next(now, name, at)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
        raise StrategyError(f"set_timer({name!r}): seconds must be a number above 0, found {seconds!r}")
    return now + max(1, round(seconds * _SECOND))


def _next(now: int, name: str, at: str) -> int:
    found = _CLOCK.fullmatch(at.strip())
    if found is None:
        raise StrategyError(f"set_timer({name!r}): at must be a time in India like 15:10 or 15:10:30, found {at!r}")
    hour, minute, second = (int(part or 0) for part in found.groups())
    midnight = (now + _IST) // _DAY * _DAY - _IST
    due = midnight + ((hour * 60 + minute) * 60 + second) * _SECOND
    return due if due > now else due + _DAY
