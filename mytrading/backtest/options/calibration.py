"""Error of prices off the underlying against those that a bhavcopy recorded, day by day.

A day's opening prices are compared with the market's prices at the underlying's first price, its closing prices with
those at its last; recorded bars of contracts are left aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.options.market import ListedDay, OptionMarket
from mytrading.messages.instruments import Instrument, InstrumentKind

STRIKES_EACH = 10
"""Strikes on each side of the money that are compared."""


class PriceError(NamedTuple):
    """Errors at one moment: mean and median of their size, rupees, and that of the straddle at the money, per cent.

    The per cent are of the recorded straddle, above 0 where the market is dearer; None where no strike has both sides.
    """

    mean: float
    median: float
    atm_percent: float | None


class DayError(NamedTuple):
    """The errors of a day in the options of its nearest expiry, at its open (None with bars of days) and its close."""

    day: date
    underlying: str
    expiry: str
    calibrated: bool
    """Priced by the volatilities of a file, else by the surface."""
    in_sample: bool
    """True where these volatilities are of the very day's file, which its errors cannot judge."""
    contracts: int
    open: PriceError | None
    close: PriceError

    @property
    def is_expiry_day(self) -> bool:
        """True if the options compared expire on the day."""
        return self.expiry == self.day.isoformat()


@lru_cache(maxsize=2)
def calibration_errors(market: OptionMarket) -> tuple[DayError, ...]:
    """Return the errors of each day that a bhavcopy and bars of the underlying are of, by underlying and day."""
    found = (_day_error(market, listed, bars) for listed, bars in market.listed_days())
    return tuple(error for error in found if error is not None)


def _day_error(market: OptionMarket, listed: ListedDay, bars: Columns) -> DayError | None:
    traded = [contract for contract in listed.contracts if contract.id in listed.traded]
    expiry = min((item.expiry for item in traded if item.expiry >= listed.day.isoformat()), default="")
    chain = [contract for contract in traded if contract.expiry == expiry]
    if not chain:
        return None
    begins, ends = int(bars.start_ns[0]), int(bars.start_ns[-1]) + bars.span_ns
    first, last = float(bars.table[0, 0]), float(bars.close[-1])
    at_open = None if bars.timeframe == "1d" else _error(market, listed, chain, 0, first, begins)
    at_close = _error(market, listed, chain, 1, last, ends)
    smile = market.smile_on(chain[0], listed.day)
    own = smile is not None and smile is listed.smiles.get(expiry)
    near = len(_near(chain, last))
    return DayError(listed.day, listed.underlying, expiry, smile is not None, own, near, at_open, at_close)


def _near(chain: Sequence[Instrument], spot: float) -> list[Instrument]:
    """The contracts of a chain at the strikes nearest to the money."""
    strikes = sorted({contract.strike for contract in chain}, key=lambda strike: abs(strike - spot))
    kept = set(strikes[: 2 * STRIKES_EACH + 1])
    return [contract for contract in chain if contract.strike in kept]


def _error(
    market: OptionMarket, listed: ListedDay, chain: Sequence[Instrument], which: int, spot: float, now: int
) -> PriceError:
    """The errors of a chain's openings (`which` 0) or closings (1), the underlying at `spot`."""
    near = _near(chain, spot)
    sizes: list[float] = []
    straddles: dict[float, list[tuple[float, float]]] = {}
    for right in (InstrumentKind.CE, InstrumentKind.PE):
        side = [contract for contract in near if contract.kind is right]
        prices = market.modelled_prices(side, listed.day, spot, now)[0] if side else np.zeros(0)
        for contract, price in zip(side, prices.tolist(), strict=True):
            recorded = listed.traded[contract.id][which]
            sizes.append(abs(price - recorded))
            straddles.setdefault(contract.strike, []).append((price, recorded))
    both = [strike for strike, sides in straddles.items() if len(sides) == 2]
    percent = None
    if both:
        sides = straddles[min(both, key=lambda strike: abs(strike - spot))]
        percent = round(100 * (sum(price for price, _ in sides) / sum(recorded for _, recorded in sides) - 1), 2)
    return PriceError(round(float(np.mean(sizes)), 2), round(float(np.median(sizes)), 2), percent)


def summarize(days: Sequence[DayError]) -> dict[str, Any] | None:
    """Return the errors as an object for `--json`: each day's, and means over days, expiry days apart; None without."""
    if not days:
        return None
    return {
        "expiry_days": _means([one for one in days if one.is_expiry_day]),
        "other_days": _means([one for one in days if not one.is_expiry_day]),
        "days": [
            {
                "day": one.day.isoformat(), "underlying": one.underlying, "expiry": one.expiry,
                "expiry_day": one.is_expiry_day, "priced": "calibrated" if one.calibrated else "modelled",
                "in_sample": one.in_sample, "contracts": one.contracts,
                "open": one.open and one.open._asdict(), "close": one.close._asdict(),
            }
            for one in days
        ],
    }  # fmt: skip


def describe(found: dict[str, Any]) -> str:
    """Describe in one sentence what `summarize` found."""
    parts = []
    for key, name in (("other_days", "days before expiry"), ("expiry_days", "expiry days")):
        errors = [
            f"at the {moment} {_error_text(found[key][moment])}" for moment in ("open", "close") if found[key][moment]
        ]
        parts += [f"on {found[key]['days']} {name} {', '.join(errors)}"] if errors else []
    own = sum(day["in_sample"] for day in found["days"])
    if own:
        parts.append(
            f"{own} of these days are in sample: their own bhavcopy gave the volatilities, so that their errors say "
            "nothing of a day to come"
        )
    return f"prices off the underlying differ from the bhavcopies' by (mean size) {'; '.join(parts)}"


def _error_text(error: dict[str, float | None]) -> str:
    percent = error["atm_percent"]
    straddle = f", the straddle at the money by {percent:.1f} %" if percent is not None else ""
    return f"₹{error['mean']:,.2f} (median ₹{error['median']:,.2f}{straddle})"


def _means(days: Sequence[DayError]) -> dict[str, Any]:
    moments = {"open": [one.open for one in days if one.open is not None], "close": [one.close for one in days]}
    return {"days": len(days), **{name: _mean(found) for name, found in moments.items()}}


def _mean(errors: Sequence[PriceError]) -> dict[str, float | None] | None:
    if not errors:
        return None
    percents = [abs(one.atm_percent) for one in errors if one.atm_percent is not None]
    return {
        "mean": round(float(np.mean([one.mean for one in errors])), 2),
        "median": round(float(np.median([one.median for one in errors])), 2),
        "atm_percent": round(float(np.mean(percents)), 2) if percents else None,
    }
