"""An alert sent by hand: over HTTP to the process of this machine, and its order followed on the status page."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any


def send_alert(url: str, body: bytes, patience_s: float) -> tuple[int, dict[str, Any]]:
    """Post an alert to a webhook's address and return HTTP status and answer, retrying for `patience_s` seconds.

    Only 404 and 503 are retried, by which the server says that it did nothing: the running stack has not yet taken the
    webhook's new token (404), or does not know its instruments yet (503).
    """
    deadline = time.monotonic() + patience_s
    while True:
        status, answer = _call(url, body)
        if status not in (404, 503) or time.monotonic() > deadline:
            return status, answer
        time.sleep(0.1)


def follow_alert(base: str, answer: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Return the alert's status page once each accepted signal has an order, or as it is after so many seconds; None if
    the `answer` names no page."""
    if "status_url" not in answer:
        return None
    deadline = time.monotonic() + seconds
    while True:
        _, found = _call(f"{base}{answer['status_url']}", None)
        rows = found.get("results", ())
        if all(row["orders"] for row in rows if row["verdict"] == "accepted") or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _call(url: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, data=body, method="GET" if body is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=10.0) as found:
            return found.status, json.loads(found.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
    except OSError as error:
        return 0, {"message": f"{url.partition('/strategy')[0]} does not answer: {error}"}
