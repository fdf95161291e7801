"""What the reconciler knows of an account beside its last read: our orders there, what it holds, words it has told.

The account's listener keeps one and asks it what a row, a word or zeros mean. It never says that something is well:
what it does not know concerns us.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.orders.state_machine import TERMINAL, UNRESOLVED
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, Funds, UnreadRow

OddWords = Iterable[tuple[str, tuple[str, ...]]]
"""Status words that are in no table, each with the ids of the orders that bear it."""


class AccountView:
    """Orders of one account by the router's messages, positions and words by the reads, since this process began."""

    def __init__(self) -> None:
        self._live: dict[str, str] = {}
        """Broker ids of our live orders, by our ids of them."""
        self._doubtful: set[str] = set()
        """Our orders of which no broker id is known and that may be at the broker."""
        self._positions = self._orders = False
        self._told: set[str] = set()

    def on_router_order(self, order: Order) -> None:
        """Take in an order as the router published it."""
        name = order.client_order_id
        self._live.pop(name, None)
        self._doubtful.discard(name)
        if order.state in UNRESOLVED or order.state is OrderState.SUBMITTED:
            self._doubtful.add(name)
        if order.broker_order_id and order.state not in TERMINAL:
            self._live[name] = order.broker_order_id

    def on_books(self, books: BooksRead) -> None:
        """Take in a read: whether the account holds positions and has orders that live."""
        if books.positions is not None:
            self._positions = any(row.quantity for row in books.positions)
        if books.orders is not None and not books.single:
            self._orders = any(not row.status.is_final for row in books.orders)

    def concerns(self, row: UnreadRow) -> bool:
        """True if a row that could not be read may be of ours: any of positions, and of orders and trades one with our
        id or none; all of them while the fate of an order of ours is unknown."""
        if row.book == "positions" or not row.broker_order_id or self._doubtful:
            return True
        return row.broker_order_id in self._live.values()

    def words_to_tell(self, words: OddWords) -> tuple[str, ...]:
        """Return what to say of unknown status words: of our orders in each read, of strangers' once."""
        told, ours = [], set(self._live.values())
        for word, ids in words:
            mine = [name for name in ids if name in ours]
            if mine or word not in self._told:
                shown = ", ".join((mine or list(ids))[:3])
                told.append(
                    f"order status {word!r} is unknown (order {shown}): such orders count as live; look at them"
                )
            self._told.add(word)
        return tuple(told)

    def why_zeros(self, funds: Funds, rules: BrokerRules) -> str:
        """Return why funds that are all zero tell nothing; empty if they do, or are not."""
        if any((funds.available, funds.used, funds.collateral, funds.realised, funds.unrealised)):
            return ""
        if self._positions or self._orders or self._live:
            return "funds: all of them are 0 although the account has positions or orders"
        return (
            "funds: all of them are 0, as this broker answers without a session" if rules.zero_funds_when_failed else ""
        )
