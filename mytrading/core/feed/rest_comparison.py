"""Streamed prices compared with the server's REST quotes: an instrument's frames may be another's, or in another scale.

The feed asks `due` for what a `multiquotes` call shall bring, and gives each price to `compare`. Invariants: an
instrument that is not compared yet trades; it closes after two comparisons apart in time, never after one; the next one
that agrees opens it. Prices are rupees, times machine ns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mytrading.core.time import SECOND

APART_NS = 5 * SECOND
"""Between frame and quote at most, and between two comparisons that close an instrument at least."""
AGAIN_NS = 60 * SECOND
"""Between two comparisons of a closed instrument, and after one that compared nothing."""
FACTOR = 5.0
"""Prices of one moment never differ by this; a wrong scale is off by ten or more."""
CHEAP = 5.0
"""An option below so many rupees multiplies its price between two trades."""
GROUP = 50
"""Instruments of one call."""


class PriceComparison(Enum):
    """Outcome of one comparison; `nothing`: there were no two prices of one moment."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOTHING = "nothing"


class FramePrice(NamedTuple):
    """The last price of a frame, and when the frame was received."""

    price: float
    received_ns: int


def compare_prices(frame: FramePrice, rest: float, rest_ns: int, *, option: bool) -> PriceComparison:
    """Compare a frame's price with the REST price received at `rest_ns`; a price that is no positive number compares
    nothing, nor do prices that far apart of which one is an option's below `CHEAP`."""
    if abs(rest_ns - frame.received_ns) > APART_NS or not (frame.price > 0 and rest > 0):
        return PriceComparison.NOTHING
    low, high = sorted((frame.price, rest))
    if high < FACTOR * low:
        return PriceComparison.AGREES
    return PriceComparison.NOTHING if option and low < CHEAP else PriceComparison.DIFFERS


@dataclass(slots=True)
class _State:
    """`due_ns`: when it is asked for next; `differed_ns`: of the first comparison in a row that differed, 0 if none."""

    due_ns: int = 0
    differed_ns: int = 0
    agreed: bool = False
    closed: str = ""


class RestComparison:
    """What is known of each instrument's comparison in the present session."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    @property
    def closed(self) -> dict[str, str]:
        """Return why entries are closed, by instrument."""
        return {name: state.closed for name, state in self._states.items() if state.closed}

    def is_closed(self, instrument: str) -> bool:
        """True while the instrument's entries are closed."""
        state = self._states.get(instrument)
        return state is not None and bool(state.closed)

    def begin(self) -> None:
        """Compare each instrument anew, in another session or at another source; closed ones stay so until a comparison
        agrees, and are due at once."""
        self._states = {name: _State(closed=state.closed) for name, state in self._states.items() if state.closed}

    def forget(self, instrument: str) -> None:
        """Forget an unsubscribed instrument."""
        self._states.pop(instrument, None)

    def due(self, instruments: Iterable[str], held: Collection[str], machine_ns: int) -> list[str]:
        """Return at most `GROUP` of the `instruments` to ask for now, held ones first; those that agreed are done."""
        found = []
        for name in instruments:
            state = self._states.get(name)
            if state is None or (not state.agreed and machine_ns >= state.due_ns):
                found.append(name)
        return sorted(found, key=lambda name: name not in held)[:GROUP]  # a stable sort: else in their order

    def compare(
        self, instrument: str, frame: FramePrice | None, rest: float, rest_ns: int, *, option: bool = False
    ) -> PriceComparison:
        """Compare an instrument's newest frame (None: none came) with a REST price, 0 where the server has none."""
        state = self._states.setdefault(instrument, _State())
        found = PriceComparison.NOTHING if frame is None else compare_prices(frame, rest, rest_ns, option=option)
        if found is PriceComparison.AGREES:
            state.agreed, state.closed, state.differed_ns = True, "", 0
        elif found is PriceComparison.DIFFERS and frame is not None:
            self._differs(state, frame.price, rest, rest_ns)
        elif state.differed_ns and not state.closed:
            state.due_ns = rest_ns + APART_NS
        else:
            state.due_ns = rest_ns + AGAIN_NS
        return found

    @staticmethod
    def _differs(state: _State, price: float, rest: float, rest_ns: int) -> None:
        if not state.differed_ns:
            state.differed_ns = rest_ns
        if rest_ns - state.differed_ns >= APART_NS or state.closed:
            state.closed = f"its frames say {price:g}, a REST quote of the same moment {rest:g}"
            state.due_ns = rest_ns + AGAIN_NS
        else:
            state.due_ns = state.differed_ns + APART_NS
