"""One REST request that passed all checks, as handlers get it."""

from __future__ import annotations

from typing import NamedTuple

from mytrading.simulator.schema import Fields
from mytrading.simulator.venue import Venue


class Call(NamedTuple):
    """The venue that serves it, its typed fields, and the machine time its request came in."""

    venue: Venue
    fields: Fields
    received_ns: int
