"""The account and the server: ping, mode, margin, holdings, P&L by symbol, notes to Telegram.

`ping` proves a key and a session stored at the server, not that the broker answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mytrading.adapters.openalgo.api.request import Row, ask
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient


class Pong(msgspec.Struct, frozen=True):
    """The server knows the key and has a session at `broker`."""

    message: str
    broker: str = ""


class Analyzer(msgspec.Struct, frozen=True):
    """The server's one switch between live and analyze."""

    mode: str
    analyze_mode: bool
    total_logs: int = 0


class Margin(msgspec.Struct, frozen=True):
    """Rupees, by the live broker even in analyze mode."""

    total_margin_required: float
    span_margin: float = 0.0
    exposure_margin: float = 0.0


class _PingReply(msgspec.Struct):
    data: Pong


class _Analyzer(msgspec.Struct):
    data: Analyzer


class _Margin(msgspec.Struct):
    data: Margin


class _Object(msgspec.Struct):
    data: Row


class _Rows(msgspec.Struct):
    data: list[Row]


class _Done(msgspec.Struct):
    message: str | Row = ""


def ping(client: OpenAlgoClient) -> Pong:
    """`ping`. Raises `BrokerDisconnected`."""
    return ask(client, "ping", {}, _PingReply, Deadline.DATA).data


def analyzer(client: OpenAlgoClient) -> Analyzer:
    """`analyzer`: the mode now."""
    return ask(client, "analyzer", {}, _Analyzer, Deadline.DATA).data


def toggle_analyzer(client: OpenAlgoClient, analyze: bool) -> Analyzer:
    """`analyzer/toggle`: for every client of the server at once."""
    return ask(client, "analyzer/toggle", {"mode": analyze}, _Analyzer, Deadline.BOOK).data


def margin(client: OpenAlgoClient, positions: Sequence[Mapping[str, Any]]) -> Margin:
    """`margin` of 1 to 50 positions; the server wants numbers as text, which this does."""
    rows = [{key: str(value) for key, value in row.items()} for row in positions]
    return ask(client, "margin", {"positions": rows}, _Margin, Deadline.BOOK).data


def holdings(client: OpenAlgoClient) -> list[Row]:
    """`holdings`: shares in the depository; keys depend on the broker."""
    rows: list[Row] = ask(client, "holdings", {}, _Object, Deadline.BOOK).data.get("holdings") or []
    return rows


def pnl_by_symbol(client: OpenAlgoClient) -> list[Row]:
    """`pnl/symbols`: in the sandbox only."""
    return ask(client, "pnl/symbols", {}, _Rows, Deadline.BOOK).data


def telegram(client: OpenAlgoClient, username: str, message: str, priority: int = 5) -> str:
    """`telegram/notify`: what the server said. Queued, not delivered."""
    fields = {"username": username, "message": message, "priority": priority}
    return str(ask(client, "telegram/notify", fields, _Done, Deadline.DATA).message)
