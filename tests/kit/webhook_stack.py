"""A stack that takes alerts: a project with one strategy that does nothing, webhooks, and posts over HTTP."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, RICH, WIDE, make_project
from tests.kit.waiting import eventually

IDLE = (
    HEAD
    + '''

class Idle(BaseStrategy):
    """Does nothing."""

    def on_data(self, data: Bar) -> Signal | None:
        return None
'''
)
SETTINGS = 'name = "Idle"\nsymbols = ["NSE:RELIANCE"]\n'
CLOSED = 0
"""The status of a request whose connection was closed without an answer."""


class Answered(NamedTuple):
    """The answer to a request: status, JSON and headers in small letters."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """The code of a refusal, else the verdict."""
        return str(self.body.get("code") or self.body.get("verdict") or "")


def make_home(home: Path, **environment: str) -> dict[str, str]:
    """Make the project folder; returns the environment of a stack on it, which listens on any free port."""
    return make_project(
        home,
        IDLE,
        {"Idle": SETTINGS},
        WIDE,
        **{"WEBHOOK_PORT": "0", **RICH, "MAX_ENTRIES_PER_MINUTE": "1000", **environment},
    )


class AlertSender:
    """Adds webhooks to a stack, and posts to them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.paths: dict[str, str] = {}
        """Path with token, by name."""
        self.extra: dict[str, dict[str, Any]] = {}
        """Further output that was printed once, by name."""

    def add(self, name: str, *arguments: str, sender: str = "generic") -> str:
        """Make a webhook; returns its path."""
        done = self.stack.run("webhook", "add", name, "--sender", sender, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return self._keep(done.stdout)

    def rotate(self, name: str, *arguments: str) -> str:
        """Give a webhook another token; returns its path."""
        done = self.stack.run("webhook", "rotate", name, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return self._keep(done.stdout)

    def _keep(self, printed: str) -> str:
        (line,) = printed.splitlines()
        found = json.loads(line)
        name = found["name"]
        self.paths[name] = urlsplit(found["url"]).path
        self.extra[name] = found
        return self.paths[name]

    @property
    def port(self) -> int:
        """Port on which the process listens now."""
        place = eventually(lambda: self.stack.ask("endpoints")["webhooks"], 20)
        return int(place["port"])

    def post(self, name: str, body: bytes | str | dict[str, Any], path: str = "", **headers: str) -> Answered:
        """Post a body to a webhook, or to another path; `CLOSED` if nothing answers."""
        raw = json.dumps(body) if isinstance(body, dict) else body
        return self.call("POST", path or self.paths[name], raw.encode() if isinstance(raw, str) else raw, **headers)

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answered:
        """Send a request to the process."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            found = connection.getresponse()
            text = found.read()
        except (OSError, http.client.HTTPException) as error:
            return Answered(CLOSED, {"problem": str(error)}, {})
        finally:
            connection.close()
        return Answered(found.status, json.loads(text) if text else {}, {k.lower(): v for k, v in found.getheaders()})

    def is_taken(self, name: str) -> bool:
        """True once the process knows a webhook: an empty body is refused by its webhook, not by its address."""
        return self.post(name, b"").status not in (404, 503, CLOSED)

    def net(self, name: str) -> dict[str, int]:
        """Units that a webhook's strategy holds, by symbol, flat ones left out."""
        rows = self.stack.ask("positions")
        return {
            row["instrument"].partition(":")[2]: row["quantity"]
            for row in rows
            if row["strategy"] == name and row["quantity"]
        }

    def entries(self, name: str) -> list[dict[str, Any]]:
        """The entry orders of a webhook's strategy."""
        rows = self.stack.ask("orders", "--limit", "0")
        return [row for row in rows if row["strategy"] == name and row["purpose"] == "entry"]
