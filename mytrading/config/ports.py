"""Which TCP port each stream has, for a stack that was told to use TCP instead of sockets in a private folder.

Used by `build` and `checks`. The one rule: no two streams of a stack share a port, and none is OpenAlgo's own.
"""

from __future__ import annotations

from collections.abc import Iterator

from mytrading.config.sections import MessagingSettings
from mytrading.messages.streams import STREAMS, Pattern

OPENALGO_PORT = 5555
_HIGHEST = 65_535


def stream_ports(messaging: MessagingSettings) -> dict[str, int]:
    """A port for each stream, by `stream`, or by `stream-writer` where several daemons write it; none without TCP."""
    if messaging.transport != "tcp":
        return {}
    named = {
        "market": messaging.market_data_port,
        "signals": messaging.strategy_signals_port,
        "commands": messaging.trade_commands_port,
    }
    several = [row for row in STREAMS.values() if row.pattern is Pattern.FAN_OUT and len(row.writers) > 1]
    ports: dict[str, int] = {}
    for offset, stream in enumerate((*STREAMS, "ops")):
        if stream not in [row.name for row in several]:
            ports[stream] = named.get(stream) or messaging.base_port + offset
    for row in several:
        first = messaging.system_status_port or messaging.base_port + 20
        ports.update({f"{row.name}-{writer}": first + n for n, writer in enumerate(row.writers)})
    return ports


def port_problems(messaging: MessagingSettings) -> Iterator[str]:
    """Ports that cannot work, or must not, each with what to change."""
    if messaging.transport == "tcp" and not messaging.insecure:
        yield (
            "MYTRADING_TRANSPORT=tcp: expected ipc, found tcp: its ports check no user, so every user of this "
            "machine could read positions, halt and place orders; set ipc, or MYTRADING_TRANSPORT_INSECURE=yes where "
            "you are the only user"
        )
    taken: dict[int, str] = {}
    for stream, port in stream_ports(messaging).items():
        if port == OPENALGO_PORT:
            yield f"{stream} would use port {port}, which OpenAlgo binds itself; set ZMQ_BASE_PORT=5600"
        if port > _HIGHEST:
            yield f"{stream} would use port {port}, beyond {_HIGHEST}; choose a lower one"
        if port in taken:
            yield f"{taken[port]} and {stream} would both use port {port}; see the ZMQ_…_PORT variables"
        taken[port] = stream
