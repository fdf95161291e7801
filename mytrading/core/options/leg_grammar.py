"""Words of a file of legs: times of day, stops, and the comparisons of `when`.

Used by `config/legs`. The one rule: a word that cannot be read is a `ValueError` that shows what may be written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Any

from mytrading.config.problems import hint
from mytrading.messages.leg_plan import Comparison, LegStop, Operand, StopKind

COLUMNS = ("open", "high", "low", "close", "volume")
_STOP = re.compile(r"(\d+(?:\.\d+)?)\s*(%|percent|points?)|price\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
_OPERAND = re.compile(r"([A-Za-z_][\w.]*)\s*(?:\(([^()]*)\))?")
_SIDES = re.compile(r"(.+?)(?:\s+(above|below)\s+|\s*([<>])\s*)(.+)", re.IGNORECASE)
_EXPECTED = "expected 'always', or comparisons such as 'close above SMA(20) and RSI(14) below 70'"


def seconds_of(value: Any) -> int:
    """`09:20`, quoted or not, as seconds after midnight; 0 for nothing."""
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second
    text = str(value).strip()
    if not text:
        return 0
    try:
        return seconds_of(time.fromisoformat(text if ":" in text else "no time"))
    except ValueError:
        raise ValueError(f"expected a time of day in India, say 09:20; found {text!r}") from None


def stop_of(text: str) -> LegStop:
    """`30%`, `20 points` or `price 150`; empty is none of its own."""
    if not text.strip():
        return LegStop()
    found = _STOP.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected '30%', '20 points' or 'price 150', found {text!r}")
    if found[3]:
        return LegStop(kind=StopKind.PRICE, value=float(found[3]))
    points = found[2].lower().startswith("point")
    return LegStop(kind=StopKind.POINTS if points else StopKind.PERCENT, value=float(found[1]))


def comparisons_of(text: str) -> tuple[Comparison, ...]:
    """The comparisons of a `when`, all of which are to hold; none for `always`."""
    if text.strip().lower() in ("", "always"):
        return ()
    return tuple(_comparison(part.strip()) for part in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE))


def _comparison(text: str) -> Comparison:
    found = _SIDES.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}; found {text!r}")
    above = (found[2] or found[3]).lower() in ("above", ">")
    return Comparison(left=_operand(found[1].strip()), above=above, right=_operand(found[4].strip()))


def _operand(text: str) -> Operand:
    try:
        return Operand(number=float(text))
    except ValueError:
        pass
    found = _OPERAND.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}; found {text!r}")
    word, given = found[1], found[2]
    if word.lower() in COLUMNS:
        return Operand(word=word.lower())
    return _indicator(word, given or "")


def _indicator(word: str, given: str) -> Operand:
    from mytrading.core.indicators import BUILT_IN  # talib loads only for a file that compares with an indicator

    function, dot, output = word.partition(".")
    known = BUILT_IN.get(word) or BUILT_IN.get(function.upper() + dot + output)
    if known is None:
        outputs = [f"{function.upper()}.{name}" for name in BUILT_IN.outputs(function.upper())]
        near = f"; expected one of {', '.join(outputs)}" if outputs else hint(word, [*BUILT_IN, *COLUMNS])
        raise ValueError(f"no indicator {word!r}{near}")
    return Operand(word=known.name, parameters=_parameters(known.name, known.parameters, given))


def _parameters(word: str, known: Mapping[str, float], given: str) -> dict[str, float]:
    """Numbers by name, or in the order in which the indicator lists them."""
    found: dict[str, float] = {}
    for place, part in enumerate(piece.strip() for piece in given.split(",") if piece.strip()):
        name, equals, number = (piece.strip() for piece in part.rpartition("="))
        if not equals:
            name = list(known)[place] if place < len(known) else ""
        if name not in known:
            listed = ", ".join(f"{key}={value:g}" for key, value in known.items()) or "none"
            raise ValueError(f"{word} has no parameter {part!r}{hint(name, known)}; it takes {listed}")
        try:
            found[name] = float(number)
        except ValueError:
            raise ValueError(f"{word}: expected a number for {name}, found {number!r}") from None
    return found
