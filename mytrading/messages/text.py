"""Text of others (servers, files) made fit to be shown: no control sequences, no surrogates, no endless length.

What leaves here can do nothing to a terminal, can be encoded, and fits the environment of a process.
"""

from __future__ import annotations

import re
from typing import Any

MOST_BYTES = 4096

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c|$)",  # OSC, DCS, SOS, PM, APC, each with its text
    re.DOTALL,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(text: str, *, colours: bool = False) -> str:
    """Without control sequences and control characters, but for line ends, tabs and, on request, colours."""
    if text.isprintable():
        return text
    if colours:
        pieces = zip(_COLOUR.split(text), [*_COLOUR.findall(text), ""], strict=True)
        return "".join(plain(piece) + colour for piece, colour in pieces)
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def short(text: str, most: int = MOST_BYTES) -> str:
    """As `plain`, of at most so many bytes of UTF-8."""
    cleaned = plain(text[:most])
    if len(text) <= most and len(cleaned.encode()) <= most:
        return cleaned
    return f"{cleaned.encode()[: most - 3].decode(errors='ignore')}…"


def shown(value: Any, most: int = 100) -> str:
    """A value of whatever kind in at most so many characters: numbers of thousands of digits have no text."""
    try:
        return str(value)[:most]
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} beyond any bound"
