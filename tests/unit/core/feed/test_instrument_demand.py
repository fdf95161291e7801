"""Leases of screens on instruments."""

from __future__ import annotations

from mytrading.core.feed.instrument_demand import LEASE_NS, QuoteLeases


def test_look_lasts_its_lease_and_is_renewed_by_looking_again() -> None:
    leases = QuoteLeases()
    leases.renew("one", ["B", "A", "B"], 0)
    assert leases.wanted(LEASE_NS - 1) == ("A", "B")
    leases.renew("one", ["A"], LEASE_NS - 1)
    assert leases.wanted(LEASE_NS) == ("A",)
    assert leases.wanted(2 * LEASE_NS) == ()


def test_two_screens_look_at_the_union_and_one_that_ends_takes_its_own() -> None:
    leases = QuoteLeases()
    leases.renew("one", ["A", "B"], 0)
    leases.renew("two", ["B", "C"], 0)
    assert leases.wanted(1) == ("A", "B", "C")
    leases.renew("one", [], 1)
    assert leases.wanted(2) == ("B", "C")
