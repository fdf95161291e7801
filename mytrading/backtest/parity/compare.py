"""A day of a stack's state folder compared with a backtest of what it saw: the case, the walk, the verdict.

Nothing in the folder is changed. Every count is of the very lists that are shown.
"""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.tape import SUFFIX, read_tape
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.parity.explain import Agreement, Cause, Explainer, ParityDifference
from mytrading.backtest.parity.facts import DayFacts, DaySide, MarketMoment, Quotes
from mytrading.backtest.parity.recorded_day import (
    DayRecord,
    ReceivedEvent,
    accepted_frames,
    bar_moments,
    fill_pauses,
    merge_moments,
    read_day,
    recorded_days,
    tape_moments,
    to_market_time,
)
from mytrading.backtest.parity.replay import UNLIMITED, Replay, ReplayContext
from mytrading.backtest.results.output import iso_ist
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.signal_gate import FLOOR_NS, LoadedRule
from mytrading.core.engine.strategy_host import Fault
from mytrading.core.feed.price_proof import PriceProof
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.feed.quote_fields import QuoteFields
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import DAY, IST_OFFSET, SECOND, day_number_of
from mytrading.messages.market import Bar
from mytrading.messages.run_config import RunConfig
from mytrading.strategies.base_strategy import BaseStrategy

BARS_PER_DAY = 900
KINDS = ("signal", "order", "fill")
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
    bars: int
    source: str
    notes: list[str]

    @property
    def quote_count(self) -> int:
        """Return how many quotes of the day are on record."""
        return len(self.facts.quotes)

    def paced_moments(self) -> Iterable[MarketMoment]:
        """Yield the day's market moments; unless it ran in lock-step, with empty ones in pauses so that timers fire."""
        if not self.record.speed:
            return self.moments
        begin, end = self.moments[0].now, self.moments[-1].now
        return fill_pauses(self.moments, begin, end, int(SECOND * max(self.record.speed, 1.0)))


def _proof(config: RunConfig, day: str) -> PriceProof:
    """The feed's proof of last prices, with the instruments of the day."""
    proof = PriceProof(int(config.risk.stale_quote_seconds * SECOND), config.data.validation)
    file = InstrumentFile(config.state)
    if (listed := file.of_day(day)) is not None:
        proof.set_instruments(file.book_of(listed))
    return proof


def prepare(
    config: RunConfig, day: str, classes: Classes, rules: Sequence[LoadedRule] = (),
    data: Callable[[str], Columns] | None = None, within_ns: int = SECOND,
) -> ParityCase:  # fmt: skip
    """Load a recorded day (ISO; empty: newest) to compare with a backtest of `classes` under risk `rules`; `data` gives
    bars by instrument in place of the recorded. Fills up to `within_ns` apart may be equal. Raises `NothingThere`."""
    day = _day(config, day)
    tape, speed = config.tape_dir / f"{day}{SUFFIX}", config.simulator.speed if config.simulator.embedded else 1.0
    check = PriceCheck(config.data.max_price_change_percent, config.data.validation)
    fields = QuoteFields(Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8"))))
    proof = _proof(config, day)
    accepted = accepted_frames(read_tape(tape), check, fields, speed, config.brokers, proof) if tape.exists() else ()
    frames = list(accepted)
    record = read_day(
        config, day, lambda ns: max((frame.market_ns for frame in frames if frame.market_ns <= ns), default=ns)
    )
    if not record.openings:
        raise NothingThere(f"{config.journal_dir('engine')}: expected strategies that opened on {day}, found none; "
                           "name another day with --date")  # fmt: skip
    named = [symbol for opening in record.openings for symbols in opening.watches.values() for symbol in symbols]
    watched = list(dict.fromkeys([*named, *(symbol for run in config.strategies for symbol in run.symbols)]))
    notes = _notes(config, record)
    if data is not None:
        bars = [bar for name in watched for bar in _bars_of(data(name), day)]
        others = [frame for frame in frames if frame.quote is not None and frame.quote.instrument not in watched]
        moments = merge_moments(tape_moments(others, (), lock_step=True), bar_moments(bars))
        source = "bars given with --data, and the tape of what else was traded" if others else "bars given with --data"
        end = moments[-1].now if moments else record.first_ns
        wrong = _unlike(_stored(config, watched, since=record.first_ns, until=end), bars)
    else:
        moments, source = _seen(config, day, frames, watched, record, notes)
        bars = [bar for moment in moments for bar in moment.bars]
        wrong = _late(bars, frames, config, record)
    if not moments:
        raise NothingThere(f"{config.state}: expected a tape ({config.tape_dir.name}/{day}{SUFFIX}) or bars of {day}, "
                           "found neither; give bars of it with --data")  # fmt: skip
    notes += _sampled_notes(config, day)
    world = _world(config, record, classes, rules, watched, moments, notes)
    quotes = Quotes(frame.quote for frame in frames if frame.quote is not None and frame.quote.ltp > 0)
    facts = DayFacts(
        quotes=quotes or Quotes(quote for moment in moments for quote in moment.quotes), bars=wrong,
        interferences=record.interferences, absences=record.absences, within_ns=within_ns,
        our_venue=config.simulator.runs_simulator, behind=record.behind, signal_ns=_signal_ns(config, record.speed),
    )  # fmt: skip
    return ParityCase(config, record, world, moments, facts, len(bars), source, notes)


def _day(config: RunConfig, day: str) -> str:
    days = recorded_days(config)
    if not days:
        raise NothingThere(f"{config.journal_dir('engine')}: expected the journal of a day, found none; "
                           "start the stack with `mytrading up` and let it run")  # fmt: skip
    if day and day not in days:
        shown = ", ".join(days[-5:])
        raise NothingThere(f"--date: expected a day that {config.profile} has a journal of ({shown}), found {day}")
    return day or days[-1]


def _notes(config: RunConfig, record: DayRecord) -> list[str]:
    notes = []
    if alerts := [one for name, one in record.side.signals.items() if name in record.side.from_outside]:
        names = ", ".join(sorted({one.strategy for one in alerts}))
        notes.append(f"{len(alerts)} signals of {names} came from alerts or by hand, which a backtest does not have")
    if record.configurations - {config.config_hash}:
        notes.append("the day, or a part of it, ran under another configuration than the run file holds now")
    run_file = config.state / "run.msgpack"
    began = run_file.stat().st_mtime if run_file.exists() else 0.0
    for run in config.strategies:
        path = Path(config.home) / run.file
        if run.plan is None and began and path.exists() and path.stat().st_mtime > began:
            notes.append(f"{run.file} was changed after the stack was started; the backtest runs it as it is now")
    return notes


def _seen(
    config: RunConfig, day: str, frames: Sequence[ReceivedEvent], watched: Sequence[str], record: DayRecord,
    notes: list[str],
) -> tuple[list[MarketMoment], str]:  # fmt: skip
    """The moments that the stack saw, and what they are made of."""
    begin = day_number_of(day) * DAY - IST_OFFSET
    bars = _stored(config, watched, since=begin, until=begin + DAY)
    if any(frame.quote is not None for frame in frames):
        later = [bar for bar in bars if bar.end_ns > frames[0].market_ns]
        return tape_moments(frames, later, lock_step=not record.speed), "quotes of the tape, bars of the stack"
    notes.append("no tape of the day is kept (ENABLE_TICK_DATA): prices are the stack's bars, fills their opens")
    return bar_moments(bar for bar in bars if bar.end_ns > record.first_ns), "bars of the stack"


def _sampled_notes(config: RunConfig, day: str) -> list[str]:
    """Say which bars of the stack were made of samples, which no tape holds."""
    begin = day_number_of(day) * DAY - IST_OFFSET
    counts = BarReader(config.bars_dir).sampled_bars(begin, begin + DAY)
    return [
        f"{count} bars of {name} are sampled: the broker's frames carry no price of it, one a second was asked for"
        for name, count in sorted(counts.items())
    ]


def _bars_of(columns: Columns, day: str) -> list[Bar]:
    part = columns.on_day(date.fromisoformat(day))
    if part.timeframe != "1m":
        raise NothingThere(f"--data: expected one-minute bars of {columns.instrument}, found {part.timeframe} bars")
    if not len(part):
        raise NothingThere(f"--data: expected bars of {columns.instrument} on {day}, found none; name another file")
    return [bar for _, bars in part.bars() for bar in bars]


def _stored(config: RunConfig, watched: Sequence[str], until: int, since: int = 0, limit: int = 0) -> list[Bar]:
    """Bars that the stack kept of what is watched; with `limit`, the newest so many of each instrument."""
    reader = BarReader(config.bars_dir)
    bars = [bar for name in watched for bar in reader.bars(name, since=since, until=until, limit=limit)]
    reader.close()
    return bars


# bars that one side had otherwise


def _unlike(stack: Iterable[Bar], given: Iterable[Bar]) -> dict[tuple[str, int], str]:
    """Bars that the stack had and the given data has not, or with other prices, and the other way round."""
    ours = {(bar.instrument, bar.end_ns): bar for bar in stack}
    theirs = {(bar.instrument, bar.end_ns): bar for bar in given}
    wrong = {}
    for key in {*ours, *theirs}:
        one, other = ours.get(key), theirs.get(key)
        if one is None or other is None:
            wrong[key] = f"{_bar_text(*key)} is in {'--data' if one is None else 'what the stack saw'} alone"
        elif (one.open, one.high, one.low, one.close) != (other.open, other.high, other.low, other.close):
            wrong[key] = f"{_bar_text(*key)} closed at {one.close:g} for the stack, at {other.close:g} in --data"
    return wrong


def _late(
    bars: Iterable[Bar], frames: Sequence[ReceivedEvent], config: RunConfig, record: DayRecord
) -> dict[tuple[str, int], str]:
    """Bars that the stack had from the history, or after half of the time in which a signal about them counts."""
    valid = _signal_ns(config, record.speed)
    received, market = [frame.received_ns for frame in frames], [frame.market_ns for frame in frames]
    wrong = {}
    for bar in bars:
        key = (bar.instrument, bar.end_ns)
        if bar.end_ns <= record.openings[0].at_ns:
            continue
        if not bar.received_ns:
            text = "came from the history, not from quotes: the stack had it late or after a gap"
            wrong[key] = f"{_bar_text(*key)} {text}"
        elif received and bar.received_ns >= received[0]:
            late = to_market_time(bar.received_ns, received, market) - bar.end_ns
            if 2 * late > valid:
                wrong[key] = f"{_bar_text(*key)} was complete {late / SECOND:.0f} s after its end"
    return wrong


def _signal_ns(config: RunConfig, speed: float) -> int:
    """Market time for which a signal is valid at least: its validity, or the machine's floor of it."""
    return max(int(config.risk.signal_validity_seconds * SECOND), int(FLOOR_NS * speed))


def _bar_text(name: str, end_ns: int) -> str:
    return f"the bar of {name} that ends at {iso_ist(end_ns)[11:16]}"


def _world(
    config: RunConfig, record: DayRecord, classes: Classes, rules: Sequence[LoadedRule], watched: Sequence[str],
    moments: Sequence[MarketMoment], notes: list[str],
) -> ReplayContext:  # fmt: skip
    calendar_file, facts_file, tables_file = (
        tomllib.loads(config.calendar_path.with_name(name).read_text(encoding="utf-8"))
        for name in (config.calendar_path.name, "instruments.toml", "risk.toml")
    )
    calendar = Calendar.from_dict(calendar_file)
    file = InstrumentFile(config.state, session_ends(calendar))
    master = file.of_day(record.day)
    if master is None:
        master = file.snapshot()
        notes.append(f"the instruments of {record.day} are no longer kept; those of {master.day or 'no day'} stand in")
    book = file.book_of(master)
    engine = EngineMachine(
        config.strategies, classes, book, config.venue.account, None, config.risk.signal_validity_seconds, rules
    )
    # minutes that were complete before the first moment, as many as the strategies look back on
    most = (max((host.history_days for host in engine.hosts), default=1) + 1) * BARS_PER_DAY
    until = moments[0].now
    history = [bar for bar in _stored(config, watched, until=until, limit=most) if bar.end_ns <= until]
    capitals = {one.id: record.equities.get(one.id, config.simulator.capital) for one in config.order_accounts}
    if config.simulator.runs_simulator:
        capitals = dict.fromkeys(capitals, config.simulator.capital)
    funded = {row.account for row in record.funds}
    notes += [
        f"no funds of {name} are on record: sizes go by ₹{rupees:,.0f} of capital, and no margin is asked for there"
        for name, rupees in capitals.items()
        if name not in funded
    ]
    speed = record.speed
    return ReplayContext(
        engine=engine, strategies=config.strategies, limits=config.risk, rates=config.rates, calendar=calendar,
        facts=ContractFacts.from_dict(facts_file), tables=RiskTables.from_dict(tables_file), book=book,
        capitals=capitals, venue_cash=None if config.simulator.runs_simulator else UNLIMITED, openings=record.openings,
        history=sorted(history, key=lambda bar: (bar.end_ns, bar.start_ns)), master=master, speed=speed,
        funds=record.funds, tick_ns=int(SECOND // 10 * max(speed, 1.0)) if speed else 1, carried=record.carried,
    )  # fmt: skip


@dataclass(frozen=True)
class ParityVerdict:
    """A day compared. `agreed` are the pairs that are equal; `seconds` those of the walk."""

    case: ParityCase
    strategies: tuple[str, ...]
    stack: DaySide
    backtest: DaySide
    differences: tuple[ParityDifference, ...]
    agreed: tuple[Agreement, ...]
    seconds: float

    @property
    def causes(self) -> dict[str, int]:
        """Return the number of differences by cause."""
        found = Counter(one.cause for one in self.differences)
        return {cause.value: found[cause] for cause in Cause}

    @property
    def unexplained(self) -> int:
        """Return how many differences no recorded fact explains."""
        return self.causes[Cause.UNEXPLAINED.value]

    @property
    def cost(self) -> float:
        """Return how many rupees more the live stack's fills cost than the backtest's; negative if less."""
        return round(sum(one.cost for one in self.differences), 2)

    @property
    def counts(self) -> list[tuple[str, int, int, int]]:
        """Return (name, stack count, backtest count, equal count) for signals, orders and fills."""
        equal = Counter(one.kind for one in self.agreed)
        return [
            (f"{kind}s", len(getattr(self.stack, f"{kind}s")), len(getattr(self.backtest, f"{kind}s")), equal[kind])
            for kind in KINDS
        ]


def compare(
    case: ParityCase, strategies: Collection[str] = (), progress: Callable[[int], None] = lambda _: None
) -> ParityVerdict:
    """Backtest the recorded day and explain its differences from the live stack, for `strategies` (empty: all).
    `progress` gets the number of market moments done."""
    began = time.perf_counter()
    backtest = Replay(case.world).run(case.paced_moments(), progress)
    seconds = time.perf_counter() - began
    stack = case.record.side
    if strategies:
        stack, backtest = stack.for_strategies(strategies), backtest.for_strategies(strategies)
    explainer = Explainer(stack, backtest, case.facts)
    differences = explainer.explain_day()
    names = tuple(strategies) or tuple(run.name for run in case.config.strategies)
    return ParityVerdict(case, names, stack, backtest, tuple(differences), tuple(explainer.agreed), seconds)


def summary(verdict: ParityVerdict) -> dict[str, Any]:
    """Return the comparison as the object that `--json` prints."""
    case, counts = verdict.case, verdict.counts
    return {
        "profile": case.config.profile,
        "day": case.record.day,
        "strategies": list(verdict.strategies),
        "source": case.source,
        "quotes": case.quote_count,
        "bars": case.bars,
        "stack": {name: count for name, count, _, _ in counts} | {"denials": len(verdict.stack.denials)},
        "backtest": {name: count for name, _, count, _ in counts} | {"denials": len(verdict.backtest.denials)},
        "equal": {name: equal for name, _, _, equal in counts},
        "trades_equal": not any(one.kind == "fill" for one in verdict.differences),
        "causes": verdict.causes,
        "cost": verdict.cost,
        "ok": not verdict.unexplained,
        "differences": [
            {**one._asdict(), "cause": one.cause.value, "time": iso_ist(one.at_ns)} for one in verdict.differences
        ],
        "notes": list(case.notes),
        "seconds": round(verdict.seconds, 3),
    }
