"""Instruments that screens look at for a while: leases, renewed while somebody looks and gone by themselves.

Used by the gateway, which wants their quotes of the feed. The one rule: a screen that vanished without a word costs
nothing after its lease.
"""

from __future__ import annotations

from collections.abc import Iterable

LEASE_NS = 10_000_000_000
MOST = 1000
"""Instruments of one screen; a chain of 41 strikes has 83."""


class Lookers:
    """Who looks at what until when, machine time."""

    def __init__(self) -> None:
        self._leases: dict[str, tuple[tuple[str, ...], int]] = {}

    def look(self, who: str, instruments: Iterable[str], machine_ns: int) -> None:
        """`who` looks at these for the next ten seconds, in place of what it looked at before; none ends it."""
        wanted = tuple(dict.fromkeys(instruments))
        if wanted:
            self._leases[who] = wanted, machine_ns + LEASE_NS
        else:
            self._leases.pop(who, None)

    def wanted(self, machine_ns: int) -> tuple[str, ...]:
        """All that is looked at now, sorted."""
        self._leases = {who: lease for who, lease in self._leases.items() if lease[1] > machine_ns}
        return tuple(sorted({name for names, _ in self._leases.values() for name in names}))
