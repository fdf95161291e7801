"""Files about the market, `config/{calendar,instruments,risk,fees}.toml`, judged by the readers of the daemons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from mytrading.config.sources import parse_toml
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.calendar_file import CalendarError
from mytrading.core.instruments.contract_specs import ContractFacts

_T = TypeVar("_T")


def market_file_problems(home: Path, exchanges: Iterable[str]) -> list[str]:
    """Problems of the files that a stack reads; `exchanges` are those that the calendar must list."""
    problems: list[str] = []
    calendar = _read(home, "calendar", Calendar.from_dict, problems)
    problems += [
        f"config/calendar.toml: expected a table [exchanges.{name}], since ENABLED_EXCHANGES names {name}; found none"
        for name in exchanges
        if calendar is not None and name not in calendar.exchanges
    ]
    _read(home, "instruments", ContractFacts.from_dict, problems)
    _read(home, "risk", RiskTables.from_dict, problems)
    return problems


def fee_file_problems(home: Path) -> list[str]:
    """Problems of `config/fees.toml`, which backtests read and no stack."""
    problems: list[str] = []
    _read(home, "fees", FeeSchedule.from_dict, problems)
    return problems


def risk_tables(home: Path) -> RiskTables | None:
    """The tables of `config/risk.toml`; None where it cannot be read, which `market_file_problems` reports."""
    return _read(home, "risk", RiskTables.from_dict, [])


def _read(home: Path, name: str, make: Callable[[dict[str, Any]], _T], problems: list[str]) -> _T | None:
    path = home / "config" / f"{name}.toml"
    if not path.exists():
        problems.append(
            f"{path.relative_to(home)}: expected the file that comes with the program, found none; restore it"
        )
    elif (found := parse_toml(path, home, problems)) is not None:
        try:
            return make(found[1])
        except CalendarError as error:
            problems += error.problems
        except ValueError as error:
            problems += str(error).splitlines()
    return None
