"""From what an operator asks for to a `Spec`: the project's settings, the strategy's file, the data, the models.

A strategy runs here with the settings it would trade with, and what differs is said in `notes`.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from pydantic import ValidationError

from mytrading.backtest.data.columns import SPANS, Columns, DataError, build_columns
from mytrading.backtest.data.feeds import session_bounds
from mytrading.backtest.data.holes import describe_holes
from mytrading.backtest.data.load import RequestError, are_bhavcopies, load_bars, load_bhavcopy_bars
from mytrading.backtest.data.stamps import describe_stamps
from mytrading.backtest.data.store import STORE, load_stored, open_store, stored_option_files
from mytrading.backtest.data.universe import universe_members
from mytrading.backtest.engine.assumptions import (
    EveryDay,
    FillLimits,
    Models,
    Slippage,
    SlippageFraction,
    SlippageTicks,
    VolumeCap,
)
from mytrading.backtest.options.files import OptionRecords, read_sources
from mytrading.backtest.options.market import SHAPE_SETTINGS, OptionTerms
from mytrading.backtest.run import Spec, without_rupee_limits
from mytrading.backtest.setup.leg_overrides import LegOverrides
from mytrading.config.cross_checks import INDEX_ITSELF
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import is_intraday, risk_limits, strategy_run
from mytrading.config.sections import BacktestSettings, parse_iv
from mytrading.config.settings import TradingSettings
from mytrading.config.strategy_files import discover_strategies, duplicate_names
from mytrading.config.symbols import SymbolConfig
from mytrading.config.validation import build_section, declarations
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.empty_years import past_year_notes
from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.core.instruments.contract_specs import ContractFacts, first_lot
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.options.surface import Shape
from mytrading.core.text.spelling import name_key
from mytrading.core.time import DAY, IST_OFFSET, format_ist, hhmm, ist_date
from mytrading.messages.enums import Product, Side
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.run_config import StopPlan, StrategyRun, TradeKind, TradeRule
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import hint
from mytrading.strategies.parameters import resolve_parameters

MODEL = "model"
OPENALGO = "openalgo"
Fetch = Callable[[str, str, date | None, date | None], Columns]
"""Bars of an instrument and timeframe from the server."""


@dataclass(frozen=True)
class RunRequest:
    """The options of the command. `data` are files, folders of bhavcopies, `openalgo`, `store`, or bars as columns.

    Each may be INSTRUMENT=FILE; an instrument alone is that of the store. A `universe`, a name or file, is watched in
    place of the strategy's own instruments. Shares are fractions of 1.
    """

    name: str
    data: tuple[str | Columns, ...]
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
    machines: bool = False
    plain: bool = False
    session: str = "auto"
    stop: str = ""
    options: tuple[str, ...] = ()
    iv: str = ""
    surface: Mapping[str, str] = field(default_factory=dict)
    universe: str = ""
    strategy: type[BaseStrategy] | None = None
    """A class to run, in place of the one called `name`."""


@dataclass(frozen=True)
class Prepared:
    """A run ready to be made, and notes for readers of its results."""

    spec: Spec
    notes: tuple[str, ...]


def prepare(home: Path, request: RunRequest, fetch: Fetch | None = None) -> Prepared:
    """Build a backtest's spec, with notes; `RequestError`, `DataError` or `ConfigurationError` if it cannot be run.
    `fetch` loads bars where the request's data is `openalgo`; without it such a request is refused."""
    strategy, name, settings = _found(home, request)
    notes = [text for text in settings.warnings if text.startswith(f"{name}:")]
    run = _run(settings, strategy, name, request, notes)
    legs = load_leg_overrides(home, settings, name) if run.plan is not None else None
    if legs is not None:
        run = legs.apply_to(run, {legs.canonical_key(key): value for key, value in request.parameters.items()})
        strategy = leg_strategy(run.plan) if run.plan is not None else strategy
    names = _watched(home, request, run, settings.symbols)
    found = _read_data(home, request, names, request.timeframe or run.timeframes[0], settings.symbols, fetch, notes)
    if run.options is not None and not any(columns.instrument[-2:] in ("CE", "PE") for columns in found):
        notes.append(
            f"{run.name} watches options by rule, and no data is given of one: a backtest watches those that it is "
            f"given bars of, --data NFO:NIFTY28MAR2422000CE=FILE for each ({len(request.data)} given, of no option)"
        )
    data = tuple(_whole_days(columns, request.session) for columns in found)
    run = _fitted(run, data, names, request.timeframe)
    try:
        calendar = Calendar.from_dict(_toml(home, "calendar.toml"))
        facts = ContractFacts.from_dict(_toml(home, "instruments.toml"))
        tables = RiskTables.from_dict(_toml(home, "risk.toml"))
        fees = FeeSchedule.from_dict(_toml(home, "fees.toml")) if request.costs == "india" else None
    except ValueError as error:
        raise RequestError(str(error)) from error
    notes += lot_notes(data, facts)
    limits = risk_limits(settings)
    if request.risk == "capital":
        limits = without_rupee_limits(limits)
        notes.append("limits in rupees are not applied, the capital alone is the limit (--risk config applies them)")
    options = None
    if request.options or run.plan is not None or (run.long is None and run.short is None):
        about = OptionRecords(data, calendar, facts, settings.backtest.rate)
        request = dataclasses.replace(request, options=_option_sources(home, request.options, data))
        options = _option_terms(request, settings.backtest, run, about, tables, notes)
    elif request.iv or request.surface:
        raise RequestError("--iv and --surface price options; expected --options too, say --options model")
    spec = Spec(
        run=run, strategy=strategy, data=data, calendar=calendar, facts=facts, limits=limits, rates=settings.rates,
        capital=request.capital, models=_models(request), fees=fees, lean=not request.machines, plain=request.plain,
        options=options, tables=tables, legs=legs,
    )  # fmt: skip
    return Prepared(_in_session(spec, request.session, notes), tuple(notes))


def _watched(home: Path, request: RunRequest, run: StrategyRun, symbols: SymbolConfig) -> tuple[str, ...]:
    """The instruments to read bars of: of the command, of its universe, or the strategy's own."""
    if request.instrument and request.universe:
        raise RequestError("--instrument and --universe: expected one of them, found both")
    if request.universe:
        return universe_members(home, request.universe, symbols, request.first, request.last)
    return (symbols.resolve(request.instrument),) if request.instrument else run.symbols


def _option_sources(home: Path, sources: Sequence[str], data: Sequence[Columns]) -> tuple[str, ...]:
    """The sources of option prices, with the files of the store in place of `store`."""
    if STORE not in sources:
        return tuple(sources)
    stored = map(str, stored_option_files(open_store(home), data))
    return (*stored, *(source for source in sources if source != STORE))


def _read_data(
    home: Path, request: RunRequest, names: Sequence[str], timeframe: str, symbols: SymbolConfig, fetch: Fetch | None,
    notes: list[str],
) -> list[Columns]:  # fmt: skip
    """The bars of each source, of the instrument that it names, or of all `names`."""
    found, of_server, of_days = [], False, False
    for text in request.data:
        if isinstance(text, Columns):
            found.append(text.between_days(request.first, request.last))
            continue
        before, equals, after = text.partition("=")
        source = after if equals else text
        file = Path(source)
        if not equals and ":" in text and not file.exists():  # an instrument of the store
            before, equals, source = text, "=", STORE
        share = f"NSE:{file.name.partition('.')[0].upper()}"  # a file that nobody named is of a share called so
        wanted = [symbols.resolve(before)] if equals else list(names) or [share]
        if source == STORE:
            found += load_stored(open_store(home), wanted, timeframe, request.first, request.last)
            continue
        for name in wanted:
            if source != OPENALGO:
                daily = are_bhavcopies(file)
                of_days = of_days or daily
                found.append((load_bhavcopy_bars if daily else load_bars)(file, name, request.first, request.last))
            elif fetch is None:
                raise RequestError("--data openalgo: expected a server; start the stack, or name a file")
            else:
                of_server = True
                found.append(fetch(name, timeframe, request.first, request.last))
    if not found:
        raise RequestError("--data: expected a file, a folder of bhavcopies, `openalgo` or `store`, found nothing")
    if of_server and request.first is None:
        last = ist_date(int(found[0].start_ns[-1]))
        notes.append(f"the server was asked for the 30 days before {last} (--from asks for more)")
    if of_days:
        notes.append("prices of bhavcopies are those of the day: splits and bonuses are not taken out of them")
    return found


def _found(home: Path, request: RunRequest) -> tuple[type[BaseStrategy], str, TradingSettings]:
    """The class that runs, its name, and the settings it would trade with: of a file of code, or of one of legs."""
    name_or_file = request.name
    if request.strategy is not None:
        name = strategy_name(request.strategy)
        return request.strategy, name, _settings(home, name)
    legs = _leg_files(home)
    if (name := _spelt(name_or_file, legs)) or name_or_file.endswith(".toml"):
        if not name:
            known = ", ".join(legs) or "none"
            raise RequestError(f"{name_or_file}: legs are run by name from config/strategies; found there: {known}")
        settings = load_settings(home, "default", overrides={"ENABLED_STRATEGIES": name})
        plan = settings.plan_of(name)
        if plan is None:
            raise RequestError(f"{name}: {'; '.join(settings.strategy_faults) or 'its legs cannot be read'}")
        return leg_strategy(plan), name, settings
    file, name = _file_and_name(home, name_or_file)
    settings = _settings(home, name)
    for item in _classes(file):
        if name_key(strategy_name(item)) == name_key(name):
            return item, name, settings
    raise RequestError(f"{file.name} holds no strategy called {name}")


def _spelt(text: str, names: Iterable[str]) -> str:
    """The name that is meant, however it is spelt; empty if there is none."""
    return next((name for name in names if name_key(name) == name_key(text)), "")


def _classes(file: Path) -> tuple[type[BaseStrategy], ...]:
    loaded = load_file(file, BaseStrategy)
    if loaded.fault is not None:
        raise RequestError(f"{loaded.fault.where}: {loaded.fault.message}")
    return loaded.classes


def _settings(home: Path, name: str) -> TradingSettings:
    """The project's, with this strategy enabled if the project knows it. An index may stand in for its future."""
    wanted = {"ENABLED_STRATEGIES": name}
    try:
        return load_settings(home, "default", overrides=wanted)
    except ConfigurationError as error:
        if all(text.startswith(f"{name}.trade") and INDEX_ITSELF in text for text in error.problems):
            return load_settings(home, "default", overrides=wanted, checked=False)
        folder = home / "strategies"
        known = (item.name for item in discover_strategies(folder))
        if (folder / f"{name_key(name)}.py").exists() or _spelt(name, known):
            raise
        return load_settings(home, "default", overrides={"ENABLED_STRATEGIES": ""})


def load_leg_overrides(home: Path, settings: TradingSettings, name: str) -> LegOverrides:
    """Return the values that a backtest may change of the enabled strategy `name`, a file of `[[legs]]`."""
    table = tomllib.loads((home / settings.file_of(name)).read_text(encoding="utf-8"))
    config = next(item for item in settings.running_strategies if item.name == name)
    return LegOverrides(table, config, settings.symbols)


def _leg_files(home: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted((home / "config" / "strategies").glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
            continue
        if "legs" in table:
            found.setdefault(str(table.get("name", path.stem)), path)
    return found


def source_file(home: Path, name_or_file: str) -> Path:
    """Return the file that defines a strategy, code or legs; `RequestError` if there is none."""
    legs = _leg_files(home)
    name = _spelt(name_or_file, legs)
    return legs[name] if name else strategy_file(home, name_or_file)


def strategy_file(home: Path, name_or_file: str) -> Path:
    """Return the Python file of a strategy given by name or path; `RequestError` if there is none."""
    return _file_and_name(home, name_or_file)[0]


def _file_and_name(home: Path, name_or_file: str) -> tuple[Path, str]:
    """The file of a strategy and its name, given by name or by file."""
    if name_or_file.endswith(".py"):
        path = Path(name_or_file)
        if not path.exists():
            raise RequestError(f"{name_or_file}: no such file; name a strategy of `strategies/`, or a file of one")
        return path, strategy_name(_classes(path)[0])
    known = discover_strategies(home / "strategies")
    if (twice := duplicate_names(known).get(name_key(name_or_file))) is not None:
        raise RequestError(twice)
    for item in known:
        if name_key(item.name) == name_key(name_or_file):
            return home / "strategies" / Path(item.file).name, item.name
    legs = _leg_files(home)
    if _spelt(name_or_file, legs):
        raise RequestError(
            f"{name_or_file} is a file of legs, which has no code: `mytrading backtest {name_or_file}` runs it"
        )
    names = [*(item.name for item in known), *legs]
    raise RequestError(f"no strategy is called {name_or_file}{hint(name_or_file, names)}")


def _run(
    settings: TradingSettings, strategy: type[BaseStrategy], name: str, request: RunRequest, notes: list[str]
) -> StrategyRun:
    config = next((item for item in settings.running_strategies if name_key(item.name) == name_key(name)), None)
    if config is not None:
        run = strategy_run(settings, config)
    else:
        run = StrategyRun(name=name, file="", symbols=(), long=_same(Side.BUY), short=_same(Side.SELL))
    kinds = {rule.kind for rule in (run.long, run.short) if rule is not None}
    if not request.options and kinds - {TradeKind.SAME}:
        notes += _substitutes(kinds, run.symbols)
        run = replace(
            run,
            long=_same(Side.BUY) if run.long is not None else None,
            short=_same(Side.SELL) if run.short is not None else None,
        )
    own = {} if run.plan is not None else _parameters(strategy, request.parameters)
    run = replace(run, parameters={**run.parameters, **own}, lots=request.lots or run.lots)
    if request.stop:
        run = replace(run, stop=StopPlan(request.stop))
    if request.product:
        try:
            product = Product(request.product.upper())
        except ValueError:
            raise RequestError(f"--product: expected MIS, NRML or CNC, found {request.product!r}") from None
        daily = (
            config.intraday if config is not None and config.intraday is not None else is_intraday(product, run.plan)
        )
        run = replace(run, product=product, intraday=daily)
    return run


def _substitutes(kinds: Iterable[TradeKind], symbols: Sequence[str]) -> Iterator[str]:
    """Yield notes on instruments traded in place of those that the rules name (of an index the result says it)."""
    if TradeKind.OPTION in kinds:
        yield (
            "what is watched is traded in place of the options that its rules name, since there are no prices of them "
            "(--options model prices them off the underlying)"
        )
    elif not all(name.partition(":")[0].endswith("_INDEX") for name in symbols):
        yield "what is watched is traded in place of the futures that its rules name, since there are no prices of them"


def _same(side: Side) -> TradeRule:
    return TradeRule(kind=TradeKind.SAME, side=side)


def _parameters(strategy: type[BaseStrategy], given: Mapping[str, str]) -> dict[str, Any]:
    """The given parameters by their own names, of their types; `ParameterError` says what is wrong with one."""
    resolved = resolve_parameters(strategy, BaseStrategy, dict(given))
    request = {name_key(name) for name in given}
    return {name: value for name, value in resolved.items() if name_key(name) in request}


def _fitted(run: StrategyRun, data: tuple[Columns, ...], names: Sequence[str], timeframe: str) -> StrategyRun:
    """The run over the instruments `names`, or over all that there is data of if some are missing, in a timeframe that
    they can give."""
    base = data[0]
    frames = (timeframe,) if timeframe else run.timeframes
    for frame in frames:
        if frame not in SPANS:
            raise RequestError(f"--timeframe: expected one of {', '.join(SPANS)}, found {frame!r}")
        if SPANS[frame] % base.span_ns:
            raise DataError(
                f"the strategy runs on {frame} bars, but {base.instrument} comes in {base.timeframe} bars; "
                f"give finer data, or --timeframe {base.timeframe}"
            )
    if run.plan is not None and base.span_ns >= DAY:
        raise DataError(
            f"{run.name} enters its legs at {hhmm(run.plan.entry_time)}, but {base.instrument} comes in bars of whole "
            "days, which have no times; give bars of minutes"
        )
    given = tuple(dict.fromkeys(columns.instrument for columns in data))
    symbols = tuple(names) if names and set(names) <= set(given) else given
    return replace(run, symbols=symbols, timeframes=frames)


def _whole_days(columns: Columns, session: str) -> Columns:
    """Bars of whole days begin at midnight in India, however a file stamps them; any others are left as they are."""
    if columns.span_ns < DAY or session == "exchange":
        return columns
    start = (columns.start_ns + IST_OFFSET) // DAY * DAY - IST_OFFSET
    return build_columns(columns.instrument, start, columns.table, columns.instrument, columns.timeframe)


def _models(request: RunRequest) -> Models:
    if request.slippage and request.slippage_ticks:
        raise RequestError("--slippage and --slippage-ticks: expected one of them, found both")
    slippage: Slippage = (
        SlippageFraction(request.slippage) if request.slippage else SlippageTicks(request.slippage_ticks)
    )
    return Models(
        at_close=request.at_close, latency_ns=round(request.latency_ms * 1e6), slippage=slippage,
        volume=VolumeCap(request.volume_share), limits=FillLimits(request.limits_through),
    )  # fmt: skip


def _toml(home: Path, name: str) -> dict[str, Any]:
    path = home / "config" / name
    if not path.exists():
        raise RequestError(f"{path}: expected this file of the project; restore it from the release")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"config/{name}: expected TOML, found {error}; mend the file") from error


def _in_session(spec: Spec, session: str, notes: list[str]) -> Spec:
    """The run in the hours of the exchanges, or of the data where most of it lies outside of them."""
    if session != "exchange" and spec.data[0].span_ns >= DAY:
        notes.append(
            "bars of whole days: each day counts as a session, the first and last minutes of one are not avoided"
        )
        limits = replace(spec.limits, avoid_first_minutes=0, avoid_last_minutes=0)
        return dataclasses.replace(spec, calendar=_every_day(spec), limits=limits)
    outside: dict[str, int] = {}
    early: dict[str, int] = {}
    for columns in spec.data:
        start, (opens, closes) = columns.start_ns, session_bounds(columns, spec.calendar)
        beyond = (start < opens) | (start >= closes) | (closes - opens >= DAY)
        outside[columns.instrument], early[columns.instrument] = int(beyond.sum()), int(start[beyond.argmax()])
    bars = sum(len(columns) for columns in spec.data)
    if session == "data" or (session == "auto" and 2 * sum(outside.values()) > bars):
        notes.append("every day counts as a session from midnight to midnight (--session exchange keeps to the hours)")
        return dataclasses.replace(spec, calendar=_every_day(spec))
    for name, count in outside.items():
        if count:
            first = format_ist(int(early[name]))[:16]
            notes.append(
                f"{count} bars of {name} lie outside trading hours, the first at {first}; no order is made there "
                "(--session data trades them too)"
            )
    notes += _provisional_notes(spec)
    for columns in spec.data:
        notes += describe_stamps(columns, spec.calendar)
        notes += describe_holes(columns, spec.calendar)
    return spec


def _provisional_notes(spec: Spec) -> list[str]:
    """Notes on years of the data whose holidays nobody has listed."""
    bars = [columns.start_ns for columns in spec.data if len(columns)]
    names = [columns.instrument.partition(":")[0] for columns in spec.data]
    if not bars:
        return []
    first, last = min(int(each[0]) for each in bars), max(int(each[-1]) for each in bars)
    return past_year_notes(spec.calendar, names, ist_date(first), ist_date(last))


def _every_day(spec: Spec) -> Calendar:
    """A calendar of the exchanges that the run needs, with a session on every day."""
    needed = {*spec.calendar.exchanges, *(columns.instrument.partition(":")[0] for columns in spec.data)}
    hours = [{"from": date(1970, 1, 1), "open": time(0), "close": time(23, 59)}]
    return EveryDay.from_dict({"exchanges": {name: {"sessions": hours, "holidays": []} for name in sorted(needed)}})


def lot_notes(data: Iterable[Columns], facts: ContractFacts) -> list[str]:
    """Return a note for each index or contract whose lot is not on record: on the first day of its data, or at all."""
    notes = []
    for columns in data:
        exchange, symbol = split_id(columns.instrument)
        parsed, first = parse_symbol(symbol, exchange), ist_date(int(columns.start_ns[0]))
        if not (parsed.kind.is_derivative or parsed.kind is InstrumentKind.INDEX):
            continue
        name, known = parsed.underlying, facts.underlyings.get(parsed.underlying)
        lot = first_lot(known) if known is not None else None
        key = f"underlyings.{name}.lot of config/instruments.toml"
        if lot is None:
            notes.append(f"{name} has no lot on record: it is traded in single units; to trade it in lots, add {key}")
        elif first < lot.since:
            notes.append(
                f"lots of {name} before {lot.since} are not on record: {lot.value}, the first one known, stands in; "
                f"if you know the earlier ones, add them to {key}"
            )
    return list(dict.fromkeys(notes))


def _option_terms(
    request: RunRequest, settings: BacktestSettings, run: StrategyRun, about: OptionRecords, tables: RiskTables,
    notes: list[str],
) -> OptionTerms:  # fmt: skip
    """The terms that options of the command and the settings make; `RequestError` and `DataError` say why not."""
    chosen = _surface(settings, {**request.surface, **({"iv": request.iv} if request.iv else {})})
    found = read_sources((source for source in request.options if source != MODEL), about._replace(rate=chosen.rate))
    kinds = {rule.kind for rule in (run.long, run.short) if rule is not None}
    terms = OptionTerms(
        shape=Shape(**{name: getattr(chosen, name) for name in SHAPE_SETTINGS}), level=parse_iv(chosen.iv),
        sessions=chosen.iv_sessions, factor=chosen.iv_factor, least=chosen.iv_least_sessions,
        settle_minutes=chosen.settle_minutes, same_day=chosen.bhavcopy == "same_day", recorded=found.recorded,
        quotes=found.quotes, days=found.days, tables=tables,
        legs_only=run.plan is not None or TradeKind.SAME not in kinds,
    )  # fmt: skip
    notes += found.notes
    if any(item.smiles for item in terms.days):
        first = min(ist_date(int(columns.start_ns[0])) for columns in about.data)
        if terms.same_day:
            notes.append(
                "the volatilities of a day are those of its own close: what is shown no trader could have known"
            )
        elif not any(item.smiles and item.day < first for item in terms.days):
            notes.append(
                "no file of a day before the first: that day is modelled "
                "(--surface bhavcopy=same_day uses its own close)"
            )
    notes.append(terms.describe())
    return terms


def _surface(settings: BacktestSettings, given: Mapping[str, str]) -> BacktestSettings:
    """The settings with those of the command; checked like those of the file."""
    known = list(declarations(BacktestSettings))
    for name in given:
        if name not in known:
            raise RequestError(f"--surface: expected one of {', '.join(known)}, found {name!r}{hint(name, known)}")
    try:
        return build_section(BacktestSettings, {**msgspec.structs.asdict(settings), **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        option = "--iv" if name == "iv" else f"--surface {name}"
        problem = str(first["msg"]).removeprefix("Value error, ")
        raise RequestError(f"{option}: {problem}; found {given.get(name)!r}") from None
