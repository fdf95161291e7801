"""The broker session behind the server: whether calls are refused because it ended, and logging in again.

Used by the dispatcher and `POST /sim/login`. The one rule: without a fault the session never ends.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta

from mytrading.core.calendar import day_of, to_ns
from mytrading.simulator.faults import Faults


class BrokerSession:
    """One broker login; `now` gives market ns."""

    def __init__(self, faults: Faults, now: Callable[[], int]) -> None:
        self._faults = faults
        self._now = now
        self._login_ns = now()

    def refuses(self, route: str) -> bool:
        """Whether a call to this route is answered as without a session."""
        if self._faults.take("session_lost", route=route) is not None:
            return True
        return self.rolled_over and self._faults.take("token_rollover") is not None

    @property
    def refuses_sockets(self) -> bool:
        """Whether a socket that presents its key now is told that there is no broker; those admitted before stay."""
        return self._faults.take("session_lost", route="websocket") is not None

    @property
    def rolled_over(self) -> bool:
        """Whether the token's end has come since the last login: then the feed is mute too."""
        rollover = self._faults.get("token_rollover")
        if rollover is None:
            return False
        at = rollover.text("at")
        if not at:
            return True
        now, moment = self._now(), time.fromisoformat(at)
        ended = to_ns(day_of(now), moment)
        if ended > now:
            ended = to_ns(day_of(now) - timedelta(days=1), moment)
        return self._login_ns < ended

    def login(self) -> None:
        """Begin a new session; a rollover with a time of day comes again the next day."""
        self._login_ns = self._now()
        self._faults.end("session_lost")
        rollover = self._faults.get("token_rollover")
        if rollover is not None and not rollover.text("at"):
            self._faults.end("token_rollover")
