"""What each broker behind a live OpenAlgo server is known to do: its words, rows, answers and failures.

The profiles are package data, `broker_profiles.toml`, which is generated from recorded facts and not edited. They are
no part of what the program believes about brokers, and must never be made from that. `silent` names the questions that
no fact answers; there the profile has the usual form. Used by the row builders, the venue and the REST handlers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

from mytrading.core.exchange.model import BookOrder
from mytrading.messages.enums import BrokerStatus, OrderType

ALIASES: Mapping[str, str] = MappingProxyType(
    {"5paisa": "fivepaisa", "5paisaxts": "fivepaisaxts", "indiabulls": "ibulls"}
)
"""Other names of brokers, and OpenAlgo's own."""
PLAIN = "zerodha"
"""The broker of a live server if none is named."""

_STATES: Mapping[BrokerStatus, str] = MappingProxyType(
    {
        BrokerStatus.TRIGGER_PENDING: "waiting",
        BrokerStatus.OPEN: "open",
        BrokerStatus.COMPLETE: "complete",
        BrokerStatus.CANCELLED: "cancelled",
        BrokerStatus.REJECTED: "rejected",
    }
)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a profile."""


class SentOrders(_Part, frozen=True, kw_only=True):
    """Order types that arrive at the broker for MARKET, SL-M and SL, and what a change of a stop moves there.

    With `cancels_rest` a MARKET order's unfilled rest is cancelled at once. `cancel_all_misses` are the states of
    orders that `cancelallorder` leaves alive.
    """

    market: str = "MARKET"
    stop_market: str = "SL-M"
    stop: str = "SL"
    cancels_rest: bool = False
    change_moves: tuple[str, ...] = ()
    cancel_all_misses: tuple[str, ...] = ()


class OrderForm(_Part, frozen=True, kw_only=True):
    """Order book rows: words by state, and by the broker's own word (`raw`) for other states. With a word for
    `changed`, orders that rest after a change have it.

    Own words of `row_above` take the word of the row above. `text` are the fields given as text, `extra` those that
    rows of most brokers lack. `nfo_if`: a name with one of these letters is shown on NFO. `refused_change` is the word
    of a live order after the broker refused to change or cancel it; `passing` is an own word of an order on its way.
    """

    words: dict[str, str]
    raw: dict[str, str] = {}
    row_above: tuple[str, ...] = ()
    passing: str = ""
    refused_change: str = ""
    text: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    stamp: str = "%Y-%m-%d %H:%M:%S"
    last_update: bool = False
    products: dict[str, str] = {}
    types: dict[str, str] = {}
    nfo_if: tuple[str, ...] = ()


class TradeForm(_Part, frozen=True, kw_only=True):
    """Trade book rows. `counts`: fill, order (its quantity on each row), filled (its filled units on each row),
    "filled, one row" (an order), nothing (0), or "order book" (every order with its quantity).

    `exchange_id`: rows bear the exchange's id of an order. `order_time`: the order's time, not the fill's. Prices
    above `hundredth_above` rupees (0: none) are shown as a hundredth.
    """

    counts: str = "fill"
    text: tuple[str, ...] = ()
    exchange_id: bool = False
    stamp: str = "%Y-%m-%d %H:%M:%S"
    order_time: bool = False
    hundredth_above: float = 0.0
    nfo_if: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


class PositionForm(_Part, frozen=True, kw_only=True):
    """Position book rows. `fixed` values stand there whatever the market does; `missing` keys are left out.

    `average` is that of: net, today (0 for carried units), "buys today", "buys if short". `day_only`: units traded
    today alone. `joins_day_list`: the day's positions follow the net ones. `odd_product_follows`: a product that
    is none of ours is shown as that of the row above.
    """

    text: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fixed: dict[str, Any] = {}
    average_decimals: int = 2
    products: dict[str, str] = {}
    day_only: bool = False
    joins_day_list: bool = False
    odd_product_follows: bool = False
    average: str = "net"
    nfo_if: tuple[str, ...] = ()


class UpdateForm(_Part, frozen=True, kw_only=True):
    """Order updates: words by state; not `on`, the server has no order stream for this broker."""

    on: bool = False
    words: dict[str, str] = {}
    products: dict[str, str] = {}


class MissForm(_Part, frozen=True, kw_only=True):
    """How a row shows an instrument that the server's master contract lacks: `symbols` by book is null, blank or raw
    (with `ending`); products and exchanges are the broker's own names for ours."""

    symbols: dict[str, str]
    ending: str = ""
    orders_keep_product: bool = False
    products: dict[str, str] = {}
    exchanges: dict[str, Any] = {}


class Answer(_Part, frozen=True, kw_only=True):
    """The answer to a refused call: 200 is success although refused. `{reason}` and `{status}` are the broker's,
    `{orderid}` is the request's."""

    status: int
    message: str = ""


class FailedRead(_Part, frozen=True, kw_only=True):
    """The answer to a read while the broker fails: with 200 it `shows` empty, "blank row" or zeros, else that text."""

    status: int
    shows: str


class BrokerProfile(_Part, frozen=True, kw_only=True):
    """One broker by OpenAlgo's own name. `refused` is by route of order calls, `nothing` (what an empty book shows) by
    route of books, `failing` by kind of failure and route; `silent` are the questions that no fact answers."""

    name: str
    sent: SentOrders
    orders: OrderForm
    trades: TradeForm = TradeForm()
    positions: PositionForm = PositionForm()
    updates: UpdateForm = UpdateForm()
    misses: MissForm
    refused: dict[str, Answer]
    nothing: dict[str, str]
    failing: dict[str, dict[str, FailedRead]]
    silent: tuple[str, ...] = ()


def state_of(order: BookOrder) -> str:
    """Return an order's state as profiles name it: waiting, triggered, open, partly, complete, cancelled, rejected."""
    if order.status is not BrokerStatus.OPEN:
        return _STATES[order.status]
    if order.filled:
        return "partly"
    stop = order.request.order_type in (OrderType.SL, OrderType.SL_M)
    return "triggered" if stop and order.triggered else "open"


def state_of_status(status: BrokerStatus) -> str:
    """Return the state of an order of this status with nothing filled."""
    return _STATES[status]


@cache
def broker_profiles() -> Mapping[str, BrokerProfile]:
    """Return the profiles of all brokers by OpenAlgo's own names."""
    text = (files("mytrading.simulator.settings") / "broker_profiles.toml").read_text(encoding="utf-8")
    rows = ({"name": name, **body} for name, body in tomllib.loads(text).items())
    return MappingProxyType({row["name"]: msgspec.convert(row, BrokerProfile) for row in rows})


def broker_profile(name: str) -> BrokerProfile | None:
    """Return a broker's profile by OpenAlgo's name of it or another known one; None for an unknown name."""
    return broker_profiles().get(ALIASES.get(name, name))
