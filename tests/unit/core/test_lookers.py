"""Leases of screens on instruments."""

from __future__ import annotations

from mytrading.core.feed.lookers import LEASE_NS, Lookers


def test_look_lasts_its_lease_and_is_renewed_by_looking_again() -> None:
    lookers = Lookers()
    lookers.look("one", ["B", "A", "B"], 0)
    assert lookers.wanted(LEASE_NS - 1) == ("A", "B")
    lookers.look("one", ["A"], LEASE_NS - 1)
    assert lookers.wanted(LEASE_NS) == ("A",)
    assert lookers.wanted(2 * LEASE_NS) == ()


def test_two_screens_look_at_the_union_and_one_that_ends_takes_its_own() -> None:
    lookers = Lookers()
    lookers.look("one", ["A", "B"], 0)
    lookers.look("two", ["B", "C"], 0)
    assert lookers.wanted(1) == ("A", "B", "C")
    lookers.look("one", [], 1)
    assert lookers.wanted(2) == ("B", "C")
