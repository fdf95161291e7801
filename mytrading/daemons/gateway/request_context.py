"""State that requests are answered from, and the names in a request that it resolves: accounts and strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from mytrading.core.calendar.square_off import SILENCE_NS
from mytrading.core.feed.instrument_demand import QuoteLeases
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.order_trials import OrderTrials
from mytrading.core.gateway.read_model import StackView
from mytrading.core.oms.operator_requests import MIS_SILENCE
from mytrading.core.text.spelling import name_key, nearest
from mytrading.core.time import clock_time, format_ist
from mytrading.messages.control import FeedReport, Heartbeat
from mytrading.messages.enums import Product, Purpose
from mytrading.messages.orders import Order
from mytrading.messages.run_config import RunConfig, StrategyRun
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.daemon.webhook_files import WebhookFolder
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.supervision.kill_file import KillFile


class RequestRefused(Exception):
    """A request that cannot be answered. `code` is an exit code: 2 for a wrong request, 1 for a defect here."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


class Decided(NamedTuple):
    """A command's rows, to be journaled before the reply."""

    rows: tuple[msgspec.Struct, ...]
    reply: msgspec.Struct


class Totals:
    """Counters of daemons added up over their restarts: a heartbeat counts since its own process began."""

    def __init__(self) -> None:
        self._done: dict[str, dict[str, float]] = {}
        self._now: dict[str, tuple[int, dict[str, float]]] = {}
        self.restarts: dict[str, int] = {}

    def add(self, beat: Heartbeat) -> None:
        """Record a heartbeat's counters; a new pid counts as a restart, and its counters add to its predecessor's."""
        if (known := self._now.get(beat.daemon)) is not None and known[0] != beat.pid:
            self.restarts[beat.daemon] = self.restarts.get(beat.daemon, 0) + 1
            done = self._done.setdefault(beat.daemon, {})
            for name, value in known[1].items():
                done[name] = done.get(name, 0.0) + value
        self._now[beat.daemon] = (beat.pid, {**beat.figures, "cpu_s": beat.cpu_s})

    def get(self, daemon: str, name: str) -> float:
        """Return a counter over all processes of a daemon since this gateway started; 0.0 if it has none."""
        return self._now.get(daemon, (0, {}))[1].get(name, 0.0) + self._done.get(daemon, {}).get(name, 0.0)


@dataclass
class FeedReports:
    """The newest report of the feed, and whether a screen asked for another."""

    newest: FeedReport | None = None
    asked: bool = False


@dataclass(frozen=True)
class RequestContext:
    """The stack as the gateway knows it."""

    config: RunConfig
    view: StackView
    control: ControlMachine
    clock: MarketClock
    totals: Totals
    leases: QuoteLeases = field(default_factory=QuoteLeases)
    trials: OrderTrials = field(default_factory=OrderTrials)
    feed: FeedReports = field(default_factory=FeedReports)
    webhooks: WebhookFolder | None = None

    @cached_property
    def tables(self) -> MarketTables:
        """Hours of trading and square-off times."""
        return MarketTables(self.config, keep=False)

    def why_never_sent(self, order: Order) -> str:
        """Return why nothing is sent for an order any more today; empty if it may be."""
        exchange, now = order.instrument.partition(":")[0], self.clock.now()
        venue = self.tables.venue_square_off_ns(exchange, now) if order.product is Product.MIS else 0
        return f"{MIS_SILENCE} ({exchange} at {clock_time(venue)})" if venue and now >= venue - SILENCE_NS else ""

    def why_held(self, order: Order) -> str:
        """Return why no move of this stop is sent before its exchange opens, and when that is; empty if it may be."""
        exchange, now = order.instrument.partition(":")[0], self.clock.now()
        moves = order.purpose is Purpose.STOP and order.evidence.modify.wanted is None
        if (
            not moves
            or order.evidence.cancel.wanted
            or self.tables.is_open(exchange, now)
            or self.why_never_sent(order)
        ):
            return ""
        opens = self.tables.next_open_ns(exchange, now)
        until = f" on {format_ist(opens, '%a %d %b at %H:%M')}" if opens else ""
        return f"{exchange} is closed, stops are moved or placed when it opens{until}"

    @property
    def runs(self) -> tuple[StrategyRun, ...]:
        """The strategies that run: those of the run file, then the webhooks that count now."""
        return (*self.config.strategies, *(self.webhooks.runs if self.webhooks is not None else ()))

    def run(self, name: str) -> StrategyRun | None:
        """Return the strategy of this exact name, None if it does not run."""
        return next((run for run in self.runs if run.name == name), None)

    def accounts(self) -> list[str]:
        """Return the ids of the accounts that are traded."""
        return [account.id for account in self.config.order_accounts]

    def account(self, name: str) -> str:
        """Return `name` if it is a traded account, or "" for all accounts; raises `RequestRefused`."""
        served = self.accounts()
        if name and name not in served:
            raise RequestRefused(f"expected an account that is served ({', '.join(served)}), found {name!r}")
        return name

    def strategies(self) -> list[str]:
        """Return the names of strategies that run, hold or have traded."""
        names = [run.name for run in self.runs]
        names += [row.strategy for row in self.view.positions.values()]
        names += [order.strategy for order in self.view.orders.values()]
        return list(dict.fromkeys(name for name in names if name))

    def strategy(self, word: str) -> str:
        """Return the strategy that `word` spells, ignoring case, `_`, `-` and blanks; else `word` itself."""
        known = self.strategies()
        like = [name for name in known if name_key(name) == name_key(word)]
        return like[0] if word not in known and len(like) == 1 else word

    def running_strategy(self, name: str, *others: str) -> str:
        """Return `name` if it runs or is one of `others`; raises `RequestRefused`."""
        known = [*(run.name for run in self.runs), *others]
        if name not in known:
            raise unknown_name("a strategy that runs", name, known)
        return name

    def kill_file_row(self) -> dict[str, Any] | None:
        """Return the kill file's content as a JSON row, None if there is no kill file."""
        if (kill := KillFile(self.config.state).read()) is None:
            return None
        return {"word": kill.word, "by": kill.by, "why": kill.why, "written_ns": kill.written_ns}


def unknown_name(expected: str, found: str, known: Sequence[str]) -> RequestRefused:
    """Build the error for a name that is none of `known`, with the nearest of them."""
    meant = f"; did you mean {near}?" if found and (near := nearest(found, list(known))) else ""
    return RequestRefused(f"expected {expected} ({', '.join(known) or 'none'}); found {found!r}{meant}")
