"""What journals hold while a start is refused by the settings: nobody moves those stops or makes those exits meanwhile.

Only `mytrading up` asks, after a `ConfigurationError`. The settings cannot be read then, so that the state folder is
found by the profile's name alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mytrading.core.text.spelling import name_key
from mytrading.messages.orders import Position
from mytrading.operations.day_close import day_book
from mytrading.runtime.journal.day_files import summarize_file
from mytrading.runtime.journal.format import JournalDamaged, JournalOfAnotherVersion, segments

_SUFFIXES = ("", "-live", "-dry-run", "-simulator", "-simulated")
"""What a profile's name may gain in that of its state folder."""

_GUARDED = "the stack then starts without it, and guards the units"


def held_without_start(states: Iterable[Path], profile: str, missing: Sequence[str]) -> list[str]:
    """Return lines on what the journals of a profile hold, by owner; those of strategies `missing` their file first.

    Empty if nothing is held. `states`: the folders of all profiles that were started.
    """
    names = {f"{profile}{suffix}" for suffix in _SUFFIXES} | {f"{profile}{suffix}-simulated" for suffix in _SUFFIXES}
    gone = {name_key(name) for name in missing}
    lines: list[str] = []
    for state in states:
        if state.name in names:
            lines += _held_in(state, gone)
    if lines:
        lines.append("while the stack is down nobody moves or places a stop: those at the broker are day orders")
    return lines


def _held_in(state: Path, gone: set[str]) -> list[str]:
    try:
        days = segments(state / "journal" / "router")
        if not days:
            return []
        book = day_book([summarize_file("router", days[-1])], days[-1].stem, whole=False)
    except (JournalDamaged, JournalOfAnotherVersion, OSError) as error:
        return [f"what {state} holds cannot be read: {error}"]
    owned = [row for row in book.open_positions if row.strategy]
    owned.sort(key=lambda row: (name_key(row.strategy) not in gone, row.strategy, row.account, row.instrument))
    return [_line(row, days[-1].stem, name_key(row.strategy) in gone) for row in owned]


def _line(position: Position, day: str, gone: bool) -> str:
    units = f"{position.open_units:+d} {position.instrument} {position.product} in {position.account}"
    cure = f"; put its file back, or take away its settings and its name: {_GUARDED}" if gone else ""
    return f"{position.strategy} holds {units} by the journal of {day}{cure}"
