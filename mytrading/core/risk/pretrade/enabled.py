"""Rules on what the operator has enabled: products, timeframes, and how much data there must be.

Numbers stand in every reason.
"""

from __future__ import annotations

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule


def _product(case: PreTradeContext) -> str:
    allowed = case.limits.enabled_products
    if not allowed or case.product in allowed:
        return ""
    return f"product {case.product.value} is not one of ENABLED_PRODUCTS {','.join(allowed)}; add it to trade it"


def _timeframe(case: PreTradeContext) -> str:
    allowed = case.limits.enabled_timeframes
    if not allowed or case.strategy is None:
        return ""
    for frame in case.strategy.timeframes:
        if frame not in allowed:
            break
    else:
        return ""
    wrong = [frame for frame in case.strategy.timeframes if frame not in allowed]
    return (
        f"{case.signal.strategy} works on timeframe {','.join(wrong)}, which is not one of ENABLED_TIMEFRAMES "
        f"{','.join(allowed)}; add it to trade it"
    )


def _coverage(case: PreTradeContext) -> str:
    least = case.limits.min_data_coverage
    if case.coverage >= least:
        return ""
    return (
        f"{case.coverage:.0%} of the instruments have data, MIN_DATA_COVERAGE is {least:.0%}; see the feed in "
        "`mytrading status`"
    )


ENABLED: tuple[Rule, ...] = (
    Rule("PRODUCT_DISABLED", "The product is not among the enabled ones.", "ENABLED_PRODUCTS", _product),
    Rule("TIMEFRAME_DISABLED", "The strategy works on a timeframe that is not enabled.", "ENABLED_TIMEFRAMES",
         _timeframe),
    Rule("DATA_COVERAGE", "For 5 s too few of the instruments that should have data had any.", "MIN_DATA_COVERAGE",
         _coverage, "coverage"),
)  # fmt: skip
