"""Strategies that decide otherwise in every run, or could. `caught_by` names the check that must find each."""

from __future__ import annotations

import gzip
import io
import os
import random
import time
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import numpy as np

from mytrading.strategies import Bar, BaseStrategy, Signal

PACKED = io.BytesIO(gzip.compress(b"21500"))
SEEN: list[float] = []
TABLE: dict[int, float] = {}
DRAWN = random.Random(7)
CALLS = 0


class Coin(BaseStrategy):
    """Long on heads, flat on tails, thrown every fifth bar."""

    caught_by: ClassVar[str] = "determinism"

    def initialize(self) -> None:
        self.count = 0

    def heads(self, data: Bar) -> bool:
        return data.close > data.open

    def on_data(self, data: Bar) -> Signal | None:
        self.count += 1
        if self.count % 5:
            return None
        return self.create_signal("BUY" if self.heads(data) else "EXIT")


class BadChance(Coin):
    def heads(self, data: Bar) -> bool:
        return random.random() < 0.5


class BadNumpyChance(Coin):
    def heads(self, data: Bar) -> bool:
        return bool(np.random.default_rng().random() < 0.5)


class BadGeneratorOfTheModule(Coin):
    """Seeded, but the second run goes on where the first one ended."""

    def heads(self, data: Bar) -> bool:
        return DRAWN.random() < 0.5


class BadClock(Coin):
    def heads(self, data: Bar) -> bool:
        return time.perf_counter_ns() // 64 % 2 == 0


class BadCalendarOfTheComputer(Coin):
    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return datetime.now().year > 2000


class BadSetOrder(Coin):
    def heads(self, data: Bar) -> bool:
        for name in {f"{number} {data.close:.2f}" for number in range(6)}:
            return name < "3"
        return False


class BadHash(Coin):
    def heads(self, data: Bar) -> bool:
        return hash(f"{data.close:.2f}") % 2 == 0


class BadAddress(Coin):
    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return id(self) // 4096 % 2 == 0


class BadModuleList(Coin):
    """Knows every close of the run before: the whole future, the second time."""

    def heads(self, data: Bar) -> bool:
        SEEN.append(data.close)
        return len(SEEN) > 50 and SEEN[-50] > data.close


class BadModuleTable(Coin):
    """The table of a module outlives a run: prices after a bar are there for the next one."""

    def heads(self, data: Bar) -> bool:
        TABLE[data.start_ns] = data.close
        return TABLE.get(data.start_ns + 300_000_000_000, 0.0) > data.close


class BadModuleCounter(Coin):
    def heads(self, data: Bar) -> bool:
        global CALLS
        CALLS += 1
        return CALLS % 7 < 3


class BadMutableClassAttribute(Coin):
    history: ClassVar[list[float]] = []

    def heads(self, data: Bar) -> bool:
        self.history.append(data.close)
        return len(self.history) % 11 < 5


class BadCounterOfTheClass(Coin):
    thrown: ClassVar[int] = 0

    def heads(self, data: Bar) -> bool:
        type(self).thrown += 1
        return type(self).thrown % 7 < 3


class BadFile(Coin):
    """A file read by the strategy may be the very data it is tested on."""

    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return len(Path(__file__).read_text()) > 10


class BadPackedFile(Coin):
    """The same, from a packed file."""

    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        PACKED.seek(0)
        with gzip.open(PACKED) as file:
            return data.close > data.open or file.closed


class BadFileOfTheSystem(Coin):
    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        handle = os.open(os.devnull, os.O_RDONLY)
        os.close(handle)
        return data.close > data.open


class BadEnvironment(Coin):
    """Decides by how the computer is set up."""

    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return data.close > data.open and "PATH" in os.environ


class BadClockOfNumpy(Coin):
    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return np.datetime64("now") > np.datetime64("2000-01-01") and data.close > data.open


class BadHiddenImport(Coin):
    """Imports its clock where nobody looks for it."""

    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return __import__("time").time() > 0 and data.close > data.open


class BadDefaultArgument(Coin):
    """A list in the place of an argument is one for all runs."""

    def heads(self, data: Bar, seen: list[float] = []) -> bool:  # noqa: B006
        seen.append(data.close)
        return len(seen) % 7 < 3


class BadNaN(Coin):
    """True at every bar: nothing equals NaN."""

    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        return self.bars(1).close[-1] != float("nan")


class BadSilence(Coin):
    """Exceptions are swallowed: nobody will know that the strategy does nothing."""

    caught_by = "source"

    def heads(self, data: Bar) -> bool:
        try:
            return self.nothing.such
        except Exception:  # noqa: BLE001
            return False
