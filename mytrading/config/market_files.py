"""The files about the market that people edit: `config/calendar.toml`, `config/instruments.toml`, `config/risk.toml`.

The daemons' own readers judge them, so that a file which passes here is one that a daemon can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mytrading.config.sources import parse_toml
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.calendar_file import CalendarError
from mytrading.core.instruments.contract_specs import ContractFacts


def market_file_problems(home: Path, exchanges: Iterable[str]) -> list[str]:
    """What is wrong with these files; `exchanges` are those that the calendar must list."""
    problems: list[str] = []
    calendar = _parsed(home / "config" / "calendar.toml", home, problems)
    if calendar is not None:
        problems += _calendar_problems(calendar, exchanges)
    contracts = _parsed(home / "config" / "instruments.toml", home, problems)
    if contracts is not None:
        try:
            ContractFacts.from_dict(contracts)
        except ValueError as error:
            problems += str(error).splitlines()
    tables = _parsed(home / "config" / "risk.toml", home, problems)
    if tables is not None:
        try:
            RiskTables.from_dict(tables)
        except ValueError as error:
            problems += str(error).splitlines()
    return problems


def fee_file_problems(home: Path) -> list[str]:
    """What is wrong with `config/fees.toml`, which backtests read and no stack."""
    problems: list[str] = []
    fees = _parsed(home / "config" / "fees.toml", home, problems)
    if fees is not None:
        try:
            FeeSchedule.from_dict(fees)
        except ValueError as error:
            problems += str(error).splitlines()
    return problems


def risk_tables(home: Path) -> RiskTables | None:
    """What `config/risk.toml` says; None where it cannot be read, which `market_file_problems` reports."""
    found = _parsed(home / "config" / "risk.toml", home, [])
    try:
        return RiskTables.from_dict(found) if found is not None else None
    except ValueError:
        return None


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
