"""Profit and loss by our own trade ledger, compared with the broker's figures of each account.

Our ledger is what limits go by; the broker's figure is a cross-check, and where the two cannot be compared the reason
is shown instead of a difference.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.accounting.pnl import profit
from mytrading.core.gateway.read_model import StackView
from mytrading.core.time import MINUTE
from mytrading.messages.orders import Position
from mytrading.messages.reports import Funds

CENT = 0.005
OLD_NS = MINUTE
"""Machine time after which the broker's figures are those of another moment."""


def checked_profits(view: StackView, machine_ns: int) -> list[dict[str, Any]]:
    """A row for each account: rupees realised and unrealised here and there, and how far they are apart."""
    names = sorted({position.account for position in view.positions.values()} | set(view.funds))
    return [_row(view, name, machine_ns) for name in names]


def _row(view: StackView, account: str, machine_ns: int) -> dict[str, Any]:
    mine = [position for position in view.positions.values() if position.account == account]
    ours, funds = profit(mine, view.quotes), view.funds.get(account)
    reason = _incomparable(view, mine, funds, ours.realised, machine_ns)
    difference = round(ours.realised - funds.realised, 2) + 0.0 if funds is not None else None  # -0.0 shows as 0.00
    return {
        "account": account,
        "realised": round(ours.realised, 2),
        "unrealised": round(ours.unrealised, 2),
        "broker_realised": round(funds.realised, 2) if funds else None,
        "broker_unrealised": round(funds.unrealised, 2) if funds else None,
        "broker_age_s": round((machine_ns - funds.machine_ns) / 1e9, 1) if funds and funds.machine_ns else None,
        "difference": None if reason else difference,
        "not_comparable": reason,
    }


def _incomparable(view: StackView, mine: list[Position], funds: Funds | None, realised: float, machine_ns: int) -> str:
    """Why the two realised figures cannot be compared; empty if they can."""
    if funds is None:
        return "the broker's funds are not read yet"
    if funds.machine_ns and (age := machine_ns - funds.machine_ns) > OLD_NS:
        return f"the broker's funds were last read {age / 1e9:.0f} s ago"
    if abs(realised) > CENT and abs(funds.realised) < CENT:
        return "the broker reports no realised profit"
    accounts = {position.account for position in mine} or {""}
    if any(row.quantity and row.account in accounts for row in view.unmanaged.values()):
        return "the broker counts unmanaged positions too"
    if view.adjusted & {p.owner for p in mine}:
        return "units were claimed or corrected, whose price is not the broker's"
    return ""
