"""The venue of a replay: quotes with bid and ask meet the orders, as at the stack's own paper exchange.

One for each account, all on one clock. An order meets the quotes of the moment in which it is made, since nothing here
takes time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mytrading.backtest.assumptions.fill_models import Models
from mytrading.backtest.engine.venue import BacktestVenue
from mytrading.core.calendar import Calendar
from mytrading.core.exchange import BookOrder, BookPosition, Mark
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.messages.enums import Call, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, Position


class QuotedVenue(BacktestVenue):
    """One account. `clock` is the machine time of all of them."""

    def __init__(
        self,
        calendar: Calendar,
        facts: ContractFacts,
        instrument_of: Callable[[str], Instrument | None],
        capital: float,
        account: str,
        clock: Callable[[], int],
    ) -> None:
        super().__init__(calendar, facts, instrument_of, capital, Models(), account)
        self._tick = clock
        self._standing: dict[str, tuple[int, int]] = {}
        self.moving = True

    def clock(self) -> int:
        """Machine time: market time, and never the same twice."""
        return self._tick()

    def carry(self, position: Position) -> None:
        """The account holds this from the day before."""
        held = BookPosition(
            instrument=position.instrument,
            product=position.product,
            quantity=position.quantity + self.exchange.books.position(position.instrument, position.product).quantity,
            average_price=position.average_price,
        )
        self.exchange.books.positions[held.key] = held

    def note(self, quote: Quote) -> None:
        """These are the prices now."""
        self.marks[quote.instrument] = Mark(quote.ltp, quote.bid or 0.0, quote.ask or 0.0)
        self._standing[quote.instrument] = (quote.bid_quantity or 0, quote.ask_quantity or 0)

    def meet_quote(self, quote: Quote) -> None:
        """Work what rests at the prices of a quote."""
        self.meet(quote.instrument, self.marks[quote.instrument])

    def _part_of(self, order: BookOrder) -> int:
        """Units that a fill takes now: whole lots of what stands at the best price, where that is told; 0 for all."""
        request = order.request
        listed = self._instrument_of(request.instrument)
        standing = self._standing.get(request.instrument, (0, 0))[1 if request.side is Side.BUY else 0]
        if listed is None or not standing or standing >= order.pending or order.pending <= listed.lot_size:
            return 0
        return max(standing // listed.lot_size, 1) * listed.lot_size


class Venues:
    """The venues of all accounts, as one broker of the machines."""

    def __init__(
        self,
        calendar: Calendar,
        facts: ContractFacts,
        instrument_of: Callable[[str], Instrument | None],
        capitals: Mapping[str, float],
    ) -> None:
        self._machine_ns = 0
        self._now = 0
        self._venues = {
            account: QuotedVenue(calendar, facts, instrument_of, capital, account, self.clock)
            for account, capital in capitals.items()
        }
        self.answers = []

    @property
    def now(self) -> int:
        """Market time."""
        return self._now

    @now.setter
    def now(self, ns: int) -> None:
        self._now = ns
        for venue in self._venues.values():
            venue.now = ns

    @property
    def answers(self) -> list[Any]:
        """What the order machine is to be told, of all accounts in the order in which it came."""
        return self._answers

    @answers.setter
    def answers(self, given: list[Any]) -> None:
        self._answers = given
        for venue in self._venues.values():
            venue.answers = given

    @property
    def is_idle(self) -> bool:
        """True while no order rests."""
        return all(venue.is_idle for venue in self._venues.values())

    def clock(self) -> int:
        """Machine time: market time, and never the same twice."""
        self._machine_ns = max(self._machine_ns + 1, self._now)
        return self._machine_ns

    def call(self, order: Order, call: Call) -> None:
        """The order machine makes a call."""
        self._venues[order.account].call(order, call)

    def carry(self, positions: Iterable[Position]) -> None:
        """What is held from the day before, of all owners."""
        for position in positions:
            if position.quantity and position.account in self._venues:
                self._venues[position.account].carry(position)

    def take(self, quotes: Sequence[Quote]) -> None:
        """The market moves to these quotes, and what rests meets them."""
        for venue in self._venues.values():
            for quote in quotes:
                venue.note(quote)
            for quote in quotes:
                venue.meet_quote(quote)

    def pass_time(self) -> None:
        """The venue does what its clock says is due: its own square-off, the end of the day."""
        for venue in self._venues.values():
            venue.end_day(self._settlement(venue))

    @staticmethod
    def _settlement(venue: QuotedVenue) -> Callable[[Instrument], float]:
        def price(instrument: Instrument) -> float:
            mark = venue.marks.get(instrument.id)
            return mark.ltp if mark is not None else 0.0

        return price
