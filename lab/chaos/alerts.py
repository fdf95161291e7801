"""Alerts that come in while everything breaks: in and out of two shares in turn, each sent again until it is answered.

Whatever was answered 202 has to stand in the journal once, accepted; nothing may be answered 500.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookToken, write_webhook
from mytrading.messages.run_config import RunConfig, StopPlan
from mytrading.messages.webhooks import Sender
from mytrading.operations.journal_verify import decode_journals
from mytrading.runtime.streams.endpoints import read_webhook_endpoint

NAME = "ChaosAlerts"
_TOKEN = "chaos"  # of a stack of its own, on this machine alone
_UNITS = 20
_EVERY_S, _AGAIN_S, _ANSWER_S = 2.0, 1.0, 4.0
_AGAIN = (0, 503)
"""Statuses after which senders send an alert again: nothing was done, or the fate is unknown."""


class Answered(NamedTuple):
    """The last answer to an alert: a status, and the id under which it is journaled ("" for none)."""

    status: int
    alert: str


def write_webhook_of_chaos(home: Path, symbols: Sequence[str], accounts: tuple[str, ...], stop: str) -> None:
    """Write the file of the webhook into a home; it trades these shares in these accounts."""
    folder = home / "config" / "webhooks"
    folder.mkdir(mode=0o700)
    file = WebhookFile(
        sender=Sender.GENERIC,
        token=WebhookToken(digest=digest_of(_TOKEN)),
        symbols=tuple(SymbolMapping(symbol=name, instrument=name, quantity=_UNITS) for name in symbols),
        live=True,
        duplicate_seconds=600.0,
        cooling_off_seconds=0.0,
        stop=StopPlan(stop),
        accounts=accounts,
    )
    (folder / f"{NAME}.toml").write_text(write_webhook(file), encoding="utf-8")


class AlertSource:
    """Sends alerts from a thread of its own until it is stopped; `answers` are all that came back."""

    def __init__(self, config: RunConfig, symbols: Sequence[str]) -> None:
        self.answers: list[Answered] = []
        self._config, self._symbols = config, symbols
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Go out of everything, and end."""
        self._ends.set()
        self._thread.join(60.0)

    def _run(self) -> None:
        number = 0
        while not self._ends.wait(_EVERY_S):
            symbol = self._symbols[number // 2 % len(self._symbols)]
            self._send(symbol, "sell" if number % 2 else "buy", number)
            number += 1
        for symbol in self._symbols:
            self._send(symbol, "sell", number, tries=20)
            number += 1

    def _send(self, symbol: str, action: str, number: int, tries: int = 1000) -> None:
        """Send an alert until it is taken; an entry is given up when the run ends."""
        body = json.dumps({"symbol": symbol, "action": action, "id": f"chaos-{number}"})
        for _ in range(tries):
            found = self._post(body)
            if found.status not in _AGAIN:
                self.answers.append(found)
                return
            if self._ends.wait(_AGAIN_S) and tries > 20:
                return

    def _post(self, body: str) -> Answered:
        if (place := read_webhook_endpoint(self._config)) is None:
            return Answered(0, "")
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", int(place["port"]), timeout=_ANSWER_S)) as connection:
                connection.request("POST", f"/strategy/webhook/{_TOKEN}", body)
                answer = connection.getresponse()
                said: dict[str, Any] = json.loads(answer.read() or b"{}")
        except (OSError, ValueError, http.client.HTTPException):
            return Answered(0, "")
        return Answered(answer.status, str(said.get("id", "")))


def wrong_alerts(config: RunConfig, answers: Iterable[Answered]) -> list[str]:
    """Return a line for each answer that no verdict in the journal bears out, and for each that may never be given."""
    accepted: dict[str, int] = {}
    for row in decode_journals(config, "webhooks"):
        if row.body.get("type") == "alert_judged" and row.body.get("verdict") == "accepted":
            accepted[row.body["alert"]] = accepted.get(row.body["alert"], 0) + 1
    found = [f"an alert was answered {one.status}" for one in answers if one.status >= 500]
    return found + [
        f"alert {one.alert} was answered 202 and stands {accepted.get(one.alert, 0)} times in the journal"
        for one in answers
        if one.status == 202 and accepted.get(one.alert, 0) != 1
    ]
