"""The router's order machine: it alone decides what is sent to the broker, and it alone owns orders and positions.

`decide` changes nothing and `apply` is the only way to learn, so that a journal of rows is the machine.
"""

from mytrading.core.oms.machine import OrderMachine
from mytrading.core.oms.state.settings import OmsLimits

__all__ = ["OmsLimits", "OrderMachine"]
