"""From what an operator asks for to a `Spec`: the project's settings, the strategy's file, the data, the models.

A strategy runs here with the settings it would trade with, and what differs is said in `notes`.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.backtest.assumptions import (
    EveryDay,
    FillLimits,
    Models,
    Slippage,
    SlippageFraction,
    SlippageTicks,
    VolumeCap,
)
from mytrading.backtest.data.columns import Columns, DataError, checked
from mytrading.backtest.data.feeds import sessions
from mytrading.backtest.data.load import AskedWrongly, are_daily_files, load, load_days
from mytrading.backtest.run import Spec, unlimited
from mytrading.backtest.setup.leg_overrides import LegNumbers
from mytrading.backtest.setup.options import Market, leg_files, names_contracts, terms_of, trades_contracts
from mytrading.config.cross_checks import INDEX_ITSELF
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import ends_daily, risk_limits, strategy_run
from mytrading.config.settings import TradingSettings
from mytrading.config.symbols import SymbolConfig
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.text.spelling import name_key
from mytrading.core.time import DAY, IST_OFFSET, hhmm, ist_date
from mytrading.messages.enums import Product, Side
from mytrading.messages.run_config import StopPlan, StrategyRun, TradeKind, TradeRule
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import hint
from mytrading.strategies.parameters import resolve_parameters

OPENALGO = "openalgo"
Fetch = Callable[[str, str, date | None, date | None], Columns]
"""Bars of an instrument and timeframe from the server."""


class SourceRequest(NamedTuple):
    """`sources` as they were given, each perhaps INSTRUMENT=SOURCE; `names` are ids of what the others are of."""

    sources: tuple[str, ...]
    names: tuple[str, ...]
    timeframe: str
    first: date | None = None
    last: date | None = None


def data_of(wanted: SourceRequest, symbols: SymbolConfig, fetch: Fetch | None) -> list[Columns]:
    """The bars of each source, for each instrument that it is asked for; `AskedWrongly` and `DataError` say why not."""
    found = []
    for text in wanted.sources:
        before, equals, after = text.partition("=")
        name, source = (symbols.resolve(before), after) if equals else ("", text)
        names = [name] if name else list(wanted.names) or [_guess(source)]
        found += [_one(wanted, source, one, fetch) for one in names]
    if not found:
        raise AskedWrongly("--data: expected a file, a folder of bhavcopies or `openalgo`, found nothing")
    return found


def notes_on(wanted: SourceRequest, data: Sequence[Columns]) -> Iterator[str]:
    """What an operator should know of these sources."""
    sources = [text.partition("=")[2] or text for text in wanted.sources]
    if OPENALGO in sources and wanted.first is None:
        last = ist_date(int(data[0].start_ns[-1]))
        yield f"the server was asked for the 30 days before {last} (--from asks for more)"
    if any(source != OPENALGO and are_daily_files(Path(source)) for source in sources):
        yield "prices of bhavcopies are those of the day: splits and bonuses are not taken out of them"


def _guess(source: str) -> str:
    """What a file is of that nobody named: a share called like the file."""
    stem = Path(source).name.partition(".")[0].upper()
    return f"NSE:{stem}"


def _one(wanted: SourceRequest, source: str, name: str, fetch: Fetch | None) -> Columns:
    if source != OPENALGO:
        read = load_days if are_daily_files(Path(source)) else load
        return read(Path(source), name, wanted.first, wanted.last)
    if fetch is None:
        raise AskedWrongly("--data openalgo: expected a server; start the stack, or name a file")
    return fetch(name, wanted.timeframe, wanted.first, wanted.last)


__all__ = ["AskedWrongly", "Fetch", "Prepared", "RunRequest", "prepare", "source_file", "strategy_file"]

COSTS = ("none", "india")
SESSIONS = ("auto", "exchange", "data")


@dataclass(frozen=True)
class RunRequest:
    """The options of the command. `data` are files, folders of bhavcopies or `openalgo`.

    Each may be INSTRUMENT=FILE. Shares are fractions of 1.
    """

    name: str
    data: tuple[str, ...]
    first: date | None = None
    last: date | None = None
    instrument: str = ""
    timeframe: str = ""
    capital: float = 1_000_000.0
    lots: int = 0
    costs: str = "india"
    slippage_ticks: float = 0.0
    slippage: float = 0.0
    latency_ms: float = 0.0
    volume_share: float = 0.0
    limits_through: int = 0
    at_close: bool = False
    product: str = ""
    risk: str = "capital"
    parameters: Mapping[str, str] = field(default_factory=dict)
    plain: bool = False
    session: str = "auto"
    stop: str = ""
    options: tuple[str, ...] = ()
    iv: str = ""
    surface: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What to run, and what a reader of its results has to know."""

    spec: Spec
    notes: tuple[str, ...]


def prepare(home: Path, asked: RunRequest, fetch: Fetch | None = None) -> Prepared:
    """The run that is asked for; `AskedWrongly`, `DataError` and `ConfigurationError` say what cannot be met."""
    strategy, name, settings = _found(home, asked.name)
    notes: list[str] = []
    run = _run(settings, strategy, name, asked, notes)
    legs = leg_numbers(home, settings, name) if run.plan is not None else None
    if legs is not None:
        run = legs.changed(run, {legs.name_of(key): value for key, value in asked.parameters.items()})
        strategy = leg_strategy(run.plan) if run.plan is not None else strategy
    names = (settings.symbols.resolve(asked.instrument),) if asked.instrument else run.symbols
    wanted = SourceRequest(asked.data, names, asked.timeframe or run.timeframes[0], asked.first, asked.last)
    found = data_of(wanted, settings.symbols, fetch)
    notes += notes_on(wanted, found)
    notes += _without_options(run, asked.data, found)
    data = tuple(_whole_days(columns, asked.session) for columns in found)
    run = _fitted(run, data, asked)
    _check_times(run, data[0])
    try:
        calendar = Calendar.from_dict(_toml(home, "calendar.toml"))
        facts = ContractFacts.from_dict(_toml(home, "instruments.toml"))
        tables = RiskTables.from_dict(_toml(home, "risk.toml"))
        fees = FeeSchedule.from_dict(_toml(home, "fees.toml")) if asked.costs == "india" else None
    except ValueError as error:
        raise AskedWrongly(str(error)) from error
    limits = risk_limits(settings)
    if asked.risk == "capital":
        limits = unlimited(limits)
        notes.append("limits in rupees are not applied, the capital alone is the limit (--risk config applies them)")
    options = None
    if trades_contracts(run, asked.options):
        options, said = terms_of(asked, settings.backtest, run, Market(data, calendar, facts, tables))
        notes += said
    elif asked.iv or asked.surface:
        raise AskedWrongly("--iv and --surface price options; expected --options too, say --options model")
    spec = Spec(
        run=run,
        strategy=strategy,
        data=data,
        calendar=calendar,
        facts=facts,
        limits=limits,
        rates=settings.rates,
        capital=asked.capital,
        models=_models(asked),
        fees=fees,
        plain=asked.plain,
        options=options,
        tables=tables,
        legs=legs,
    )
    return _in_session(spec, asked.session, notes)


def _found(home: Path, asked: str) -> tuple[type[BaseStrategy], str, TradingSettings]:
    """The class that runs, its name, and the settings it would trade with: of a file of code, or of one of legs."""
    legs = leg_files(home)
    if (name := next((name for name in legs if name_key(name) == name_key(asked)), "")) or asked.endswith(".toml"):
        if not name:
            known = ", ".join(legs) or "none"
            raise AskedWrongly(f"{asked}: legs are run by name from config/strategies; found there: {known}")
        settings = load_settings(home, "default", overrides={"ENABLED_STRATEGIES": name})
        plan = settings.plan_of(name)
        if plan is None:
            raise AskedWrongly(f"{name}: {'; '.join(settings.faults) or 'its legs cannot be read'}")
        return leg_strategy(plan), name, settings
    file, name = _file_and_name(home, asked)
    settings = _settings(home, name)
    found = load_file(file, BaseStrategy)
    if found.fault is not None:
        raise AskedWrongly(f"{found.fault.where}: {found.fault.message}")
    return _class_of(found.classes, name, file), name, settings


def _settings(home: Path, name: str) -> TradingSettings:
    """The project's, with this strategy enabled if the project knows it. An index may stand in for its future."""
    wanted = {"ENABLED_STRATEGIES": name}
    try:
        return load_settings(home, "default", overrides=wanted)
    except ConfigurationError as error:
        if all(text.startswith(f"{name}.trade_") and INDEX_ITSELF in text for text in error.problems):
            return load_settings(home, "default", overrides=wanted, checked=False)
        if (home / "strategies" / f"{name_key(name)}.py").exists() or _is_known(home, name):
            raise
        return load_settings(home, "default", overrides={"ENABLED_STRATEGIES": ""})


def _is_known(home: Path, name: str) -> bool:
    from mytrading.config.strategy_files import discover_strategies

    return any(name_key(item.name) == name_key(name) for item in discover_strategies(home / "strategies"))


def strategy_file(home: Path, asked: str) -> Path:
    """The file of a strategy given by name or by file; `AskedWrongly` if there is none."""
    return _file_and_name(home, asked)[0]


def leg_numbers(home: Path, settings: TradingSettings, name: str) -> LegNumbers:
    """The values of a file of legs, to be changed."""
    table = tomllib.loads((home / settings.file_of(name)).read_text(encoding="utf-8"))
    config = next(item for item in settings.running if item.name == name)
    return LegNumbers(table, config, settings.symbols)


def source_file(home: Path, asked: str) -> Path:
    """The file that says what a strategy does: its code, or its legs. `AskedWrongly` if there is none."""
    name = next((name for name in leg_files(home) if name_key(name) == name_key(asked)), "")
    if not name:
        return strategy_file(home, asked)
    files = sorted((home / "config" / "strategies").glob("*.toml"))
    return next(path for path in files if _toml_name(path) == name)


def _toml_name(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("name", path.stem))
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
        return ""


def _file_and_name(home: Path, asked: str) -> tuple[Path, str]:
    """The file of a strategy and its name, given by name or by file."""
    from mytrading.config.strategy_files import discover_strategies, duplicate_names

    if asked.endswith(".py"):
        path = Path(asked)
        if not path.exists():
            raise AskedWrongly(f"{asked}: no such file; name a strategy of `strategies/`, or a file of one")
        loaded = load_file(path, BaseStrategy)
        if loaded.fault is not None:
            raise AskedWrongly(f"{loaded.fault.where}: {loaded.fault.message}")
        return path, strategy_name(loaded.classes[0])
    known = discover_strategies(home / "strategies")
    if (twice := duplicate_names(known).get(name_key(asked))) is not None:
        raise AskedWrongly(twice)
    for item in known:
        if name_key(item.name) == name_key(asked):
            return home / "strategies" / Path(item.file).name, item.name
    legs = leg_files(home)
    if any(name_key(name) == name_key(asked) for name in legs):
        raise AskedWrongly(f"{asked} is a file of legs, which has no code: `mytrading backtest {asked}` runs it")
    names = [*(item.name for item in known), *legs]
    raise AskedWrongly(f"no strategy is called {asked}{hint(asked, names)}")


def _class_of(classes: tuple[type, ...], name: str, file: Path) -> type[BaseStrategy]:
    for item in classes:
        if name_key(strategy_name(item)) == name_key(name):
            return item
    raise AskedWrongly(f"{file.name} holds no strategy called {name}")


def _run(
    settings: TradingSettings, strategy: type[BaseStrategy], name: str, asked: RunRequest, notes: list[str]
) -> StrategyRun:
    config = next((item for item in settings.running if name_key(item.name) == name_key(name)), None)
    if config is not None:
        run = strategy_run(settings, config)
    else:
        run = StrategyRun(name=name, file="", symbols=(), long=None, short=None)
        run = replace(run, long=_same(Side.BUY), short=_same(Side.SELL))
    if names_contracts(run) and not asked.options:
        notes.append(
            "the watched instrument itself is traded: there are no prices of the contracts that its rules name "
            "(--options model prices them off the underlying)"
        )
        run = replace(
            run,
            long=_same(Side.BUY) if run.long is not None else None,
            short=_same(Side.SELL) if run.short is not None else None,
        )
    own = {} if run.plan is not None else _parameters(strategy, asked.parameters)
    parameters = {**run.parameters, **own}
    run = replace(run, parameters=parameters, lots=asked.lots or run.lots)
    if asked.stop:
        run = replace(run, stop=StopPlan(asked.stop))
    if asked.product:
        product = _product(asked.product)
        daily = config.intraday if config is not None and config.intraday is not None else ends_daily(product, run.plan)
        run = replace(run, product=product, intraday=daily)
    return run


def _same(side: Side) -> TradeRule:
    return TradeRule(kind=TradeKind.SAME, side=side)


def _product(text: str) -> Product:
    try:
        return Product(text.upper())
    except ValueError:
        raise AskedWrongly(f"--product: expected MIS, NRML or CNC, found {text!r}") from None


def _parameters(strategy: type[BaseStrategy], given: Mapping[str, str]) -> dict[str, Any]:
    """The given parameters by their own names, of their types; `ParameterError` says what is wrong with one."""
    resolved = resolve_parameters(strategy, BaseStrategy, dict(given))
    asked = {name_key(name) for name in given}
    return {name: value for name, value in resolved.items() if name_key(name) in asked}


def _fitted(run: StrategyRun, data: tuple[Columns, ...], asked: RunRequest) -> StrategyRun:
    """The run over the instruments that there is data of, in a timeframe that they can give."""
    base = data[0]
    frames = (asked.timeframe,) if asked.timeframe else run.timeframes
    for frame in frames:
        _check_frame(frame, base)
    given = tuple(dict.fromkeys(columns.instrument for columns in data))
    symbols = given if asked.instrument or not set(run.symbols) <= set(given) else run.symbols
    return replace(run, symbols=symbols, timeframes=frames)


def _without_options(run: StrategyRun, given: Sequence[str], data: Sequence[Columns]) -> list[str]:
    """A word where options are watched by rule and there are bars of none: nothing would be wanted."""
    if run.options is None or any(columns.instrument[-2:] in ("CE", "PE") for columns in data):
        return []
    return [
        f"{run.name} watches options by rule, and no data is given of one: a backtest watches those that it is given "
        f"bars of, --data NFO:NIFTY28MAR2422000CE=FILE for each ({len(given)} given, of no option)"
    ]


def _check_frame(frame: str, base: Columns) -> None:
    from mytrading.backtest.data.columns import SPANS

    if frame not in SPANS:
        raise AskedWrongly(f"--timeframe: expected one of {', '.join(SPANS)}, found {frame!r}")
    if SPANS[frame] % base.span_ns:
        raise DataError(
            f"the strategy runs on {frame} bars, but {base.instrument} comes in {base.timeframe} bars; "
            f"give finer data, or --timeframe {base.timeframe}"
        )


def _whole_days(columns: Columns, session: str) -> Columns:
    """Bars of whole days begin at midnight in India, however a file stamps them; any others are left as they are."""
    if columns.span_ns < DAY or session == "exchange":
        return columns
    start = (columns.start_ns + IST_OFFSET) // DAY * DAY - IST_OFFSET
    return checked(columns.instrument, start, columns.table, columns.instrument)


def _check_times(run: StrategyRun, base: Columns) -> None:
    if run.plan is not None and base.span_ns >= DAY:
        raise DataError(
            f"{run.name} enters its legs at {hhmm(run.plan.entry_time)}, but {base.instrument} comes in bars of whole "
            "days, which have no times; give bars of minutes"
        )


def _models(asked: RunRequest) -> Models:
    if asked.slippage and asked.slippage_ticks:
        raise AskedWrongly("--slippage and --slippage-ticks: expected one of them, found both")
    slippage: Slippage = SlippageFraction(asked.slippage) if asked.slippage else SlippageTicks(asked.slippage_ticks)
    return Models(
        at_close=asked.at_close,
        latency_ns=round(asked.latency_ms * 1e6),
        slippage=slippage,
        volume=VolumeCap(asked.volume_share),
        limits=FillLimits(asked.limits_through),
    )


def _toml(home: Path, name: str) -> dict[str, Any]:
    path = home / "config" / name
    if not path.exists():
        raise AskedWrongly(f"{path}: expected this file of the project; restore it from the release")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise AskedWrongly(f"config/{name}: expected TOML, found {error}; mend the file") from error


def _in_session(spec: Spec, asked: str, notes: list[str]) -> Prepared:
    """The run in the hours of the exchanges, or of the data where most of it lies outside of them."""
    if asked != "exchange" and spec.data[0].span_ns >= DAY:
        notes.append(
            "bars of whole days: each day counts as a session, the first and last minutes of one are not avoided"
        )
        limits = replace(spec.limits, avoid_first_minutes=0, avoid_last_minutes=0)
        open_always = EveryDay.from_dict(_plainly(spec))
        return Prepared(dataclasses.replace(spec, calendar=open_always, limits=limits), tuple(notes))
    outside = {columns.instrument: _outside(columns, spec.calendar) for columns in spec.data}
    bars = sum(len(columns) for columns in spec.data)
    if asked == "data" or (asked == "auto" and 2 * sum(outside.values()) > bars):
        notes.append("every day counts as a session from midnight to midnight (--session exchange keeps to the hours)")
        open_always = EveryDay.from_dict(_plainly(spec))
        return Prepared(dataclasses.replace(spec, calendar=open_always), tuple(notes))
    for name, count in outside.items():
        if count:
            notes.append(f"{count} bars of {name} lie outside trading hours; no order is made there")
    return Prepared(spec, tuple(notes))


def _plainly(spec: Spec) -> dict[str, Any]:
    """A calendar's file with the exchanges that the run needs; the hours are those of `EveryDay`."""
    needed = {*spec.calendar.exchanges, *(columns.instrument.partition(":")[0] for columns in spec.data)}
    hours = [{"from": date(1970, 1, 1), "open": time(0), "close": time(23, 59)}]
    return {"exchanges": {name: {"sessions": hours, "holidays": []} for name in sorted(needed)}}


def _outside(columns: Columns, calendar: Calendar) -> int:
    """Bars that start when the exchange does not trade."""
    opens, closes = sessions(columns, calendar)
    start = columns.start_ns
    return int(((start < opens) | (start >= closes) | (closes - opens >= DAY)).sum())
