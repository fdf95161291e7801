"""What the feed still waits for before it calls itself ready.

Used by the feed. The one rule: an instrument that the server does not list, or whose history never comes, has an alert
of its own and keeps nobody else from trading.
"""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.daemons.feed_bars import BarDesk
from mytrading.daemons.feed_lines import Line
from mytrading.runtime.clock import SECOND

PATIENCE_NS = 15 * SECOND
"""Machine time from a connection on; what was not acknowledged or has no history by then is waited for no longer."""


class Readiness:
    """Judges the serving line by what is watched."""

    def __init__(self, bars: BarDesk) -> None:
        self._bars = bars
        self._since = 0

    def begin(self, machine_ns: int) -> None:
        """A line serves from now on, or anew."""
        self._since = machine_ns

    def waits_for(self, line: Line, watched: Sequence[str], machine_ns: int) -> str:
        """What is missing, in words; empty if the feed may be ready as far as its line goes."""
        if not line.pulse.is_connected:
            return "a connection"
        if line.pulse.is_mute(machine_ns):
            return "quotes of a mute server"
        # An answer may be lost on its way; it is waited for where no quote shows that it was given.
        lacking = [name for name in watched if not (line.serves(name) or line.subscriptions.has_ticked(name))]
        if lacking and len(lacking) == len(watched):
            return f"the server to acknowledge {_named(watched)}"
        if machine_ns - self._since > PATIENCE_NS:
            return ""
        refused = line.subscriptions.refused if lacking else {}
        if missing := [name for name in lacking if name not in refused]:
            return f"the server to acknowledge {_named(missing)}"
        without = set(lacking)
        if self._bars.has_history(name for name in watched if name not in without):
            return ""
        return f"history of {_named([name for name in watched if not self._bars.has_history((name,))])}"


def _named(instruments: Sequence[str]) -> str:
    more = f" and {len(instruments) - 3} more" if len(instruments) > 3 else ""
    return ", ".join(instruments[:3]) + more
