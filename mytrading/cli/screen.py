"""The live screen of `up`: processes, feed, positions and P&L, last orders, events, and the stop key.

Fed by the gateway twice a second. The one rule: a question that fails leaves the last picture with a note, so that the
screen also tells about a gateway that is down.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from mytrading.cli.panels import Told, feed_figures, picture, program_rows
from mytrading.cli.terminal import screen_of
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime import supervision
from mytrading.runtime.ops import OpsRefused, OpsTimedOut

_EVERY_S = 0.5


class Screen:
    """Shows one stack; use it in a `with` block and call `refresh` in turns."""

    def __init__(self, stack: TradingOrchestrator, deadline: float | None) -> None:
        self._stack = stack
        self._deadline = deadline
        self._live = Live(Text("…"), console=Console(file=screen_of(sys.stdout)), screen=True, auto_refresh=False)
        self._asked_at = 0.0
        self._quotes: deque[tuple[float, float]] = deque(maxlen=10)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def refresh(self) -> bool:
        """Ask and draw, if the last picture is half a second old; false, since a picture never ends the watching."""
        if time.monotonic() - self._asked_at >= _EVERY_S:
            self._asked_at = time.monotonic()
            self._live.update(self._picture(), refresh=True)
        return False

    def _picture(self) -> Group:
        try:
            status = self._stack.status()
            rows = {verb: self._stack.ask(verb, limit="200") for verb in ("positions", "orders", "signals", "alerts")}
            summary = self._stack.ask("summary")
        except (OpsTimedOut, OpsRefused, NotRunning) as error:
            programs = supervision.programs(self._stack.config).values()
            return Group(Panel(Text(str(error), "yellow"), title="the gateway does not answer"), program_rows(programs))
        size = self._live.console.size
        return picture(Told(status, rows, summary, self._rate(status), self._footer()), size.width, size.height)

    def _rate(self, status: dict[str, Any]) -> float:
        """Quotes a second over the last pictures."""
        count = feed_figures(status).get("quotes_in", 0.0)
        self._quotes.append((time.monotonic(), float(count)))
        (then, before), (now, latest) = self._quotes[0], self._quotes[-1]
        return max((latest - before) / (now - then), 0.0) if now > then else 0.0

    def _footer(self) -> str:
        left = f"stops in {max(self._deadline - time.monotonic(), 0):.0f} s · " if self._deadline else ""
        return f"{left}q or Ctrl-C stops the stack · closing the terminal leaves it running"
