"""Webhooks for tests: definitions, alerts as the published bodies of senders make them, and a machine for a day."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time
from typing import Any

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import SECOND, to_ns
from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.bodies import redact_body
from mytrading.core.webhooks.definition import WebhookDefinition, read_webhook
from mytrading.core.webhooks.machine import WebhookEnvironment, WebhookMachine
from mytrading.core.webhooks.refusals import AlertRefused
from mytrading.core.webhooks.senders import decode_fields, read_alert
from mytrading.messages.enums import Mode
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.signals import Signal
from mytrading.messages.webhooks import AlertIntent, AlertJudged, AlertReceived, AlertVerdict

DAY = date(2026, 1, 7)
"""A Wednesday on which NSE trades from 09:15 to 15:30."""
TOKEN = "a-token-of-tests"
CALENDAR = {
    "exchanges": {
        "NSE": {"sessions": [{"from": date(2010, 10, 18), "open": time(9, 15), "close": time(15, 30)}]},
        "NFO": {
            "holidays": ["NSE"],
            "sessions": [{"from": date(2010, 10, 18), "open": time(9, 15), "close": time(15, 30)}],
        },
    },
    "holidays": {"NSE": {"2026-01-26": "Republic Day"}},
    "special": [],
}


def at(clock: str, day: date = DAY) -> int:
    """Market time (ns) of a clock time in India."""
    return to_ns(day, time.fromisoformat(clock))


def webhook(name: str = "alerts", symbols: str = "", **keys: Any) -> WebhookDefinition:
    """A webhook of the generic sender that trades 50 SBIN, unless keys or tables of symbols say otherwise."""
    return read_webhook(name, webhook_text(symbols, **keys))


def webhook_text(symbols: str = "", **keys: Any) -> str:
    """The text of a webhook's file."""
    lines = [f'sender = "{keys.pop("sender", "generic")}"']
    for key, value in keys.items():
        shown = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else value
        lines.append(f"{key} = {shown}")
    own = symbols or '[[symbols]]\nsymbol = "SBIN"\ninstrument = "NSE:SBIN"\nquantity = 50\n'
    return "\n".join([*lines, "[token]", f'digest = "{digest_of(TOKEN)}"', own])


def instruments() -> InstrumentBook:
    """Three shares, a future and five calls of NIFTY with a lot of 75."""
    shares = [
        Instrument(id=f"NSE:{name}", exchange="NSE", symbol=name, kind=InstrumentKind.EQ, underlying=name)
        for name in ("SBIN", "INFY", "TCS")
    ]
    future = Instrument(
        id="NFO:NIFTY27JAN26FUT",
        exchange="NFO",
        symbol="NIFTY27JAN26FUT",
        kind=InstrumentKind.FUT,
        underlying="NIFTY",
        expiry="2026-01-27",
        lot_size=75,
    )
    index = Instrument(
        id="NSE_INDEX:NIFTY", exchange="NSE_INDEX", symbol="NIFTY", kind=InstrumentKind.INDEX, underlying="NIFTY"
    )
    options = [
        Instrument(
            id=f"NFO:NIFTY13JAN26{strike}CE",
            exchange="NFO",
            symbol=f"NIFTY13JAN26{strike}CE",
            kind=InstrumentKind.CE,
            underlying="NIFTY",
            expiry="2026-01-13",
            strike=float(strike),
            lot_size=75,
        )
        for strike in (25900, 25950, 26000, 26050, 26100)
    ]
    return InstrumentBook([*shares, future, index, *options])


class Receiver:
    """A machine with its journal, and the two clocks that a test sets."""

    def __init__(self, *webhooks: WebhookDefinition, mode: Mode = Mode.PAPER) -> None:
        self.webhooks = webhooks or (webhook(),)
        self.mode = mode
        self.rows: list[Any] = []
        self.now = at("10:00:00")
        self.machine_ns = 1000 * SECOND
        self.machine = self._fresh()

    def _fresh(self) -> WebhookMachine:
        environment = WebhookEnvironment(Calendar.from_dict(CALENDAR), self.mode, ("paper",), 60.0)
        environment.instruments = instruments()
        environment.webhooks = {one.name: one for one in self.webhooks}
        return WebhookMachine(environment)

    def restart(self) -> None:
        """Forget all but the journal."""
        holdings = self.machine.environment.holdings
        self.machine = self._fresh()
        self.machine.environment.holdings = holdings
        for row in self.rows:
            self.machine.apply(row)

    def wait(self, seconds: float) -> None:
        """Let both clocks run."""
        self.now += round(seconds * SECOND)
        self.machine_ns += round(seconds * SECOND)

    def post(self, body: bytes | str, name: str = "", ip: str = "10.0.0.1") -> tuple[AlertReceived, tuple[Any, ...]]:
        """Send a body to a webhook; returns the alert and the rows decided on it, both journaled."""
        raw = body.encode() if isinstance(body, str) else body
        found = next(one for one in self.webhooks if name in ("", one.name))
        intents: tuple[AlertIntent, ...] = ()
        refused, said = None, None
        try:
            said = read_alert(found.file.sender, decode_fields(found.file.sender, raw), found.action)
            intents = said.intents
        except AlertRefused as error:
            refused = error.refusal
        number = f"{len(self.rows):016x}"
        alert = AlertReceived(
            id=number,
            status=f"s{number}",
            webhook=found.name,
            ip=ip,
            received_ns=self.machine_ns,
            body_hash=hashlib.sha256(raw).hexdigest(),
            body=redact_body(raw, said.fields if said else None),
            sender_id=said.sender_id if said else "",
            bar_time=said.bar_time if said else "",
            intents=intents,
            refusal=refused,
        )
        return alert, self.send(alert)

    def send(self, alert: AlertReceived) -> tuple[Any, ...]:
        """Have the machine decide on an alert, and journal both."""
        self.machine.set_machine_time(self.machine_ns)
        self.machine.apply(alert)
        decided = self.machine.decide(alert, self.now)
        for row in decided:
            self.machine.apply(row)
        self.rows += [alert, *decided]
        return decided


def verdicts(rows: tuple[Any, ...]) -> list[str]:
    """Return the decision on each symbol: the verdict, or the code of its refusal."""
    judged = [row for row in rows if isinstance(row, AlertJudged)]
    return [row.refusal.code if row.refusal is not None else row.verdict.value for row in judged]


def targets(rows: tuple[Any, ...]) -> list[int]:
    """The position (units) of each accepted symbol."""
    judged = [row for row in rows if isinstance(row, AlertJudged)]
    return [row.target for row in judged if row.verdict is AlertVerdict.ACCEPTED]


def signals(rows: tuple[Any, ...]) -> list[Signal]:
    """The signals among decided rows."""
    return [row for row in rows if isinstance(row, Signal)]


def stamp(ns: int) -> str:
    """A moment as TradingView's {{timenow}} writes it."""
    return datetime.fromtimestamp(ns // SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
