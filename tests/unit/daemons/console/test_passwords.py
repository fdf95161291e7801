"""Rules on passwords, each by its name."""

from __future__ import annotations

import sys

import pytest

from mytrading.daemons.console.passwords import WeakPassword, check_password, hash_password, is_password


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("Ab1!", "at least 8"),
        ("Ab1!" * 40, "at most 128"),
        ("lantern-otter-73", "upper-case"),
        ("LANTERN-OTTER-73", "lower-case"),
        ("Lantern-otter-xx", "a digit"),
        ("Lantern73otter73", "one of"),
        ("Xy7!asha-lantern", "name of its user"),
        ("Password1!", "harder to guess"),
        ("Qwerty123!", "harder to guess"),
    ],
)
def test_weak_password_is_refused_with_its_rule(password: str, rule: str) -> None:
    with pytest.raises(WeakPassword, match=rule):
        check_password(password, "asha")


def test_good_password_is_taken_and_only_it_fits_its_hash() -> None:
    check_password("Nifty-lantern!73-otter", "asha")
    stored = hash_password("Nifty-lantern!73-otter")
    assert is_password(stored, "Nifty-lantern!73-otter")
    assert not is_password(stored, "Nifty-lantern!73-otteR")
    assert not is_password("no hash at all", "x")


def test_lists_of_words_are_not_kept_by_the_process_that_asked() -> None:
    check_password("Nifty-lantern!73-otter", "asha")
    assert not [name for name in sys.modules if name.startswith("zxcvbn")], "13 MB for good, for a rare call"
