"""Generated shares that fill a market up to a number of instruments, so that thousands can be subscribed.

Used by the simulator's start. They have no contracts. Each moves as one of a few families does, in percent, so that a
market day of thousands costs the memory of a few. The one rule: name, price and family of the n-th share depend on n
alone.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.contracts import ContractFacts, Underlying

MOST = 20_000
_FAMILIES = 16
_PREFIX = "GEN"
_LOWEST, _STEP, _PRICES = 80.0, 37.5, 97
_VOLATILITY = 0.24


def with_crowd(facts: ContractFacts, count: int) -> ContractFacts:
    """The facts with `count` generated shares besides."""
    shares = {f"{_PREFIX}{number:05d}": _share(number) for number in range(1, count + 1)}
    return replace(facts, underlyings={**facts.underlyings, **shares})


def family(name: str) -> str:
    """Whose shape of the day an underlying has: a generated share its family's, any other its own."""
    number = name.removeprefix(_PREFIX)
    if name == number or len(number) != 5 or not number.isdigit():
        return name
    return f"{_PREFIX} family {int(number) % _FAMILIES}"


def _share(number: int) -> Underlying:
    price = _LOWEST + _STEP * (number * 31 % _PRICES)
    return Underlying(
        exchange="NSE",
        reference_price=price,
        name=f"GENERATED SHARE {number}",
        volatility=_VOLATILITY,
        tick=0.05 if price < 1000.0 else 0.1,
    )
