"""What the feed tells of itself to screens: its sources, and each subscription with who wants it."""

from __future__ import annotations

from collections.abc import Mapping

from mytrading.adapters.openalgo.ws.subscriptions import SubscriptionProgress
from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.staleness import FeedHealth
from mytrading.core.time import SECOND
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.brokers import UNLISTED
from mytrading.messages.control import FeedReport, FeedSource, FeedSubscription


def feed_report(
    connections: SourceConnections, demand: InstrumentDemand, health: FeedHealth, machine_ns: int,
    by_rest: Mapping[str, str] = {},
) -> FeedReport:  # fmt: skip
    """Return the feed's sources and subscriptions at a machine time. `by_rest` says of each instrument that goes by
    REST quotes why; those without a stream are listed too."""
    wanted = demand.wanted_by(machine_ns)
    progress = list(connections.active.subscriptions.progress())
    streamed = {one.instrument for one in progress}
    progress += [
        SubscriptionProgress(name, "", False, 0, "it has no stream of its own") for name in by_rest
        if name not in streamed
    ]  # fmt: skip
    return FeedReport(
        at_machine_ns=machine_ns,
        sources=tuple(_source(one, one is connections.active, machine_ns) for one in connections.all),
        subscriptions=tuple(
            FeedSubscription(
                instrument=one.instrument,
                wanted_by=wanted.get(one.instrument, ()),
                state="live" if one.accepted else "refused" if one.error else "waiting",
                mode="REST" if one.instrument in by_rest else one.mode,
                ticks=one.frames,
                age_s=round(health.age(one.instrument, machine_ns) / SECOND, 1) if one.frames else None,
                problem=by_rest.get(one.instrument) or one.error,
            )
            for one in progress
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
