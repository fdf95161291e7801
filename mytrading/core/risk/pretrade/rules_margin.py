"""Rules on margin: what an entry needs must be known, and free in its account.

Used by `core/risk/rules`, which fixes the order of all rows. The one rule: numbers stand in every reason.
"""

from __future__ import annotations

from mytrading.core.money.margin import by_margin
from mytrading.core.risk.case import Case, Rule, rupees


def _unknown(case: Case) -> str:
    if case.instrument is None:
        return ""
    valued = by_margin(case.instrument, case.units)
    if valued and case.margin <= 0:
        return f"the margin of {case.leg.instrument} is not known; add its underlying to config/risk.toml"
    if case.margin_free is None and (valued or case.needs_funds):
        return f"what is free of margin is not known: {case.funds_unread}; see `mytrading alerts`"
    return ""


def _short(case: Case) -> str:
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
    Rule("INSUFFICIENT_MARGIN", "The order, or the wish with all its legs, needs more than is free in the account.",
         "config/risk.toml", _short),
)  # fmt: skip
