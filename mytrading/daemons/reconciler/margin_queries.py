"""Margin queries of risk to the broker; every query is answered, if only by a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mytrading.adapters.openalgo.endpoints import margin
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT
from mytrading.core.instruments.symbology import split_id
from mytrading.messages.reports import MarginAnswer, MarginLine, MarginRequest
from mytrading.messages.run_config import AccountRun
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now


class MarginQueries:
    """Questions in, answers to `publish`; the worker begins with the first question."""

    def __init__(self, account: AccountRun, publish: Callable[[MarginAnswer], None], wake: Callable[[], None]) -> None:
        self._account, self._publish, self._wake = account, publish, wake
        self._workers: WorkerPool[MarginRequest, OpenAlgoClient, MarginAnswer] | None = None

    def queue(self, request: MarginRequest) -> None:
        """Queue a margin query; it is sent once the last one is answered."""
        if self._workers is None:
            name = f"margin.{self._account.id}"
            self._workers = WorkerPool(
                name, 1, lambda: OpenAlgoClient(self._account.rest_url, self._account.api_key, machine_now),
                query_margin, lambda asked, error: _without(asked, f"{type(error).__name__}: {error}"), self._wake,
            )  # fmt: skip
        self._workers.submit(request)

    def publish_answers(self) -> None:
        """Publish the margin answers received so far."""
        for answer in self._workers.take_results() if self._workers is not None else ():
            self._publish(answer)

    def stop(self) -> None:
        """Stop the query worker."""
        if self._workers is not None:
            self._workers.stop()


def query_margin(client: OpenAlgoClient, request: MarginRequest) -> MarginAnswer:
    """Ask the broker for the margin of `request.lines`; returns it in rupees, or why there is none."""
    try:
        total = margin(client, [_row(line) for line in request.lines]).total_margin_required
    except (OpenAlgoError, TransportFailed) as error:
        return _without(request, str(error))
    if not 0 < total <= MOST_COUNT:
        return _without(request, f"the broker answered {total:g}")
    return MarginAnswer(id=request.id, account=request.account, machine_ns=machine_now(), total=total)


def _row(line: MarginLine) -> dict[str, Any]:
    exchange, symbol = split_id(line.instrument)
    return {
        "symbol": symbol,
        "exchange": exchange,
        "action": line.side.value,
        "quantity": line.quantity,
        "product": line.product.value,
        "pricetype": "MARKET",
        "price": line.price,
    }


def _without(request: MarginRequest, problem: str) -> MarginAnswer:
    return MarginAnswer(id=request.id, account=request.account, machine_ns=machine_now(), problem=problem)
