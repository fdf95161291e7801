"""What surrounds a run: sessions, and which contracts exist on a day with which lot.

An index cannot be traded; where a strategy trades "the same" as an index it watches, the index stands in for its
nearest future: at its own price, in the future's lots of the day. Every fact is asked for a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from mytrading.core.calendar import Calendar, Session
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts, Underlying, dated
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import DAY, IST_OFFSET
from mytrading.messages.instruments import Instrument, InstrumentKind

ACCOUNT = "backtest"
"""The one account of a run."""
_NO_FACTS = Underlying(exchange="NSE", reference_price=0.0)


class EveryDay(Calendar):
    """For data of no exchange's hours: every day is a session from midnight to midnight, in India."""

    def _session(self, exchange: str, number: int) -> Session | None:  # noqa: ARG002
        begins = number * DAY - IST_OFFSET
        return Session(begins, begins + DAY, begins + DAY, "")


class MarketContext:
    """Calendar and contract facts, for the instruments that a run trades."""

    def __init__(self, calendar: Calendar, facts: ContractFacts, traded: Iterable[str]) -> None:
        self.calendar = calendar
        self.facts = facts
        self._traded = tuple(dict.fromkeys(traded))
        self._listed: dict[str, Instrument] = {}
        self.stand_ins: set[str] = set()

    def open_day(self, day: date) -> InstrumentBook:
        """The contracts of a day; what `instrument` answers from then on."""
        self._listed = {name: self._list(name, day) for name in self._traded}
        return InstrumentBook(self._listed.values())

    def instrument(self, name: str) -> Instrument | None:
        """A contract of the present day."""
        return self._listed.get(name)

    def square_off(self) -> SquareOff:
        """When closing begins; an index is closed with its futures."""
        times = dict(self.facts.square_off)
        for index, derivatives in (("NSE_INDEX", "NFO"), ("BSE_INDEX", "BFO")):
            if derivatives in times:
                times.setdefault(index, times[derivatives])
        return SquareOff(self.calendar, times)

    def _list(self, name: str, day: date) -> Instrument:
        exchange, symbol = split_id(name)
        parts = parse_symbol(symbol, exchange)
        facts = self.facts.underlyings.get(parts.underlying, _NO_FACTS)
        kind, tick = parts.kind, facts.tick
        lots = bool(facts.lot) and (kind.is_derivative or kind is InstrumentKind.INDEX)
        if kind is InstrumentKind.INDEX:
            self.stand_ins.add(name)
            kind = InstrumentKind.EQ
        elif kind.is_derivative and facts.lot:
            tick = dated(facts.option_tick if kind.is_option else facts.future_tick, day)
        return Instrument(
            id=name,
            exchange=exchange,
            symbol=symbol,
            kind=kind,
            underlying=parts.underlying,
            expiry=parts.expiry.isoformat() if parts.expiry is not None else "",
            strike=parts.strike,
            lot_size=int(dated(facts.lot, day)) if lots else 1,
            tick_size=tick,
            freeze_qty=int(dated(facts.freeze, day)) if lots else 0,
            name=facts.name or symbol,
        )
