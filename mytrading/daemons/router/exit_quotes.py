"""Quotes over REST for exits that must be LIMIT and of which risk has no fresh quote.

Each account has a thread of its own, so that a server that hangs delays neither orders nor the quotes of other
accounts. One request for each wait of a goal, with a deadline; a failure is an answer too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mytrading.adapters.openalgo.endpoints import quote
from mytrading.adapters.openalgo.rest.client import SECONDS, Deadline, OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.adapters.openalgo.rest.numbers import price_of
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.instruments.symbology import split_id
from mytrading.messages.orders import ExitQuote, Goal, GoalChanged
from mytrading.messages.run_config import AccountRun, RunConfig
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now

DEADLINE_S = 1.8
"""Less than the order machine waits for the answer (`OmsLimits.exit_quote_patience`)."""


class ExitQuotes:
    """Asks as the rows of the order machine say (`request`); `take_answers` has the answers after `wake` was called."""

    def __init__(self, config: RunConfig, wake: Callable[[], None]) -> None:
        self._state, self._wake = config.state, wake
        self._accounts = {account.id: account for account in config.order_accounts}
        self._pools: dict[str, WorkerPool[Goal, OpenAlgoClient, ExitQuote]] = {}
        self._asked: dict[str, int] = {}

    def request(self, rows: Iterable[Any]) -> None:
        """Ask for each goal whose row says that it is asked for now; returns at once."""
        for row in rows:
            if type(row) is not GoalChanged or row.goal.price:
                continue
            if row.goal.asked_machine_ns > self._asked.get(row.goal.id, 0):
                goal = row.goal
                self._asked[goal.id] = goal.asked_machine_ns
                if (account := self._accounts.get(goal.account)) is not None:
                    self._pool(account).submit(goal)

    def take_answers(self) -> list[ExitQuote]:
        """Return the answers received since the last call, failed ones too."""
        return [answer for pool in self._pools.values() for answer in pool.take_results()]

    def stop(self) -> None:
        """Stop the threads; a request that is out is abandoned."""
        for pool in self._pools.values():
            pool.stop(0.0)

    def _pool(self, account: AccountRun) -> WorkerPool[Goal, OpenAlgoClient, ExitQuote]:
        """The thread of an account, which is started with its first request."""
        if account.id not in self._pools:
            connect = partial(
                OpenAlgoClient, account.rest_url, account.api_key, machine_now, {**SECONDS, Deadline.DATA: DEADLINE_S}
            )
            self._pools[account.id] = WorkerPool(
                f"router.quotes.{account.id}", 1, connect, self._fetch, _failed, self._wake
            )
        return self._pools[account.id]

    def _fetch(self, client: OpenAlgoClient, goal: Goal) -> ExitQuote:
        exchange, symbol = split_id(goal.instrument)
        tick = goal.tick or self._tick_of(goal.instrument)
        try:
            row = quote(client, symbol, exchange)
        except (OpenAlgoError, TransportFailed) as error:
            return _answer(goal, tick=tick, problem=f"{type(error).__name__}: {error}")
        return _answer(
            goal, tick=tick, ltp=price_of(row.ltp) or 0.0, bid=price_of(row.bid) or 0.0, ask=price_of(row.ask) or 0.0,
            previous_close=price_of(row.prev_close) or 0.0,
        )  # fmt: skip

    def _tick_of(self, instrument: str) -> float:
        """The tick of a listed instrument, which risk has not told; 0.0 of another."""
        listed = (one for one in InstrumentFile(self._state).snapshot().instruments if one.id == instrument)
        return next((one.tick_size for one in listed), 0.0)


def _failed(goal: Goal, error: Exception) -> ExitQuote:
    return _answer(goal, problem=f"{type(error).__name__}: {error}")


def _answer(goal: Goal, **found: Any) -> ExitQuote:
    return ExitQuote(
        goal=goal.id, account=goal.account, instrument=goal.instrument, asked_machine_ns=goal.asked_machine_ns,
        ended_machine_ns=machine_now(), **found,
    )  # fmt: skip
