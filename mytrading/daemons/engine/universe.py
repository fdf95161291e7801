"""Option universe: when the engine selects the options that strategies watch by rule, and from which close.

Once a day, from the last close before its session, so that every start within the day selects the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.core.calendar import Calendar
from mytrading.core.engine.contract_selection import select_option_universe
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.messages.run_config import StrategyRun


class OptionUniverse:
    """The runs with options by rule. `problems` say for which of them nothing could be chosen, and why."""

    def __init__(self, runs: Sequence[StrategyRun], calendar: Calendar) -> None:
        self._runs = tuple(run for run in runs if run.options is not None)
        self._calendar = calendar
        self._chosen_for: date | None = None
        self.problems: dict[str, str] = {}

    @property
    def any(self) -> bool:
        """True if a strategy watches options by rule."""
        return bool(self._runs)

    def is_due(self, now: int) -> bool:
        """True until the choice of the day is made."""
        return bool(self._runs) and self._chosen_for != self._calendar.trading_day(now)

    def choose(self, book: InstrumentBook, reader: BarReader, now: int) -> dict[str, tuple[str, ...]] | None:
        """What each of them watches today; None while a price or a contract is missing, with what in `problems`."""
        self.problems = {}
        found: dict[str, tuple[str, ...]] = {}
        for run in self._runs:
            assert run.options is not None
            price = self._price(run.symbols[0], reader, now)
            try:
                if price:
                    options = select_option_universe(run.options, run.symbols[0], price, book, now)
                    found[run.name] = tuple(dict.fromkeys((*run.symbols, *options)))
            except NoSuchContract as error:
                self.problems[f"{run.name} options"] = str(error)
        if len(found) < len(self._runs):
            return None
        self._chosen_for = self._calendar.trading_day(now)
        return found

    def _price(self, spot: str, reader: BarReader, now: int) -> float:
        """The last close before today's session, else today's first price; 0.0 if there is neither."""
        session = self._calendar.session(spot.partition(":")[0], self._calendar.trading_day(now))
        before = reader.bars(spot, until=session.open_ns if session is not None else now, limit=1)
        if before:
            return before[-1].close
        since = reader.bars(spot, until=now)
        return since[0].open if since else 0.0
