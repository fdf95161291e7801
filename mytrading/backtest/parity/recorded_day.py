"""A day of a stack as its journals have it: what it did, what people did to it, and who was away.

Read-only, while the stack runs or when it is down. Only what a daemon wrote itself counts; what it read of others
stands in their journals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mytrading.backtest.parity.facts import Absence, Interference
from mytrading.backtest.parity.replay import Opening
from mytrading.backtest.parity.side import DaySide
from mytrading.core.time import SECOND
from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.control import FlattenRequested, StrategySwitch, TradingState, WithdrawRequested
from mytrading.messages.enums import TradingLevel
from mytrading.messages.journal_rows import DayOpened, RiskOpened, RunStarted, StrategyMemory
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import StrategyStarted
from mytrading.messages.streams import unions
from mytrading.runtime.journal.journal import INPUT, JournalDamaged, Row, read_segment, segment_path, segments

BEHIND_NS = 500_000_000
"""Machine time from writing to reading from which on a daemon counts as behind; a hop takes a thousandth of it."""

Place = tuple[str, str, int, int]
"""Daemon, stream, epoch, place in the stream."""


def behind(rows: Mapping[str, Iterable[Row]]) -> list[Absence]:
    """Spans of market time in which a daemon had not yet read what lay there, by daemon; those that meet are one."""
    written: dict[Place, tuple[int, int]] = {}
    read: dict[str, list[tuple[Place, int, int]]] = {}
    for daemon, given in rows.items():
        for row in given:
            if row.kind != INPUT:
                written[daemon, row.stream, row.epoch, row.stream_seq] = row.market_ns, row.machine_ns
            elif row.source:
                place = row.source, row.stream, row.source_epoch, row.source_seq
                read.setdefault(daemon, []).append((place, row.market_ns, row.machine_ns))
    found: list[Absence] = []
    for daemon, places in read.items():
        spans = []
        for place, market_ns, machine_ns in places:
            wrote_ns, wrote_machine_ns = written.get(place, (market_ns, machine_ns))
            if machine_ns - wrote_machine_ns >= BEHIND_NS:
                spans.append((wrote_ns, market_ns))
        found += [Absence(daemon, *span) for span in _joined(spans)]
    return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if made and begin <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((begin, end))
    return made


DECIDES = ("engine", "risk", "router")
_READ = (*DECIDES, "gateway")
AWAY_NS = 60 * SECOND
"""Market time before a restart (times the speed) in which a daemon may have been gone already."""
SETTLES_NS = 5 * SECOND
"""And after it, until it decides again."""
Silence = Callable[[int], int]
"""Market time since when the market had been silent at a market time, that time itself if it was not."""


class RecordedRows(NamedTuple):
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
    persons: list[Interference] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    behind: list[Absence] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    carried: dict[str, list[Any]] = field(default_factory=dict)
    configurations: set[str] = field(default_factory=set)
    speed: float = 1.0
    first_ns: int = 0


def days_of(config: RunConfig) -> list[str]:
    """The days (ISO) of which the engine's journal is kept, oldest first."""
    return [path.stem for path in segments(config.journal_dir("engine"))]


def read_day(config: RunConfig, day: str, silence: Silence = lambda ns: ns) -> DayRecord:
    """The record of a day; raises `JournalDamaged` naming a row that cannot be read."""
    rows = [row for daemon in _READ for row in written(config, daemon, day)]
    record = DayRecord(day)
    for row in sorted(rows, key=lambda one: one.at_ns):
        record.side.hear(row.message, person=row.daemon == "gateway")
    engine = [row for row in rows if row.daemon == "engine"]
    record.first_ns = engine[0].at_ns if engine else 0
    record.openings = _openings(engine, record.first_ns)
    record.carried = {name: _carried([row for row in rows if row.daemon == name]) for name in DECIDES}
    runs = [row for row in rows if isinstance(row.message, RunStarted) and row.daemon in DECIDES]
    record.configurations = {row.message.config_hash for row in runs}
    record.speed = runs[0].message.speed if runs else 1.0
    record.persons = _persons(rows)
    record.absences = _absences(runs, record.openings, silence)
    record.behind = behind({name: _rows(config, name, day) for name in _READ})
    return record


def _rows(config: RunConfig, daemon: str, day: str) -> Iterator[Row]:
    path = segment_path(config.journal_dir(daemon), day)
    if path.exists():
        yield from read_segment(path)


def written(config: RunConfig, daemon: str, day: str) -> Iterator[RecordedRows]:
    """The rows of a day that a daemon wrote itself, oldest first."""
    path = segment_path(config.journal_dir(daemon), day)
    decoders = {name: StreamDecoder(name) for name in unions()}
    before = 0
    for place, row in enumerate(_rows(config, daemon, day)):
        if row.kind != INPUT:
            try:
                message = decoders[row.stream].body(row.body)
            except (FrameError, KeyError) as error:
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) cannot be read: {error}") from error
            yield RecordedRows(daemon, place, row.market_ns, before or row.market_ns, message)
        before = row.market_ns


def _openings(engine: Sequence[RecordedRows], first_ns: int) -> list[Opening]:
    """When the strategies opened; at the day's beginning where the engine ran on from the day before."""
    found: dict[int, dict[str, tuple[str, ...]]] = {}
    for row in engine:
        if isinstance(row.message, StrategyStarted):
            found.setdefault(row.message.at_ns, {})[row.message.strategy] = row.message.watches
    if _ran_on(engine):
        found.setdefault(first_ns, {})
    return [Opening(at_ns, watches) for at_ns, watches in sorted(found.items())]


def _ran_on(engine: Sequence[RecordedRows]) -> bool:
    """True if the day turned while the engine ran: it carried over, and did not start at once after that."""
    if not any(isinstance(row.message, DayOpened) for row in engine):
        return False
    starts = [row for row in engine if isinstance(row.message, RunStarted)]
    soon = AWAY_NS * max(starts[0].message.speed, 1.0) if starts else 0
    return len(starts) < 2 or starts[1].at_ns - starts[0].at_ns > soon


def _carried(rows: Sequence[RecordedRows]) -> list[Any]:
    """What stands at the head of a day: all that was carried over from the one before."""
    head: list[Any] = []
    for row in rows:
        if isinstance(row.message, DayOpened | RiskOpened) or (
            isinstance(row.message, StrategyMemory) and head and not row.message.at_ns
        ):
            head.append(row.message)
    return head


# people


def _persons(rows: Sequence[RecordedRows]) -> list[Interference]:
    """What was ordered by people, and how long it counted."""
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
            text = f"flatten by {message.by or 'a person'}: {message.reason}"
            acts.append(Interference(text, message.at_ns, account=message.account, strategy=message.strategy,
                                     id=message.id))  # fmt: skip
        elif isinstance(message, WithdrawRequested):
            text = f"entries were withdrawn: {message.reason}"
            acts.append(Interference(text, message.at_ns, message.at_ns, message.account, id=message.id, entries=True))
    return [*acts, *_halts(sorted(levels.values(), key=lambda one: one.at_ns)), *_switched_off(switches)]


def _halts(levels: Sequence[TradingState]) -> Iterator[Interference]:
    for index, state in enumerate(levels):
        if state.level is TradingLevel.NORMAL:
            continue
        ends = (later.at_ns for later in levels[index + 1 :] if later.account == state.account)
        account = "" if state.account.startswith("KILL") else state.account
        text = f"{state.level.value} by {state.by or state.account or 'a person'}: {state.reason}"
        act = Interference(text, state.at_ns, account=account, entries=True)
        until = next(ends, None)
        yield act if until is None else act._replace(until_ns=until)


def _switched_off(switches: Sequence[StrategySwitch]) -> Iterator[Interference]:
    for index, switch in enumerate(switches):
        if switch.enabled:
            continue
        why = f": {switch.reason}" if switch.reason else ""
        text = f"{switch.strategy} was switched off by {switch.by or 'a person'}{why}"
        act = Interference(text, switch.at_ns, strategy=switch.strategy, entries=True, signals=True)
        ends = (later.at_ns for later in switches[index + 1 :] if later.strategy == switch.strategy)
        until = next(ends, None)
        yield act if until is None else act._replace(until_ns=until)


def _absences(runs: Sequence[RecordedRows], openings: Sequence[Opening], silence: Silence) -> list[Absence]:
    """When who was away: before each start but the first of the day, until it decides again."""
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
