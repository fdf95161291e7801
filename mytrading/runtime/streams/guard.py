"""The edge of a daemon to a server: a message that cannot be handled is counted, dropped and alerted.

Whatever a server sends ends no process.
"""

from __future__ import annotations

import msgspec

from mytrading.core.time import MINUTE
from mytrading.messages.enums import Severity
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.observability.logging import get_logger

CODE = "MESSAGE_DROPPED"
OF_DATA = (
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""What data can raise that is not as expected; what the machine or its disk raises is not among it."""
_TELL_NS = MINUTE


class Edge:
    """`name` says what comes in here; `hint` what stands in for what was dropped."""

    def __init__(self, name: str, hint: str, alerts: Alerts) -> None:
        self._name, self._hint, self._alerts = name, hint, alerts
        self._log = get_logger("edge")
        self._last_ns = 0
        self.count = 0

    def dropped(self, problem: Exception | str, data: bytes = b"", count: int = 1) -> None:
        """A message could not be read or handled; the first of a minute is logged, with a sample of it."""
        self.count += count
        now = machine_now()
        text = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
        if not self._last_ns or now - self._last_ns > _TELL_NS:
            trace = None if isinstance(problem, str) else problem
            self._log.error("message.dropped", edge=self._name, problem=text, sample=data[:64].hex(), exc_info=trace)
        self._last_ns = now
        said = f"{self.count} messages were dropped, the last one for this: {text[:300]}; {self._hint}"
        self._alerts.raise_(CODE, Severity.WARNING, self._name, said)

    def look(self, machine_ns: int) -> None:
        """Each second: the alert ends when all has been read for a minute."""
        if self._last_ns and machine_ns - self._last_ns > _TELL_NS:
            self._last_ns = 0
            self._alerts.clear(CODE, self._name)
