"""The tables of `config/` that an operator may edit: sessions, facts of contracts, figures of margin, alert senders.

Every daemon reads them here and nowhere else: a line that cannot be read costs none of them its start, as the content
that was accepted last holds, also over a restart. A table is read when it is first asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.messages.journal_rows import FileTaken
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.live_files import Edited, EditedFiles, Take, accepted_folder, read_edited

CALENDAR, INSTRUMENTS, RISK, SENDERS = "calendar.toml", "instruments.toml", "risk.toml", "webhook_senders.toml"
T = TypeVar("T")


class MarketTables:
    """The tables of one stack. With `keep` a good read is kept for the day on which an edit cannot be read.

    Each table raises the error of its file where neither the file nor a kept copy can be read.
    """

    def __init__(self, config: RunConfig, *, keep: bool = True) -> None:
        self._config, self._keep = config, keep

    @cached_property
    def calendar(self) -> Calendar:
        """Sessions and holidays: one object, changed in place by an edit."""
        return self._calendar_file.made

    @cached_property
    def facts(self) -> ContractFacts:
        """Lots, ticks, expiries and square-off times of contracts, as they stood at the start."""
        return self._facts_file.made

    @cached_property
    def square_off(self) -> SquareOff:
        """Times at which intraday positions are closed, by strategies and by the venue."""
        return SquareOff(self.calendar, self.facts.square_off)

    @cached_property
    def _calendar_file(self) -> Edited[Calendar]:
        return self.read(CALENDAR, Calendar.from_dict)

    @cached_property
    def _facts_file(self) -> Edited[ContractFacts]:
        return self.read(INSTRUMENTS, ContractFacts.from_dict)

    def read(self, name: str, make: Callable[[dict[str, Any]], T]) -> Edited[T]:
        """Return a file of the folder of tables as `make` parses it, or what was accepted last of it."""
        path = self._config.calendar_path.with_name(name)
        return read_edited(path, accepted_folder(self._config.state), make, keep=self._keep)

    @property
    def texts(self) -> dict[str, str]:
        """The texts of calendar and facts, by the file's name."""
        return {CALENDAR: self._calendar_file.text, INSTRUMENTS: self._facts_file.text}

    def follow_calendar(self, edits: EditedFiles, take: Take | None = None) -> None:
        """Have `edits` bring each change of the calendar since it was read to `take`, by default to `take_calendar`."""
        edits.follow(self._config.calendar_path, take or self.take_calendar, self._calendar_file.stamp)

    def take_calendar(self, parsed: dict[str, Any]) -> None:
        """Use the sessions and holidays of a parsed calendar file from now on; `ValueError` if it cannot be read."""
        self.calendar.replace_with(Calendar.from_dict(parsed))

    def apply_file(self, row: FileTaken) -> None:
        """Use the calendar or instruments file in `row` from now on; an unreadable one changes nothing."""
        with suppress(ValueError):
            parsed = tomllib.loads(row.text)
            if row.name == CALENDAR:
                self.take_calendar(parsed)
            elif row.name == INSTRUMENTS:
                self.square_off = SquareOff(self.calendar, ContractFacts.from_dict(parsed).square_off)

    def is_open(self, exchange: str, now: int) -> bool:
        """True if the exchange trades at market time `now` (ns), or the calendar does not list it."""
        return exchange not in self.calendar.exchanges or self.calendar.is_open(exchange, now)

    def is_provisional(self, exchange: str, now: int) -> bool:
        """True if nobody has listed the holidays of the exchange for the year of market time `now` (ns)."""
        calendar = self.calendar
        return calendar.has_exchange(exchange) and calendar.is_provisional(exchange, calendar.trading_day(now))

    def venue_square_off_ns(self, exchange: str, now: int) -> int:
        """Return the market time (ns) at which the venue squares off MIS positions today; 0 if it does not."""
        return self.square_off.venue_square_off_ns(exchange, now)

    def next_open_ns(self, exchange: str, now: int) -> int:
        """Return the exchange's first open (market time, ns) after `now`; 0 if the calendar lists none."""
        try:
            return self.calendar.next_open(exchange, now)
        except ValueError:
            return 0
