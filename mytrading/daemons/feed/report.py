"""What the feed tells of itself to screens: its sources, and each subscription with who wants it."""

from __future__ import annotations

from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.staleness import FeedHealth
from mytrading.core.time import SECOND
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.brokers import UNLISTED
from mytrading.messages.control import FeedReport, FeedSource, FeedSubscription


def feed_report(
    connections: SourceConnections, demand: InstrumentDemand, health: FeedHealth, machine_ns: int
) -> FeedReport:
    """Return the feed's sources and subscriptions at a machine time."""
    wanted = demand.wanted_by(machine_ns)
    return FeedReport(
        at_machine_ns=machine_ns,
        sources=tuple(_source(one, one is connections.active, machine_ns) for one in connections.all),
        subscriptions=tuple(
            FeedSubscription(
                instrument=one.instrument,
                wanted_by=wanted.get(one.instrument, ()),
                state="live" if one.accepted else "refused" if one.error else "waiting",
                mode=one.mode,
                ticks=one.frames,
                age_s=round(health.age(one.instrument, machine_ns) / SECOND, 1) if one.frames else None,
                problem=one.error,
            )
            for one in connections.active.subscriptions.progress()
        ),
    )


def _source(connection: SourceConnection, active: bool, machine_ns: int) -> FeedSource:
    problems = "; ".join(connection.problems.values())
    return FeedSource(
        name=connection.source.id,
        active=active,
        connected=connection.pulse.is_connected,
        condition=connection.condition(machine_ns).value,
        age_s=round(connection.pulse.age(machine_ns) / SECOND, 1),
        subscribed=connection.subscriptions.accepted_count,
        ticked=connection.subscriptions.ticked_count,
        connections=connection.socket.connections,
        problem=problems or connection.lost_by or connection.mute_note,
        broker=connection.broker,
        listed=connection.rules is not UNLISTED,
    )
