"""The paper exchange: matching engine and books, shared by the simulator and the backtest."""

from mytrading.core.exchange.exchange import SQUARE_OFF_OWNER, Exchange
from mytrading.core.exchange.gtt import Trigger, TriggerBook, TriggerLeg, TriggerStatus
from mytrading.core.exchange.model import (
    Account,
    BookOrder,
    BookPosition,
    BooksSnapshot,
    BookTrade,
    ExchangeChanges,
    ExchangeRefusal,
    Holding,
    Mark,
    OrderRequest,
)
from mytrading.core.exchange.order_rules import order_problem

__all__ = [
    "SQUARE_OFF_OWNER",
    "Account",
    "BookOrder",
    "BookPosition",
    "BookTrade",
    "BooksSnapshot",
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
