"""Open interest from which the changes of a day count, by contract.

Servers tell no open interest of the day before. What was seen after the close of the last trading day is that day's;
where nobody looked then, changes count from the first figure seen today. A file keeps both over a restart.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from mytrading.core.calendar import Calendar
from mytrading.core.time import ist_date
from mytrading.runtime.host.file_versions import write_whole

SAVE_NS = 60_000_000_000
"""Market time after which new figures are written down."""


class ContractInterest(msgspec.Struct, array_like=True):
    """Units of open interest of a contract: `base` of `day` (ISO date), seen at `base_ns`, and the newest, `last`."""

    day: str
    base: int
    base_ns: int
    last: int
    last_ns: int


class InterestBase:
    """Knows the base of each contract that was shown. Not for several threads."""

    def __init__(self, path: Path, calendar: Calendar) -> None:
        self._path, self._calendar = path, calendar
        self._known: dict[str, ContractInterest] = {}
        self._saved_ns = 0
        with suppress(OSError, msgspec.DecodeError):  # changes then count from now
            self._known = msgspec.json.decode(path.read_bytes(), type=dict[str, ContractInterest])

    def change_of(self, instrument: str, interest: int, now: int) -> tuple[int, int]:
        """Take a contract's open interest at market time `now` (ns); return its change and the time it counts from."""
        day, known = ist_date(now).isoformat(), self._known.get(instrument)
        if known is None or known.day != day or known.last_ns > now:
            base, base_ns = self._base(instrument, known, interest, now)
            known = self._known[instrument] = ContractInterest(day, base, base_ns, interest, now)
        known.last, known.last_ns = interest, now
        return interest - known.base, known.base_ns

    def _base(self, instrument: str, known: ContractInterest | None, interest: int, now: int) -> tuple[int, int]:
        """The last figure of before today if it was seen after the close of the last trading day, else this one."""
        exchange, today = instrument.partition(":")[0], ist_date(now)
        if known is not None and known.last_ns < now and self._calendar.has_exchange(exchange):
            before = self._calendar.session(exchange, self._calendar.previous_trading_day(exchange, today))
            if before is not None and known.last_ns >= before.close_ns and known.day != today.isoformat():
                return known.last, known.last_ns
        return interest, now

    def save(self, now: int, *, at_once: bool = False) -> None:
        """Write the figures down, once a minute of market time or at once; those of older days are forgotten."""
        if not self._known or (not at_once and abs(now - self._saved_ns) < SAVE_NS):
            return
        self._saved_ns = now
        newest = sorted({known.day for known in self._known.values()})[-2:]
        self._known = {name: known for name, known in self._known.items() if known.day in newest}
        with suppress(OSError):  # a full disk costs the base after a restart alone
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, msgspec.json.encode(self._known))
