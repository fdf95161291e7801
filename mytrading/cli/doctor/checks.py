"""Checks of `mytrading doctor` and their findings, each with cause and cure.

A check that could not be made says why; it never counts as passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mytrading.cli.shell.target import load_calendar
from mytrading.core.calendar import Calendar
from mytrading.messages.instruments import Snapshot
from mytrading.messages.run_config import AccountRole, AccountRun, RunConfig, ServerMode, VenueKind
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.host.clock import MarketClock, machine_now

if TYPE_CHECKING:
    from mytrading.adapters.openalgo.rest.client import OpenAlgoClient


class Verdict(StrEnum):
    """Passed; passed, but look at it; failed; not tested."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "not tested"


class Finding(NamedTuple):
    """One row: how a check went, what was found, what to do about it, and, once the check is done, its name.

    `account` is empty for the machine, the stack and its primary account.
    """

    verdict: Verdict
    found: str
    cure: str = ""
    check: str = ""
    account: str = ""

    @property
    def title(self) -> str:
        """The check's name, with the account's unless that is the primary."""
        return f"{self.check} of {self.account}" if self.account else self.check

    @property
    def body(self) -> dict[str, str]:
        """The finding as the fields of a JSON row."""
        return {"check": self.check, **self._asdict()}


ok = partial(Finding, Verdict.OK)
"""A check in order, by what was found."""
warning = partial(Finding, Verdict.WARNING)
"""A check that passed, and needs a look: what was found, and the cure."""
failed = partial(Finding, Verdict.FAILED)
"""A check with which trading would not work: what was found, and the cure."""
skipped = partial(Finding, Verdict.SKIPPED)
"""A check that was not made: why, and what would help."""


def cure_for(error: Exception, cure: str) -> str:
    """Return the cure for a failed call; of one that came too soon after others the server has said nothing else."""
    from mytrading.adapters.openalgo.rest.errors import RateLimited, ReadFailed

    limited = isinstance(error, RateLimited) or (isinstance(error, ReadFailed) and error.kind == "rate_limited")
    return "run `mytrading doctor` again: the server took no more calls for now" if limited else cure


@dataclass
class CheckContext:
    """The subject of the checks: a stack, running or not, its server, and the findings so far.

    `account` is the one that is checked, its server in the venue's place, where it is not the primary. `hurried` is
    true where a start waits for it; `snapshot` are today's instruments once they were found in order.
    """

    stack: TradingOrchestrator
    findings: list[Finding] = field(default_factory=list)
    account: AccountRun | None = None
    hurried: bool = False
    snapshot: Snapshot | None = None

    @property
    def config(self) -> RunConfig:
        """The configuration that the stack runs or would run with."""
        return self.stack.config

    @cached_property
    def is_running(self) -> bool:
        """True if the stack runs."""
        return self.stack.is_running()

    def for_other_accounts(self) -> tuple[CheckContext, ...]:
        """Return a context for each account other than the primary, with that account's server."""
        return tuple(self._for_account(one) for one in self.config.accounts if one.id != self.config.venue.account)

    def for_quote_source(self) -> CheckContext | None:
        """Return the context for checks of the quote server; None if quotes come from the trading venue."""
        return self._for_account(self.config.source) if self.config.source is not None else None

    def _for_account(self, account: AccountRun) -> CheckContext:
        venue = msgspec.structs.replace(
            self.config.venue, account=account.id, rest_url=account.rest_url, ws_url=account.ws_url,
            api_key=account.api_key,
        )  # fmt: skip
        config = msgspec.structs.replace(self.config, venue=venue)
        return CheckContext(TradingOrchestrator(config), account=account, hurried=self.hurried)

    @property
    def is_quote_source(self) -> bool:
        """True if the checked account gives a simulator its quotes."""
        return self.account is not None and self.account == self.config.source

    @property
    def takes_orders(self) -> bool:
        """True unless the account is a backup, which only gives quotes when the primary's feed fails."""
        return self.account is None or self.account.role is not AccountRole.BACKUP

    @property
    def gives_quotes(self) -> bool:
        """True unless the account only takes orders: its server is then no source of market data."""
        return self.account is None or self.is_quote_source or self.account.role is not AccountRole.TRADING

    @property
    def is_paper(self) -> bool:
        """True if the venue is an OpenAlgo server in analyze mode, where orders move no money."""
        venue = self.config.venue
        return venue.kind is VenueKind.OPENALGO and venue.expected_mode is ServerMode.ANALYZE

    @cached_property
    def calendar(self) -> Calendar:
        """The project's calendar of sessions and holidays."""
        return load_calendar(self.config.home)

    @cached_property
    def client(self) -> OpenAlgoClient:
        """A REST client of the checked server, made at first use."""
        from mytrading.adapters.openalgo.rest.client import OpenAlgoClient

        return OpenAlgoClient(self.config.venue.rest_url, self.config.venue.api_key, machine_now)

    @property
    def now(self) -> int:
        """Market time (ns UTC): the simulated clock's, or wall time at a real server."""
        return MarketClock.load(self.config.clock_path).now()

    @cached_property
    def watched_instruments(self) -> tuple[str, ...]:
        """Ids of the instruments of all strategies and of ENABLED_SYMBOLS, without repeats."""
        symbols = [symbol for run in self.config.strategies for symbol in run.symbols]
        return tuple(dict.fromkeys((*symbols, *self.config.data.watch)))

    @property
    def first_instrument(self) -> str:
        """Id of the instrument to test the server with: the first watched one, else NSE_INDEX:NIFTY."""
        return next(iter(self.watched_instruments), "NSE_INDEX:NIFTY")

    @property
    def has_server(self) -> bool:
        """True if the server has an address to call; a stack's own simulator has one only while it runs."""
        return bool(self.config.venue.rest_url) and (self.is_running or not self.config.simulator.embedded)

    def has_passed(self, check: str) -> bool:
        """True if the check of this name was made and its verdict was OK or a warning."""
        return any(row.check == check and row.verdict in (Verdict.OK, Verdict.WARNING) for row in self.findings)

    def is_open(self, exchange: str) -> bool:
        """True if the exchange is in continuous trading now; False if the calendar does not list it."""
        return exchange in self.calendar.exchanges and self.calendar.is_open(exchange, self.now)


Check = Callable[[CheckContext], Finding]
Checks = tuple[tuple[str, tuple[str, ...], Check], ...]
"""Name, checks that must have passed, and the check itself, in order."""


def run_checks(context: CheckContext, checks: Checks) -> Iterator[Finding]:
    """Yield the finding of each check when it is made; skips checks whose prerequisites did not pass.
    A failed check of a backup account is reported as a warning, since trading works without that account."""
    for name, needs, check in checks:
        missing = next((need for need in needs if not context.has_passed(need)), "")
        row = skipped(f"{missing} has to pass first") if missing else check(context)
        row = row._replace(check=name, account=context.account.id if context.account is not None else "")
        context.findings.append(row)
        if row.verdict is Verdict.FAILED and not context.takes_orders:
            row = row._replace(verdict=Verdict.WARNING)
        yield row


def run_in_parallel(context: CheckContext, checks: Checks) -> Iterator[Finding]:
    """Run independent checks in parallel, each with its own connection, and yield their findings."""
    copies = (CheckContext(context.stack, list(context.findings), context.account, context.hurried) for _ in checks)
    yield from _side_by_side([(copy, (check,)) for copy, check in zip(copies, checks, strict=True)])


def check_other_accounts(context: CheckContext, checks: Checks) -> Iterator[Finding]:
    """Run the checks for every account but the primary, accounts in parallel, and yield the findings."""
    yield from _side_by_side([(one, checks) for one in context.for_other_accounts()])


def _side_by_side(examined: Sequence[tuple[CheckContext, Checks]]) -> Iterator[Finding]:
    with ThreadPoolExecutor(max_workers=max(1, len(examined))) as pool:
        for rows in pool.map(lambda one: list(run_checks(*one)), examined):
            yield from rows
