"""Copies of the limits' levels in another journal: what risk would forget with its own.

Risk sends them to the router as a command that asks for nothing; the router's journal keeps it. After a lost journal
they restore what no other stream tells: halts, peaks, what was reached, and how much of a profit is of earlier days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mytrading.core.risk.pnl.equity_memory import PEAK, PREFIX
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import SECOND, iso_day_of
from mytrading.messages.commands import RiskLevels
from mytrading.messages.control import Alert
from mytrading.messages.journal_rows import ControlOpened, LevelMoved
from mytrading.messages.level_names import corporate_action_name

COPY_EVERY_NS = 60 * SECOND
"""Market time between copies of levels that only drift: peaks, and prices for the carried profit."""


def copy_due(state: RiskState, now: int) -> list[RiskLevels]:
    """Return the copy that is due at market time `now`: each minute, at once after a limit, a halt or a base; or []."""
    memory, last = state.memory, state.copied
    if not state.environment.copies_levels or memory.began < 0:
        return []
    kept = _lasting(state)
    if last is not None and kept == last[1] and 0 <= now - last[0].at_ns < COPY_EVERY_NS:
        return []
    day = iso_day_of(memory.began)
    levels, following = memory.carried_into(memory.began), memory.carried_into(memory.began + 1)
    actions = {corporate_action_name(key): ratio for key, ratio in state.corporate.items()}
    levels, following = levels | actions, following | actions
    row = RiskLevels(day=day, levels=levels, following=following, at_ns=now)
    if last is not None and kept == last[1] and (last[0].levels, last[0].following) == (levels, following):
        return []
    return [row]


def fold_copy(state: RiskState, row: RiskLevels) -> None:
    """Note the newest copy, and by what it was due."""
    state.copied = (row, _lasting(state))


def _lasting(state: RiskState) -> tuple[int, ...]:
    """Counts that move whenever a level does that does not drift."""
    memory = state.memory
    return (len(state.corporate), len(memory.halts), len(memory.fired), len(memory.bases), sum(memory.times.values()))


def levels_for(copy: RiskLevels | None, day: str) -> dict[str, float]:
    """Return the levels by name with which `day` (ISO date) goes on or begins, by the newest copy; {} without one."""
    if copy is None or copy.day > day:
        return {}
    return dict(copy.levels if copy.day == day else copy.following)


def restoring_rows(state: RiskState, levels: Mapping[str, float], now: int) -> list[LevelMoved]:
    """Return the rows for levels that the state lacks, or has lower peaks of; nothing that it knows is taken back."""
    memory = state.memory
    known = memory.carried_into(memory.began)
    rows = []
    for name, value in sorted(levels.items()):
        lower = name.startswith(f"{PREFIX}{PEAK} ") and known.get(name, value) < value
        if name not in known or lower:
            rows.append(LevelMoved(name=name, value=value, at_ns=now))
    return rows


def alerts_in(row: Any, daemon: str) -> tuple[Alert, ...]:
    """Return a daemon's alerts in a row of the gateway: one that it was told, or those that its day began with."""
    found = row.alerts if isinstance(row, ControlOpened) else (row,) if isinstance(row, Alert) else ()
    return tuple(alert for alert in found if alert.daemon == daemon)
