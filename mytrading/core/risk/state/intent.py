"""The intent of a strategy, and its effect in an account: its legs there, their lots, and closes that it wants."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from mytrading.core.time import iso_day
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.orders import Order, Position
from mytrading.messages.signals import Leg, Signal


class Intent(msgspec.Struct, kw_only=True):
    """The intent of a strategy for one watched instrument."""

    signal: Signal
    settled: bool = False  # nothing more is to be entered for it
    ended: set[str] = msgspec.field(default_factory=set)  # nor in these accounts
    given_up: set[str] = msgspec.field(default_factory=set)  # accounts in which nothing of it is to be held either
    spent: set[str] = msgspec.field(default_factory=set)  # accounts in which something else closed what it held
    spent_ns: int = 0
    lost: set[tuple[str, str, int]] = msgspec.field(default_factory=set)
    """Sold legs that were stopped out while others of the basket stayed: account, instrument, when opened."""
    since_ns: int = 0  # when this same position was first wanted
    sized: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    """Lots of each leg in the accounts where they are not those of the signal."""
    moved: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    """By account, contracts that were rolled over to others."""
    kin: set[str] = msgspec.field(default_factory=set)
    """Earlier intents of the same value and terms, whose entries are this one's."""
    entered: bool = False  # an entry was ordered for it, in whichever account
    begun_as: set[str] = msgspec.field(default_factory=set)
    """Earlier ones of its `kin` that ordered some of several legs before they were repeated: it goes on with theirs."""
    before: dict[str, tuple[Leg, ...]] = msgspec.field(default_factory=dict)
    """Of an adjustment, by account: what was held when it was signalled, and stays wanted until it is admitted."""
    legs: tuple[Leg, ...] = ()
    """The legs that want a position, which follow from the signal."""

    def for_account(self, account: str) -> Intent:
        """Return the intent as it applies in an account: with the contracts its legs were rolled over to there, and of
        an adjustment with what is to be held there."""
        names = self.moved.get(account, {})
        if not names and not self.signal.changes:
            return self
        wanted = self._adjusted_legs(account) if self.signal.changes else self.signal.legs
        legs = tuple(replace(leg, instrument=names.get(leg.instrument, leg.instrument)) for leg in wanted)
        sized = {names.get(name, name): lots for name, lots in self.sized.get(account, {}).items()}
        return replace(
            self,
            signal=replace(self.signal, legs=legs),
            sized={**self.sized, account: sized} if sized else self.sized,
            before={account: legs} if account in self.before else {},
            moved={},
        )

    def _adjusted_legs(self, account: str) -> tuple[Leg, ...]:
        """All legs of an adjustment in an account, with the lots there; before it is admitted those held so far."""
        lots = self.sized.get(account)
        if lots is None:
            return self.before.get(account, ())
        return tuple(replace(leg, lots=lots[leg.instrument]) for leg in self.signal.legs if lots.get(leg.instrument))

    def awaits_admission(self, account: str) -> bool:
        """True of an adjustment that was neither admitted nor refused in an account: nothing of it was begun there."""
        stopped = any(where == account for where, _, _ in self.lost)
        return bool(self.signal.changes) and not (account in self.sized or account in self.ended or stopped)

    def orders_leg(self, leg: Leg, account: str) -> bool:
        """True if a leg may be ordered for the intent: of an adjustment only what it opens, once it is admitted."""
        if not self.signal.changes:
            return True
        return account in self.sized and leg.instrument in self.signal.opened_instruments

    @property
    def entry_terms(self) -> tuple[tuple[object, ...], ...]:
        """For each leg: instrument, order type, limit, trigger and stop price, stop buffer, stop and limit distance."""
        return tuple(
            (leg.instrument, leg.order_type, leg.limit_price, leg.trigger_price, leg.stop_price, leg.stop_buffer,
             leg.stop, leg.limit)
            for leg in self.legs
        )  # fmt: skip

    def is_unwanted(self, position: Position, units: int) -> bool:
        """True if a position of so many signed units must be closed; never if the signal keeps what is held."""
        return not self.signal.keeps and self.target_lots(position.instrument, position.account) * units <= 0

    def accepts_entry(self, order: Order) -> bool:
        """True if a working entry may stay under this intent: a market order, or one of this or an equal intent."""
        return order.order_type is OrderType.MARKET or order.cause == self.signal.id or order.cause in self.kin

    def wants_same_position(self, known: Intent) -> bool:
        """True if both intents want the same position."""
        return len(known.legs) == len(self.legs) and known.wanted_position == self.wanted_position

    def inherits_spent(self, known: Intent) -> bool:
        """True if this repeat of an intent for the same position is fulfilled where that one was, on the same day."""
        today = iso_day(self.signal.created_ns)
        return not self.signal.rearmed and iso_day(max(known.since_ns, known.spent_ns)) == today

    def still_wants(self, closed: Position) -> bool:
        """True if this intent opened a position that was closed, and still wants it; an older one made way for it."""
        legs = self.for_account(closed.account).legs
        wanted = any(leg.instrument == closed.instrument and leg.lots * closed.quantity > 0 for leg in legs)
        older = closed.opened_ns < self.since_ns
        kept = bool(self.signal.changes) and closed.instrument not in self.signal.opened_instruments
        return wanted and closed.account not in self.given_up and (kept or not older)

    def mark_closed_elsewhere(self, account: str, at_ns: int) -> None:
        """Record that something else closed the intent's position in an account: it enters no more there."""
        self.spent.add(account)
        self.spent_ns = at_ns
        self.ended.add(account)

    def __post_init__(self) -> None:
        """Once here, since every rule of an intent goes through its legs."""
        self.legs = legs = self.signal.legs
        for leg in legs:
            if not leg.lots:
                self.legs = tuple([leg for leg in legs if leg.lots])
                return

    def target_lots(self, instrument: str, account: str) -> int:
        """Lots (signed) of an instrument that are to be held in an account; 0 once the intent is given up there."""
        here = self.for_account(account)
        wanted = (here.lots(leg, account) for leg in here.signal.legs if leg.instrument == instrument)
        return 0 if account in self.given_up else next(wanted, 0)

    def lots(self, leg: Leg, account: str) -> int:
        """Lots (signed) of a leg in an account: as sized there, else as signalled."""
        sized = self.sized.get(account)
        return leg.lots if sized is None else sized.get(leg.instrument, 0)

    @property
    def wanted_position(self) -> tuple[tuple[str, int, str, Product], ...]:
        """The wanted (instrument, lots, profile, product) of each leg, to compare with those of another intent."""
        of = self.signal.product_of
        return tuple(sorted([(leg.instrument, leg.lots, leg.profile, of(leg)) for leg in self.legs]))
