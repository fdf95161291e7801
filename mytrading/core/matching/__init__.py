"""The paper exchange: one implementation of matching and books, used by the simulator and the backtest."""

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
]
