"""The two files about the market that people edit before a start: `config/calendar.toml`, `config/instruments.toml`.

Used by `resolve`. The one rule: what a daemon could not read must not pass here; its own readers judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mytrading.config.sources import parse_toml
from mytrading.core.calendar import Calendar
from mytrading.core.calendar_file import CalendarError
from mytrading.core.contracts import ContractFacts


def market_file_problems(home: Path, exchanges: Iterable[str]) -> list[str]:
    """What is wrong with both files; `exchanges` are those that the calendar must list."""
    problems: list[str] = []
    calendar = _parsed(home / "config" / "calendar.toml", home, problems)
    if calendar is not None:
        problems += _calendar_problems(calendar, exchanges)
    contracts = _parsed(home / "config" / "instruments.toml", home, problems)
    if contracts is not None:
        try:
            ContractFacts.from_dict(contracts)
        except ValueError as error:
            problems.append(str(error))
    return problems


def _parsed(path: Path, home: Path, problems: list[str]) -> dict[str, object] | None:
    if not path.exists():
        problems.append(
            f"{path.relative_to(home)}: expected the file that comes with the program, found none; restore it"
        )
        return None
    found = parse_toml(path, home, problems)
    return None if found is None else found[1]


def _calendar_problems(parsed: dict[str, object], exchanges: Iterable[str]) -> list[str]:
    try:
        calendar = Calendar.from_dict(parsed)
    except CalendarError as error:
        return list(error.problems)
    return [
        f"config/calendar.toml: expected a table [exchanges.{name}], since ENABLED_EXCHANGES names {name}; found none"
        for name in exchanges
        if name not in calendar.exchanges
    ]
