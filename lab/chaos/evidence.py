"""The evidence of a verdict: the records of both sides of one account, and what was broken meanwhile.

An account is judged by what was done to its own server and to the stack, never excused by the trouble of another
account's server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lab.chaos.records import Beat, Broken, Broker, Ours
from mytrading.simulator.venue.event_log import FAULT, LoggedEvent

HARMLESS = frozenset(
    {
        "ws_mute", "ws_stall", "ws_drop", "ws_corrupted", "ws_reordered", "ws_duplicated", "price_wrong", "price_zero",
        "update_duplicated", "by_hand", "person", "disk", "ws_hostile", "update_hostile", "quotes_pause",
    }
)  # fmt: skip
"""Faults that do not touch the way from a fill to its stop, and so excuse nothing."""


class Evidence(NamedTuple):
    """The evidence that is judged. `end_ns` is when the stack had settled; `verify` are the findings of the journals,
    `crashes` the daemons that ended by an error of their own."""

    broker: Broker
    ours: Ours
    broken: tuple[Broken, ...]
    beats: tuple[Beat, ...]
    verify: tuple[str, ...]
    end_ns: int
    crashes: tuple[str, ...] = ()


def concerning(account: str, broken: Iterable[Broken], events: Iterable[LoggedEvent] = ()) -> tuple[Broken, ...]:
    """Return the faults of the stack, and of the server of this account, whose record `events` are.

    A fault that the server did not confirm counts only if its record shows that it altered something in that time.
    """
    altered = [event for event in events if event.kind == FAULT]
    return tuple(
        thing
        for thing in broken
        if thing.account in ("", account)
        and (
            thing.sure
            or any(event.body == thing.what and thing.begin_ns <= event.machine_ns <= thing.end_ns for event in altered)
        )
    )
