"""Rules on margin: what an entry needs must be known, and free in its account.

Numbers stand in every reason.
"""

from __future__ import annotations

from mytrading.core.accounting.margin import by_margin
from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.text.money import rupees


def _unknown(case: PreTradeContext) -> str:
    if case.instrument is None:
        return ""
    valued = by_margin(case.instrument, case.units)
    if valued and case.margin <= 0:
        return f"the margin of {case.leg.instrument} is not known; add its underlying to config/risk.toml"
    if case.margin_free is None and (valued or case.needs_funds):
        return f"what is free of margin is not known: {case.funds_unread}; see `mytrading alerts`"
    return ""


def _short(case: PreTradeContext) -> str:
    free = case.margin_free
    if free is None or case.margin_needed <= free:
        return ""
    return (
        f"{rupees(case.margin_needed)} of margin needed, {rupees(free)} free; lower the lots, close something or add "
        "funds"
    )


MARGIN: tuple[Rule, ...] = (
    Rule("MARGIN_UNKNOWN", "What a future or sold option needs, or what the account has free, is not known.",
         "config/risk.toml", _unknown),
    Rule("INSUFFICIENT_MARGIN", "The order, or the signal with all its legs, needs more than is free in the account.",
         "config/risk.toml", _short),
)  # fmt: skip
