"""The simulator of a stack, as OpenAlgo in analyze mode behind a broker: paper orders, and the broker's market data.

`put_behind` names this file as the simulator's program in a project's supervisord.conf. Used by tests of a broker's
market data in stacks for which the market waits. Rule: it differs from the shipped program in what server it imitates.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.brokers.uneven_books import UnevenVenue
from mytrading.simulator import embedded, main
from tests.kit.project import ROOT

_SHIPPED = "command=%(ENV_MYTRADING_PYTHON)s -m mytrading.simulator.embedded"
_BEHIND = f"command=/usr/bin/env PYTHONPATH={ROOT} %(ENV_MYTRADING_PYTHON)s -m {__name__}"


def put_behind(home: Path, broker: str) -> None:
    """Let the simulator of the project's stack have the market data of a broker."""
    conf = home / "supervisord.conf"
    text = conf.read_text(encoding="utf-8")
    assert text.count(_SHIPPED) == 1
    conf.write_text(text.replace(_SHIPPED, f"{_BEHIND} {broker}"), encoding="utf-8")


class AnalyzingVenue(UnevenVenue):
    """A server with a broker whose operator switched analyze mode on, with books that an even, full one would hide."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.analyze = True


def serve(broker: str) -> int:
    """Run the simulator of a stack behind a broker; returns its exit code."""
    plain = embedded.simulator_options_of_run
    embedded.simulator_options_of_run = lambda config: replace(plain(config), personality="live", broker=broker)
    main.SimulatedVenue = AnalyzingVenue  # type: ignore[attr-defined]
    return embedded.main()


if __name__ == "__main__":
    raise SystemExit(serve(sys.argv[1]))
