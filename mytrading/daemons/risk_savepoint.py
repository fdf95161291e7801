"""A process that keeps a savepoint of risk's state; see `runtime/savepoint_keeper`."""

from __future__ import annotations

from mytrading.daemons.risk_setup import RiskRows, RiskSetup
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.savepoint_keeper import Parts, main


def parts(config: RunConfig) -> Parts:
    """Risk's machine, before its first row."""
    made = RiskSetup(config, keep=False)
    return Parts(made.machine, RiskRows().decode, made.bound())


if __name__ == "__main__":
    raise SystemExit(main("risk", parts))
