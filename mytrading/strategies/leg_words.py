"""How authors name legs by rule: `option("ATM CE", lots=-1)`; the engine chooses the contract when the wish is made.

The one rule: a misspelt rule is refused where it is written, with what may stand there.
"""

from __future__ import annotations

from mytrading.core.options.strikes import parse_strike
from mytrading.messages.enums import Product
from mytrading.messages.leg_plan import LegKind, LegRule, LegStop, StopKind
from mytrading.messages.runconfig import ExpiryRule
from mytrading.strategies.errors import StrategyError, hint

OF_CONTRACTS = (Product.MIS, Product.NRML)
"""What options and futures may be; CNC is for shares."""


def option(
    what: str, lots: int, expiry: str = "nearest", *, watch: str = "", stop_pct: float = 0.0, product: str = ""
) -> LegRule:
    """An option by rule, `lots` below 0 sold: `option("OTM 2 PE", lots=-1)`. `stop_pct`: per cent of its premium.

    `product`: MIS or NRML of this leg alone; without one it is that of the wish.
    """
    strike, _, right = what.strip().upper().rpartition(" ")
    if right not in ("CE", "PE"):
        raise StrategyError(f"option: expected a strike and CE or PE, say 'ATM CE'; found {what!r}")
    try:
        rule = parse_strike(strike)
    except ValueError as error:
        raise StrategyError(f"option: {error}") from None
    stop = LegStop(kind=StopKind.PERCENT, value=stop_pct)
    return LegRule(
        lots=_lots(lots), strike=rule, right=right, expiry=_expiry(expiry), watch=watch, stop=stop,
        product=_product(product),
    )  # fmt: skip


def future(lots: int, expiry: str = "nearest", *, watch: str = "", product: str = "") -> LegRule:
    """The future of the underlying, `lots` below 0 sold; `product` as for `option`."""
    return LegRule(
        lots=_lots(lots), kind=LegKind.FUTURE, expiry=_expiry(expiry), watch=watch, product=_product(product)
    )


def _product(word: str) -> Product | None:
    if not word:
        return None
    allowed = [product.value for product in OF_CONTRACTS]
    if (name := str(word).strip().upper()) not in allowed:
        raise StrategyError(f"product: found {word!r}{hint(name, allowed)}")
    return Product(name)


def _lots(lots: int) -> int:
    if isinstance(lots, bool) or not isinstance(lots, int) or not lots:
        raise StrategyError(f"lots: expected a whole number, above 0 bought and below 0 sold; found {lots!r}")
    return lots


def _expiry(expiry: str) -> str:
    word = expiry.strip().lower().replace(" ", "_")
    if word not in set(ExpiryRule):
        raise StrategyError(f"expiry: found {expiry!r}{hint(expiry, list(ExpiryRule))}")
    return word
