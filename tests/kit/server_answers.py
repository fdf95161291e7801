"""Answers, frames and books of a server as they are when nothing is wrong."""

from __future__ import annotations

import os

CASES = int(os.environ.get("FUZZ_CASES", "1500"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

LEVELS = [{"price": 985.35, "quantity": 16, "orders": 3}, {"price": 985.3, "quantity": 28, "orders": 4}]
TICK = {
    "type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 3, "broker": "zerodha",
    "data": {"ltp": 985.4, "ltt": 1795149570645, "timestamp": 1795149570, "volume": 24256, "oi": 7, "open": 984.85,
             "high": 988.5, "low": 974.0, "close": 986.65, "bid": 985.3, "ask": 985.4, "bid_qty": 5, "ask_quantity": 6,
             "depth": {"buy": LEVELS, "sell": LEVELS}},
}  # fmt: skip
FRAMES = [
    TICK,
    {**TICK, "data": {"ltp": 985.0, "bid_price": 1.0, "ask_price": 2.0, "bid_quantity": 3, "open_interest": 9}},
    {"type": "subscribe", "status": "success", "request_id": "1",
     "subscriptions": [{"symbol": "SBIN", "exchange": "NSE", "status": "success", "mode": 2, "message": "no"}]},
    {"status": "error", "code": "NO", "message": "no"},
    {"type": "step", "mark": 3},
]  # fmt: skip
ROW = {
    "orderid": "260001", "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 10, "price": 100.5,
    "trigger_price": 0, "pricetype": "LIMIT", "product": "MIS", "order_status": "open", "filled_quantity": "5",
    "average_price": 100.0, "timestamp": "2026-11-20 10:00:00", "strategy": "tag", "rejection_reason": "no",
    "tradeid": "7", "pnl": 1.5,
}  # fmt: skip
UPDATES = [{"type": "order_update", "mode": "analyze", **ROW}, {"type": "subscribe_orders", "status": "success"},
           {"status": "error", "code": "NO", "message": "no"}, {"type": "step", "mark": 3}]  # fmt: skip
FUNDS = {"availablecash": "100.0", "utiliseddebits": "0", "collateral": 5, "m2mrealized": "1", "m2munrealized": 2}
HEAD = {"status": "success", "mode": "analyze"}
BOOKS = {
    "orderbook": {**HEAD, "data": {"orders": [ROW, ROW]}},
    "tradebook": {**HEAD, "data": [ROW, ROW]},
    "positionbook": {**HEAD, "data": [ROW, {**ROW, "quantity": -5}]},
    "funds": {**HEAD, "data": FUNDS},
    "analyzer": {**HEAD, "data": {"mode": "analyze", "analyze_mode": True, "total_logs": 1}},
}
ANSWERS = [
    {"status": "success", "orderid": "260001", "mode": "analyze"},
    {"status": "success", "pending_order_id": 5, "mode": "semi_auto"},
    {"status": "error", "message": {"quantity": ["no"]}, "mode": "analyze", "errors": {"a": ["b"]}, "code": "NO"},
    {"message": "10 per 1 second", "retry_after": 3},
]
