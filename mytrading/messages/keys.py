"""Keys of positions: what the broker nets, and what one owner holds of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from mytrading.messages.enums import Product


class NetKey(NamedTuple):
    """Key of a net position: an instrument under a product in an account."""

    account: str
    instrument: str
    product: Product


class OwnerKey(NamedTuple):
    """One owner's share of a net position."""

    account: str
    instrument: str
    product: Product
    strategy: str

    @property
    def net(self) -> NetKey:
        """Key of the account's net position, of which this owner holds a part."""
        return tuple.__new__(NetKey, self[:3])


class _Net(Protocol):
    @property
    def account(self) -> str: ...
    @property
    def instrument(self) -> str: ...
    @property
    def product(self) -> Product: ...


class _Owner(_Net, Protocol):
    @property
    def strategy(self) -> str: ...


class NetKeyed(msgspec.Struct, frozen=True):
    """Base of messages about a net position."""

    @property
    def net(self: _Net) -> NetKey:
        """Key of the net position (account, instrument, product) that the message is about."""
        return tuple.__new__(NetKey, (self.account, self.instrument, self.product))


class OwnerKeyed(msgspec.Struct, frozen=True):
    """Base of messages about what one owner holds, wants or ordered."""

    net = NetKeyed.net

    @property
    def owner(self: _Owner) -> OwnerKey:
        """Key of the owner's position (account, instrument, product, strategy) that the message is about."""
        return tuple.__new__(OwnerKey, (self.account, self.instrument, self.product, self.strategy))


class OwnerTask(OwnerKeyed, frozen=True, kw_only=True):
    """Base of what is to be done for one owner: `cause` is the signal or event behind it, `run` the strategy's run."""

    id: str
    account: str
    instrument: str
    product: Product
    strategy: str
    run: str
    cause: str
