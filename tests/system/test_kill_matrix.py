"""Each daemon killed at each boundary that it passes, in lock-step: what it leaves behind is what an uninterrupted run
leaves behind.

One stack per personality of the exchange serves all cells, each with two minutes of market of its own: an entry on the
even minute, its exit on the odd one. An uninterrupted run over the same minutes says what must come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.runtime.supervision import control
from tests.kit.kill_launcher import BOUNDARIES
from tests.kit.lockstep_stack import LockStepped, make_home, make_ticks
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ORDER = ("received", "decided", "torn", "committed", "sent", "answered")
CELLS = [(daemon, boundary) for boundary in ORDER for daemon in BOUNDARIES if boundary in BOUNDARIES[daemon]]
"""By boundary first, so that a daemon does not die several times in a row."""

PHASES = {"sandbox": ("exit", "entry"), "live": ("entry", "exit")}
"""At which order the router dies, and at which all others do; a live server's books do not name what left it."""

FIRST, STEP = 14 * 60 + 1, 2
"""Late enough in the day that nothing is traded before the test makes the market stand."""


def minute(cell: int) -> str:
    """When the window before a cell ends: half a minute after an exit."""
    at = FIRST + STEP * cell
    return f"{at // 60:02d}:{at % 60:02d}:30"


class Matrix:
    """The stack whose daemons are killed, and what an uninterrupted one did."""

    def __init__(self, market: LockStepped, traps: Path, personality: str, expected: list[dict[str, Any]]) -> None:
        self.market, self.traps, self.expected = market, traps, expected
        self.phases = PHASES[personality]
        self.cell = 0

    def kill(self, daemon: str, boundary: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a window brought in the uninterrupted run and in this one, with the daemon killed in it."""
        before, stack, trap = self.market.end_state(), self.market.stack, self.traps / daemon
        old = stack.pid(daemon)
        trap.write_text(f"{boundary} {self.phases[daemon != 'router']}")
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
    """What came between two states."""
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


def trapped_home(home: Path) -> dict[str, str]:
    """A project folder whose processes start with a trap."""
    environment = make_home(home, FIRST)
    conf = home / "supervisord.conf"
    launcher = ROOT / "tests" / "kit" / "kill_launcher.py"
    text = conf.read_text()
    for program in (*BOUNDARIES, "gateway"):
        text = text.replace(f"-m mytrading.daemons.{program}\n", f'"{launcher}" {program}\n')
    conf.write_text(text.replace("-m mytrading.simulator.embedded\n", f'"{launcher}" simulator\n'))
    return environment


@pytest.fixture(scope="module", params=["sandbox", pytest.param("live", marks=pytest.mark.long)])
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    folder = tmp_path_factory.mktemp(request.param)
    traps = folder / "traps"
    traps.mkdir()
    ticks = str(make_ticks(folder / "ticks.csv"))
    environment = trapped_home(folder / "home") | {"KILL_TRAPS": str(traps), "KILL_PERSONALITY": request.param}
    (folder / "plain").mkdir()
    (folder / "killed").mkdir()
    with Stack(folder / "plain", **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        market = LockStepped(stack)
        expected = []
        for cell in range(len(CELLS) + 1):
            market.run_to(minute(cell))
            expected.append(market.end_state())
    with Stack(folder / "killed", **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        market = LockStepped(stack)
        market.run_to(minute(0))
        assert market.end_state() == expected[0]
        yield Matrix(market, traps, request.param, expected)


@pytest.mark.parametrize(("daemon", "boundary"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_daemon_killed_at_a_boundary_leaves_what_an_uninterrupted_run_leaves(
    matrix: Matrix, daemon: str, boundary: str
) -> None:
    expected, found = matrix.kill(daemon, boundary)
    assert expected["trades"], "the uninterrupted run traded nothing in this window"
    assert found == expected
    assert found["doubled"] == []


def test_journals_of_killed_daemons_verify(matrix: Matrix) -> None:
    done = matrix.market.stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
