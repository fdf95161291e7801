"""The order machine of the router, which alone decides what is sent to the broker and owns orders and positions."""

from mytrading.core.oms.machine import OrderMachine
from mytrading.core.oms.state.settings import OmsLimits

__all__ = ["OmsLimits", "OrderMachine"]
