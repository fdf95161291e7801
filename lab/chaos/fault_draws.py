"""The faults of the simulator that a storm draws from, with their parameters.

Every fault of the registry is here: a new one is drawn with its defaults until it has a line of its own. No drawn
setting outlasts what `Trouble` allows, by which the windows of the run are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

from mytrading.simulator.faults.registry import BOOK_ROUTES, FAULTS

Row = dict[str, Any]


class Trouble(NamedTuple):
    """The longest delay of an answer and the longest hang of the simulator, in seconds, and what may be parked.

    Only an entry may be parked, since nothing but an operator ends that: `parkable` are instruments that are only
    bought.
    """

    longest_delay: float = 3.0
    longest_hang: float = 4.0
    parkable: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ("",)
    """Accounts with a server of their own; the first one's gives the quotes."""
    disk: bool = False
    """True if state and logs lie on a small file system that can be filled."""


Draw = Callable[[Random, Trouble], Row]


def _count(random: Random, most: int) -> Row:
    return {"count": random.randint(1, most)}


def _chance(random: Random, low: float, high: float) -> Row:
    return {"probability": round(random.uniform(low, high), 2), "seed": random.randint(1, 1 << 30)}


def _place_timeout(random: Random, trouble: Trouble) -> Row:
    route = random.choice(("", "placeorder", "cancelorder"))
    held = round(random.uniform(0.2, trouble.longest_delay), 2)
    return {**_count(random, 3), "route": route, "seconds": held, "drop": random.random() < 0.4}


def _delay(random: Random, trouble: Trouble) -> Row:
    """Order calls are the ones worth delaying: a kill finds them on their way."""
    route = random.choice(("", "placeorder", "placeorder", "cancelorder", "orderbook"))
    return {
        **_chance(random, 0.2, 0.8),
        "route": route,
        "ms": round(random.uniform(20.0, 300.0 * trouble.longest_delay)),
    }


def _rollover(random: Random, _: Trouble) -> Row:
    return _count(random, 20)


_DRAWS: Mapping[str, Draw] = MappingProxyType(
    {
        "place_timeout": _place_timeout,
        "place_lost": lambda r, _: {"count": 1, "seconds": round(r.uniform(0.0, 0.5), 2)},
        "place_500_but_placed": lambda r, _: {**_count(r, 2), "route": r.choice(("", "placeorder", "cancelorder"))},
        "place_201": lambda r, _: {**_count(r, 2), "route": r.choice(("", "placeorder", "cancelorder"))},
        "place_no_id": lambda r, _: {"count": 1, "placed": r.random() < 0.7},
        "reject": lambda r, _: {**_count(r, 2), "late": r.random() < 0.5},
        "semi_auto": lambda r, t: {"count": 1, "side": "BUY", "instrument": r.choice(t.parkable)},
        "partial_fill": lambda r, _: {**_count(r, 6), "fraction": round(r.uniform(0.1, 0.9), 2)},
        "book_500": lambda r, _: {**_count(r, 4), "route": r.choice(BOOK_ROUTES)},
        "book_empty": lambda r, _: {**_count(r, 4), "route": r.choice(BOOK_ROUTES)},
        "book_hostile": lambda r, _: {**_count(r, 4), "route": r.choice(BOOK_ROUTES[:3])},
        "status_flap": lambda r, _: _chance(r, 0.3, 1.0),
        "status_word": lambda r, _: _chance(r, 0.3, 1.0),
        "status_leak": lambda r, _: _chance(r, 0.2, 0.6),
        "rate_limited": lambda r, _: {**_count(r, 5), "route": r.choice(("", "placeorder", "cancelorder"))},
        "session_lost": lambda r, _: {**_count(r, 3), "route": r.choice(("", "placeorder", "orderbook"))},
        "token_rollover": _rollover,
        "delay_ms": _delay,
        "order_updates_off": lambda r, _: _chance(r, 0.2, 1.0),
        "update_duplicated": lambda r, _: {**_chance(r, 0.2, 1.0), "times": r.randint(1, 3)},
        "update_delayed": lambda r, t: {**_chance(r, 0.2, 0.8), "seconds": round(r.uniform(0.1, t.longest_delay), 2)},
        "update_reordered": lambda r, t: {**_chance(r, 0.2, 0.8), "seconds": round(r.uniform(0.1, t.longest_delay), 2)},
        "ws_mute": lambda r, _: _chance(r, 0.1, 0.9),
        "ws_stall": lambda r, _: {**_chance(r, 0.1, 0.6), "restamp": r.random() < 0.5},
        "price_wrong": lambda r, _: {**_count(r, 20), "factor": r.choice((0.1, 10.0, 1.3))},
        "price_zero": lambda r, _: _count(r, 20),
        "ws_corrupted": lambda r, _: _chance(r, 0.1, 0.5),
        "ws_reordered": lambda r, _: _chance(r, 0.1, 0.5),
        "ws_duplicated": lambda r, _: {**_chance(r, 0.2, 0.8), "times": r.randint(1, 3)},
        "update_corrupted": lambda r, _: _chance(r, 0.1, 0.5),
        "ws_hostile": lambda r, _: _chance(r, 0.05, 0.5),
        "update_hostile": lambda r, _: _chance(r, 0.2, 1.0),
        "ws_drop": lambda r, _: _count(r, 2),
    }
)
_NOISE = ("status_word", "status_leak", "delay_ms", "order_updates_off", "update_duplicated", "update_delayed",
          "update_reordered", "update_corrupted", "status_flap", "ws_mute", "ws_stall", "ws_corrupted", "ws_reordered",
          "ws_duplicated", "ws_hostile", "update_hostile")  # fmt: skip
"""Faults that act by chance for as long as they are on."""
_AT_EACH = 5
_RARE = frozenset({"token_rollover", "semi_auto", "place_lost", "place_no_id"})
"""Drawn a third as often: the first silences everything, the others leave an instrument out of play for the day."""


def fault_row(random: Random, trouble: Trouble, *, parking: bool) -> Row:
    """The body of a setting of one fault; `parking` lets an order be parked."""
    names = [name for name in FAULTS if name != "semi_auto" or (parking and trouble.parkable)]
    name = random.choices(names, [1 if name in _RARE else 3 for name in names])[0]
    draw = _DRAWS.get(name)
    return {"kind": name, **(draw(random, trouble) if draw is not None else {"count": 1})}


def noise_rows(random: Random, trouble: Trouble) -> list[Row]:
    """The bodies of a few faults that last for a storm: what goes wrong all the time, beside what goes wrong once."""
    return [{"kind": name, **_DRAWS[name](random, trouble)} for name in random.sample(_NOISE, _AT_EACH)]


def hiss_rows(random: Random) -> list[Row]:
    """The bodies of what goes on between storms too: frames of quotes that come torn, late or twice, as some always do.

    Nothing of it keeps an order from its place.
    """
    return [
        {"kind": "ws_duplicated", **_chance(random, 0.4, 0.8), "times": random.randint(1, 2)},
        {"kind": "ws_reordered", **_chance(random, 0.1, 0.3)},
        {"kind": "ws_corrupted", **_chance(random, 0.1, 0.25)},
    ]
