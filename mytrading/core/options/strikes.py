"""The spelling of strike rules: ATM, ITM n, OTM n, STRIKE n, PREMIUM n, DELTA n.

Used by files of legs and by authors' code. The one rule: a rule has one spelling inside, whatever was typed.
"""

from __future__ import annotations

import re

STRIKES = "ATM, ITM n, OTM n, STRIKE n, PREMIUM n or DELTA n"
MOST_OFFSET = 20
_OFFSET = re.compile(r"(ITM|OTM) (\d+)")
_STRIKE = re.compile(r"ATM|(?:ITM|OTM) (?:[1-9]|1\d|20)|(?:STRIKE|PREMIUM) \d+(?:\.\d+)?|DELTA 0?\.\d+")


def parse_strike(text: str) -> str:
    """A strike rule in its one spelling; `ValueError` says what may be written."""
    word = " ".join(str(text).upper().split())
    if not _STRIKE.fullmatch(word):
        raise ValueError(f"expected {STRIKES} (n strikes 1 to 20; a delta such as 0.3), found {text!r}")
    return word


def within_reach(text: str) -> str:
    """A strike rule whose offset is brought into 1 to 20; what is no offset is returned as it stands."""
    found = _OFFSET.fullmatch(" ".join(str(text).upper().split()))
    return f"{found[1]} {min(max(int(found[2]), 1), MOST_OFFSET)}" if found else text
