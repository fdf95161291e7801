"""Who must be well for entries to rest at the broker: risk, reconciler, feed, and the stream of order updates.

Used by the router. An entry that rests while nobody judges, listens or prices may fill unseen, so it is cancelled when
a guardian is unwell for ten seconds; stops and exits stay. The one rule: all times are machine nanoseconds, and what
was never heard counts as unwell since the watch began.
"""

from __future__ import annotations

from mytrading.messages.control import Heartbeat

PATIENCE_NS = 10_000_000_000
SILENT_NS = 3_000_000_000
WATCHED = ("risk", "reconciler", "feed")
STREAM = "the order stream"


class Guardians:
    """Learns heartbeats; `complaint` says who has been unwell too long."""

    def __init__(self, began_ns: int) -> None:
        self._well: dict[str, int] = dict.fromkeys((*WATCHED, STREAM), began_ns)
        self._silent: dict[str, int] = dict.fromkeys(WATCHED, began_ns)

    def heard(self, beat: Heartbeat, machine_ns: int) -> None:
        """A heartbeat came."""
        if beat.daemon not in WATCHED:
            return
        self._silent[beat.daemon] = machine_ns
        if beat.ready:
            self._well[beat.daemon] = machine_ns
        if beat.daemon == "reconciler" and beat.figures.get("stream_up", 1.0):
            self._well[STREAM] = machine_ns

    def complaint(self, machine_ns: int) -> str:
        """Who was last well ten seconds ago or more, in words; empty if nobody."""
        for name, at in self._well.items():
            if machine_ns - at >= PATIENCE_NS:
                how = "silent" if machine_ns - self._silent.get(name, machine_ns) >= SILENT_NS else "not well"
                return f"{name} is {how} for {(machine_ns - at) // 1_000_000_000} s"
        return ""
