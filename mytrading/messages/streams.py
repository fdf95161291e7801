"""The table of streams (writers, readers, messages, delivery), from which daemons and the codec are wired."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from mytrading.messages.account_events import ContractSizes
from mytrading.messages.commands import CommandMessage
from mytrading.messages.control import ControlMessage, StatusMessage
from mytrading.messages.journal_rows import RecordMessage
from mytrading.messages.market import MarketMessage
from mytrading.messages.orders import CallOutcome, ExitQuote, OrderMessage, TimerFired
from mytrading.messages.reports import AccountMessage, ReadMessage, ReportMessage
from mytrading.messages.signals import SignalMessage
from mytrading.messages.webhooks import AlertReceived

SCHEMA_VERSION = 2
OLDEST_SCHEMA = 2
"""Journals from this schema on are applied as they are; older ones are refused until `mytrading state upgrade`."""


class Pattern(StrEnum):
    """`fan_out` is PUB to any number of SUB; `pipe` is PUSH to the one PULL that binds."""

    FAN_OUT = "fan_out"
    PIPE = "pipe"


class Delivery(StrEnum):
    """`journaled`: never lost, followed in the writer's journal. `newest`: conflated. `level`: the next repeats it."""

    JOURNALED = "journaled"
    NEWEST = "newest"
    LEVEL = "level"


class Stream(NamedTuple):
    """One row of the table. `union` is what its decoder accepts."""

    name: str
    pattern: Pattern
    delivery: Delivery
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    union: Any

    @property
    def is_journaled(self) -> bool:
        """True if a reader that missed a message finds it in the writer's journal."""
        return self.delivery is Delivery.JOURNALED


ALL = ("feed", "engine", "risk", "router", "reconciler", "gateway", "watchdog")
OPTIONAL = ("webhooks", "console")
"""Daemons that run only where there is work for them; no start and no lock-step waits for one."""

_FAN_OUT, _PIPE = Pattern
_OBEY = ("engine", "risk", "router", "reconciler", "webhooks")
_JOURNALED, _NEWEST, _LEVEL = Delivery
_ROWS = (
    Stream("market", _FAN_OUT, _NEWEST, ("feed",), ("engine", "risk", "gateway", "webhooks"), MarketMessage),
    Stream("signals", _PIPE, _JOURNALED, ("engine", "gateway", "webhooks"), ("risk",), SignalMessage),
    Stream("commands", _PIPE, _JOURNALED, ("risk",), ("router",), CommandMessage),
    Stream("orders", _FAN_OUT, _JOURNALED, ("router",), ("engine", "risk", "reconciler", "feed"), OrderMessage),
    Stream("reports", _PIPE, _LEVEL, ("reconciler",), ("router",), ReportMessage),
    Stream("reads", _PIPE, _LEVEL, ("risk", "router"), ("reconciler",), ReadMessage),
    Stream("account", _FAN_OUT, _LEVEL, ("reconciler",), ("risk", "gateway", "feed"), AccountMessage),
    Stream("control", _FAN_OUT, _JOURNALED, ("gateway",), _OBEY, ControlMessage),
    Stream(
        "status",
        _FAN_OUT,
        _LEVEL,
        (*ALL, *OPTIONAL),
        ("engine", "risk", "router", "watchdog", "gateway", "feed"),
        StatusMessage,
    ),
)

STREAMS: dict[str, Stream] = {row.name: row for row in _ROWS}

INTERNAL: dict[str, Any] = {
    "records": RecordMessage,
    "internal": CallOutcome | ExitQuote | TimerFired | AlertReceived | ContractSizes,
}
"""Unions of rows that stay in a journal: records of the run, and inputs that come from a daemon's own workers."""


STEP_TOPIC = "step"
"""The topic of `market` under which lock-step says that all of a step went out."""


def step_topic(daemon: str) -> str:
    """Return the `status` topic on which a daemon reports its lock-step progress."""
    return f"step/{daemon}"


TRIAL_TOPIC = "trial"
"""The topic of `status` with orders that a screen asks risk about, and its answers."""
FEED_REPORT_TOPIC = "subscriptions"
"""The topic of `status` on which a screen asks for the feed's sources and subscriptions, and gets them."""


def screen_topic(instrument: str) -> str:
    """Return the `market` topic with quotes of a held instrument for screens, four times a second."""
    return f"shown/{instrument}"


def book_topic(instrument: str) -> str:
    """Return the `market` topic on which risk gets quotes whose last price is none (0): of their book alone."""
    return f"book/{instrument}"


def unions() -> dict[str, Any]:
    """Return the union of message types of every stream by name, journal-only streams included."""
    return {**{name: row.union for name, row in STREAMS.items()}, **INTERNAL}
