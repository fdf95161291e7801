"""The report of a trial: what was seen beside what the table of brokers says, without anything secret.

It holds no key, address, account, order id or other position: it can be sent to strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mytrading import __version__
from mytrading.core.text.broker_facts import NOT_KNOWN, STANDINGS
from mytrading.messages.brokers import BrokerRules, StopMoving, TradeOrderId
from mytrading.messages.enums import BrokerStatus, Outcome
from mytrading.operations.broker_trial.trial import STOP_ORDER, Observed

_SHOWN = (
    "symbol", "exchange", "action", "quantity", "price", "trigger_price", "pricetype", "price_type", "product",
    "order_status", "timestamp", "filled_quantity", "pending_quantity", "average_price", "rejection_reason", "reason",
)  # fmt: skip
"""Fields of a row whose values are shown; of any other only its name and type."""
_LIKE_AN_ID = re.compile(r"\b(?=\w*\d)[A-Za-z0-9_-]{5,}\b")
"""Parts of a text that may be an id of a client or an order: five signs and more with a digit among them."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was seen: `agrees` with the table, or None where the table is silent."""

    what: str
    table: str
    found: str
    agrees: bool | None


class TrialReport(msgspec.Struct, frozen=True, kw_only=True):
    """A trial; `listed` says whether the table has the broker, `problems` what a person must look at."""

    version: str
    date: str
    broker: str
    listed: bool
    standing: str
    since: str
    exchange: str
    compared: tuple[Compared, ...]
    orders: tuple[dict[str, Any], ...]
    trades: tuple[dict[str, Any], ...] | None
    problems: tuple[str, ...]


def make_report(
    broker: str, rules: BrokerRules, instrument: str, date: str, observed: Sequence[Observed],
    trades: Sequence[Mapping[str, Any]] | None, problems: Sequence[str],
) -> TrialReport:  # fmt: skip
    """Return the report of a trial, broken off or not. `date`: ISO date and time in India."""
    return TrialReport(
        version=__version__, date=date, broker=broker, listed=bool(rules.name), standing=STANDINGS[rules.standing],
        since=rules.since or NOT_KNOWN, exchange=instrument.partition(":")[0],
        compared=tuple(_compared(rules, observed, trades)), orders=tuple(_order(one) for one in observed),
        trades=None if trades is None else tuple(without_secrets(row) for row in trades),
        problems=tuple(masked(text) for text in problems),
    )  # fmt: skip


def _order(seen: Observed) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(seen)
    body["rows"] = {when: without_secrets(row) for when, row in seen.rows.items()}
    body["messages"] = {call: masked(text) for call, text in seen.messages.items()}
    return body


def without_secrets(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a book with the values of known fields alone, ids within their texts masked; of any other field,
    the type of its value."""
    return {
        name: (masked(value) if isinstance(value, str) and name in ("rejection_reason", "reason") else value)
        if name in _SHOWN
        else f"<{type(value).__name__}>"
        for name, value in row.items()
    }


def masked(text: str) -> str:
    """Return a text with everything that may be an id replaced."""
    return _LIKE_AN_ID.sub("…", text)


def _compared(
    rules: BrokerRules, observed: Sequence[Observed], trades: Sequence[Mapping[str, Any]] | None
) -> Iterator[Compared]:
    for one in observed:
        name = "the stop" if one.name == STOP_ORDER else "the limit order"
        placed = one.answers.get("place", "")
        yield Compared(what=f"{name}: answer to placing", table=Outcome.ACCEPTED.value, found=placed,
                       agrees=placed == Outcome.ACCEPTED)  # fmt: skip
        if one.id_found is not None:
            yield Compared(what=f"{name}: the row bears the answer's id", table="yes", found=_yes(one.id_found),
                           agrees=one.id_found)  # fmt: skip
        if one.words:
            yield from _of_waiting(rules, one, name)
        if one.changed is not None:
            yield from _of_changes(rules, one, name)
        if one.answers.get("cancel"):
            done = one.ended_as == BrokerStatus.CANCELLED
            yield Compared(what=f"{name}: cancelled in the book", table="yes",
                           found=f"{_yes(done)} ({one.words[-1] if one.words else 'no row'})", agrees=done)  # fmt: skip
        if one.filled:
            yield Compared(what=f"{name}: fills far from the market", table="no", found="yes", agrees=False)
    if trades is not None:
        silent = rules.trade_order_id is TradeOrderId.UNKNOWN
        expected = rules.trade_order_id is TradeOrderId.ORDER
        yield Compared(what="a trade row bears our order's id", table=NOT_KNOWN if silent else _yes(expected),
                       found=_yes(bool(trades)), agrees=None if silent else bool(trades) == expected)  # fmt: skip


def _of_waiting(rules: BrokerRules, one: Observed, name: str) -> Iterator[Compared]:
    word, row = one.words[0], one.rows["placed"]
    plain = " ".join(word.lower().replace("_", " ").replace("-", " ").split())
    if one.name == STOP_ORDER:
        yield Compared(what="the word of a waiting stop", table=" or ".join(rules.waiting_stop) or NOT_KNOWN,
                       found=word, agrees=plain in rules.waiting_stop if rules.waiting_stop else None)  # fmt: skip
        kind = str(row.get("pricetype", row.get("price_type", "")))
        meant = rules.order_type_names.get(kind.upper(), kind)
        yield Compared(what="the type of a waiting stop", table="SL" if rules.stop_type_kept else NOT_KNOWN, found=kind,
                       agrees=meant == "SL" if rules.stop_type_kept else None)  # fmt: skip
    else:
        lives = one.meanings[0] in (BrokerStatus.OPEN, BrokerStatus.OTHER)
        yield Compared(what="the word of a waiting limit order", table="live", found=word, agrees=lives)
    product = str(row.get("product", ""))
    agrees = rules.products.get(product.upper(), product) == "MIS"
    yield Compared(what=f"{name}: product of its row", table="MIS", found=product, agrees=agrees)


def _of_changes(rules: BrokerRules, one: Observed, name: str) -> Iterator[Compared]:
    stop = one.name == STOP_ORDER
    silent = stop and rules.stop_move is StopMoving.UNKNOWN
    expected = not (stop and rules.stop_move is StopMoving.REPLACE)
    yield Compared(what=f"{name}: a change moves it", table=NOT_KNOWN if silent else _yes(expected),
                   found=_yes(bool(one.changed)), agrees=None if silent else one.changed == expected)  # fmt: skip


def _yes(found: bool) -> str:
    return "yes" if found else "no"


def report_lines(report: TrialReport) -> list[str]:
    """Return a report for a person."""
    lines = [f"{report.broker}: {report.standing}; tried on {report.date} with MyTrading {report.version}, table of "
             f"OpenAlgo {report.since}"]  # fmt: skip
    for one in report.compared:
        mark = {True: "as the table says", False: "DIFFERS", None: "new"}[one.agrees]
        lines.append(
            f"  {one.what}: {one.found} ({mark}{f'; the table: {one.table}' if one.agrees is not True else ''})"
        )
    for order in report.orders:
        took = ", ".join(f"{call} {seconds:g} s" for call, seconds in order["seconds"].items())
        words = ", ".join(order["words"]) or "none"
        lines.append(f"  {order['name']}: words {words}; id: {order['id_form'] or NOT_KNOWN}; {took}")
    return [*lines, *(f"  LOOK: {text}" for text in report.problems)]
