"""The paper exchange: one implementation of matching and books, used by the simulator and the backtest."""

from mytrading.core.matching.checks import order_problem
from mytrading.core.matching.exchange import SQUARE_OFF_OWNER, Exchange
from mytrading.core.matching.model import (
    Account,
    BookOrder,
    BookPosition,
    Books,
    BookTrade,
    Changes,
    Holding,
    Mark,
    OrderRequest,
    Refusal,
)
from mytrading.core.matching.triggers import Trigger, TriggerBook, TriggerLeg, TriggerStatus

__all__ = [
    "SQUARE_OFF_OWNER",
    "Account",
    "BookOrder",
    "BookPosition",
    "BookTrade",
    "Books",
    "Changes",
    "Exchange",
    "Holding",
    "Mark",
    "OrderRequest",
    "Refusal",
    "Trigger",
    "TriggerBook",
    "TriggerLeg",
    "TriggerStatus",
    "order_problem",
]
