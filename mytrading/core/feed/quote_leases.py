"""Quote leases of screens: instruments that the feed must quote while a screen shows them.

A lease ends by itself, so a screen that vanished costs nothing after it.
"""

from __future__ import annotations

from collections.abc import Iterable

LEASE_NS = 10_000_000_000
MOST = 1000
"""Instruments of one screen; a chain of 41 strikes has 83."""


class QuoteLeases:
    """Instruments by screen, each until a machine time."""

    def __init__(self) -> None:
        self._leases: dict[str, tuple[tuple[str, ...], int]] = {}

    def renew(self, who: str, instruments: Iterable[str], machine_ns: int) -> None:
        """Lease these to `who` for the next ten seconds, in place of the ones before; none ends the lease."""
        wanted = tuple(dict.fromkeys(instruments))
        if wanted:
            self._leases[who] = wanted, machine_ns + LEASE_NS
        else:
            self._leases.pop(who, None)

    def wanted(self, machine_ns: int) -> tuple[str, ...]:
        """All leased instruments, sorted."""
        self._leases = {who: lease for who, lease in self._leases.items() if lease[1] > machine_ns}
        return tuple(sorted({name for names, _ in self._leases.values() for name in names}))
