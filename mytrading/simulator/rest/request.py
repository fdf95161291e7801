"""What a REST handler answers, and how errors look.

Used by the handlers and the dispatcher. The one rule: order and book replies carry `mode` while the server analyzes,
data replies never do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
