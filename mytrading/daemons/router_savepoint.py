"""A process that keeps a savepoint of the router's state; see `runtime/savepoint_keeper`."""

from __future__ import annotations

from mytrading.daemons.router_setup import MarketHours, OrderRows, bound_of, order_machine
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.savepoint_keeper import Parts, main


def parts(config: RunConfig) -> Parts:
    """The router's machine, before its first row."""
    hours = MarketHours(config, keep=False)
    return Parts(order_machine(config, hours), OrderRows().decode, bound_of(config, hours))


if __name__ == "__main__":
    raise SystemExit(main("router", parts))
