"""Account events of the router on stream `orders`, each with the whole present state of its subject."""

from __future__ import annotations

import msgspec

from mytrading.messages.control import ClaimRequested
from mytrading.messages.enums import Product
from mytrading.messages.keys import NetKeyed, OwnerKeyed
from mytrading.messages.reports import BrokerOrder


class UnmanagedChanged(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="unmanaged"):
    """A net position beyond all owners' since `since_ns`, at the broker's average price; touched only if claimed.

    `carried` (signed units) are those among what is added that no trade of today explains: the day began with them.
    """

    account: str
    instrument: str
    product: Product
    quantity: int
    at_ns: int
    since_ns: int = 0
    average_price: float = 0.0
    carried: int = 0


class InstrumentHalted(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="instrument_halted"):
    """Entries in one instrument are stopped (illegal transition, disputed book, unknown order), or allowed again."""

    account: str
    instrument: str
    product: Product
    halted: bool
    reason: str
    at_ns: int


class AccountModeChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="account_mode"):
    """The account's server answered in the expected mode (or not): while wrong, no order of any purpose is sent.

    `mode` is what it was seen in, as expected, for the first time since the router began or an operator cleared it.
    """

    account: str
    wrong_mode: bool
    message: str
    at_ns: int
    mode: str = ""


class AccountBrokerChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="account_broker"):
    """The account's server named its broker (OpenAlgo's name): for the first time, or another one than `before`."""

    account: str
    broker: str
    at_ns: int
    before: str = ""


class MismatchSeen(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="mismatch"):
    """A read disagreed with our books once (`broker` is its net quantity); acted on only if the next read agrees.

    `contradicted`: the next read agreed, but another book did not, so nothing was done; nor was it where what the read
    lacks is `unproven` to be gone, or what it shows without an owner is unproven to be there. `empty_reads` counts
    those beside live funds that showed an empty position book in place of carried units, the first of which ended at
    `empty_machine_ns`.

    `beyond` are signed units of the instrument that neither trades of today nor carried units explained then;
    `carried` those of them that stood there before anything of ours filled today, or in the first read of the day, or
    moved along with our fills.
    """

    account: str
    instrument: str
    product: Product
    broker: int
    read: str
    machine_ns: int
    cleared: bool = False
    contradicted: bool = False
    unproven: bool = False
    empty_reads: int = 0
    empty_machine_ns: int = 0
    beyond: int = 0
    carried: int = 0

    @property
    def is_kept(self) -> bool:
        """True if our quantity stays against what the read showed."""
        return self.contradicted or self.unproven


class HeldShort(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="held_short"):
    """The newest read shows `shown` (signed units) of a key: `missing` units of strategies fewer than our ledger, and
    no order under way can have taken them.

    `lacks` are those with what orders under way may have taken, first so in a read that ended at `since_machine_ns`.
    No exit is sent for missing units for a while. `lacks` 0 ends it. The first row of a day says as well that a book
    has told of what was carried of the key.
    """

    account: str
    instrument: str
    product: Product
    missing: int
    shown: int
    since_machine_ns: int
    at_ns: int
    lacks: int = 0


class OtherCopySeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="other_copy"):
    """Orders of an account's book that are copies of ours and that our journal does not know, by broker id.

    Each of `orders` is `mark` (it bears an id of ours), `stop` (a stop of ours a second time), or the id of our order
    that was sent with its facts at about the same time. Those `before` had ended when the first book of the day was
    read, and tell nothing.
    """

    account: str
    orders: dict[str, str]
    at_ns: int
    before: tuple[str, ...] = ()


class OutsideClosing(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="outside_closing"):
    """The newest read shows live `orders` (broker ids) that our journal does not know and that would close `units` of
    our strategies in a key, `stops` of them by stops that wait for their trigger.

    `told`: an operator was told of the stop that is not placed beside them. `units` 0 ends it.
    """

    account: str
    instrument: str
    product: Product
    units: int
    stops: int
    orders: tuple[str, ...]
    at_ns: int
    told: bool = False


class NetAgreed(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="net_agreed"):
    """The broker's net of a key was ours; `quantity`: what strategies hold of it, where that is not what they held when
    the two last agreed."""

    account: str
    instrument: str
    product: Product
    quantity: int
    at_ns: int


class ProductNamed(NetKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="product_named"):
    """The broker's books show what is ours under a product as `shown`: learnt from our own fill.

    `first`: so did a read that followed our first fill at once; nothing is taken from it yet.
    """

    account: str
    instrument: str
    product: Product
    shown: Product
    at_ns: int
    first: bool = False


class AccountsInRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="accounts_in_run"):
    """The accounts that orders may go to, by a start of the router that has others than the start before.

    `returned`: those that the start before did not have, whose books may have moved unseen.
    """

    accounts: tuple[str, ...]
    at_ns: int
    returned: tuple[str, ...] = ()


class CarriedShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="carried_shown"):
    """Signed units of those that the day began with (anybody's, all products) that books of today have shown."""

    account: str
    instrument: str
    quantity: int
    at_ns: int


class LastPriceSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="last_price"):
    """The last price (rupees) that a position book showed of a held contract which expires today, near its close."""

    account: str
    instrument: str
    price: float
    at_ns: int


class EmptyBooksSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="empty_books"):
    """An account's order book was empty, though it holds orders of today, first in a read that ended at `machine_ns`.

    `alerted`: another read said the same. `cleared`: the order book has rows again.
    """

    account: str
    machine_ns: int
    at_ns: int
    alerted: bool = False
    cleared: bool = False


class ForeignSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="foreign"):
    """Broker order ids that are not ours, first seen in a read that ended at `machine_ns`; no later call made them.

    Without `ids` the book held nothing new. `rows` are the orders as they stood there. `gone` are ids of earlier days
    that the books do not show any more: a later row under one is another order. `positions`: it is the first read of
    the day that brought the position book too.
    """

    account: str
    ids: tuple[str, ...]
    machine_ns: int
    rows: tuple[BrokerOrder, ...] = ()
    gone: tuple[str, ...] = ()
    positions: bool = False


class ClaimWaits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="claim_waits"):
    """A claim of unmanaged units waits for a read begun after `machine_ns` in which positions and trades agree; `over`:
    it was decided."""

    request: ClaimRequested
    machine_ns: int
    at_ns: int
    over: bool = False


class EntryChurned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="entry_churned"):
    """An entry left soon after one of its instrument was cancelled: the churn breaker counts these."""

    account: str
    instrument: str
    at_ns: int


class EntriesStopped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="entries_stopped"):
    """Entries of an instrument, or (empty) of the account, are stopped until market time `until_ns` (0: a resume).

    `code` says by what: empty by the churn breaker, else the code of the alert and of the denials that follow.
    """

    account: str
    instrument: str
    stopped: bool
    reason: str
    at_ns: int
    until_ns: int = 0
    code: str = ""


class RecoveryChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="recovery"):
    """Findings of a start in one account. Until `done`, entries there stay closed.

    `done` means that a read of all books, begun at `began_machine_ns` or later, agreed with the journal or what
    differed stands here: `orders` live and `positions` held as the journal had them, `adopted` orders bound to broker
    orders, `ended` while away, `corrected` positions, `unmanaged` ones, `expired` instruments (in words), and how many
    broker orders are `foreign`.
    """

    account: str
    done: bool
    began_machine_ns: int
    at_ns: int
    orders: int = 0
    positions: int = 0
    foreign: int = 0
    adopted: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    unmanaged: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()


class ContractSizes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="contract_sizes"):
    """Lot and freeze quantity (units) of held instruments, where the day's list has others than were known."""

    sizes: dict[str, tuple[int, int]]
    at_ns: int


class OddUnitsRefused(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="odd_units_refused"):
    """The broker refused, `tries` times, an exit or stop of an owner for units that are no whole lots: `remainder` of
    the `units` held, by today's `lot`. `final`: no order for them follows until an operator resumes."""

    account: str
    instrument: str
    product: Product
    strategy: str
    units: int
    lot: int
    remainder: int
    tries: int
    final: bool
    at_ns: int
