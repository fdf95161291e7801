"""Risk's machine as a configuration and the files of a stack want it."""

from __future__ import annotations

import tomllib
from typing import Any

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.sizing.margin_profiles import unknown_shares
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.live_files import read_edited, taken_folder


class RiskSetup:
    """The machine and what it was made of; what is read is kept for a start at which an edit cannot be read."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        kept = taken_folder(config.state)
        self.hours_read = read_edited(config.calendar_path, kept, Calendar.from_dict, keep=True)
        self.calendar = self.hours_read.made
        facts_path = config.calendar_path.with_name("instruments.toml")
        facts = ContractFacts.from_dict(tomllib.loads(facts_path.read_text(encoding="utf-8")))
        self.instruments = InstrumentFile(config.state, session_ends(self.calendar))
        self.machine = RiskMachine(
            config.risk,
            config.rates,
            config.strategies,
            config.venue.account,
            self.calendar,
            InstrumentBook(()),
            SquareOff(self.calendar, facts.square_off),
        )
        self.take_instruments()
        self.tables_path = config.calendar_path.with_name("risk.toml")
        self.tables_read = read_edited(self.tables_path, kept, self.tables, keep=True)
        self.machine.environment.tables = self.tables_read.made

    def take_instruments(self) -> None:
        """The contracts that the feed has written last."""
        snapshot = self.instruments.snapshot()
        self.machine.environment.master = snapshot
        self.machine.take_contracts(self.instruments.book_of(snapshot))

    def tables(self, parsed: dict[str, Any]) -> RiskTables:
        """The tables of a file that has all that the strategies are sized by."""
        tables = RiskTables.from_dict(parsed)
        if missing := unknown_shares(self._config.strategies, tables):
            raise ValueError("; ".join(missing))
        return tables
