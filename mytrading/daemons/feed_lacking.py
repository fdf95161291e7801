"""Tells everybody which bars are lacking, by the instruments that lack them.

Part of the feed. The one rule: it is told before the bars that were waited for, and again with each heartbeat, since
whoever hears that the feed is ready relies on having heard of it.
"""

from __future__ import annotations

from collections.abc import Callable

from mytrading.daemons.feed_bars import Lacking
from mytrading.messages.control import BarsLacking

NAME = "feed"


class LackingTeller:
    """`lacking` says how it stands, `send` puts a message on `status`."""

    def __init__(self, lacking: Callable[[], Lacking], send: Callable[[BarsLacking], object]) -> None:
        self._lacking = lacking
        self._send = send
        self._told: Lacking = ((), ())

    def say(self) -> None:
        """As soon as it changes."""
        lacking = self._lacking()
        if lacking != self._told:
            self._tell(lacking)

    def repeat(self) -> None:
        """How it stands, whether it has changed or not."""
        self._tell(self._lacking())

    def _tell(self, lacking: Lacking) -> None:
        self._told = behind, holes = lacking
        self._send(BarsLacking(daemon=NAME, behind=behind, holes=holes))
