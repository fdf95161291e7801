"""Triggers that rest at the broker for days (GTT): place, modify, cancel, list.

Live servers have them for Zerodha and Dhan only, others raise `NotSupported`. A success without a trigger id raises
`FateUnknown`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mytrading.adapters.openalgo.api.request import Row, ask, order
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.rest.error_types import FateUnknown


class Triggered(msgspec.Struct, frozen=True):
    """A trigger that was taken."""

    trigger_id: str | int | None = None
    mode: str = ""


class _GttBook(msgspec.Struct):
    data: list[Row]


def place(client: OpenAlgoClient, **fields: Any) -> Triggered:
    """`placegttorder`: trigger_type SINGLE or OCO, triggerprice_sl and _tg, price, product CNC or NRML."""
    return _named(order(client, "placegttorder", fields, Triggered))


def modify(client: OpenAlgoClient, **fields: Any) -> Triggered:
    """`modifygttorder`: all fields of `place` and `trigger_id`."""
    return _named(order(client, "modifygttorder", fields, Triggered))


def cancel(client: OpenAlgoClient, trigger_id: str, strategy: str) -> Triggered:
    """`cancelgttorder`."""
    return order(client, "cancelgttorder", {"trigger_id": trigger_id, "strategy": strategy}, Triggered)


def book(client: OpenAlgoClient) -> list[Row]:
    """`gttorderbook`: one row per trigger with its legs."""
    return ask(client, "gttorderbook", {}, _GttBook, Deadline.BOOK).data


def _named(found: Triggered) -> Triggered:
    if not str(found.trigger_id or "").strip():
        raise FateUnknown("success without a trigger id", 200)
    return found
