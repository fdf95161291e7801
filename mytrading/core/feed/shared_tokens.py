"""Instruments that share a token, at brokers whose messages find their instrument by the bare token.

A token is one instrument's within an exchange only: where the exchange is not looked at, one message becomes a price of
both. One of them keeps the stream; the others are left out of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping


def left_out(instruments: Iterable[str], tokens: Mapping[str, str], held: Collection[str]) -> dict[str, str]:
    """Return by instrument that is left out which other keeps the stream of its token: one that is `held`, else the
    first of `instruments`. An instrument without a known token shares none."""
    by_token: dict[str, list[str]] = {}
    for name in instruments:
        if token := tokens.get(name):
            by_token.setdefault(token, []).append(name)
    found = {}
    for names in by_token.values():
        keeper = next((name for name in names if name in held), names[0])
        found.update({name: keeper for name in names if name != keeper})
    return found
