"""`mytrading` whose stacks conclude sooner and read the broker's books oftener: `short_windows.py up --simulator`.

Used by `tests.kit.stack` for tests that wait for what the windows of a stack (`Windows`) delay, and do not test how
long they are. They are those of `mytrading chaos`, with more reads. Rule: the simulator of
such a stack answers within a second.
"""

from __future__ import annotations

from msgspec.structs import replace

from lab.chaos.environment import SHORT_WINDOWS
from mytrading.cli.main import run
from mytrading.config import run_config
from mytrading.messages.run_config import Windows


def short(**_: float) -> Windows:
    """Return short windows, whatever the settings say."""
    return replace(SHORT_WINDOWS, mismatch_gap=1.0, orders_every=2.0, positions_every=3.0)


if __name__ == "__main__":
    run_config.Windows = short  # type: ignore[misc, assignment]
    run()
