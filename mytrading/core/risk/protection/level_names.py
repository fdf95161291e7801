"""Names under which the stops and targets that risk holds are journaled, and shown in its heartbeats."""

from __future__ import annotations

from mytrading.messages.enums import Product
from mytrading.messages.keys import OwnerKey

STOP_PREFIX, TARGET_PREFIX = "stop ", "target "


def stop_name(key: OwnerKey) -> str:
    """The name of the stop level of an owner."""
    return STOP_PREFIX + " ".join(key)


def target_name(key: OwnerKey) -> str:
    """The name of the target level of an owner."""
    return TARGET_PREFIX + " ".join(key)


def hedge_name(key: OwnerKey) -> str:
    """The name of the figure that counts the units of a position which hedge something sold."""
    return "hedge " + " ".join(key)


def owner_of_level(name: str, prefix: str) -> OwnerKey | None:
    """The owner whose level has this name; None if the name begins otherwise."""
    if not name.startswith(prefix):
        return None
    account, instrument, product, strategy = name[len(prefix) :].split(" ", 3)
    return OwnerKey(account, instrument, Product(product), strategy)
