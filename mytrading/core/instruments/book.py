"""The instruments listed on a day, found by id, by underlying and by strike rule.

Prices come in as arguments. Strikes are counted along the listed strikes, never computed from a step, because listed
strikes are not evenly spaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mytrading.core.calendar.expiries import Ends, NoSuchExpiry, end_of_day, select_expiry
from mytrading.core.instruments.symbology import DERIVATIVE_EXCHANGES, instrument_id
from mytrading.messages.instruments import Instrument, InstrumentKind, InstrumentRefusal
from mytrading.messages.run_config import ExpiryRule

_RULES = "ATM, ITM n, OTM n or STRIKE n"


class NoSuchContract(ValueError):
    """A contract that is not listed, or a strike rule that leads off the list."""


class ExpiryRefused(NoSuchContract):
    """Options of an underlying that must not be chosen by this expiry rule today: the list lacks an expiry."""


class InstrumentBook:
    """The listed instruments. Look-up by id is one dictionary access; the rest is sorted once.

    `ends` says from when on an expiry is past; without it, it is at the end of its day. Contracts in `kept` are found
    by id alone. Rules named by `refusals` choose no option (`ExpiryRefused`).
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        ends: Ends = end_of_day,
        kept: Iterable[Instrument] = (),
        refusals: Iterable[InstrumentRefusal] = (),
    ) -> None:
        self._ends = ends
        self._refused = {(refusal.subject, rule): refusal.reason for refusal in refusals for rule in refusal.rules}
        self._by_id = {instrument.id: instrument for instrument in instruments}
        self._options: dict[tuple[str, str, InstrumentKind], list[Instrument]] = {}
        self._futures: dict[str, list[Instrument]] = {}
        for item in self._by_id.values():
            if item.kind.is_option:
                self._options.setdefault((item.underlying, item.expiry, item.kind), []).append(item)
            elif item.kind is InstrumentKind.FUT:
                self._futures.setdefault(item.underlying, []).append(item)
        self._by_id |= {item.id: item for item in kept if item.id not in self._by_id}
        for chain in self._options.values():
            chain.sort(key=lambda item: item.strike)
        for row in self._futures.values():
            row.sort(key=lambda item: item.expiry)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def __contains__(self, instrument: str) -> bool:
        return instrument in self._by_id

    def get(self, instrument: str) -> Instrument | None:
        """Return the instrument of this id (EXCHANGE:SYMBOL); None if not listed."""
        return self._by_id.get(instrument)

    def with_contract(self, contract: Instrument) -> InstrumentBook:
        """Return a book that also finds `contract` by its id; chains and expiries stay those of this book."""
        book = InstrumentBook((), self._ends)
        book._by_id = {**self._by_id, contract.id: contract}
        book._options, book._futures, book._refused = self._options, self._futures, self._refused
        return book

    def find(self, exchange: str, symbol: str) -> Instrument | None:
        """Return the instrument of this symbol at an exchange; None if not listed."""
        return self._by_id.get(instrument_id(exchange, symbol))

    def expiries(self, underlying: str, kind: InstrumentKind) -> list[str]:
        """Return the listed expiries (ISO, ascending) of an underlying's futures, calls or puts."""
        if kind is InstrumentKind.FUT:
            return [item.expiry for item in self._futures.get(underlying, [])]
        return sorted(expiry for name, expiry, right in self._options if name == underlying and right is kind)

    def live_expiries(self, underlying: str, kind: InstrumentKind, now: int) -> list[str]:
        """Return the listed expiries that are not past at market time `now` (ns)."""
        return [day for day in self.expiries(underlying, kind) if self._ends(self._venue(underlying, kind), day) > now]

    def select_expiry(self, rule: ExpiryRule, underlying: str, kind: InstrumentKind, now: int) -> str:
        """Return the expiry that a rule selects at market time `now`; `NoSuchContract` says which are listed."""
        if kind.is_option and (reason := self._refused.get((underlying, rule.value))):
            raise ExpiryRefused(reason)
        try:
            return select_expiry(rule, self.live_expiries(underlying, kind, now))
        except NoSuchExpiry as error:
            raise NoSuchContract(f"{kind.value} of {underlying}: {error}") from None

    def expires_at_ns(self, exchange: str, expiry: str) -> int:
        """Return the market time (ns) from which a contract of this expiry (ISO date) is past."""
        return self._ends(exchange, expiry)

    def _venue(self, underlying: str, kind: InstrumentKind) -> str:
        """The exchange of an underlying's contracts."""
        if kind is InstrumentKind.FUT:
            return next((item.exchange for item in self._futures.get(underlying, ())), "")
        chains = (chain for (name, _, right), chain in self._options.items() if name == underlying and right is kind)
        return next((item.exchange for chain in chains for item in chain), "")

    def options(self, underlying: str, expiry: str) -> list[Instrument]:
        """Return all calls, then all puts of an expiry, each by strike."""
        calls = self._options.get((underlying, expiry, InstrumentKind.CE), [])
        return calls + self._options.get((underlying, expiry, InstrumentKind.PE), [])

    def future(self, underlying: str, n: int = 0) -> Instrument:
        """Return the future of the `n`-th expiry (0: nearest); `NoSuchContract` if not listed."""
        row = self._futures.get(underlying, [])
        if not 0 <= n < len(row):
            raise NoSuchContract(f"future {n} of {underlying}: {len(row)} listed; use 0 to {max(len(row) - 1, 0)}")
        return row[n]

    def spot(self, underlying: str) -> Instrument:
        """Return the index or share that is the underlying; `NoSuchContract` if not listed."""
        for exchange in DERIVATIVE_EXCHANGES:
            if (found := self.find(exchange, underlying)) is not None:
                return found
        raise NoSuchContract(f"underlying {underlying}: no index or share of that name is listed")

    def option(self, underlying: str, expiry: str, rule: str, right: InstrumentKind, spot: float) -> Instrument:
        """Return the option that a strike rule selects at underlying price `spot`; empty expiry: the nearest.

        `rule` is ATM (nearest strike, the lower of two equally near), `ITM n` and `OTM n` (n listed strikes from
        ATM) or `STRIKE n`. `NoSuchContract` says what is listed.
        """
        wanted = expiry or next(iter(self.expiries(underlying, right)), "")
        chain = self._options.get((underlying, wanted, right), [])
        if not chain:
            listed = ", ".join(self.expiries(underlying, right)) or "none"
            raise NoSuchContract(f"{right} of {underlying}, expiry {expiry or 'nearest'}: listed expiries are {listed}")
        word, number = _parse_rule(rule)
        if word == "STRIKE":
            return _at_strike(chain, number)
        atm = min(range(len(chain)), key=lambda i: (abs(chain[i].strike - spot), chain[i].strike))
        up = (word == "OTM") == (right is InstrumentKind.CE)
        index = atm + int(number) * (1 if up else -1)
        if not 0 <= index < len(chain):
            raise NoSuchContract(
                f"{rule} {right} of {underlying} {wanted} at {spot}: off the list of {len(chain)} strikes, "
                f"{chain[0].strike:g} to {chain[-1].strike:g}"
            )
        return chain[index]


def _parse_rule(rule: str) -> tuple[str, float]:
    word, _, number = rule.strip().upper().partition(" ")
    if word == "ATM" and not number:
        return word, 0.0
    if word not in ("ITM", "OTM", "STRIKE"):
        raise NoSuchContract(f"strike rule {rule!r}: expected {_RULES}")
    try:
        value = float(number)
    except ValueError:
        raise NoSuchContract(f"strike rule {rule!r}: expected {_RULES}, with a number") from None
    if value < 0 or (word != "STRIKE" and not value.is_integer()):
        raise NoSuchContract(f"strike rule {rule!r}: expected a whole number of strikes")
    return word, value


def _at_strike(chain: list[Instrument], strike: float) -> Instrument:
    for item in chain:
        if abs(item.strike - strike) < 1e-6:
            return item
    near = sorted(chain, key=lambda item: abs(item.strike - strike))[:2]
    raise NoSuchContract(
        f"strike {strike:g} of {chain[0].underlying} {chain[0].expiry} is not listed; nearest: "
        + " and ".join(f"{item.strike:g}" for item in near)
    )


def spot_of_call(book: InstrumentBook, contract: Instrument | None) -> str:
    """Return the id of what a listed call is a call on, "" of anything else and where the book has no price of it."""
    if contract is None or contract.kind is not InstrumentKind.CE:
        return ""
    try:
        return book.spot(contract.underlying).id
    except NoSuchContract:
        return ""
