"""The paper exchange: one implementation of matching and books, used by the simulator and the backtest."""

from mytrading.core.exchange.exchange import SQUARE_OFF_OWNER, Exchange
from mytrading.core.exchange.gtt import Trigger, TriggerBook, TriggerLeg, TriggerStatus
from mytrading.core.exchange.model import (
    Account,
    BookOrder,
    BookPosition,
    Books,
    BookTrade,
    ExchangeChanges,
    ExchangeRefusal,
    Holding,
    Mark,
    OrderRequest,
)
from mytrading.core.exchange.order_checks import order_problem

__all__ = [
    "SQUARE_OFF_OWNER",
    "Account",
    "BookOrder",
    "BookPosition",
    "BookTrade",
    "Books",
    "Exchange",
    "ExchangeChanges",
    "ExchangeRefusal",
    "Holding",
    "Mark",
    "OrderRequest",
    "Trigger",
    "TriggerBook",
    "TriggerLeg",
    "TriggerStatus",
    "order_problem",
]
