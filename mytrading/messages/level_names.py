"""Names under which the stops and targets that risk holds are journaled, and shown in its heartbeats."""

from __future__ import annotations

from mytrading.messages.enums import Product
from mytrading.messages.keys import OwnerKey

STOP_PREFIX, TARGET_PREFIX, PASSED_PREFIX, ACTION_PREFIX = "stop ", "target ", "passed ", "corporate_action "


def stop_level_name(key: OwnerKey) -> str:
    """The name under which the stop level of an owner's position is journaled."""
    return STOP_PREFIX + " ".join(key)


def target_level_name(key: OwnerKey) -> str:
    """The name under which the target level of an owner's position is journaled."""
    return TARGET_PREFIX + " ".join(key)


def passed_stop_name(key: OwnerKey) -> str:
    """The name under which is journaled since when the price is beyond an owner's stop at the broker."""
    return PASSED_PREFIX + " ".join(key)


def corporate_action_name(key: OwnerKey) -> str:
    """The name under which is journaled by what ratio an owner's shares may have been multiplied overnight."""
    return ACTION_PREFIX + " ".join(key)


def hedge_figure_name(key: OwnerKey) -> str:
    """The name of the heartbeat figure that counts the units of an owner's position which hedge sold options."""
    return "hedge " + " ".join(key)


def bare_figure_name(key: OwnerKey) -> str:
    """The name of the heartbeat figure that counts the units of an owner's sold leg which have lost their cover."""
    return "bare " + " ".join(key)


def owner_of_level(name: str, prefix: str) -> OwnerKey | None:
    """The owner in the name of a stop or target level; None if the name does not begin with `prefix`."""
    if not name.startswith(prefix):
        return None
    account, instrument, product, strategy = name[len(prefix) :].split(" ", 3)
    return OwnerKey(account, instrument, Product(product), strategy)
