"""Engine, risk and router killed in the middle of a change of legs, in lock-step: what they leave behind is what an
uninterrupted run leaves behind.

Every two minutes the strategy moves its sold call and its hedge by a strike: the new hedge is bought, the old call
bought back, the old hedge sold and the new call sold.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.kill_matrix import BEGINS, FIRST, Matrix, killable, set_traps, uninterrupted
from tests.kit.lockstep_stack import make_ticks
from tests.kit.stack import Stack
from tests.kit.stack_project import RICH, WIDE, make_project

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CELLS = (
    ("engine", "committed", "entry"), ("risk", "decided", "entry"), ("router", "committed", "entry"),
    ("risk", "torn", "exit"), ("router", "committed", "exit"), ("risk", "committed", "entry"),
    ("engine", "sent", "entry"), ("risk", "sent", "exit"), ("router", "answered", "exit"),
)  # fmt: skip
"""Daemon, boundary, and whether it dies at the first entry (the new hedge) or the first exit (of the old call)."""
STRATEGY = """
from mytrading.strategies import BaseStrategy, option


class Roller(BaseStrategy):
    \"\"\"A call spread sold at `first_minute` of the day (UTC), moved by a strike up or down on each even minute.\"\"\"

    name = "Roller"
    first_minute: int = 0

    def on_data(self, data):
        minute = data.end_ns // 60_000_000_000
        if minute % 1440 < self.first_minute or minute % 2:
            return None
        if not self.legs:
            return self.create_signal("SELL", legs=[option("OTM 8 CE", lots=1), option("OTM 3 CE", lots=-1)])
        step = 50 if minute % 4 else -50
        return self.adjust(*(self.replace(leg, f"STRIKE {leg.contract.strike + step:g}") for leg in self.legs))
"""
SETTINGS = f"""
name = "Roller"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "both"
product = "MIS"
lots = 1
stop = "none"
signal_cooldown = 0

[trade]
long = "none"
short = "none"

[parameters]
first_minute = {FIRST - 330 - 2}
"""


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    folder = tmp_path_factory.mktemp("adjusted")
    traps = folder / "traps"
    traps.mkdir()
    ticks = str(make_ticks(folder / "ticks.csv", BEGINS))
    environment = make_project(folder / "home", STRATEGY, {"Roller": SETTINGS}, WIDE, **RICH)
    set_traps(folder / "home")
    environment |= {"KILL_TRAPS": str(traps), "KILL_PERSONALITY": "sandbox"}
    expected = uninterrupted(folder / "plain", environment, ticks, len(CELLS))
    (folder / "killed").mkdir()
    with Stack(folder / "killed", **environment) as stack:
        yield killable(stack, traps, ticks, expected)


@pytest.mark.parametrize(("daemon", "boundary", "phase"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_daemon_killed_amid_a_change_of_legs_leaves_what_an_uninterrupted_run_leaves(
    matrix: Matrix, daemon: str, boundary: str, phase: str
) -> None:
    expected, found = matrix.kill(daemon, boundary, phase)
    purposes = [order[0] for order in expected["orders"].values()]
    assert (purposes.count("entry"), purposes.count("exit")) == (2, 2), "the uninterrupted run changed both legs"
    assert len(expected["positions"]) == 2
    assert found == expected
    assert found["doubled"] == []


def test_journals_of_killed_daemons_verify(matrix: Matrix) -> None:
    done = matrix.market.stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
