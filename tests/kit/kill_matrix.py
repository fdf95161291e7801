"""A stack in lock-step whose daemons are killed at a boundary, and what an uninterrupted one did meanwhile.

Tests give the project. Each kill has two minutes of market of its own, from the middle of an odd minute to that of
the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mytrading.runtime.supervision import control
from tests.kit.kill_launcher import BOUNDARIES
from tests.kit.lockstep_stack import LockStepped
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

FIRST, STEP = 14 * 60 + 1, 2
BEGINS = FIRST - 60
"""Minutes of the Indian day: the first window; the first tick, so long before that nothing is traded before the test
makes the market stand."""


def minute(cell: int) -> str:
    """End of the window before a cell: half a minute after an exit."""
    at = FIRST + STEP * cell
    return f"{at // 60:02d}:{at % 60:02d}:30"


class Matrix:
    """The stack whose daemons are killed, and what an uninterrupted one did."""

    def __init__(self, market: LockStepped, traps: Path, expected: list[dict[str, Any]]) -> None:
        self.market, self.traps, self.expected = market, traps, expected
        self.cell = 0

    def kill(self, daemon: str, boundary: str, phase: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the rows of a window in the uninterrupted run and in this one, the daemon killed in it at the first
        entry or exit (`phase`)."""
        before, stack, trap = self.market.end_state(), self.market.stack, self.traps / daemon
        old = stack.pid(daemon)
        trap.write_text(f"{boundary} {phase}")
        self.cell += 1
        self.market.let_go(minute(self.cell))
        eventually(lambda: not trap.exists(), 60)
        eventually(lambda: self._is_back(daemon, old), 30)
        self.market.await_rest(minute(self.cell))
        expected = news(self.expected[self.cell - 1], self.expected[self.cell])
        return expected, news(before, self.market.end_state())

    def _is_back(self, daemon: str, old: int) -> bool:
        """True if another process has taken over; one that died five times within a minute is started by hand."""
        config = self.market.stack.config
        program = control.programs(config).get(daemon)
        if program is not None and program.state == "FATAL":
            control.connect(config).supervisor.startProcess(daemon, False)
        return self.market.stack.pid(daemon) not in (0, old)


def news(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the rows between two states."""
    return {
        "orders": {name: order for name, order in after["orders"].items() if before["orders"].get(name) != order},
        "positions": {name: held[0] for name, held in after["positions"].items() if held[0]},
        "trades": after["trades"][len(before["trades"]) :],
        "realised": round(_realised(after) - _realised(before), 2),
        "exchange": {
            "orders": {
                status: count - before["exchange"]["orders"].get(status, 0)
                for status, count in after["exchange"]["orders"].items()
            },
            "trades": after["exchange"]["trades"] - before["exchange"]["trades"],
            "positions": after["exchange"]["positions"],
            "available": round(after["exchange"]["available"] - before["exchange"]["available"], 2),
        },
        "placed": [row for row in after["placed"] if row not in before["placed"]],
        "doubled": [row for row in after["placed"] if after["placed"].count(row) > 1],
    }


def _realised(state: dict[str, Any]) -> float:
    return float(sum(held[1] for held in state["positions"].values()))


def set_traps(home: Path) -> None:
    """Have the processes of a project folder start with a trap."""
    conf = home / "supervisord.conf"
    launcher = ROOT / "tests" / "kit" / "kill_launcher.py"
    text = conf.read_text()
    for program in (*BOUNDARIES, "gateway"):
        text = text.replace(f"-m mytrading.daemons.{program}\n", f'"{launcher}" {program}\n')
    conf.write_text(text.replace("-m mytrading.simulator.embedded\n", f'"{launcher}" simulator\n'))


def uninterrupted(folder: Path, environment: dict[str, str], ticks: str, cells: int) -> list[dict[str, Any]]:
    """The states before the first window and after each of so many, of a stack whose daemons live."""
    folder.mkdir()
    with Stack(folder, **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        market = LockStepped(stack)
        found = []
        for cell in range(cells + 1):
            market.run_to(minute(cell))
            found.append(market.end_state())
    return found


def killable(stack: Stack, traps: Path, ticks: str, expected: list[dict[str, Any]]) -> Matrix:
    """Start a stack and bring it to where its first daemon may be killed."""
    stack.up("--replay", ticks, "--speed", "0")
    market = LockStepped(stack)
    market.run_to(minute(0))
    assert market.end_state() == expected[0]
    return Matrix(market, traps, expected)
