"""What commands print, on its way to a terminal: text of servers can colour it, and do nothing else to it.

Screens that draw themselves take `screen_of`, with text that `runtime/streams/ops_client` has cleaned. What goes to a
file or a pipe is left as it is.
"""

from __future__ import annotations

import sys
from typing import IO, Any

from mytrading.messages.text import plain


class PlainText:
    """A text stream to a terminal, without control sequences other than colours."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write what is fit to be shown."""
        self.stream.write(plain(text, colours=True))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """From now on what is printed to a terminal is plain."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PlainText) and stream.isatty():
            setattr(sys, name, PlainText(stream))


def screen_of(stream: Any) -> Any:
    """The terminal itself, for what moves the cursor."""
    return stream.stream if isinstance(stream, PlainText) else stream
