"""Stream `commands` from risk to the router: entries are sized orders, exits are goals."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import OrderType, Purpose, Side
from mytrading.messages.keys import OwnerTask


class PlaceEntry(OwnerTask, frozen=True, kw_only=True, omit_defaults=True, tag="place_entry"):
    """Open or add: one order, already sized and admitted. `id` is its client order id.

    It is dropped with an EXPIRED record if still unsent at both `expires_ns` (market) and `expires_machine_ns`. With a
    `stop_trigger` (rupees) its fills are guarded by a stop-limit order at the broker, with `stop_limit` as its price.
    Above `freeze` units (0: no limit known) it goes as several orders, in lots of `lot` units, `id` being their parent.
    `margin` rupees of its account are reserved for it until the broker's own report shows what it takes. `held_stop`
    and `held_target` are levels (rupees) that risk holds by itself: carried, so that they outlive risk's journal and
    the end of an entry that fills late. `basket_margin` rupees, `basket_calls` order calls and a place for each of
    `basket_legs` (instruments) are kept for the legs of the same basket that are still to be ordered. What of it rests
    at the broker at `rests_until_ns` (market time; 0: with the day) is withdrawn.
    """

    side: Side
    quantity: int
    expires_ns: int
    expires_machine_ns: int
    purpose: Purpose = Purpose.ENTRY
    order_type: OrderType = OrderType.MARKET
    price: float = 0.0
    trigger_price: float = 0.0
    reference_price: float = 0.0
    trace_ns: int = 0
    stop_trigger: float = 0.0
    stop_limit: float = 0.0
    lot: int = 0
    freeze: int = 0
    margin: float = 0.0
    held_stop: float = 0.0
    rests_until_ns: int = 0
    basket_margin: float = 0.0
    basket_calls: int = 0
    basket_legs: tuple[str, ...] = ()
    held_target: float = 0.0


class CloseGoal(OwnerTask, frozen=True, kw_only=True, omit_defaults=True, tag="close_goal"):
    """Bring one owner's quantity of one instrument to zero, and keep at it until it is or an operator is needed.

    `lot` and `freeze` (units) are today's of the instrument; 0 where the writer does not know them.
    With a `price` (rupees) its orders are LIMIT, moved by `price_step` as long as they rest unfilled, at last MARKET.
    """

    reason: str
    purpose: Purpose = Purpose.EXIT
    trace_ns: int = 0
    lot: int = 0
    freeze: int = 0
    price: float = 0.0
    price_step: float = 0.0


class PriceGoal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="price_goal"):
    """The price (rupees, on the tick) at which an exit goal that must not go as MARKET would trade at once.

    `price` 0: risk has no fresh quote. Then `edge` is the price on the near edge of the day's band, by what is known of
    the instrument's price (0: nothing is), and `tick` the instrument's (0: it is not listed).

    `locked`: nobody is on the other side, so that nothing trades at any price; `price` is the best of the queue then.
    """

    id: str
    goal: str
    account: str
    price: float
    edge: float = 0.0
    tick: float = 0.0
    locked: bool = False


class WithdrawEntries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="withdraw_entries"):
    """Cancel resting and unsent entries; an empty field matches everything."""

    id: str
    cause: str
    account: str = ""
    strategy: str = ""
    instrument: str = ""


BASKET_BROKEN = "BASKET_BROKEN"
"""The code of the denial and of the alert of a basket that is given up."""
ADJUSTMENT_BROKEN = "ADJUSTMENT_BROKEN"
"""The code of the denial of an adjustment that began and could not be carried out: it is taken back where it can be."""
FORMER_CODES: Mapping[str, str] = MappingProxyType({"SIGNAL_SPENT": "WISH_SPENT"})
"""Codes of denials and the names they had in 0.1: screens and JSON show both in 0.2."""


class SignalDenied(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="signal_denied"):
    """Risk refused a signal, or part of one, with coded reasons. `unwinds`: its effects in the account are undone.

    `value` and `limit` are what the first rule compared, None where it compares no figures.
    """

    signal: str
    strategy: str
    code: str
    message: str
    at_ns: int
    instrument: str = ""
    account: str = ""
    unwinds: bool = False
    codes: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None


class SignalExpired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="signal_expired"):
    """A signal arrived after its time and was not judged."""

    signal: str
    strategy: str
    at_ns: int
    expired_ns: int


CommandMessage = PlaceEntry | CloseGoal | WithdrawEntries | SignalDenied | SignalExpired | FlattenRequested | PriceGoal
