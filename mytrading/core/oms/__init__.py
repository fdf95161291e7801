"""The router's order machine: it alone decides what is sent to the broker, and it alone owns orders and positions.

Used by the router daemon and by the backtest. The one rule: `decide` changes nothing and `apply` is the only way to
learn, so that a journal of rows is the machine.
"""

from mytrading.core.oms.limits import OmsLimits
from mytrading.core.oms.machine import OrderMachine

__all__ = ["OmsLimits", "OrderMachine"]
