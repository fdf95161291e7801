"""Legs by rule in authors' code: `option("ATM CE", lots=-1)`; the engine selects the contract for the signal.

Words are those of `core/options/leg_grammar`; a misspelt one is refused where it is written.
"""

from __future__ import annotations

from mytrading.core.options.leg_grammar import parse_contract_product, parse_expiry, parse_lots, parse_option
from mytrading.messages.leg_plan import LegKind, LegRule, LegStop, StopKind
from mytrading.strategies.errors import StrategyError

_NO_STOP = LegStop()


def option(
    what: str, lots: int, expiry: str = "nearest", *, watch: str = "", stop_pct: float = 0.0, product: str = ""
) -> LegRule:
    """An option by rule, `lots` below 0 sold: `option("OTM 2 PE", lots=-1)`. `stop_pct`: per cent of its premium.

    `product`: MIS or NRML of this leg alone; without one it is that of the signal.
    """
    try:
        strike, right = parse_option(what)
    except ValueError as error:
        raise StrategyError(f"option: {error}") from None
    stop = LegStop(kind=StopKind.PERCENT, value=stop_pct)
    return _rule(LegKind.OPTION, lots, expiry, watch, product, strike, right, stop)


def future(lots: int, expiry: str = "nearest", *, watch: str = "", product: str = "") -> LegRule:
    """The future of the underlying, `lots` below 0 sold; `product` as for `option`."""
    return _rule(LegKind.FUTURE, lots, expiry, watch, product)


def _rule(
    kind: LegKind,
    lots: int,
    expiry: str,
    watch: str,
    product: str,
    strike: str = "",
    right: str = "",
    stop: LegStop = _NO_STOP,
) -> LegRule:
    try:
        return LegRule(
            lots=parse_lots(lots), kind=kind, strike=strike, right=right, expiry=parse_expiry(expiry).value,
            watch=watch, stop=stop, product=parse_contract_product(product),
        )  # fmt: skip
    except ValueError as error:
        raise StrategyError(str(error)) from None
