"""The `openalgo` SDK's `api` over our client, with the calls it lacks.

For authors, notebooks and tests; imported on demand and never by a daemon, since the SDK costs 160 MB. Its methods keep
their names and dictionaries; those added here give types and raise `OpenAlgoError`, under SDK 1.x and 2.x alike, so
that a notebook survives a newer Python. The one rule: all POST calls take the one keep-alive connection, so an object
belongs to one thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from openalgo import api  # type: ignore[import-untyped,unused-ignore]

from mytrading.adapters.openalgo.client import Answer, Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.endpoints import account, gtt, market, options
from mytrading.adapters.openalgo.endpoints.ask import Row
from mytrading.adapters.openalgo.errors import NotSent, TransportFailed

_ORDER_CALLS = frozenset(
    (
        "placeorder",
        "placesmartorder",
        "basketorder",
        "splitorder",
        "modifyorder",
        "cancelorder",
        "cancelallorder",
        "closeposition",
        "optionsorder",
        "optionsmultiorder",
        "strategy/start",
        "strategy/stop",
        "strategy/closeall",
        "strategy/closeleg",
    )
)


class ExtendedOpenAlgoAPI(api):  # type: ignore[misc,unused-ignore]
    """`api` with one connection, the right deadlines, `ping`, `ticker`, GTT, greeks of many and P&L by symbol."""

    def __init__(self, api_key: str, host: str = "http://127.0.0.1:5000", **options_of_sdk: Any) -> None:
        super().__init__(api_key=api_key, host=host, **options_of_sdk)
        self.rest = OpenAlgoClient(host, api_key, time.monotonic_ns)
        """Ours; `client` is SDK 2.x's own pool, which its `instruments` goes through."""

    def close(self) -> None:
        """End the connection, and the SDK's own pool where it has one (2.x)."""
        self.rest.close()
        if (close_pool := getattr(super(), "close", None)) is not None:
            close_pool()

    def _make_request(self, endpoint: str, payload: Mapping[str, Any]) -> Row:
        """What every POST method of the SDK goes through; failures come as the SDK's dictionaries."""
        answer = self._asked(endpoint, payload)
        if isinstance(answer, Answer) and answer.status != 200:
            text = f"HTTP {answer.status}: {answer.body.decode(errors='replace')}"
            return {"status": "error", "message": text, "code": answer.status, "error_type": "http_error"}
        return _object(answer) if isinstance(answer, Answer) else answer

    def _post(self, endpoint: str, payload: Mapping[str, Any]) -> Row:
        """What SDK 2.x's `strategy...` methods go through: a refusal keeps the server's fields, as its legs."""
        answer = self._asked(endpoint, payload)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != 200:
            return {"status": "error", **_object(answer), "code": answer.status}
        return _object(answer)

    def _asked(self, endpoint: str, payload: Mapping[str, Any]) -> Answer | Row:
        deadline = Deadline.ORDER if endpoint in _ORDER_CALLS else Deadline.BULK
        try:
            return self.rest.call(endpoint, payload, deadline)
        except TransportFailed as error:
            kind = "connection_error" if isinstance(error, NotSent) else "timeout_error"
            return {"status": "error", "message": str(error), "error_type": kind}

    def ping(self) -> account.Pong:
        """That the key is right and the server has a broker session. Raises `BrokerDisconnected`."""
        return account.ping(self.rest)

    def placegttorder(self, **fields: Any) -> gtt.Triggered:
        """Place a trigger that rests at the broker; fields as in `endpoints.gtt.place`, or as SDK 2.x names them."""
        return gtt.place(self.rest, **_named_as_on_the_wire(fields))

    def modifygttorder(self, **fields: Any) -> gtt.Triggered:
        """Replace a trigger; every field is sent anew."""
        return gtt.modify(self.rest, **_named_as_on_the_wire(fields))

    def cancelgttorder(self, trigger_id: str, strategy: str = "Python") -> gtt.Triggered:
        """Cancel a trigger."""
        return gtt.cancel(self.rest, trigger_id, strategy)

    def gttorderbook(self) -> list[Row]:
        """All triggers."""
        return gtt.book(self.rest)

    def multioptiongreeks(self, symbols: Sequence[Mapping[str, Any]], **fields: Any) -> list[options.Greeks]:
        """Greeks of at most 50 options in one call."""
        return options.multi_greeks(self.rest, symbols, **fields)

    def ticker(
        self, symbol: str, exchange: str, interval: str = "D", *, start_date: str, end_date: str
    ) -> list[market.Candle]:
        """Bars as the server's address `ticker/EXCHANGE:SYMBOL` gives them, longer ranges cut short by it."""
        return market.ticker(self.rest, symbol, exchange, interval, start_date, end_date)

    def pnlsymbols(self) -> list[Row]:
        """P&L by symbol, in the server's sandbox only."""
        return account.pnl_by_symbol(self.rest)


def _object(answer: Answer) -> Row:
    try:
        return msgspec.json.decode(answer.body, type=Row)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raw = answer.body.decode(errors="replace")
        return {"status": "error", "message": "not JSON", "raw_response": raw, "error_type": "json_error"}


def _named_as_on_the_wire(fields: Row) -> Row:
    named = {"pricetype" if name == "price_type" else name: value for name, value in fields.items()}
    return {"strategy": "Python", **named}
