"""Agreement: a strategy that signals bar by bar and for all bars at once makes the same trades both ways.

The compiled walk over `positions(bars)` is compared with the event engine, trade by trade, without costs and
stops, and the array itself with the arrays of runs that end earlier. Both walk the same spec.
"""

from __future__ import annotations

import dataclasses
from itertools import zip_longest
from typing import Any

import numpy as np
from msgspec.structs import replace

from mytrading.backtest.checks.lookahead import truncation_points
from mytrading.backtest.checks.observer import CheckOutcome, copy_between, method_line, with_data
from mytrading.backtest.engine.assumptions import Models
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import Spec, run
from mytrading.backtest.search.screen import ScreenData, ScreenError, can_screen, compute_signals, screen_data, simulate
from mytrading.core.time import SECOND
from mytrading.messages.enums import Side
from mytrading.messages.run_config import StopPlan
from mytrading.strategies.errors import StrategyError

NAME = "agreement"
ASKS = "do on_data and positions(bars) lead to the same trades?"
_TOLERANCE = 1e-6


def check_agreement(spec: Spec) -> CheckOutcome:
    """Check that bar-by-bar and vectorized signals make the same trades; skipped without the latter (`positions`)."""
    found = CheckOutcome(NAME, ASKS)
    if not can_screen(spec.strategy):
        found.skipped = "it has no positions(self, bars)"
        return found
    bare = dataclasses.replace(
        spec, fees=None, models=Models(at_close=False), run=replace(spec.run, stop=StopPlan.NONE, accounts=())
    )
    place = method_line(spec.strategy, "positions")
    try:
        on = screen_data(bare)
        signalled = compute_signals(bare.strategy, bare.run.parameters, on)
    except (ScreenError, StrategyError) as error:
        found.skipped = str(error)
        return found
    except Exception as error:  # noqa: BLE001  (an author's method may raise anything)
        found.add(f"positions(bars) fails: {type(error).__name__}: {error}", place, "mend it")
        return found
    _ahead(bare, on, signalled, found, place)
    result = run(bare)
    _, _, rows = simulate(on, signalled, len(signalled))
    starts = bare.data[0].start_ns
    screened = [(int(starts[int(entry)]), int(starts[int(end)]), *rest) for entry, end, *rest in rows.tolist()]
    made = [
        (one.entry_ns, one.exit_ns, float(Side(one.side).sign * one.quantity), one.entry_price, one.exit_price)
        for one in result.ledger.trades
    ]
    found.figures = {"engine": len(made), "screening": len(screened)}
    denied = ", ".join(f"{code} {count}" for code, count in sorted(result.ledger.counts.items()))
    for number, (there, here) in enumerate(zip_longest(made, screened)):
        if there is None or here is None or not _same(there, here):
            found.add(
                f"trade {number + 1} is {_text(there)} in the event engine, {_text(here)} in the screening"
                + (f" (the engine also says: {denied})" if denied else ""),
                place,
                "let both come to the same signals at every bar, and never depend on what is held in only one of them",
            )
            break
    return found


def _ahead(spec: Spec, on: ScreenData, signalled: np.ndarray[Any, Any], found: CheckOutcome, place: str) -> None:
    """The array of the first k bars is the beginning of the array of all."""
    for k in truncation_points(signalled):
        end = int(on.ends_ns[k - 1])
        part = with_data(spec, (copy_between(columns, end_ns=end) for columns in spec.data))
        here = compute_signals(part.strategy, part.run.parameters, screen_data(part))
        rows = np.flatnonzero(~((signalled[:k] == here) | (np.isnan(signalled[:k]) & np.isnan(here))))
        if len(rows):
            row = int(rows[-1])
            moment = iso_ist(round(on.bars.start_s[row]) * SECOND)
            found.add(
                f"positions(bars) signals {signalled[row]:g} at {moment} with the bars that follow, "
                f"{here[row]:g} without those after bar {k}",
                place,
                "work out each signal from its own bar and those before it",
            )
            return


def _same(there: tuple[float, ...], here: tuple[float, ...]) -> bool:
    return there[:3] == here[:3] and all(
        abs(one - other) <= _TOLERANCE * max(1.0, abs(one)) for one, other in zip(there[3:], here[3:], strict=True)
    )


def _text(trade: tuple[float, ...] | None) -> str:
    if trade is None:
        return "none"
    return f"{trade[2]:+g} from {iso_ist(int(trade[0]))} at {trade[3]:g} to {iso_ist(int(trade[1]))} at {trade[4]:g}"
