"""Frames and book rows that no sound server sends: no UTF-8, numbers as text, 1e300, huge integers, deep nesting.

Rule: what is hostile goes out beside the sound frame or row, so that a reader that drops it has lost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Altered = Callable[[bytes], bytes]

_NUMBER = re.compile(rb'(?<!"mode"):-?\d+(?:\.\d+)?(?=[,}])')
_SIDES = re.compile(rb'("(?:bid|ask|price)"):-?\d+(?:\.\d+)?(?=[,}])')
_DEPTH = 10_000
_HUGE = b"9" * 400


def torn(frame: bytes) -> bytes:
    """Half of a frame, which is no JSON."""
    return frame[: len(frame) // 2]


def _numbers_become(text: bytes) -> Altered:
    return lambda frame: _NUMBER.sub(b":" + text, frame)


FRAMES: tuple[Altered, ...] = (
    lambda frame: frame.replace(b'":"', b'":"\xff\xfe', 1),
    _numbers_become(b'"nan"'),
    _numbers_become(b'"-inf"'),
    _numbers_become(b"1e300"),
    _numbers_become(b"-1e300"),
    _numbers_become(_HUGE),
    _numbers_become(b"-7"),
    _numbers_become(b"null"),
    lambda frame: _SIDES.sub(rb"\1:1000000000.0", frame),
    lambda frame: _SIDES.sub(rb'\1:"nan"', frame),
    lambda frame: frame.replace(b":", b":" + b"[" * _DEPTH, 1),
    lambda frame: frame.replace(b":", b':{"a"' * _DEPTH + b":", 1),
    lambda frame: b"\x00" * len(frame),
)
"""Each turns a sound JSON frame into a hostile one."""

_VALUES: tuple[Any, ...] = (1e300, -1e300, 10**18, "nan", "-inf", "\x00\x1b]0;x\x07", None, [[[]]], {})


def frame(number: int) -> Altered:
    """The hostile shape of that number; the numbers go round."""
    return FRAMES[number % len(FRAMES)]


def row(sound: dict[str, Any], number: int) -> dict[str, Any]:
    """A row of nobody's order with one hostile value in all its numbers; the numbers go round."""
    value = _VALUES[number % len(_VALUES)]
    return {
        name: value if isinstance(kept, int | float) and not isinstance(kept, bool) else kept
        for name, kept in sound.items()
    } | {"orderid": f"hostile-{number}", "strategy": "hostile"}
