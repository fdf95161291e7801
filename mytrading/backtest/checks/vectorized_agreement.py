"""Agreement: a strategy that gives its signals bar by bar and all at once means the same with both.

The compiled walk over `positions(bars)` is compared with the event engine, round trip by round trip, without costs and
stops, and the array itself with the arrays of runs that end earlier. Both walk the same spec.
"""

from __future__ import annotations

import dataclasses
from itertools import zip_longest
from typing import Any

import numpy as np
from msgspec.structs import replace

from mytrading.backtest.assumptions import Models
from mytrading.backtest.checks.findings import CheckOutcome
from mytrading.backtest.checks.lookahead import cuts_of
from mytrading.backtest.checks.observer import changed, cut, method_place
from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.results.output import ist
from mytrading.backtest.run import Spec, run
from mytrading.backtest.search.screen import Ground, ScreenError, can_screen, ground, signals, walked
from mytrading.core.time import SECOND
from mytrading.messages.run_config import StopPlan
from mytrading.strategies.errors import StrategyError

NAME = "agreement"
ASKS = "do on_data and positions(bars) lead to the same round trips?"
_TOLERANCE = 1e-6


def agreement(spec: Spec) -> CheckOutcome:
    """Walk both ways and compare; a strategy without `positions` is not judged."""
    found = CheckOutcome(NAME, ASKS)
    if not can_screen(spec.strategy):
        found.skipped = "it has no positions(self, bars)"
        return found
    bare = dataclasses.replace(
        spec, fees=None, models=Models(at_close=False), run=replace(spec.run, stop=StopPlan.NONE, accounts=())
    )
    place = method_place(spec.strategy, "positions")
    try:
        on = ground(bare)
        signalled = signals(bare.strategy, bare.run.parameters, on)
    except (ScreenError, StrategyError) as error:
        found.skipped = str(error)
        return found
    except Exception as error:  # noqa: BLE001  (an author's method may raise anything)
        found.find(f"positions(bars) fails: {type(error).__name__}: {error}", place, "mend it")
        return found
    _ahead(bare, on, signalled, found, place)
    result = run(bare)
    _, _, rows = walked(on, signalled, len(signalled))
    starts = bare.data[0].start_ns
    screened = [_trip(starts, row) for row in rows.tolist()]
    made = [_made(trade) for trade in result.ledger.trades]
    found.figures = {"engine": len(made), "screening": len(screened)}
    for number, (there, here) in enumerate(zip_longest(made, screened)):
        if there is None or here is None or not _same(there, here):
            found.find(
                f"round trip {number + 1} is {_told(there)} in the event engine, {_told(here)} in the screening"
                + _denials(result.ledger.counts),
                place,
                "let both come to the same signals at every bar, and never depend on what is held in only one of them",
            )
            break
    return found


def _ahead(spec: Spec, on: Ground, signalled: np.ndarray[Any, Any], found: CheckOutcome, place: str) -> None:
    """The array of the first k bars is the beginning of the array of all."""
    for k in cuts_of(signalled):
        end = int(on.ends_ns[k - 1])
        part = changed(spec, (cut(columns, end_ns=end) for columns in spec.data))
        here = signals(part.strategy, part.run.parameters, ground(part))
        rows = np.flatnonzero(~((signalled[:k] == here) | (np.isnan(signalled[:k]) & np.isnan(here))))
        if len(rows):
            row = int(rows[-1])
            moment = ist(round(on.bars.start_s[row]) * SECOND)
            found.find(
                f"positions(bars) signals {signalled[row]:g} at {moment} with the bars that follow, "
                f"{here[row]:g} without those after bar {k}",
                place,
                "work out each signal from its own bar and those before it",
            )
            return


def _trip(starts: np.ndarray[Any, Any], row: list[float]) -> tuple[float, ...]:
    return (int(starts[int(row[0])]), int(starts[int(row[1])]), row[2], row[3], row[4])


def _made(trade: Trade) -> tuple[float, ...]:
    units = trade.quantity if trade.side == "BUY" else -trade.quantity
    return (trade.entry_ns, trade.exit_ns, float(units), trade.entry_price, trade.exit_price)


def _same(there: tuple[float, ...], here: tuple[float, ...]) -> bool:
    return there[:3] == here[:3] and all(
        abs(one - other) <= _TOLERANCE * max(1.0, abs(one)) for one, other in zip(there[3:], here[3:], strict=True)
    )


def _told(trip: tuple[float, ...] | None) -> str:
    if trip is None:
        return "none"
    return f"{trip[2]:+g} from {ist(int(trip[0]))} at {trip[3]:g} to {ist(int(trip[1]))} at {trip[4]:g}"


def _denials(counts: Any) -> str:
    denied = ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
    return f" (the engine also says: {denied})" if denied else ""
