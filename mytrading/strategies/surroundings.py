"""What a strategy's desk is lent by its host: today's contracts, entries on their way, values computed by others.

Made by the engine's machine. The one rule: everything here only answers; a desk on its own has the empty one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mytrading.messages.instruments import Instrument
from mytrading.strategies.lines import SharedLines
from mytrading.strategies.views import EntryView


def _no_contract(_instrument: str) -> Instrument | None:
    return None


def _no_entry(_strategy: str, _watch: str, _now: int) -> EntryView | None:
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`contract` by id, None if it is not listed today; `entry` of a strategy for a watched instrument at a time."""

    contract: Callable[[str], Instrument | None] = _no_contract
    entry: Callable[[str, str, int], EntryView | None] = _no_entry
    lines: SharedLines = field(default_factory=SharedLines)
