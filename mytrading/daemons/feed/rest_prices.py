"""What the feed asks servers for over REST: prices that no frame brings, and those that frames are compared with.

One `multiquotes` call at a time, at most one a second and slower where the broker asks for it. It brings, in this
order: held instruments that are silent, instruments whose frames are not taken (closed ones, those without a stream of
their own), indices whose frames carry no price, and a group to compare. Used by the daemon's loop; nothing here blocks.
Invariant: of all these only samples of indices enter bars.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from mytrading.adapters.openalgo.rest.numbers import price_of
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.calendar import Calendar
from mytrading.core.feed.rest_comparison import APART_NS, GROUP, FramePrice, RestComparison
from mytrading.core.feed.shared_tokens import left_out
from mytrading.core.feed.staleness import FeedHealth
from mytrading.core.time import SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.quotes import QuoteIntake
from mytrading.daemons.feed.rest_quotes import RestAnswer, RestQuotes
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.messages.control import EntriesClosed
from mytrading.messages.enums import Severity
from mytrading.runtime.observability.logging import get_logger

PRICES_APART, TOKEN_SHARED, INDEX_SAMPLED = "PRICES_APART", "TOKEN_SHARED", "INDEX_SAMPLED"
EARLY_NS = SECOND // 20
"""A timer of a second that fires so much earlier does not lose its turn."""


class RestNow(NamedTuple):
    """The moment of a call: market and machine ns, and the instruments with an open position."""

    market_ns: int
    machine_ns: int
    held: frozenset[str]


class _Asked(NamedTuple):
    silent: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    machine_ns: int = 0


class RestPrices:
    """Decides what each call asks for, and what follows from its answer: quotes, samples, closed entries, alerts."""

    def __init__(
        self, connections: SourceConnections, health: FeedHealth, bars: BarPublisher, intake: QuoteIntake,
        requests: RestQuotes, calendar: Calendar, contracts: InstrumentFile, stale_ns: int, problems: ActiveAlerts,
        report: Callable[[EntriesClosed], object],
    ) -> None:  # fmt: skip
        """`problems` takes alerts while they are active; `report` sends closed entries to the status stream."""
        self._connections, self._health, self._bars, self._intake = connections, health, bars, intake
        self._requests, self._calendar, self._contracts = requests, calendar, contracts
        self._stale_ns = stale_ns
        self._problems, self._report = problems, report
        self._log = get_logger("feed")
        self.comparison = RestComparison()
        self._session: tuple[object, ...] = ()
        self._tokens: dict[str, str] = {}
        self._tokens_known = False
        self._followed: tuple[object, ...] = ()
        self.left_out: dict[str, str] = {}
        """By instrument without a stream of its own: the other one that has its token."""
        self._sampled_ns: dict[str, int] = {}
        """By sampled index: machine time of its last sample, or since when it is sampled."""
        self._sampled_stale: tuple[str, ...] = ()
        self._asked = _Asked()
        self._next_ns = 0
        self._waits = False
        """True if the last call compared nothing, because a held instrument was silent."""
        self.calls = self.comparisons = 0
        self._reported: dict[str, str] = {}

    @property
    def sampled(self) -> Collection[str]:
        """Return the indices whose price is asked for, since frames of the source carry none."""
        return self._sampled_ns.keys()

    def reasons(self) -> dict[str, str]:
        """Return why entries are closed, by instrument."""
        token = "{} has its token, and the broker's messages name no exchange: one price would be taken for the other's"
        stale = f"its frames carry no price, and none came over REST for {self._stale_ns / SECOND:g} s"
        return {
            **dict.fromkeys(self._sampled_stale, stale),
            **{name: token.format(other) for name, other in self.left_out.items()},
            **self.comparison.closed,
        }

    def by_rest(self) -> dict[str, str]:
        """Return why an instrument goes by REST quotes, by name: what is closed, and sampled indices."""
        return {**dict.fromkeys(self.sampled, "sampled once a second: its frames carry no price"), **self.reasons()}

    def report(self) -> None:
        """Publish all closed entries, changed or not, since risk relies on them once the feed is ready."""
        self._reported = self.reasons()
        self._report(EntriesClosed(daemon="feed", reasons=self._reported))

    def follow(self, now: RestNow) -> None:
        """Follow the active source and what is subscribed: who is compared anew, sampled, or without a stream."""
        active, rules = self._connections.active, self._connections.active.rules.feed
        session = (self._calendar.trading_day(now.market_ns), active.rank, active.rules)
        if session != self._session:
            self._session = session
            self.comparison.begin()
        tokens_changed = rules.bare_tokens and self._read_tokens()
        followed = (self._connections.changes, session, now.held)
        if followed == self._followed and not tokens_changed:
            return
        self._followed = followed
        self._leave_out(left_out(self._connections.wanted, self._tokens, now.held) if rules.bare_tokens else {})
        indices = () if rules.index_prices else [
            name for name in self._connections.wanted
            if (traits := self._health.traits(name)) is not None and traits.is_index
        ]  # fmt: skip
        self._sampled_ns = {name: self._sampled_ns.get(name, now.machine_ns) for name in indices}
        self._bars.sampled.follow(self.sampled, now.market_ns)
        self._update(now)

    def on_second(self, silent: Collection[str], now: RestNow) -> None:
        """Send the next call if it is due. `silent`: held instruments that had no price for a while."""
        self.follow(now)
        stale = tuple(
            name for name, at in self._sampled_ns.items()
            if now.machine_ns - at > self._stale_ns and self._is_open(name, now.market_ns)
        )  # fmt: skip
        self._sampled_stale = stale
        self._update(now)
        if self._requests.busy or now.machine_ns < self._next_ns - EARLY_NS:
            return
        self._waits = bool(silent) and not self._waits  # in turn: a held one may stay silent for the day
        group = [] if self._waits else self._group(now)
        self._asked = _Asked(tuple(silent), tuple(group), now.machine_ns)
        asked = dict.fromkeys((*silent, *self._unstreamed(now), *group))
        if asked:
            self.calls += 1
            self._next_ns = now.machine_ns + int(self._connections.active.rules.feed.multiquote_seconds * SECOND)
            self._requests.request(list(asked))

    def on_answer(self, answer: RestAnswer, market_ns: int, now: RestNow) -> str:
        """Take an answer, received at `market_ns`; returns why prices of silent held instruments were not read, or
        ""."""
        asked = self._asked
        is_late = answer.received_ns - asked.machine_ns > self._stale_ns
        samples = {} if is_late else {name: row for name, row in answer.rows.items() if name in self._sampled_ns}
        for name in self._intake.on_samples(answer._replace(rows=samples), market_ns):
            self._sampled_ns[name] = answer.received_ns
        published = {*asked.silent, *self.left_out, *self.comparison.closed}
        rows = {name: row for name, row in answer.rows.items() if name in published and name not in self._sampled_ns}
        self._intake.on_rest_prices(answer._replace(rows=rows), market_ns)
        self._compare(answer, asked.group)
        self._update(now)
        if not answer.problem or not asked.silent:
            return ""
        missing = f"no quotes of {', '.join(asked.silent)}, which are held, over REST"
        return f"{missing}: {answer.problem}; they are requested again"

    def drop(self, instrument: str) -> None:
        """Forget an unsubscribed instrument."""
        self.comparison.forget(instrument)

    def _unstreamed(self, now: RestNow) -> list[str]:
        """Return what no frame prices, held ones first; of those that are not held no more than a group."""
        names = [name for name in {**self.left_out, **self.comparison.closed} if self._is_open(name, now.market_ns)]
        held = [name for name in names if name in now.held]
        others = [name for name in names if name not in now.held][:GROUP]
        return [*held, *(name for name in self._sampled_ns if self._is_open(name, now.market_ns)), *others]

    def _group(self, now: RestNow) -> list[str]:
        """Return the instruments to compare now: those whose newest frame is of this moment."""
        frames = self._intake.frames
        ready = [
            name for name in self._connections.wanted
            if (frame := frames.get(name)) is not None and now.machine_ns - frame.received_ns < APART_NS
            and name not in self._sampled_ns and name not in self.left_out and self._is_open(name, now.market_ns)
        ]  # fmt: skip
        return self.comparison.due(ready, now.held, now.machine_ns)

    def _compare(self, answer: RestAnswer, group: Collection[str]) -> None:
        for name in group:
            if (traits := self._health.traits(name)) is None:
                continue
            row, frame = answer.rows.get(name), self._intake.frames.get(name)
            price = FramePrice(frame.ltp, frame.received_ns) if frame is not None else None
            rest, at_ns = (price_of(row.ltp) if row is not None else None) or 0.0, answer.received_ns
            was_closed = self.comparison.is_closed(name)
            self.comparisons += 1
            self.comparison.compare(name, price, rest, at_ns, option=traits.is_option)
            if (closed := self.comparison.is_closed(name)) != was_closed:
                self._log.warning("feed.prices_apart" if closed else "feed.prices_agree", instrument=name, rest=rest)
                self._intake.forget_price(name)
                (self._bars.hold_back if closed else self._bars.start_live)(name)

    def _leave_out(self, names: dict[str, str]) -> None:
        if names == self.left_out:
            return
        for name in names.keys() - self.left_out.keys():
            self._bars.hold_back(name)
            self._intake.forget_frames(names[name])  # they may have been the other's
        self.left_out = names
        self._connections.leave_out(names)

    def _read_tokens(self) -> bool:
        """Read the day's contracts if they are new; True if so."""
        if self._tokens_known and not self._contracts.has_changed():
            return False
        self._tokens_known = True
        self._tokens = {item.id: item.token for item in self._contracts.snapshot().instruments}
        return True

    def _is_open(self, instrument: str, market_ns: int) -> bool:
        traits = self._health.traits(instrument)
        return traits is not None and self._calendar.is_open(traits.exchange, market_ns)

    def _update(self, now: RestNow) -> None:
        """Shut frames of what goes by REST out, keep the alerts, and report closed entries that changed."""
        self._intake.by_rest = frozenset((*self.comparison.closed, *self.left_out, *self._sampled_ns))
        reasons = self.reasons()
        for key in [key for key in self._problems if key[0] in (PRICES_APART, TOKEN_SHARED, INDEX_SAMPLED)]:
            del self._problems[key]
        for name, reason in reasons.items():
            code = TOKEN_SHARED if name in self.left_out else PRICES_APART if self.comparison.is_closed(name) else ""
            if code:
                held = name in now.held
                way = "it is held, and goes by REST quotes" if held else "it takes no price from frames"
                text = f"{name}: {reason}; its entries are closed, {way}; compare both with the broker's terminal"
                self._problems[code, name] = ActiveAlert(Severity.CRITICAL if held else Severity.WARNING, text)
        if self._sampled_ns:
            names = ", ".join(self._sampled_ns)
            text = f"{names}: the broker's frames carry no price, one a second is asked for over REST; bars are sampled"
            self._problems[INDEX_SAMPLED, "feed"] = ActiveAlert(Severity.INFO, text)
        if reasons != self._reported:
            self.report()
