"""A day of a stack as its journals, tape and bars have it: its acts, those of operators, and its market data.

Read-only, while the stack runs or when it is down. Of a journal only what the daemon wrote itself counts: what it read
of others is in theirs. The market comes moment after moment, nothing before the stack could have seen it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo.ws.market_frames import FrameParser, StepMark, Tick
from mytrading.adapters.storage.tape import TapeFrame
from mytrading.backtest.parity.facts import Absence, DaySide, Interference, MarketMoment, Opening
from mytrading.core.feed.price_proof import PriceProof
from mytrading.core.feed.quote_checks import PriceCheck, QuoteVerdict
from mytrading.core.feed.quote_fields import CHANGED, QuoteFields
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.no_price import book_alone
from mytrading.core.risk.pnl.equity_memory import BASE, level_name
from mytrading.core.time import SECOND
from mytrading.messages.brokers import UNLISTED, BrokerRules, find_broker
from mytrading.messages.codec import UNREADABLE, FrameError, StreamDecoder
from mytrading.messages.control import FlattenRequested, StrategySwitch, TradingState, WithdrawRequested
from mytrading.messages.enums import TradingLevel
from mytrading.messages.journal_rows import (
    DayOpened,
    FundsRecorded,
    LevelMoved,
    RiskOpened,
    RunStarted,
    StrategyMemory,
)
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import StrategyStarted
from mytrading.messages.streams import unions
from mytrading.runtime.journal.journal import INPUT, JournalDamaged, Row, read_segment, segment_path, segments

BEHIND_NS = 500_000_000
"""Machine time from writing to reading from which on a daemon counts as behind; a hop takes a thousandth of it."""
DECIDES = ("engine", "risk", "router")
OUTSIDE = ("gateway", "webhooks")
"""Writers of signals that no strategy made."""
_READ = (*DECIDES, *OUTSIDE)
AWAY_NS = 60 * SECOND
"""Market time before a restart (times the speed) in which a daemon may have been gone already."""
SETTLES_NS = 5 * SECOND
"""And after it, until it decides again."""
Silence = Callable[[int], int]
"""Market time since when the market had been silent at a market time, that time itself if it was not."""


def lag_spans(rows: Mapping[str, Iterable[Row]]) -> list[Absence]:
    """Return, by daemon, the spans of market time in which it lagged behind its inputs; overlaps are joined."""
    written: dict[tuple[str, str, int, int], tuple[int, int]] = {}
    spans: dict[str, list[tuple[int, int]]] = {}
    read: list[tuple[str, tuple[str, str, int, int], int, int]] = []
    for daemon, given in rows.items():
        for row in given:
            if row.kind != INPUT:
                written[daemon, row.stream, row.epoch, row.stream_seq] = row.market_ns, row.machine_ns
            elif row.source:
                place = row.source, row.stream, row.source_epoch, row.source_seq
                read.append((daemon, place, row.market_ns, row.machine_ns))
    for daemon, place, market_ns, machine_ns in read:
        wrote_ns, wrote_machine_ns = written.get(place, (market_ns, machine_ns))
        if machine_ns - wrote_machine_ns >= BEHIND_NS:
            spans.setdefault(daemon, []).append((wrote_ns, market_ns))
    found: list[Absence] = []
    for daemon, late in spans.items():
        for begin, end in sorted(late):
            last = found[-1] if found and found[-1].daemon == daemon else None
            if last is not None and begin <= last.until_ns:
                found[-1] = last._replace(until_ns=max(end, last.until_ns))
            else:
                found.append(Absence(daemon, begin, end))
    return found


class RecordedRow(NamedTuple):
    """A row that a daemon wrote itself, decoded; `place` is its number in the file, `before_ns` when the last one was.

    Times are market ns.
    """

    daemon: str
    place: int
    at_ns: int
    before_ns: int
    message: Any


@dataclass
class DayRecord:
    """All that the journals of a day say. `configurations` are the hashes that its runs name."""

    day: str
    side: DaySide = field(default_factory=DaySide)
    interferences: list[Interference] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    behind: list[Absence] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    funds: list[FundsRecorded] = field(default_factory=list)
    equities: dict[str, float] = field(default_factory=dict)
    """Rupees that an account was worth at the beginning of the day, by the newest report that risk kept."""
    carried: dict[str, list[Any]] = field(default_factory=dict)
    configurations: set[str] = field(default_factory=set)
    speed: float = 1.0
    first_ns: int = 0


def recorded_days(config: RunConfig) -> list[str]:
    """Return the days (ISO, oldest first) for which the engine's journal exists."""
    return [path.stem for path in segments(config.journal_dir("engine"))]


def read_day(config: RunConfig, day: str, silence: Silence = lambda ns: ns) -> DayRecord:
    """Read a day (ISO) from the daemons' journals. `silence(ns)` returns the time of the last quote at or before a
    market time, which tells since when a restarted daemon was silent. Raises `JournalDamaged`."""
    rows = [row for daemon in _READ for row in written_rows(config, daemon, day)]
    record = DayRecord(day)
    for row in sorted(rows, key=lambda one: one.at_ns):
        record.side.apply(row.message, from_outside=row.daemon in OUTSIDE)
    engine = [row for row in rows if row.daemon == "engine"]
    record.first_ns = engine[0].at_ns if engine else 0
    record.openings = _openings(engine, record.first_ns)
    record.funds = [row.message for row in rows if isinstance(row.message, FundsRecorded)]
    record.equities = _equities(row.message for row in rows if row.daemon == "risk")
    record.carried = {name: _carried([row for row in rows if row.daemon == name]) for name in DECIDES}
    runs = [row for row in rows if isinstance(row.message, RunStarted) and row.daemon in DECIDES]
    record.configurations = {row.message.config_hash for row in runs}
    record.speed = runs[0].message.speed if runs else 1.0
    record.interferences = _interferences(rows)
    record.absences = _absences(runs, record.openings, silence)
    record.behind = lag_spans({name: _rows(config, name, day) for name in _READ})
    return record


def _rows(config: RunConfig, daemon: str, day: str) -> Iterator[Row]:
    path = segment_path(config.journal_dir(daemon), day)
    if path.exists():
        yield from read_segment(path)


def written_rows(config: RunConfig, daemon: str, day: str) -> Iterator[RecordedRow]:
    """Yield the rows of a day that a daemon wrote itself, oldest first. Raises `JournalDamaged`."""
    decoders = {name: StreamDecoder(name) for name in unions()}
    before = 0
    for place, row in enumerate(_rows(config, daemon, day)):
        if row.kind != INPUT:
            try:
                message = decoders[row.stream].decode_body(row.body)
            except (FrameError, KeyError) as error:
                path = segment_path(config.journal_dir(daemon), day)
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) cannot be read: {error}") from error
            yield RecordedRow(daemon, place, row.market_ns, before or row.market_ns, message)
        before = row.market_ns


def _equities(messages: Iterable[Any]) -> dict[str, float]:
    """The worth of each account as risk's limits took it; rows in the order of the journal."""
    prefix, found = level_name(BASE, ""), dict[str, float]()
    for message in messages:
        levels = message.levels if isinstance(message, RiskOpened) else {}
        if isinstance(message, LevelMoved):
            levels = {message.name: message.value}
        found |= {name.removeprefix(prefix): value for name, value in levels.items() if name.startswith(prefix)}
    return found


def _openings(engine: Sequence[RecordedRow], first_ns: int) -> list[Opening]:
    """Return the market times at which strategies opened: the day's beginning where the engine ran on overnight."""
    found: dict[int, dict[str, tuple[str, ...]]] = {}
    for row in engine:
        if isinstance(row.message, StrategyStarted):
            found.setdefault(row.message.at_ns, {})[row.message.strategy] = row.message.watches
    if _ran_on(engine):
        found.setdefault(first_ns, {})
    return [Opening(at_ns, watches) for at_ns, watches in sorted(found.items())]


def _ran_on(engine: Sequence[RecordedRow]) -> bool:
    """True if the day turned while the engine ran: it carried over, and did not start at once after that."""
    if not any(isinstance(row.message, DayOpened) for row in engine):
        return False
    starts = [row for row in engine if isinstance(row.message, RunStarted)]
    soon = AWAY_NS * max(starts[0].message.speed, 1.0) if starts else 0
    return len(starts) < 2 or starts[1].at_ns - starts[0].at_ns > soon


def _carried(rows: Sequence[RecordedRow]) -> list[Any]:
    """The rows at the head of a day: all that was carried over from the one before."""
    head: list[Any] = []
    for row in rows:
        if isinstance(row.message, DayOpened | RiskOpened) or (
            isinstance(row.message, StrategyMemory) and head and not row.message.at_ns
        ):
            head.append(row.message)
    return head


def _interferences(rows: Sequence[RecordedRow]) -> list[Interference]:
    """The acts of operators, and how long each had an effect."""
    levels: dict[tuple[str, int], TradingState] = {}
    switches: list[StrategySwitch] = []
    acts: list[Interference] = []
    for row in rows:
        message = row.message
        if isinstance(message, TradingState):
            levels[message.account, message.generation] = message
        elif isinstance(message, StrategySwitch) and row.daemon == "gateway":
            switches.append(message)
        elif isinstance(message, FlattenRequested):
            text = f"flatten by {message.by or 'operator'}: {message.reason}"
            acts.append(Interference(text, message.at_ns, account=message.account, strategy=message.strategy,
                                     id=message.id))  # fmt: skip
        elif isinstance(message, WithdrawRequested):
            text = f"entries were withdrawn: {message.reason}"
            acts.append(Interference(text, message.at_ns, message.at_ns, message.account, id=message.id, entries=True))
    states = sorted(levels.values(), key=lambda one: one.at_ns)
    for index, state in enumerate(states):
        if state.level is not TradingLevel.NORMAL:
            text = f"{state.level.value} by {state.by or state.account or 'operator'}: {state.reason}"
            account = "" if state.account.startswith("KILL") else state.account
            act = Interference(text, state.at_ns, account=account, entries=True)
            acts.append(_until(act, [one.at_ns for one in states[index + 1 :] if one.account == state.account]))
    for index, switch in enumerate(switches):
        if not switch.enabled:
            why = f": {switch.reason}" if switch.reason else ""
            text = f"{switch.strategy} was switched off by {switch.by or 'operator'}{why}"
            act = Interference(text, switch.at_ns, strategy=switch.strategy, entries=True, signals=True)
            acts.append(_until(act, [one.at_ns for one in switches[index + 1 :] if one.strategy == switch.strategy]))
    return acts


def _until(act: Interference, ends: Sequence[int]) -> Interference:
    return act._replace(until_ns=ends[0]) if ends else act


def _absences(runs: Sequence[RecordedRow], openings: Sequence[Opening], silence: Silence) -> list[Absence]:
    """Return the absences of daemons: before each start but the first of the day, until they decide again."""
    found: list[Absence] = []
    for row in runs:
        if not row.place:
            continue
        speed = max(row.message.speed, 1.0)
        gone = max(row.before_ns, row.at_ns - int(AWAY_NS * speed))
        back = row.at_ns + int(SETTLES_NS * speed)
        if row.daemon == "engine":
            back = next((one.at_ns for one in openings if one.at_ns >= row.at_ns), back)
        found.append(Absence(row.daemon, min(gone, max(row.before_ns, silence(row.at_ns))), back))
    return found


_STAMP_TOLERANCE_NS = 2 * SECOND
_NO_BROKERS: Mapping[str, BrokerRules] = {}


class ReceivedEvent(NamedTuple):
    """A frame that counted: when it came (machine and market ns), and its quote, if it is one."""

    received_ns: int
    market_ns: int
    quote: Quote | None


class _Named(msgspec.Struct):
    broker: str = ""


def accepted_frames(
    frames: Iterable[TapeFrame], check: PriceCheck, fields: QuoteFields, speed: float,
    brokers: Mapping[str, BrokerRules] = _NO_BROKERS, proof: PriceProof | None = None,
) -> Iterator[ReceivedEvent]:  # fmt: skip
    """Yield what the feed makes of the tape's frames: quotes put together by `fields` whose prices pass `proof` and
    `check`, books that changed beside the last price, books alone (last price 0) where that is none, and step marks (no
    quote). Frames mean what the row of the broker that they name says; `speed` is market time by machine time."""
    proof = proof or PriceProof(0)
    parser = FrameParser(int(_STAMP_TOLERANCE_NS * max(speed, 1.0)))
    named = msgspec.json.Decoder(_Named)
    options: dict[str, bool] = {}
    broker, rules = "", UNLISTED.feed
    for frame in frames:
        if brokers and (name := _broker_of(frame, named)) not in ("", broker):
            broker, rules = name, find_broker(brokers, name).feed
            fields.follow(rules)
        parsed = parser.parse(frame.data, frame.received_ns, frame.market_ns, rules)
        if isinstance(parsed, StepMark):
            yield ReceivedEvent(frame.received_ns, frame.market_ns, None)
        elif isinstance(parsed, Tick) and (quote := _accepted(parsed, check, fields, proof, options)) is not None:
            yield ReceivedEvent(frame.received_ns, frame.market_ns, quote)


def _broker_of(frame: TapeFrame, decoder: msgspec.json.Decoder[_Named]) -> str:
    try:
        return decoder.decode(frame.data).broker
    except UNREADABLE:
        return ""


def _accepted(
    tick: Tick, check: PriceCheck, fields: QuoteFields, proof: PriceProof, options: dict[str, bool]
) -> Quote | None:
    """Return the quote that a tick led to in the feed, None if none."""
    found = fields.assemble(tick.quote, tick.mode)
    quote, name = found.quote, tick.quote.instrument
    if quote is None or not found.priced:
        found.believe()
        if quote is None or found.news != CHANGED:
            return None
        return book_alone(quote, tick.quote) if proof.is_doubted(name) else quote
    if found.news != CHANGED and fields.republishes:
        return None
    if proof.is_none(quote):
        return book_alone(quote)
    if name not in options:
        exchange, symbol = split_id(name)
        options[name] = parse_symbol(symbol, exchange).kind.is_option
    if check.judge(name, quote.ltp, options[name], quote.received_ns, quote.previous_close) is not QuoteVerdict.GOOD:
        return None
    found.believe()
    proof.believe(quote)
    return quote


def tape_moments(frames: Sequence[ReceivedEvent], bars: Iterable[Bar], *, lock_step: bool) -> list[MarketMoment]:
    """Build market moments from tape frames: one a frame, or in lock-step one for each market time. A bar goes with the
    frame that ended it (by its time of receipt), or if the clock ended it to a moment between two frames; one from the
    history to its end."""
    new = [not lock_step or one.market_ns != other.market_ns for one, other in pairwise(frames)]
    places = list(accumulate(new, initial=0))  # for each frame the number of its moment
    given: dict[int, list[Bar]] = {}
    clocked: dict[int, list[tuple[int, Bar]]] = {}
    received = [frame.received_ns for frame in frames]
    market = list(accumulate((frame.market_ns for frame in frames), max))  # a new start may set the clock back
    for bar in sorted(bars, key=lambda one: (one.end_ns, one.received_ns)):
        index, at_ns = _place_of(bar, received, market)
        if at_ns and not lock_step:
            clocked.setdefault(index, []).append((at_ns, bar))
        elif index < len(frames):
            given.setdefault(places[index], []).append(bar)
    made: list[MarketMoment] = []
    for index, frame in enumerate(frames):
        quotes = () if frame.quote is None else (frame.quote,)
        if made and index and places[index] == places[index - 1]:
            last = made[-1]
            made[-1] = last._replace(quotes=(*last.quotes, *quotes))
        else:
            now = max(frame.market_ns, made[-1].now if made else 0)
            made.append(MarketMoment(now, quotes, tuple(given.get(places[index], ()))))
        for at_ns, bar in sorted(clocked.get(index, ()), key=lambda one: one[0]):
            made.append(MarketMoment(max(at_ns, made[-1].now), (), (bar,)))
    return made


def _place_of(bar: Bar, received: Sequence[int], market: Sequence[int]) -> tuple[int, int]:
    """The frame with which a bar was complete, and 0; or the last one before the clock did it, and the market time."""
    by_clock = bisect_left(market, bar.end_ns)
    if not bar.received_ns or not received or bar.received_ns < received[0]:
        return by_clock, 0
    last = bisect_right(received, bar.received_ns) - 1
    if market[last] < bar.start_ns:
        return by_clock, 0
    if received[last] == bar.received_ns or last + 1 == len(received):
        return last, 0
    return last, to_market_time(bar.received_ns, received, market)


def to_market_time(machine_ns: int, received: Sequence[int], market: Sequence[int]) -> int:
    """Convert machine ns to market ns, interpolating between frames: `received` and `market` are their machine and
    market times, ascending, the first not after `machine_ns`."""
    last = bisect_right(received, machine_ns) - 1
    if received[last] == machine_ns or last + 1 == len(received):
        return market[last]
    passed, between = machine_ns - received[last], received[last + 1] - received[last]
    return market[last] + (market[last + 1] - market[last]) * passed // between


def bar_moments(bars: Iterable[Bar]) -> list[MarketMoment]:
    """Build market moments from bars alone: open, then low and high (high first in falling bars), then close."""
    at: dict[int, tuple[list[Quote], list[Bar]]] = {}
    for bar in sorted(bars, key=lambda one: (one.end_ns, one.instrument)):
        third = (bar.end_ns - bar.start_ns) // 3
        first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        times = (bar.start_ns, bar.start_ns + third, bar.start_ns + 2 * third, bar.end_ns - 1)
        for ns, price in zip(times, (bar.open, first, second, bar.close), strict=True):
            at.setdefault(ns, ([], []))[0].append(Quote(bar.instrument, ns, ns, price))
        at.setdefault(bar.end_ns, ([], []))[1].append(bar)
    return [MarketMoment(ns, tuple(quotes), tuple(done)) for ns, (quotes, done) in sorted(at.items())]


def merge_moments(one: Iterable[MarketMoment], other: Iterable[MarketMoment]) -> list[MarketMoment]:
    """Merge two series of market moments by time; those at the same time become one."""
    made: list[MarketMoment] = []
    for moment in sorted((*one, *other), key=lambda item: item.now):
        if made and made[-1].now == moment.now:
            last = made[-1]
            made[-1] = MarketMoment(moment.now, (*last.quotes, *moment.quotes), (*last.bars, *moment.bars))
        else:
            made.append(moment)
    return made


def fill_pauses(
    moments: Sequence[MarketMoment], begin: int, end: int, every_ns: int = SECOND
) -> Iterator[MarketMoment]:
    """Yield the moments from `begin` to `end` (ns), with empty ones every `every_ns` in pauses for timers."""
    now = begin
    for moment in moments:
        while moment.now - now > every_ns:
            now += every_ns
            yield MarketMoment(now)
        yield moment
        now = max(now, moment.now)
    while end - now > every_ns:
        now += every_ns
        yield MarketMoment(now)
