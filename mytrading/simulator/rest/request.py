"""One REST request that passed all checks, as handlers get it."""

from __future__ import annotations

from typing import Any, NamedTuple

from mytrading.simulator.formats.schema import Fields
from mytrading.simulator.venue.venue import SimulatedVenue

Body = dict[str, Any]


class Reply(NamedTuple):
    """A status and a JSON body; `text` with its content type replaces the body where set."""

    status: int
    body: Body
    text: str = ""
    content_type: str = "application/json"


def success(**fields: Any) -> Reply:
    """200 with `status: success`."""
    return Reply(200, {"status": "success", **fields})


def error(status: int, message: object, **fields: Any) -> Reply:
    """An error with a message, text or errors by field."""
    return Reply(status, {"status": "error", "message": message, **fields})


def with_mode(reply: Reply, *, analyze: bool) -> Reply:
    """The reply marked as an analyzer's, if it is one."""
    return reply._replace(body={**reply.body, "mode": "analyze"}) if analyze else reply


class RestCall(NamedTuple):
    """The venue that serves it, its typed fields, and the machine time its request came in."""

    venue: SimulatedVenue
    fields: Fields
    received_ns: int
