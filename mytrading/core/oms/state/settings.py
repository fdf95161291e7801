"""Windows and budgets of the order machine; times are machine nanoseconds, those of churn market nanoseconds."""

from __future__ import annotations

import msgspec

from mytrading.core.orders.state_machine import ModifyRules
from mytrading.core.time import SECOND
from mytrading.messages.brokers import PLAIN, BrokerRules, StopMoving, find_broker
from mytrading.messages.run_config import RateLimits, RiskLimits, UnknownExit, Windows

MS = 1_000_000
_RATES, _WINDOWS = RateLimits(), Windows()


def seconds_to_ns(seconds: float) -> int:
    """Seconds of the configuration as whole nanoseconds."""
    return round(seconds * SECOND)


class OmsLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults are those of the run file where it has them; docs/orders.md has the worst case of `unknown_exit`."""

    calls_per_second: int = _RATES.orders_per_second
    call_window: int = 1_020 * MS
    """A rolling second, and a little for clocks that do not run alike."""
    call_counts: int = 3 * SECOND
    """A call that is out counts for so long; what a server holds longer, it has long counted."""
    calls_at_once: int = 64
    """Calls on their way together: as many as there are connections."""
    calls_kept: int = 0
    """Of these, and of the calls a second, kept for stops, exits and what those need."""
    read_spacing: int = 500 * MS
    """Never two requests to read the same account within this, but for reads that prove a cancel."""
    reads_per_second: int = 5
    """Requests to read an account in any second, those that prove a cancel included."""
    chase_reads: int = 1 * SECOND
    """Interval of reads while an exit, a cancel, an end or a sighted fill is unproven."""
    entry_reads: int = seconds_to_ns(_WINDOWS.entry_reads)
    """Interval of reads for an entry of unknown fate."""
    lost_after: int = seconds_to_ns(_WINDOWS.lost_after)
    """The server may hold a call for 120 s and still place it."""
    lost_reads: int = 2
    ghost_gap: int = seconds_to_ns(_WINDOWS.ghost_gap)
    unknown_exit: UnknownExit = RiskLimits().unknown_exit
    call_patience: int = seconds_to_ns(_WINDOWS.call_patience)
    """A placing call without any outcome for this long counts as unknown."""
    retry_first: int = 250 * MS
    retry_most: int = 5 * SECOND
    cancel_first: int = 1 * SECOND
    cancel_calls: int = 5
    """Cancels tried quickly; later ones are `slow` apart, with an alert."""
    stop_failures: int = 3
    """Stops that ended without our signal before the position is closed instead."""
    unasked_window: int = 600 * SECOND
    """Once books showed a live stop as ended, the next one that they show so within this is left alone, and alerted."""
    stops_most: int = 5
    """Stops of one position, slices of the largest counted once; then small ones are joined."""
    exit_patience: int = seconds_to_ns(_WINDOWS.exit_patience)
    exit_attempts: int = 8
    exit_deadline: int = 60 * SECOND
    exit_waits: int = 8 * SECOND
    """Time without an exit that could leave after which an operator is told."""
    exit_price_patience: int = 2 * SECOND
    """Time for which a LIMIT exit waits for a word of risk before its server is asked for a quote, where that is done,
    or it goes at the near edge of the band."""
    exit_quote_patience: int = 2 * SECOND
    """Time for which it then waits for that quote, before it goes at the near edge of the band."""
    asks_quotes: bool = False
    """The router asks servers for quotes; where it does not, the edge follows at once."""
    exit_same_again: int = 60 * SECOND
    """Time after a refusal before a stop is taken away again for an exit of the same type and price."""
    stop_return: int = 2 * SECOND
    """Time after a refused exit before its stop comes back, unless the next one goes before."""
    exit_retry_first: int = 500 * MS
    slow: int = seconds_to_ns(_WINDOWS.slow)
    mismatch_gap: int = seconds_to_ns(_WINDOWS.mismatch_gap)
    """Two reads that correct a position lie at least this far apart."""
    name_within: int = 5 * SECOND
    """Market time after our first fill in which nobody converts it: a read of then tells a name of its product."""
    mode_first: bool = True
    """No order of any purpose before the server was seen in the expected mode since this router began; cancels go."""
    book_first: bool = True
    """No entry before one order book was read: orders that are not ours must be known before any of ours is out."""
    probes: bool = False
    """Trial orders are made: true at paper venues only."""
    modify: ModifyRules = ModifyRules()
    """The most that is tried at any broker; its row of the table may allow less."""
    brokers: dict[str, BrokerRules] = {}
    """The table of brokers, by OpenAlgo's name."""
    accepted_brokers: tuple[str, ...] = ()
    """Refused brokers that the operator takes as they are (ACCEPTED_BROKERS), by OpenAlgo's name."""
    unlisted: BrokerRules = PLAIN
    """The row of an account whose broker is not known yet or is in no table."""
    modify_gap: int = 2 * SECOND
    """Two reads that show the old values lie at least this far apart before a modify call is repeated."""
    exit_reprices: int = 4
    """Times that an exit with a price is moved before MARKET takes its place."""
    churn_within: int = 30 * SECOND
    """Market time after the cancel of an entry in which a new one of the same instrument counts as churn."""
    churn_window: int = 300 * SECOND
    churn_instrument: int = _RATES.churn_per_instrument
    churn_account: int = _RATES.churn_per_account
    exit_patience_most: int = 600 * SECOND
    """The longest time for which an exit rests before a better price is looked for."""
    exit_calls_hour: int = _RATES.exit_calls_per_hour
    orders_day: int = _RATES.orders_per_day
    orders_kept: int = _RATES.orders_for_exits
    """Of the orders of a day: no entry is placed beyond the others."""

    def broker_rules(self, broker: str) -> BrokerRules:
        """Return the row of a broker by OpenAlgo's name for it (`State.brokers`); `unlisted` if there is none."""
        row = find_broker(self.brokers, broker) if self.brokers and broker else self.unlisted
        return row if row.name else self.unlisted

    def modify_rules(self, broker: str) -> ModifyRules:
        """Return how orders are changed at a broker by OpenAlgo's name: what its row and `modify` both allow."""
        row, usual = self.broker_rules(broker), self.modify
        return ModifyRules(
            in_place=usual.in_place and row.stop_move is not StopMoving.REPLACE,
            most=min(usual.most, row.modifies_most), after_fill=usual.after_fill and row.modify_after_fill,
        )  # fmt: skip


def backoff(first: int, most: int, attempt: int) -> int:
    """Return the wait after an attempt (1, 2, …), in the unit of `first`: doubling from `first` up to `most`."""
    return min(most, first << min(max(attempt - 1, 0), 20))
