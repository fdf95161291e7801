"""Risk's machine as a configuration and the files of a stack want it.

Used by the risk daemon, and by who keeps a savepoint of what it has learnt. The one rule: all that bears on what a row
teaches is taken from here, and named in `bound`, so that both learn alike.
"""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.contracts import ContractFacts
from mytrading.core.expiries import session_ends
from mytrading.core.instruments import InstrumentBook
from mytrading.core.leg_sizing import unknown_shares
from mytrading.core.money.margin_table import RiskTables
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.square_off import SquareOff
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import unions
from mytrading.runtime.edited import read_edited, taken_folder
from mytrading.runtime.journal import Row
from mytrading.runtime.savepoint import Bound


class RiskSetup:
    """The machine and what it was made of. With `keep` what is read counts for a start at which an edit cannot be."""

    def __init__(self, config: RunConfig, *, keep: bool) -> None:
        self._config = config
        kept = taken_folder(config.state)
        self.hours_read = read_edited(config.calendar_path, kept, Calendar.from_dict, keep=keep)
        self.calendar = self.hours_read.made
        facts_path = config.calendar_path.with_name("instruments.toml")
        self._facts = facts_path.read_text(encoding="utf-8")
        facts = ContractFacts.from_dict(tomllib.loads(self._facts))
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
        self.tables_read = read_edited(self.tables_path, kept, self.tables, keep=keep)
        self.machine.tables = self.tables_read.made

    def take_instruments(self) -> None:
        """The contracts that the feed has written last."""
        snapshot = self.instruments.snapshot()
        self.machine.master, self.machine.instruments = snapshot, self.instruments.book_of(snapshot)

    def tables(self, parsed: dict[str, Any]) -> RiskTables:
        """The tables of a file that has all that the strategies are sized by."""
        tables = RiskTables.from_dict(parsed)
        if missing := unknown_shares(self._config.strategies, tables):
            raise ValueError("; ".join(missing))
        return tables

    def bound(self) -> Bound:
        """What the machine's state follows from besides rows."""
        master = self.machine.master
        contracts = msgspec.msgpack.encode((master.day, master.instruments) if master else ())
        return Bound(self._config, (self.hours_read.text, self._facts, self.tables_read.text, contracts))


class RiskRows:
    """The rows of risk's journal as messages."""

    def __init__(self) -> None:
        self._decoders = {name: StreamDecoder(name) for name in unions()}

    def decode(self, row: Row) -> Any:
        """The message in a row; raises `FrameError`."""
        return self._decoders[row.stream].body(row.body)
