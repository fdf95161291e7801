"""Hours of trading and square-off times, by the files that an operator may edit meanwhile."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from typing import Any

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.messages.journal_rows import FileTaken
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.live_files import accepted_folder, read_edited

CALENDAR, INSTRUMENTS = "calendar.toml", "instruments.toml"


class MarketHours:
    """Hours and square-off times by two files (`texts`, by name); with `keep` a good read is kept for a bad edit."""

    def __init__(self, config: RunConfig, *, keep: bool) -> None:
        path, kept = config.calendar_path, accepted_folder(config.state)
        found = read_edited(path, kept, Calendar.from_dict, keep=keep)
        facts = read_edited(path.with_name(INSTRUMENTS), kept, ContractFacts.from_dict, keep=keep)
        self.stamp = found.stamp
        self.texts = {CALENDAR: found.text, INSTRUMENTS: facts.text}
        self._calendar = found.made
        self._square_off = SquareOff(found.made, facts.made.square_off)

    def apply_file(self, row: FileTaken) -> None:
        """Use the calendar or instruments file in `row` from now on; an unreadable one changes nothing."""
        with suppress(ValueError):
            parsed = tomllib.loads(row.text)
            if row.name == CALENDAR:
                self.take_calendar(parsed)
            elif row.name == INSTRUMENTS:
                self._square_off = SquareOff(self._calendar, ContractFacts.from_dict(parsed).square_off)

    def take_calendar(self, parsed: dict[str, Any]) -> None:
        """Use the sessions and holidays of a parsed calendar file from now on; `ValueError` if it cannot be read."""
        self._calendar.replace_with(Calendar.from_dict(parsed))

    def is_open(self, exchange: str, now: int) -> bool:
        """True if the exchange trades at market time `now` (ns), or the calendar does not list it."""
        return exchange not in self._calendar.exchanges or self._calendar.is_open(exchange, now)

    def venue_square_off_ns(self, exchange: str, now: int) -> int:
        """Return the market time (ns) at which the venue squares off MIS positions today; 0 if it does not."""
        return self._square_off.venue_square_off_ns(exchange, now)

    def next_open_ns(self, exchange: str, now: int) -> int:
        """Return the exchange's first open (market time, ns) after `now`; 0 if the calendar lists none."""
        try:
            return self._calendar.next_open(exchange, now)
        except ValueError:
            return 0
