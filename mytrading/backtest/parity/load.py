"""From a stack's state folder and a day to what `parity` compares: the record, the market's moments, the machines.

Nothing in the folder is changed, and what is missing there is said.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.tape import SUFFIX, read_tape
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.parity.facts import DayFacts, Quotes
from mytrading.backtest.parity.market_events import (
    MarketMoment,
    ReceivedEvent,
    heard,
    joined,
    market_time,
    of_bars,
    of_tape,
    with_pauses,
)
from mytrading.backtest.parity.recorded_day import DayRecord, days_of, read_day
from mytrading.backtest.parity.replay import ReplayContext
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.signal_gate import FLOOR_NS
from mytrading.core.engine.strategy_host import Fault
from mytrading.core.engine.user_rules import LoadedRule
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import DAY, IST_OFFSET, SECOND
from mytrading.messages.market import Bar
from mytrading.messages.run_config import RunConfig
from mytrading.strategies.base_strategy import BaseStrategy

BARS_PER_DAY = 900
_PLENTY = 1e12
"""Rupees of an account whose broker is not ours: what it had is not on record."""
Classes = Mapping[str, type[BaseStrategy] | Fault]


class NothingThere(ValueError):
    """The day cannot be compared; the message says what was expected, found, and what to do."""


@dataclass
class ParityCase:
    """A day that is ready to be compared. `notes` say what a reader of the result has to know."""

    config: RunConfig
    record: DayRecord
    world: ReplayContext
    moments: Sequence[MarketMoment]
    facts: DayFacts
    quotes: int
    bars: int
    source: str
    notes: list[str]

    def walk(self) -> Iterable[MarketMoment]:
        """The moments, and those in which only time passes."""
        if not self.record.speed:
            return self.moments
        begin, end = self.moments[0].now, self.moments[-1].now
        return with_pauses(self.moments, begin, end, int(SECOND * max(self.record.speed, 1.0)))


def prepare(
    config: RunConfig,
    day: str,
    classes: Classes,
    rules: Sequence[LoadedRule] = (),
    data: Callable[[str], Columns] | None = None,
    within_ns: int = SECOND,
) -> ParityCase:
    """Read a day (ISO; empty: the newest). `data` gives bars of an instrument in place of what the stack saw."""
    day = _day(config, day)
    frames = _frames(config, day)
    record = read_day(config, day, lambda ns: _silent_since(frames, ns))
    if not record.openings:
        raise NothingThere(f"{config.journal_dir('engine')}: expected strategies that opened on {day}, found none; "
                           "name another day with --date")  # fmt: skip
    watched = _watched(config, record)
    notes = _notes(config, record)
    if data is not None:
        given = [bar for name in watched for bar in _bars_of(data(name), day)]
        others = [frame for frame in frames if frame.quote is not None and frame.quote.instrument not in watched]
        moments = joined(of_tape(others, (), lock_step=True), of_bars(given))
        source = "bars given with --data, and the tape of what else was traded" if others else "bars given with --data"
        wrong = _unlike(_stored(config, watched, record, moments), given)
    else:
        moments, source = _seen(config, day, frames, watched, record, notes)
        given = [bar for moment in moments for bar in moment.bars]
        wrong = _late(given, frames, config, record)
    if not moments:
        raise NothingThere(f"{config.state}: expected a tape ({config.tape_dir.name}/{day}{SUFFIX}) or bars of {day}, "
                           "found neither; give bars of it with --data")  # fmt: skip
    world = _world(config, record, classes, rules, watched, moments, notes)
    quotes = Quotes(frame.quote for frame in frames if frame.quote is not None)
    if not quotes.instruments:
        quotes = Quotes(quote for moment in moments for quote in moment.quotes)
    ours = config.simulator.runs
    facts = DayFacts(
        quotes, wrong, record.persons, record.absences, within_ns, ours, record.behind, _signal_ns(config, record.speed)
    )
    count = sum(len(quotes.of(name)) for name in quotes.instruments)
    return ParityCase(config, record, world, moments, facts, count, len(given), source, notes)


def _day(config: RunConfig, day: str) -> str:
    days = days_of(config)
    if not days:
        raise NothingThere(f"{config.journal_dir('engine')}: expected the journal of a day, found none; "
                           "start the stack with `mytrading up` and let it run")  # fmt: skip
    if day and day not in days:
        shown = ", ".join(days[-5:])
        raise NothingThere(f"--date: expected a day that {config.profile} has a journal of ({shown}), found {day}")
    return day or days[-1]


def _watched(config: RunConfig, record: DayRecord) -> list[str]:
    """What strategies watched on the day."""
    named = [symbol for opening in record.openings for symbols in opening.watches.values() for symbol in symbols]
    return list(dict.fromkeys([*named, *(symbol for run in config.strategies for symbol in run.symbols)]))


def _notes(config: RunConfig, record: DayRecord) -> list[str]:
    notes = []
    if record.configurations - {config.config_hash}:
        notes.append("the day, or a part of it, ran under another configuration than the run file holds now")
    began = (config.state / "run.msgpack").stat().st_mtime if (config.state / "run.msgpack").exists() else 0.0
    for run in config.strategies:
        path = Path(config.home) / run.file
        if run.plan is None and began and path.exists() and path.stat().st_mtime > began:
            notes.append(f"{run.file} was changed after the stack was started; the backtest runs it as it is now")
    return notes


# the market


def _frames(config: RunConfig, day: str) -> list[ReceivedEvent]:
    path = config.tape_dir / f"{day}{SUFFIX}"
    if not path.exists():
        return []
    speed = config.simulator.speed if config.simulator.embedded else 1.0
    check = PriceCheck(config.data.max_price_change_percent, config.data.validation)
    return list(heard(read_tape(path), check, speed))


def _silent_since(frames: Sequence[ReceivedEvent], ns: int) -> int:
    """The market time of the last frame at or before a time; that time itself where there is none."""
    return max((frame.market_ns for frame in frames if frame.market_ns <= ns), default=ns)


def _seen(
    config: RunConfig,
    day: str,
    frames: Sequence[ReceivedEvent],
    watched: Sequence[str],
    record: DayRecord,
    notes: list[str],
) -> tuple[list[MarketMoment], str]:
    """The moments that the stack saw, and what they are made of."""
    begin, end = _span(day)
    reader = BarReader(config.bars_dir)
    bars = [bar for name in watched for bar in reader.bars(name, since=begin, until=end)]
    reader.close()
    if any(frame.quote is not None for frame in frames):
        first = frames[0].market_ns
        later = [bar for bar in bars if bar.end_ns > first]
        return of_tape(frames, later, lock_step=not record.speed), "quotes of the tape, bars of the stack"
    notes.append("no tape of the day is kept (ENABLE_TICK_DATA): prices are the stack's bars, fills their opens")
    return of_bars(bar for bar in bars if bar.end_ns > record.first_ns), "bars of the stack"


def _span(day: str) -> tuple[int, int]:
    """Midnight to midnight in India, market ns."""
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(seconds=19_800)
    begin = int(moment.timestamp()) * SECOND
    return begin, begin + DAY


def _bars_of(columns: Columns, day: str) -> list[Bar]:
    part = columns.between(*_span(day))
    if part.timeframe != "1m":
        raise NothingThere(f"--data: expected one-minute bars of {columns.instrument}, found {part.timeframe} bars")
    if not len(part):
        raise NothingThere(f"--data: expected bars of {columns.instrument} on {day}, found none; name another file")
    return [part.bar(row) for row in range(len(part))]


def _stored(config: RunConfig, watched: Sequence[str], record: DayRecord, moments: Sequence[MarketMoment]) -> list[Bar]:
    reader = BarReader(config.bars_dir)
    end = moments[-1].now if moments else record.first_ns
    found = [bar for name in watched for bar in reader.bars(name, since=record.first_ns, until=end)]
    reader.close()
    return found


# bars that one side had otherwise


def _unlike(stack: Iterable[Bar], given: Iterable[Bar]) -> dict[tuple[str, int], str]:
    """Bars that the stack had and the given data has not, or with other prices, and the other way round."""
    ours = {(bar.instrument, bar.end_ns): bar for bar in stack}
    theirs = {(bar.instrument, bar.end_ns): bar for bar in given}
    wrong = {}
    for key in {*ours, *theirs}:
        one, other = ours.get(key), theirs.get(key)
        if one is None or other is None:
            wrong[key] = f"{_called(key)} is in {'--data' if one is None else 'what the stack saw'} alone"
        elif (one.open, one.high, one.low, one.close) != (other.open, other.high, other.low, other.close):
            wrong[key] = f"{_called(key)} closed at {one.close:g} for the stack, at {other.close:g} in --data"
    return wrong


def _late(
    bars: Iterable[Bar], frames: Sequence[ReceivedEvent], config: RunConfig, record: DayRecord
) -> dict[tuple[str, int], str]:
    """Bars that the stack had from the history, or after half of the time in which a signal about them counts."""
    opened = record.openings[0].at_ns
    valid = _signal_ns(config, record.speed)
    received, market = [frame.received_ns for frame in frames], [frame.market_ns for frame in frames]
    wrong = {}
    for bar in bars:
        key = (bar.instrument, bar.end_ns)
        if bar.end_ns <= opened:
            continue
        if not bar.received_ns:
            wrong[key] = f"{_called(key)} came from the history, not from quotes: the stack had it late or after a gap"
            continue
        before = not received or bar.received_ns < received[0]
        late = 0 if before else market_time(bar.received_ns, received, market) - bar.end_ns
        if 2 * late > valid:
            wrong[key] = f"{_called(key)} was complete {late / SECOND:.0f} s after its end"
    return wrong


def _signal_ns(config: RunConfig, speed: float) -> int:
    """Market time for which a signal stands at least: its validity, or the machine's floor of it."""
    return max(int(config.risk.signal_validity_seconds * SECOND), int(FLOOR_NS * speed))


def _called(key: tuple[str, int]) -> str:
    name, end = key
    minutes = (end + IST_OFFSET) // (60 * SECOND) % 1440
    return f"the bar of {name} that ends at {minutes // 60:02d}:{minutes % 60:02d}"


# the machines


def _world(
    config: RunConfig,
    record: DayRecord,
    classes: Classes,
    rules: Sequence[LoadedRule],
    watched: Sequence[str],
    moments: Sequence[MarketMoment],
    notes: list[str],
) -> ReplayContext:
    calendar = Calendar.from_dict(_toml(config.calendar_path))
    facts = ContractFacts.from_dict(_toml(config.calendar_path.with_name("instruments.toml")))
    tables = RiskTables.from_dict(_toml(config.calendar_path.with_name("risk.toml")))
    file = InstrumentFile(config.state, session_ends(calendar))
    master = file.of(record.day)
    if master is None:
        master = file.snapshot()
        notes.append(f"the instruments of {record.day} are no longer kept; those of {master.day or 'no day'} stand in")
    book = file.book_of(master)
    engine = EngineMachine(
        config.strategies, classes, book, config.venue.account, None, config.risk.signal_validity_seconds, rules
    )
    capital = config.simulator.capital if config.simulator.runs else _PLENTY
    speed = record.speed
    return ReplayContext(
        engine=engine,
        strategies=config.strategies,
        limits=config.risk,
        rates=config.rates,
        calendar=calendar,
        facts=facts,
        tables=tables,
        book=book,
        capitals={account.id: capital for account in config.order_accounts},
        openings=record.openings,
        history=_history(config, engine, watched, moments[0].now),
        master=master,
        speed=speed,
        tick_ns=int(SECOND // 10 * max(speed, 1.0)) if speed else 1,
        carried=record.carried,
    )


def _history(config: RunConfig, engine: EngineMachine, watched: Sequence[str], until: int) -> list[Bar]:
    """Minutes that were complete before the first moment, as many as the strategies look back on."""
    most = (max((host.history_days for host in engine.hosts), default=1) + 1) * BARS_PER_DAY
    reader = BarReader(config.bars_dir)
    bars = [bar for name in watched for bar in reader.bars(name, until=until, limit=most) if bar.end_ns <= until]
    reader.close()
    return sorted(bars, key=lambda bar: (bar.end_ns, bar.start_ns))


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
