"""The order machine as a configuration wants it: its limits, sessions and rules of changing orders.

Used by the router, and by who decides a router's journal again. The one rule: whatever of the configuration bears on a
decision is taken from here, so that both decide alike.
"""

from __future__ import annotations

import tomllib

from msgspec.structs import replace

from mytrading.adapters.openalgo.quirks import modify_rules
from mytrading.core.calendar import Calendar
from mytrading.core.contracts import ContractFacts
from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.order import ModifyRules
from mytrading.core.square_off import SquareOff
from mytrading.messages.runconfig import AccountRun, RunConfig, ServerMode, VenueKind

LOCK_STEP_READS_NS = 200_000_000
"""Machine time between reads that confirm a fill or an end in lock-step, where the whole market waits for them."""


def calendar_of(config: RunConfig) -> Calendar:
    """The sessions that the configuration's file lists."""
    return Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))


def order_machine(config: RunConfig, calendar: Calendar | None = None) -> OrderMachine:
    """The machine that decides with this configuration; `mytrading journal verify` decides again with it."""
    sessions = calendar or calendar_of(config)
    most = config.rates.modifies_per_order
    has_books = config.venue.kind is VenueKind.OPENALGO
    windows = config.windows
    limits = OmsLimits(
        calls_per_second=config.rates.orders_per_second,
        calls_at_once=config.venue.order_workers,
        calls_kept=1 if min(config.venue.order_workers, config.rates.orders_per_second) > 1 else 0,
        lost_after=_ns(windows.lost_after),
        ghost_gap=_ns(windows.ghost_gap),
        call_patience=_ns(windows.call_patience),
        entry_reads=_ns(windows.entry_reads),
        mismatch_gap=_ns(windows.mismatch_gap),
        exit_patience=_ns(windows.exit_patience),
        slow=_ns(windows.slow),
        unknown_exit=config.risk.unknown_exit,
        mode_first=has_books,
        book_first=has_books,
        probes=config.venue.expected_mode is ServerMode.ANALYZE,
        modify=ModifyRules(most=most),
        modify_by_account={account.id: _rules_of(account, most) for account in config.accounts},
        churn_instrument=config.rates.churn_per_instrument,
        churn_account=config.rates.churn_per_account,
    )
    if config.simulator.embedded and not config.simulator.speed:
        limits = replace(limits, read_spacing=LOCK_STEP_READS_NS // 2, chase_reads=LOCK_STEP_READS_NS)
    facts_path = config.calendar_path.with_name("instruments.toml")
    facts = ContractFacts.from_dict(tomllib.loads(facts_path.read_text(encoding="utf-8")))
    return OrderMachine(
        limits,
        lambda exchange, now: exchange not in sessions.exchanges or sessions.is_open(exchange, now),
        SquareOff(sessions, facts.square_off).venue_ns,
    )


def _ns(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


def _rules_of(account: AccountRun, most: int) -> ModifyRules:
    rules = modify_rules(account.broker)
    return replace(rules, most=min(rules.most, most))
