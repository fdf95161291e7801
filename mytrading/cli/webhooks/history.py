"""Alerts of the past from the journal of `webhooks`, and what the webhook's file would make of them now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.time import format_ist
from mytrading.core.webhooks.definition import WebhookDefinition
from mytrading.core.webhooks.exit_outcomes import ExitOutcomes
from mytrading.core.webhooks.machine import WebhookEnvironment, WebhookMachine
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import Signal
from mytrading.messages.webhooks import AlertJudged, AlertReceived
from mytrading.operations.journal_verify import decode_journals
from mytrading.runtime.journal.reader import JournalTail


def read_exit_outcomes(config: RunConfig) -> ExitOutcomes:
    """Return what the journal of the router tells of exits."""
    outcomes = ExitOutcomes()
    tail = JournalTail(config.journal_dir("router"), "orders", lambda _, message: outcomes.apply(message), carried=True)
    tail.start(0)
    tail.close()
    return outcomes


def delivery_rows(config: RunConfig, webhook: str, now: int) -> list[dict[str, Any]]:
    """Return a JSON row for each verdict on an alert of a webhook, the oldest first, at market time `now`."""
    from mytrading.cli.shell.target import load_calendar

    alerts: dict[str, AlertReceived] = {}
    rows = []
    outcomes, calendar = read_exit_outcomes(config), load_calendar(config.home)
    for found in _rows(config, webhook):
        judged = found.message
        if isinstance(judged, AlertReceived):
            alerts[judged.id] = judged
        if not isinstance(judged, AlertJudged):
            continue
        came = alerts.get(judged.alert)
        refused = judged.refusal
        rows.append(
            {
                "received": format_ist(found.market_ns),
                "alert": judged.alert,
                "ip": came.ip if came is not None else "",
                "symbol": judged.symbol,
                "verdict": judged.verdict.value,
                "target": judged.target,
                "code": refused.code if refused is not None else "",
                "text": refused.text if refused is not None else "",
                "signal": judged.signal,
                "outcome": outcomes.of(judged, calendar, now),
                "first": judged.first,
                "body": came.body if came is not None else "",
                "body_hash": came.body_hash if came is not None else "",
            }
        )
    return rows


def compare_verdicts(config: RunConfig, webhook: WebhookDefinition) -> list[dict[str, Any]]:
    """Return for each symbol of each journaled alert the verdict that it had and the one it would have, by the webhook
    as given and today's contracts; positions count as unknown, so nothing is a no-op. Contracts by rule are those that
    were chosen then, where any were: prices of the past are not on record."""
    from mytrading.cli.shell.target import load_calendar

    calendar = load_calendar(config.home)
    accounts = [account.id for account in config.order_accounts]
    environment = WebhookEnvironment(calendar, config.mode, accounts, config.risk.signal_validity_seconds)
    environment.instruments = InstrumentFile(config.state, session_ends(calendar)).book()
    environment.webhooks = {webhook.name: webhook}
    machine, rows = WebhookMachine(environment), []
    was: dict[tuple[str, str], str] = {}
    alerts: list[tuple[AlertReceived, int]] = []
    chosen: dict[str, tuple[str, str]] = {}
    for found in _rows(config, webhook.name):
        if isinstance(found.message, AlertReceived):
            alerts.append((found.message, found.market_ns))
        elif isinstance(found.message, AlertJudged):
            judged = found.message
            was[judged.alert, judged.symbol] = _said(judged)
            if judged.signal and judged.watch:
                chosen[judged.signal] = (judged.alert, judged.watch)
        elif found.message.legs and (place := chosen.get(found.message.id)) is not None:
            environment.chosen[place] = tuple(leg.instrument for leg in found.message.legs)
    for alert, market_ns in alerts:
        machine.apply(alert)
        for row in machine.decide(alert, market_ns):
            machine.apply(row)
            if isinstance(row, AlertJudged):
                text = row.refusal.text if row.refusal is not None else ""
                rows.append(
                    {
                        "alert": alert.id,
                        "symbol": row.symbol,
                        "was": was.get((alert.id, row.symbol)) or was.get((alert.id, ""), ""),  # of all of it
                        "now": _said(row),
                        "target": row.target,
                        "text": text,
                    }
                )
    return rows


def _said(row: AlertJudged) -> str:
    return row.refusal.code if row.refusal is not None else row.verdict.value


class _AlertRow(NamedTuple):
    """A row of the journal about a webhook, and when it was written (market ns)."""

    message: AlertReceived | AlertJudged | Signal
    market_ns: int


_KINDS: dict[str, type[AlertReceived | AlertJudged | Signal]] = {
    "alert_received": AlertReceived,
    "alert_judged": AlertJudged,
    "signal": Signal,
}


def _rows(config: RunConfig, webhook: str) -> Iterator[_AlertRow]:
    for found in decode_journals(config, "webhooks"):
        body, kind = found.body, _KINDS.get(found.body.get("type", ""))
        if kind is not None and webhook == body.get("strategy" if kind is Signal else "webhook"):
            yield _AlertRow(msgspec.convert(body, kind), found.row.market_ns)
