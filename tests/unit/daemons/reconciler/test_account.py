"""Times at which the reconciler reads the books of an account: by the windows of the run file."""

from __future__ import annotations

from mytrading.core.reconciler.read_plan import ReadRules
from mytrading.core.time import SECOND
from mytrading.daemons.reconciler.account import read_rules
from mytrading.messages.run_config import Windows


def test_windows_of_the_run_file_reach_the_plan_of_reads() -> None:
    assert read_rules(Windows()) == ReadRules()
    assert read_rules(Windows(orders_every=4.0)).orders_every == 4 * SECOND
