"""The feed's lines: one per source, one of which serves while the others stand by.

Part of the feed. A line that stands by holds a few liquid instruments in LTP mode, which proves that its broker feed
lives; the one that serves has everything. The one rule: there is one connection per source, and only the serving
line's quotes reach the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mytrading.adapters.openalgo.market_feed import FeedMode, feed_mode
from mytrading.adapters.openalgo.socket import FeedSocket
from mytrading.adapters.openalgo.subscriptions import Subscriptions
from mytrading.core.calendar import Calendar
from mytrading.core.feed.sources import SECOND, ChoiceRules, Condition, Pulse, SourceChoice, Switch
from mytrading.daemons.feed_health import OPTION_PATIENCE, Facts, facts_of
from mytrading.messages.market import Quote
from mytrading.messages.runconfig import DataRules, RunConfig
from mytrading.runtime.clock import machine_now

PROBES = 3
TOLD_NS = 10 * SECOND
"""Machine time for which a word of failing pings counts; it is repeated every second."""
SERVER_ERRORS = 3


class FeedSource(NamedTuple):
    """An account whose server can give the market data."""

    name: str
    rest_url: str
    ws_url: str
    api_key: str


def sources_of(config: RunConfig) -> tuple[FeedSource, ...]:
    """Where market data come from: the primary, which is the venue unless that is a simulator, then who stands by."""
    return tuple(FeedSource(one.id, one.rest_url, one.ws_url, one.api_key) for one in config.sources)


class Line:
    """One source: its connection, what is subscribed there, and its pulse."""

    def __init__(self, rank: int, source: FeedSource, rules: DataRules, wake: Callable[[], None]) -> None:
        self.rank = rank
        self.source = source
        self.subject = "feed" if rank == 0 else f"feed {source.name}"
        self.subscriptions = Subscriptions(rules.max_subscriptions, rules.batch_size, rules.depth_data)
        self.pulse = Pulse(int(rules.mute_seconds * SECOND), int(rules.down_seconds * SECOND), machine_now())
        self.socket = FeedSocket(source.ws_url, source.api_key, machine_now, wake, f"feed-socket-{rank}")
        self.taken_ns = 0
        """Machine time at which the last frame that was taken in had been read."""
        self._down_until = 0
        self._errors = 0
        self._news: dict[str, tuple[object, ...]] = {}

    def condition(self, machine_ns: int) -> Condition:
        """How the choice between lines sees it: quotes do not make a server well that answers no ping."""
        if self.is_down(machine_ns):
            return Condition.SICK
        if self.pulse.is_well(machine_ns):
            return Condition.WELL
        return Condition.SICK if self.pulse.is_sick(machine_ns) else Condition.DOUBTFUL

    def told(self, ping_down: bool, machine_ns: int) -> None:
        """The reconciler says whether the pings of this source's account fail."""
        self._down_until = machine_ns + TOLD_NS if ping_down else 0

    def is_down(self, machine_ns: int) -> bool:
        """True while its pings are said to fail."""
        return machine_ns < self._down_until

    def caught_up(self, machine_ns: int) -> int:
        """Machine time up to which its frames are all taken in: now, unless some that were read still wait."""
        return machine_ns if self.socket.events.empty() else min(machine_ns, self.taken_ns)

    def serves(self, instrument: str) -> bool:
        """True if the server acknowledged the instrument on this connection."""
        return self.subscriptions.is_accepted(instrument)

    def ticked(self, quote: Quote, machine_ns: int) -> None:
        """A quote came: a sign of life unless it says what the last one of its instrument said, its time included.

        A broker feed that died behind a server may leave it sending its last quotes for ever. Budget: 1 µs.
        """
        news = (quote.exchange_ns, quote.ltp, quote.volume, quote.bid, quote.ask)
        if self._news.get(quote.instrument) != news:
            self._news[quote.instrument] = news
            self.pulse.ticked(machine_ns)

    def connected(self, machine_ns: int) -> None:
        """A new connection: everything has to be asked for again."""
        self._errors = 0
        self._news.clear()
        self.subscriptions.reset()
        self.pulse.connected(machine_ns)
        self.send_request(machine_ns)

    def send_request(self, machine_ns: int) -> None:
        """Send the next subscription message, if one is due."""
        if self.pulse.is_connected and (request := self.subscriptions.next_request(machine_ns)) is not None:
            self.socket.send(request)

    def succeeded(self) -> None:
        """The server accepted something."""
        self._errors = 0

    def failed(self, text: str, machine_ns: int) -> None:
        """An error frame. After a new broker login only a new connection helps."""
        self.subscriptions.failed(machine_ns)
        self._errors += 1
        if self._errors >= SERVER_ERRORS:
            self._errors = 0
            self.socket.reconnect(text)


class Lines:
    """All lines by rank, and which one serves."""

    def __init__(
        self, sources: tuple[FeedSource, ...], rules: DataRules, calendar: Calendar, wake: Callable[[], None]
    ) -> None:
        self.all = [Line(rank, source, rules, wake) for rank, source in enumerate(sources)]
        """By rank."""
        self._choice = SourceChoice(len(sources), ChoiceRules(failback_ns=int(rules.failback_seconds * SECOND)))
        self.active = self.all[self._choice.active]
        """The line that serves; `look` alone changes it."""
        self._calendar = calendar
        self._mode = feed_mode(rules.mode) or FeedMode.QUOTE
        self._wanted: dict[str, Facts] = {}
        self._probes: list[str] = []

    def __iter__(self) -> Iterator[Line]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    @property
    def switches(self) -> int:
        """How often another line began to serve."""
        return self._choice.switches

    def figures(self, machine_ns: int) -> dict[str, float]:
        """What the serving line has, by rank, and how all of them do."""
        line = self.active
        return {
            "subscribed": float(line.subscriptions.accepted),
            "ticked": float(line.subscriptions.ticked),
            "source": float(line.rank),
            "source_age_s": round(line.pulse.age(machine_ns) / SECOND, 1),
            "source_switches": float(self.switches),
            "sources_well": float(sum(other.condition(machine_ns) is Condition.WELL for other in self)),
            "reconnects": float(sum(max(0, other.socket.connections - 1) for other in self)),
        }

    def told(self, account: str, ping_down: bool, machine_ns: int) -> None:
        """The reconciler says of an account whether its pings fail."""
        for line in self.all:
            if line.source.name == account:
                line.told(ping_down, machine_ns)

    def want(self, instrument: str) -> bool:
        """Subscribe to one more; False if there is no room for it."""
        if not self.active.subscriptions.want(instrument, self._mode):
            return False
        self._wanted[instrument] = facts_of(instrument)
        self._choose_probes()
        return True

    def drop(self, instrument: str) -> None:
        """Nobody wants the instrument any more."""
        self._wanted.pop(instrument, None)
        for line in self.all:
            line.subscriptions.drop(instrument)
        if instrument in self._probes:
            self._probes.remove(instrument)
            self._choose_probes()

    def _choose_probes(self) -> None:
        """Indices and shares before options, of which one is better than nothing."""
        if len(self.all) == 1 or len(self._probes) == PROBES:
            return
        liquid = [name for name, facts in self._wanted.items() if not facts.is_option]
        self._set_probes((liquid or list(self._wanted))[:PROBES])

    def _set_probes(self, probes: list[str]) -> None:
        old, self._probes = self._probes, probes
        for line in self.all:
            if line is self.active:
                continue
            for name in old:
                if name not in probes:
                    line.subscriptions.drop(name)
            for name in probes:
                line.subscriptions.want(name, FeedMode.LTP)

    def look(self, market_ns: int, machine_ns: int) -> Switch | None:
        """Judge every line by its own quotes; after a switch the new one has been told to subscribe everything."""
        open_now = {
            name: self._calendar.is_open(name, market_ns) for name in {f.exchange for f in self._wanted.values()}
        }
        for line in self.all:
            line.pulse.expect(self._patience(line, open_now), machine_ns)
        switch = self._choice.look([line.condition(machine_ns) for line in self.all], machine_ns)
        if switch is not None:
            self.active = self.all[switch.to]
            self._hand_over(self.all[switch.previous], self.all[switch.to])
        return switch

    def _patience(self, line: Line, open_now: dict[str, bool]) -> int:
        """How long a silence means something: 0 never, as nothing it should give is in session."""
        patience = 0
        for name in line.subscriptions:
            facts = self._wanted.get(name)
            if facts is not None and open_now[facts.exchange]:
                if not facts.is_option:
                    return 1
                patience = OPTION_PATIENCE
        return patience

    def _hand_over(self, previous: Line, to: Line) -> None:
        for name in list(previous.subscriptions):
            if name in self._probes:
                previous.subscriptions.want(name, FeedMode.LTP)
            else:
                previous.subscriptions.drop(name)
        for name in self._wanted:
            to.subscriptions.want(name, self._mode)
