"""The conditions for entries to rest at the broker: health of risk, reconciler, feed, and the stream of order updates.

Entries are cancelled when one was unwell for ten seconds (machine time, from the start on); stops and exits stay. The
reconciler and its stream speak for the account that strategies trade, reads of books for the others.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.time import SECOND
from mytrading.messages.control import Heartbeat
from mytrading.messages.level_names import STOP_PREFIX, stop_level_name
from mytrading.messages.orders import Position

PATIENCE_NS = 10_000_000_000
SILENT_NS = 3_000_000_000
WATCHED = ("risk", "reconciler", "feed")
STREAM = "the order stream"


class EntryGuard:
    """Learns heartbeats; `complaint` says who has been unwell too long."""

    def __init__(self, began_ns: int, accounts: Iterable[str] = ()) -> None:
        """`accounts` are those beside the one that strategies trade."""
        self._read = dict.fromkeys(accounts, began_ns)
        self._well: dict[str, int] = dict.fromkeys((*WATCHED, STREAM), began_ns)
        self._silent: dict[str, int] = dict.fromkeys(WATCHED, began_ns)
        self.engine_stops: frozenset[str] | None = None
        """Names of the stops that risk holds, by its last heartbeat that was ready; None before the first."""

    def on_heartbeat(self, beat: Heartbeat, machine_ns: int) -> None:
        """Record when a watched daemon last sent a heartbeat and was last ready, and which stops risk holds."""
        if beat.daemon not in WATCHED:
            return
        if beat.daemon == "risk" and beat.ready:  # one with a journal in doubt may have forgotten what it holds
            self.engine_stops = frozenset(name for name in beat.figures if name.startswith(STOP_PREFIX))
        self._silent[beat.daemon] = machine_ns
        if beat.ready:
            self._well[beat.daemon] = machine_ns
        if beat.daemon == "reconciler" and beat.figures.get("stream_up", 1.0):
            self._well[STREAM] = machine_ns

    def on_books_read(self, account: str, machine_ns: int) -> None:
        """Record that the books of an account beside the traded one were read at this machine time."""
        if account in self._read:
            self._read[account] = machine_ns

    def stops_held_by_risk(self, positions: Iterable[Position]) -> list[str]:
        """Return "strategy in instrument" of positions whose stop risk watches, by its last ready heartbeat (before the
        first one by `held_stop` of the positions), sorted."""
        known, found = self.engine_stops, []
        for position in positions:
            held = position.quantity or position.quantity_seen
            if held and (stop_level_name(position.owner) in known if known is not None else position.held_stop):
                found.append(f"{position.strategy} in {position.instrument}")
        return sorted(found)

    def daemon_problem(self, daemon: str, machine_ns: int) -> str:
        """Describe a watched daemon that was silent or not ready for ten seconds or more; empty if it is well."""
        away = machine_ns - self._well[daemon]
        silent = machine_ns - self._silent.get(daemon, machine_ns) >= SILENT_NS
        return f"{daemon} is {'silent' if silent else 'not well'} for {away // SECOND} s" if away >= PATIENCE_NS else ""

    def guard_problem(self, machine_ns: int, account: str = "") -> str:
        """Describe the first daemon, order stream or reads of the account's books not well for ten seconds, else empty.
        `account` empty: the one that strategies trade."""
        own = self._read.get(account)
        for name in self._well:
            silent = machine_ns - self._silent.get(name, machine_ns) >= SILENT_NS
            of_the_traded = name == STREAM or (name == "reconciler" and not silent)
            if not (own is not None and of_the_traded) and (text := self.daemon_problem(name, machine_ns)):
                return text
        if own is not None and machine_ns - own >= PATIENCE_NS:
            return f"the books of {account} cannot be read for {(machine_ns - own) // SECOND} s"
        return ""
