"""The words of a finding: the six causes, and what a finding is made of.

Used by those who find and by those who show. The one rule: the values stand in JSON: never rename one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """Why the two sides differ.

    `latency`: the stack came to it later. `model`: a venue fills otherwise than a backtest does. `data`: one side did
    not see a quote or bar, or saw it late. `denial`: one side was denied. `person`: somebody did something that a
    backtest does not know of.
    """

    LATENCY = "latency"
    MODEL = "model"
    DATA = "data"
    DENIAL = "denial"
    PERSON = "person"
    UNEXPLAINED = "unexplained"


class Found(NamedTuple):
    """A cause, and why it is that one, in words. `follows` is the id of the difference that it comes from."""

    cause: Cause
    why: str
    follows: str = ""


class Difference(NamedTuple):
    """One thing (a signal, order, fill or adjustment) that is not the same on both sides; sides in words.

    `cost` is what a fill cost the stack more than the backtest, in rupees; 0 where only one side has it.
    """

    kind: str
    id: str
    cause: Cause
    at_ns: int
    account: str
    strategy: str
    instrument: str
    stack: str
    backtest: str
    why: str
    follows: str = ""
    cost: float = 0.0


class Agreement(NamedTuple):
    """One thing that is the same on both sides, in words."""

    kind: str
    id: str
    at_ns: int
    account: str
    strategy: str
    instrument: str
    what: str
