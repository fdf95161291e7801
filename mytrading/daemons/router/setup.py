"""The order machine as a configuration wants it: its limits, sessions and rules of changing orders.

Whatever of the configuration bears on a decision is taken from here, so that both decide alike; a file that may be
edited meanwhile is a row of the journal.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.oms.state.folds import ReplayedReport
from mytrading.core.oms.state.settings import seconds_to_ns
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.journal_rows import FileTaken
from mytrading.messages.run_config import RunConfig, ServerMode, VenueKind
from mytrading.messages.streams import unions
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.journal.journal import Row

LOCK_STEP_READS_NS = 200_000_000
"""Machine time between reads that confirm a fill or an end in lock-step, where the whole market waits for them."""

FIRST_PRICE_NS = 30_000_000_000
"""Machine time at an open for which the stops of carried shares wait for the first price of their day."""
RISK_ANSWERS_NS = 1_000_000_000
"""Machine time for which an exit waits for risk's price before its server is asked for a quote."""


class FiledOrders(OrderMachine):
    """The order machine whose hours are those of the files that its rows say were taken."""

    def __init__(self, limits: OmsLimits, hours: MarketTables) -> None:
        super().__init__(limits, hours.is_open, hours.venue_square_off_ns, hours.is_provisional)
        self._hours = hours

    def apply(self, row: Any) -> None:
        """Apply a row: one with an edited hours file to the market hours, any other to the order machine."""
        if type(row) is FileTaken:
            self._hours.apply_file(row)
        else:
            super().apply(row)


class OrderRows:
    """The rows of the router's journal as messages: of a report only what is learnt when it is read again."""

    def __init__(self) -> None:
        self._decoders = {name: StreamDecoder(name) for name in unions()}
        self._decoders["reports"] = StreamDecoder("reports", ReplayedReport)

    def decode(self, row: Row) -> Any:
        """Return the message in a row; raises `FrameError`."""
        return self._decoders[row.stream].decode_body(row.body)


def build_order_machine(config: RunConfig, hours: MarketTables | None = None) -> FiledOrders:
    """Build the router's order logic, without I/O (`hours` None: from files); `journal verify` replays with it."""
    has_books = config.venue.kind is VenueKind.OPENALGO
    lock_step = config.simulator.embedded and not config.simulator.speed
    windows, modify = config.windows, ModifyRules(most=config.rates.modifies_per_order)
    limits = OmsLimits(
        calls_per_second=config.rates.orders_per_second, calls_at_once=config.venue.order_workers,
        calls_kept=1 if min(config.venue.order_workers, config.rates.orders_per_second) > 1 else 0,
        lost_after=seconds_to_ns(windows.lost_after), ghost_gap=seconds_to_ns(windows.ghost_gap),
        call_patience=seconds_to_ns(windows.call_patience), entry_reads=seconds_to_ns(windows.entry_reads),
        mismatch_gap=seconds_to_ns(windows.mismatch_gap), exit_patience=seconds_to_ns(windows.exit_patience),
        slow=seconds_to_ns(windows.slow),
        unknown_exit=config.risk.unknown_exit, mode_first=has_books, book_first=has_books,
        probes=config.venue.expected_mode is ServerMode.ANALYZE, modify=modify,
        brokers=config.brokers if config.brokers_count else {}, unlisted=config.broker_rules(""),
        accepted_brokers=config.accepted_brokers,
        churn_instrument=config.rates.churn_per_instrument, churn_account=config.rates.churn_per_account,
        exit_calls_hour=config.rates.exit_calls_per_hour, orders_day=config.rates.orders_per_day,
        orders_kept=config.rates.orders_for_exits,
        asks_quotes=has_books and not lock_step,
        asks_orders=has_books and not lock_step,
    )  # fmt: skip
    if limits.asks_quotes:
        limits = replace(limits, exit_price_patience=RISK_ANSWERS_NS, first_price_patience=FIRST_PRICE_NS)
    if lock_step:
        limits = replace(limits, read_spacing=LOCK_STEP_READS_NS // 2, chase_reads=LOCK_STEP_READS_NS)
    return FiledOrders(limits, hours or MarketTables(config, keep=False))
