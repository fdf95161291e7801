"""The strategies of an engine: made, walked through stored bars, started and stopped, and told what they hold.

The lower half of `strategies/engine_machine`. Author code keeps state that no journal holds: `rebuild` makes it anew,
and `open` walks it through the stored bars. The one rule: nothing here decides, and nothing leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from mytrading.core.instruments import InstrumentBook
from mytrading.messages.market import Bar, Quote
from mytrading.messages.runconfig import StrategyRun
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.engine_books import EngineBooks
from mytrading.strategies.hosted import Fault, Guard, Hosted, NoGuard
from mytrading.strategies.legs import tradable
from mytrading.strategies.lines import SharedLines
from mytrading.strategies.remembered import EMPTY
from mytrading.strategies.surroundings import Surroundings
from mytrading.strategies.views import FLAT, PositionView

_BARS_A_SIGN = 128


class EngineStrategies(EngineBooks):
    """`strategies` maps a run's name to its class, or to why there is none. They are live once `open` has returned."""

    def __init__(
        self,
        runs: Sequence[StrategyRun],
        strategies: Mapping[str, type[BaseStrategy] | Fault],
        book: InstrumentBook,
        guard: Guard | None = None,
    ) -> None:
        super().__init__(book)
        self._live = False
        self._runs = tuple(runs)
        self._strategies = strategies
        self._guard = guard or NoGuard()
        self._hosted: dict[str, Hosted] = {}
        self._filled: dict[str, int] = {}
        self._views: dict[str, dict[str, PositionView]] = {}
        self._memories: dict[str, str] = {}
        self.lines = SharedLines()
        self._around = Surroundings(lambda name: self.book.get(name), self.entries.view, self.lines)
        self.rebuild()

    # what daemons and screens ask

    @property
    def hosted(self) -> tuple[Hosted, ...]:
        """The strategies, running or not."""
        return tuple(self._hosted.values())

    @property
    def faulted(self) -> int:
        """How many strategies stand still."""
        return len([hosted for hosted in self._hosted.values() if hosted.fault is not None])

    def tradable(self, now: int) -> tuple[str, ...]:
        """What the strategies would trade at present prices, and what they hold."""
        found = [item for hosted in self.hosted for item in tradable(hosted.run, self.book, self.prices, now)]
        held = [position.instrument for position in self.holdings.held()]
        ruled = self.chosen.wanted(self._runs, self.prices, self.book, now)
        return tuple(dict.fromkeys(found + held + ruled))

    def wants_quotes(self, instrument: str) -> bool:
        """True if a strategy asked for the quotes of this instrument."""
        return instrument in self._quoted

    # start and end

    def rebuild(self) -> None:
        """Make the strategies anew, to be opened again; those that fault stay as they are."""
        faulted = {name: hosted for name, hosted in self._hosted.items() if hosted.fault is not None}
        self._hosted = {
            run.name: faulted.get(run.name) or Hosted(run, self._strategies[run.name], self._guard, self._around)
            for run in self._runs
        }
        wanting = [hosted for hosted in self._hosted.values() if hosted.wants_quotes]
        self._quoted = frozenset(symbol for hosted in wanting for symbol in hosted.run.symbols)
        self._live = False

    def warm_up(self) -> None:
        """Load what the strategies' indicators are compiled of, before the first bar has to wait for it."""
        for hosted in self.hosted:
            hosted.warm_up()

    def watch(self, symbols: Mapping[str, tuple[str, ...]]) -> None:
        """These strategies watch these instruments from now on: they are made anew, to be opened again."""
        self._runs = tuple(replace(run, symbols=symbols.get(run.name, run.symbols)) for run in self._runs)
        self.rebuild()

    def run_at(self, speed: float) -> None:
        """Market time runs this fast."""
        self.speed = speed

    def open(self, history: Sequence[Bar], alive: Callable[[], None] = lambda: None) -> None:
        """Walk the strategies through stored bars, given in time order (longer bars before shorter ones), then live.

        That may take long: `alive` is called again and again meanwhile, but never from within a strategy that hangs.
        """
        for bar in history:
            self.note_price(bar)
        for hosted in self.hosted:
            if hosted.fault is None:
                alive()
                kept = self._memories.get(hosted.run.name, EMPTY)
                hosted.remember(kept)
                hosted.load(history)
                hosted.walk(_telling(history, alive))
                hosted.remember(kept)
                hosted.start()
        self._live = True
        for strategy in self._hosted:
            self._show_positions(strategy)

    def stop(self) -> None:
        """The engine stops in good order."""
        for hosted in self.hosted:
            hosted.stop()

    # what they are told

    def note_price(self, data: Bar | Quote) -> None:
        """Remember the newest price, by which strikes are chosen."""
        self.prices[data.instrument] = data.close if isinstance(data, Bar) else data.ltp
        if isinstance(data, Quote):
            self.chosen.chains.apply(data)

    def _show_positions(self, strategy: str, at_ns: int = 0) -> None:
        """Note what a strategy holds now, in a recovery too, and tell it if it is live."""
        hosted, seen = self._hosted[strategy], self._views.setdefault(strategy, {})
        if self._live:
            hosted.desk.last_fill_ns = self._filled.get(strategy, 0)
            hosted.desk.taken_back_ns = self.taken_back.last(strategy)
        for watch, view in self.holdings.views(hosted.run, self.book).items():
            before = seen.get(watch, FLAT)
            if view.is_flat and not before.is_flat:
                self.standing.went_flat((strategy, watch), before.side, at_ns)
            seen[watch] = view
            if self._live:
                hosted.move_position(watch, view)


def _telling(bars: Sequence[Bar], alive: Callable[[], None]) -> Iterator[Bar]:
    for number, bar in enumerate(bars):
        if number % _BARS_A_SIGN == 0:
            alive()
        yield bar
