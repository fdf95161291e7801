"""One backtest: what goes in, and what comes out.

A run depends on its `Spec` alone, so the same spec gives the same trades.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from mytrading.backtest.data.columns import Columns, DataError
from mytrading.backtest.data.feeds import Feed
from mytrading.backtest.engine.assumptions import ACCOUNT, MarketContext, Models
from mytrading.backtest.engine.lean import LeanEngine
from mytrading.backtest.engine.lean_terms import LeanTerms, NotCoveredError, lean_terms, leg_terms
from mytrading.backtest.engine.ledger import Curve, Ledger, curve_of
from mytrading.backtest.engine.loop import Loop, Progress
from mytrading.backtest.engine.machines import Machines
from mytrading.backtest.engine.venue import BacktestVenue
from mytrading.backtest.options.lean_days import LeanDays
from mytrading.backtest.options.loop import OptionLoop, OptionWorld, PricedContracts
from mytrading.backtest.options.market import OptionTerms, shared_market
from mytrading.core.accounting.fees import Charges, FeeSchedule
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.strategy_host import Fault
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import ist_date
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.run_config import RateLimits, RiskLimits, StrategyRun
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.parameters import Parameter

LEAN, MACHINES = "lean", "machines"
_MANY = 1_000_000
_NEVER = 1 << 62
_ENDLESS = 1e15


class RunChanges(Protocol):
    """A file of legs, and what it is with other values in it (`load_leg_overrides`)."""

    def canonical_key(self, key: str) -> str:
        """Return a parameter key as it is spelled in results; `RequestError` if it does not exist."""

    def check_values(self, name: str, values: Sequence[Parameter]) -> None:
        """Raise `RequestError` if the parameter `name` cannot have one of these values."""

    def apply_to(self, run: StrategyRun, given: Mapping[str, Parameter]) -> StrategyRun:
        """Return the run with the `given` parameter values in place of the configured ones."""


@dataclass(frozen=True)
class Spec:
    """A run. `data` are the bars of each watched instrument; rupees of `capital`; `fees` None for none.

    Without `lean` the machines make the run, also one that the lean engine covers. With `plain` they are called at
    every bar: slower still, for the proof that leaving them alone where nothing can follow leads to the same.
    """

    run: StrategyRun
    strategy: type[BaseStrategy]
    data: tuple[Columns, ...]
    calendar: Calendar
    facts: ContractFacts
    limits: RiskLimits
    rates: RateLimits = field(default_factory=RateLimits)
    capital: float = 1_000_000.0
    models: Models = field(default_factory=Models)
    fees: FeeSchedule | None = None
    plain: bool = False
    lean: bool = True
    options: OptionTerms | None = None
    """Given, contracts that the data is not of are listed, priced and traded."""
    tables: RiskTables = field(default_factory=RiskTables)
    """Margin rates of futures and sold options."""
    legs: RunChanges | None = None
    """Given, the run is of a file of legs, and its parameters are values of that file."""
    partners: tuple[Spec, ...] = ()
    """Other strategies that trade the same capital in the same run; `data` then has what all of them watch."""

    @property
    def members(self) -> tuple[Spec, ...]:
        """Return the specs of all strategies of the run, this one first."""
        return (self, *self.partners)

    def with_parameters(self, given: Mapping[str, Parameter]) -> Spec:
        """Return a copy with the `given` parameters changed; `RequestError` if a file of legs cannot have them."""
        if self.legs is None:
            return dataclasses.replace(self, run=replace(self.run, parameters={**self.run.parameters, **given}))
        run = self.legs.apply_to(self.run, given)
        strategy = leg_strategy(run.plan) if run.plan is not None else self.strategy
        return dataclasses.replace(self, run=run, strategy=strategy)


@dataclass(frozen=True)
class RunResult:
    """Result of a run. `seconds` are those of the loop; `bars` those walked through, of all instruments.

    `engine` is LEAN or MACHINES; `note` says why the machines made a run, or some days of one, for want of a lean one.
    """

    spec: Spec
    bars: int
    seconds: float
    ledger: Ledger
    curve: Curve
    stand_ins: tuple[str, ...]
    fault: Fault | None = None
    engine: str = MACHINES
    note: str = ""
    priced: PricedContracts | None = None
    """Of a run with `options`."""
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By strategy, what ended it; `fault` is the first one's."""

    @property
    def gross(self) -> float:
        """Return the profit in rupees before costs, open positions at the last price."""
        return float(self.curve.equity[-1]) - self.spec.capital + self.ledger.costs


def without_rupee_limits(limits: RiskLimits) -> RiskLimits:
    """Return the limits without those on rupees, exchanges and kinds: in a backtest the capital bounds size."""
    return replace(
        limits, max_position_size=_ENDLESS, max_order_size=_ENDLESS, min_order_size=0.0, max_daily_loss=_ENDLESS,
        max_drawdown=1.0, enabled_exchanges=(), enabled_kinds=(),
    )  # fmt: skip


def run(spec: Spec, progress: Progress = lambda _done: None, machine: type[EngineMachine] = EngineMachine) -> RunResult:
    """Backtest a strategy on the spec's bars; raises `DataError` for data that does not fit it. `progress` gets bars
    done; `machine` is the engine's class, for checks one that records. Indicator values are released at the end."""
    _check(spec)
    if machine is not EngineMachine or not spec.lean or spec.plain:
        return _run_machines(spec, progress, machine)
    terms = _terms(spec)
    note = terms if isinstance(terms, str) else ""
    if not note:
        try:
            return _run_lean(spec, terms, progress) if isinstance(terms, LeanTerms) else _run_days(spec, progress)
        except NotCoveredError as found:
            note = str(found)
    return dataclasses.replace(_run_machines(spec, progress, machine), note=note)


def _run_lean(spec: Spec, terms: LeanTerms, progress: Progress) -> RunResult:
    """Run by the lean engine; `NotCoveredError` says what only the machines know."""
    parts = _parts(spec, EngineMachine)
    host = parts.engine.hosts[0]
    if host.fault is not None:
        raise NotCoveredError("the strategy failed at its start")
    feed = Feed(spec.data[0], host, spec.calendar)
    parts.engine.speed = 0
    parts.engine.open(())
    if host.fault is not None:
        raise NotCoveredError("the strategy failed at its start")
    lean = LeanEngine(
        terms, parts.engine, _environment(spec, parts.world), parts.world, feed, spec.models, spec.facts.margin,
        spec.capital, parts.ledger, progress,
    )  # fmt: skip
    started = time.perf_counter()
    lean.run()
    return _result(spec, parts, time.perf_counter() - started, engine=LEAN)


def _run_days(spec: Spec, progress: Progress) -> RunResult:
    """Run a file of legs, each day by the lean engine or by the machines; `NotCoveredError` if all are for these."""
    parts = _parts(spec, EngineMachine)
    if parts.engine.hosts[0].fault is not None:
        raise NotCoveredError("the strategy failed at its start")
    loop = _loop(spec, parts, progress, LeanDays)
    assert isinstance(loop, LeanDays)
    started = time.perf_counter()
    loop.run()
    seconds = time.perf_counter() - started
    engine = LEAN if loop.lean_days else MACHINES
    found = _result(spec, parts, seconds, engine=engine, priced=loop.outcome(parts.ledger.fills))
    return dataclasses.replace(found, note=loop.note)


def _run_machines(spec: Spec, progress: Progress, machine: type[EngineMachine]) -> RunResult:
    parts = _parts(spec, machine)
    if all(host.fault is not None for host in parts.engine.hosts):
        return _result(spec, parts, 0.0)
    loop = _loop(spec, parts, progress, OptionLoop if spec.options is not None else Loop)
    started = time.perf_counter()
    loop.run()
    seconds = time.perf_counter() - started
    priced = loop.outcome(parts.ledger.fills) if isinstance(loop, OptionLoop) else None
    return _result(spec, parts, seconds, priced=priced)


class _Parts(NamedTuple):
    """Parts of a run, the same for each engine."""

    world: MarketContext
    ledger: Ledger
    engine: EngineMachine


def _parts(spec: Spec, machine: type[EngineMachine]) -> _Parts:
    names = tuple(columns.instrument for columns in spec.data)
    world = MarketContext(spec.calendar, spec.facts, names)
    if spec.options is not None:
        market = shared_market(spec.options, spec.data, spec.calendar, spec.facts)
        world = OptionWorld(spec.calendar, spec.facts, market, names)
    world.open_day(_first_day(spec))
    ledger = Ledger(partial(_charges, spec.fees, world))
    classes = {member.run.name: member.strategy for member in spec.members}
    engine = machine(_strategy_runs(spec), classes, InstrumentBook(()), ACCOUNT)
    return _Parts(world, ledger, engine)


def _strategy_runs(spec: Spec) -> list[StrategyRun]:
    return [replace(member.run, accounts=()) for member in spec.members]


def _first_day(spec: Spec) -> date:
    return ist_date(min(int(columns.start_ns[0]) for columns in spec.data))


def _result(
    spec: Spec, parts: _Parts, seconds: float, *, engine: str = MACHINES, priced: PricedContracts | None = None
) -> RunResult:
    hosts, fills = parts.engine.hosts, parts.ledger.fills
    bars = 0
    if seconds:
        for host in hosts:
            host.workspace.close()
        bars = sum(len(columns) for columns in spec.data)
    contracts, exits = (priced.columns, priced.exits) if priced is not None else ((), None)
    curve = curve_of(spec.capital, (*spec.data, *contracts), fills, exits)
    stand_ins = tuple(sorted(parts.world.stand_ins))
    faults = {host.run.name: host.fault for host in hosts if host.fault is not None}
    fault = next(iter(faults.values()), None)
    return RunResult(
        spec, bars, seconds, parts.ledger, curve, stand_ins, fault, engine=engine, priced=priced, faults=faults
    )  # fmt: skip


def _environment(spec: Spec, world: MarketContext) -> RiskEnvironment:
    runs, square_off, book = _strategy_runs(spec), world.square_off(), InstrumentBook(())
    environment = RiskEnvironment(spec.limits, spec.rates, runs, ACCOUNT, spec.calendar, book, square_off)
    environment.tables = spec.tables
    return environment


def _loop(spec: Spec, parts: _Parts, progress: Progress, kind: type[Loop]) -> Loop:
    """A loop of this kind with its machines."""
    plain, (world, ledger, engine) = spec.plain, parts
    risk = RiskMachine(_environment(spec, world))
    venue = BacktestVenue(spec.calendar, spec.facts, world.instrument, spec.capital, spec.models, ACCOUNT, plain=plain)
    orders = build_order_machine(spec.rates, spec.calendar)
    machines = Machines(engine, risk, orders, venue, ACCOUNT, ledger.apply, plain=plain)
    feeds = [feed for columns in spec.data for feed in _feeds(columns, engine, spec.calendar)]
    engine.speed = 0
    engine.open(())
    most_loss, exercise = spec.limits.max_daily_loss, partial(_exercise, spec.fees)
    loop = kind(machines, venue, world, ledger, feeds, most_loss, exercise, progress, plain=plain)
    if isinstance(loop, OptionLoop) and isinstance(world, OptionWorld):
        loop.open_market(world)
    return loop


def _feeds(columns: Columns, engine: EngineMachine, calendar: Calendar) -> list[Feed]:
    """The feeds of an instrument: one for each strategy that watches it, or one that only moves the market."""
    running = [host for host in engine.hosts if host.fault is None]
    hosts = [host for host in running if columns.instrument in host.workspace.instruments] or running[:1]
    return [Feed(columns, host, calendar, moves=number == 0) for number, host in enumerate(hosts)]


def _terms(spec: Spec) -> LeanTerms | str:
    """The terms on which the lean engine makes the run, or why it cannot; "" for a file of legs that it can make."""
    if spec.partners:
        return "several strategies share the capital"
    if spec.options is not None and spec.run.plan is not None:
        return leg_terms(spec.run, spec.strategy, spec.data, spec.limits, spec.rates, spec.models)
    world = MarketContext(spec.calendar, spec.facts, [columns.instrument for columns in spec.data])
    world.open_day(_first_day(spec))
    return lean_terms(
        spec.run, spec.strategy, spec.data, world.instrument(spec.data[0].instrument), spec.limits, spec.rates,
        spec.models, spec.calendar, priced=spec.options is not None,
    )  # fmt: skip


def _check(spec: Spec) -> None:
    given = {columns.instrument for columns in spec.data}
    for member in spec.members:
        for name in member.run.symbols:
            if name not in given:
                text = f"{member.run.name} watches {name}, but there are no bars of it; give them with --data"
                raise DataError(text)
    if len({columns.timeframe for columns in spec.data}) > 1:
        found = ", ".join(f"{columns.instrument} {columns.timeframe}" for columns in spec.data)
        raise DataError(f"expected bars of one timeframe, found {found}; resample them to the finest common one")


def build_order_machine(rates: RateLimits, calendar: Calendar) -> OrderMachine:
    """Build the order machine of a backtest: no limit of calls, and none of an exit's duration, as time jumps from bar
    to bar; `rates` limits repeated entries."""
    limits = OmsLimits(
        calls_per_second=_MANY, calls_at_once=_MANY, mode_first=False, book_first=False, exit_deadline=_NEVER,
        churn_instrument=rates.churn_per_instrument, churn_account=rates.churn_per_account,
    )  # fmt: skip
    return OrderMachine(
        limits, lambda exchange, now: exchange not in calendar.exchanges or calendar.is_open(exchange, now)
    )


def _exercise(fees: FeeSchedule | None, instrument: Instrument, units: int, price: float, at_ns: int) -> float:
    """Rupees that the end of a bought option costs which is worth something."""
    if fees is None or units <= 0 or not instrument.kind.is_option:
        return 0.0
    return fees.exercise_stt(units * price, at_ns)


def _charges(
    fees: FeeSchedule | None, world: MarketContext, name: str, product: Product, units: int, price: float, at_ns: int
) -> Charges | None:
    instrument = world.instrument(name)
    if fees is None or instrument is None:
        return None
    return fees.fill_charges(instrument, product, units, price, at_ns, as_future=name in world.stand_ins)
