"""Readiness of the feed: the first thing it still waits for.

An instrument that the server does not list, or whose history never comes, has an alert of its own and does not keep
other instruments from trading.
"""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.core.time import SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.sources import SourceConnection

PATIENCE_NS = 15 * SECOND
"""Machine time after a connection for which acknowledgements and history are awaited."""


class Readiness:
    """Judges the active connection by the watched instruments."""

    def __init__(self, bars: BarPublisher) -> None:
        self._bars = bars
        self._since = 0

    def restart(self, machine_ns: int) -> None:
        """Restart the patience: a connection became active."""
        self._since = machine_ns

    def waits_for(self, connection: SourceConnection, watched: Sequence[str], machine_ns: int) -> str:
        """What is missing, in words; empty if connection and history are ready."""
        if not connection.pulse.is_connected:
            return "a connection"
        if connection.pulse.is_mute(machine_ns):
            return "quotes of a mute server"
        # An acknowledgement may be lost; a quote shows that it was given.
        missing = [
            name for name in watched if not (connection.serves(name) or connection.subscriptions.has_ticked(name))
        ]
        if missing and len(missing) == len(watched):
            return f"the server to acknowledge {_names(watched)}"
        if machine_ns - self._since > PATIENCE_NS:
            return ""
        refused = connection.subscriptions.refused if missing else {}
        if pending := [name for name in missing if name not in refused]:
            return f"the server to acknowledge {_names(pending)}"
        without = set(missing)
        if self._bars.has_history(name for name in watched if name not in without):
            return ""
        return f"history of {_names([name for name in watched if not self._bars.has_history((name,))])}"


def _names(instruments: Sequence[str]) -> str:
    more = f" and {len(instruments) - 3} more" if len(instruments) > 3 else ""
    return ", ".join(instruments[:3]) + more
