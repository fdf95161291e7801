"""The `openalgo` SDK's `api` over our client, with the calls it lacks.

For authors, notebooks and tests; imported on demand and never by a daemon, since the SDK costs 160 MB. Its methods keep
their names and dictionaries; those added here give types and raise `OpenAlgoError`. The one rule: all POST calls take
the one keep-alive connection, so an object belongs to one thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from openalgo import api  # type: ignore[import-untyped,unused-ignore]

from mytrading.adapters.openalgo.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.endpoints import account, gtt, options
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
    )
)


class ExtendedOpenAlgoAPI(api):  # type: ignore[misc,unused-ignore]
    """`api` with one connection, the right deadlines, `ping`, GTT, greeks of many and P&L by symbol."""

    def __init__(self, api_key: str, host: str = "http://127.0.0.1:5000", **options_of_sdk: Any) -> None:
        super().__init__(api_key=api_key, host=host, **options_of_sdk)
        self.client = OpenAlgoClient(host, api_key, time.monotonic_ns)

    def _make_request(self, endpoint: str, payload: Mapping[str, Any]) -> Row:
        """What every POST method of the SDK goes through; failures come as the SDK's dictionaries."""
        deadline = Deadline.ORDER if endpoint in _ORDER_CALLS else Deadline.BULK
        try:
            answer = self.client.call(endpoint, payload, deadline)
        except TransportFailed as error:
            kind = "connection_error" if isinstance(error, NotSent) else "timeout_error"
            return {"status": "error", "message": str(error), "error_type": kind}
        if answer.status != 200:
            text = f"HTTP {answer.status}: {answer.body.decode(errors='replace')}"
            return {"status": "error", "message": text, "code": answer.status, "error_type": "http_error"}
        try:
            return msgspec.json.decode(answer.body, type=Row)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raw = answer.body.decode(errors="replace")
            return {"status": "error", "message": "not JSON", "raw_response": raw, "error_type": "json_error"}

    def ping(self) -> account.Pong:
        """That the key is right and the server has a broker session. Raises `BrokerDisconnected`."""
        return account.ping(self.client)

    def placegttorder(self, **fields: Any) -> gtt.Triggered:
        """Place a trigger that rests at the broker; fields as in `endpoints.gtt.place`."""
        return gtt.place(self.client, **fields)

    def modifygttorder(self, **fields: Any) -> gtt.Triggered:
        """Replace a trigger."""
        return gtt.modify(self.client, **fields)

    def cancelgttorder(self, trigger_id: str, strategy: str) -> gtt.Triggered:
        """Cancel a trigger."""
        return gtt.cancel(self.client, trigger_id, strategy)

    def gttorderbook(self) -> list[Row]:
        """All triggers."""
        return gtt.book(self.client)

    def multioptiongreeks(self, symbols: Sequence[Mapping[str, Any]], **fields: Any) -> list[options.Greeks]:
        """Greeks of at most 50 options in one call."""
        return options.multi_greeks(self.client, symbols, **fields)

    def pnlsymbols(self) -> list[Row]:
        """P&L by symbol, in the server's sandbox only."""
        return account.pnl_by_symbol(self.client)
