"""What a daemon may do and say of itself: the hooks of the harness, each as it is for those with nothing to add.

`runtime/daemon` calls them, daemons override them. The one rule: nothing here knows sockets, timers or the loop.
"""

from __future__ import annotations

from mytrading.messages.control import Alert, Heartbeat
from mytrading.runtime.lockstep import Progress


class DaemonHooks:
    """All are called in the thread of the loop."""

    def setup(self) -> None:
        """Make sockets and timers, recover state. Runs once, before the loop."""

    def teardown(self) -> None:
        """Stop threads and close files. Runs once, after the loop."""

    def ready(self) -> bool:
        """True when others may rely on this daemon's work."""
        return True

    def figures(self) -> dict[str, float]:
        """Numbers for the heartbeat and the screens."""
        return {}

    def written(self) -> dict[str, int]:
        """Sequences of journaled streams written so far."""
        return {}

    def cursors(self) -> dict[str, int]:
        """Sequences of journaled streams read so far, by `writer/stream`."""
        return {}

    def on_beat(self, beat: Heartbeat) -> None:
        """This daemon's own heartbeat was sent."""

    def on_alert(self, alert: Alert) -> None:
        """This daemon's own alert was sent."""

    def queue_depth(self) -> int:
        """How many pieces of work wait inside this daemon."""
        return 0

    def progress(self) -> Progress:
        """In lock-step: how far this daemon has come, and what it waits for. Called at the end of every turn."""
        return Progress()
