"""One REST request that passed all checks, as handlers get it, and the replies they make."""

from __future__ import annotations

from typing import Any, NamedTuple

from mytrading.simulator.formats.frames import Body
from mytrading.simulator.formats.schema import Fields
from mytrading.simulator.venue.venue import SimulatedVenue


class Reply(NamedTuple):
    """A status and a JSON body; `text` with its content type replaces the body where set."""

    status: int
    body: Body
    text: str = ""
    content_type: str = "application/json"


class Refused(Exception):
    """Ends a request with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def success(**fields: Any) -> Reply:
    """Build a 200 reply with `status: success`."""
    return Reply(200, {"status": "success", **fields})


def error(status: int, message: object, **fields: Any) -> Reply:
    """Build an error reply of an HTTP status with a message: a text, or errors by field."""
    return Reply(status, {"status": "error", "message": message, **fields})


def with_mode(reply: Reply, *, analyze: bool) -> Reply:
    """Return the reply marked as analyzer mode if `analyze`, else unchanged."""
    return reply._replace(body={**reply.body, "mode": "analyze"}) if analyze else reply


class RestCall(NamedTuple):
    """The venue that serves it, its typed fields, and the machine time its request came in."""

    venue: SimulatedVenue
    fields: Fields
    received_ns: int

    def success(self, **fields: Any) -> Reply:
        """Build a 200 success reply, marked as analyzer mode if the venue is in it."""
        return with_mode(success(**fields), analyze=self.venue.analyze)

    def error(self, status: int, message: object, **fields: Any) -> Reply:
        """Build an error reply of an HTTP status, marked as analyzer mode if the venue is in it."""
        return with_mode(error(status, message, **fields), analyze=self.venue.analyze)
