"""Each daemon killed at each boundary that it passes, in lock-step: what it leaves behind is what an uninterrupted run
leaves behind.

One stack per personality of the exchange serves all cells, each with two minutes of market of its own: an entry on the
even minute, its exit on the odd one. An uninterrupted run over the same minutes says what must come out.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.kill_launcher import BOUNDARIES
from tests.kit.kill_matrix import BEGINS, FIRST, Matrix, killable, set_traps, uninterrupted
from tests.kit.lockstep_stack import make_home, make_ticks
from tests.kit.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ORDER = ("received", "decided", "torn", "committed", "sent", "answered")
CELLS = [(daemon, boundary) for boundary in ORDER for daemon in BOUNDARIES if boundary in BOUNDARIES[daemon]]
"""By boundary first, so that a daemon does not die several times in a row."""

PHASES = {"sandbox": ("exit", "entry"), "live": ("entry", "exit")}
"""At which order the router dies, and at which all others do; a live server's books do not name what left it."""


@pytest.fixture(scope="module", params=["sandbox", pytest.param("live", marks=pytest.mark.long)])
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Matrix, tuple[str, str]]]:
    folder = tmp_path_factory.mktemp(request.param)
    traps = folder / "traps"
    traps.mkdir()
    ticks = str(make_ticks(folder / "ticks.csv", BEGINS))
    environment = make_home(folder / "home", FIRST)
    set_traps(folder / "home")
    environment |= {"KILL_TRAPS": str(traps), "KILL_PERSONALITY": request.param}
    expected = uninterrupted(folder / "plain", environment, ticks, len(CELLS))
    (folder / "killed").mkdir()
    with Stack(folder / "killed", **environment) as stack:
        yield killable(stack, traps, ticks, expected), PHASES[request.param]


@pytest.mark.parametrize(("daemon", "boundary"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_daemon_killed_at_a_boundary_leaves_what_an_uninterrupted_run_leaves(
    matrix: tuple[Matrix, tuple[str, str]], daemon: str, boundary: str
) -> None:
    stack, phases = matrix
    expected, found = stack.kill(daemon, boundary, phases[daemon != "router"])
    assert expected["trades"], "the uninterrupted run traded nothing in this window"
    assert found == expected
    assert found["doubled"] == []


def test_journals_of_killed_daemons_verify(matrix: tuple[Matrix, tuple[str, str]]) -> None:
    done = matrix[0].market.stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
