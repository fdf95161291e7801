"""From the options of the command to what options of a run are priced by.

What the prices are made of is said in one sentence with the result.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
from pydantic import ValidationError

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.load import AskedWrongly
from mytrading.backtest.options.files import OptionRecords, read_sources
from mytrading.backtest.options.market import OptionTerms
from mytrading.config.sections import BacktestSettings, parse_iv
from mytrading.config.validation import declarations, validated
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.options.surface import Shape
from mytrading.core.time import ist_date
from mytrading.messages.run_config import StrategyRun, TradeKind
from mytrading.strategies.errors import hint

MODEL = "model"
_SHAPE = ("skew", "smile", "near", "near_days", "carry", "rate", "spread_ticks", "wing_ticks")


class OptionDataRequest(Protocol):
    """What the command was given."""

    @property
    def options(self) -> tuple[str, ...]:
        """`model`, files and folders."""
        ...

    @property
    def iv(self) -> str:
        """The volatility at the money, if given."""
        ...

    @property
    def surface(self) -> Mapping[str, str]:
        """Settings of the surface by name."""
        ...


class Market(NamedTuple):
    """What surrounds the run."""

    data: tuple[Columns, ...]
    calendar: Calendar
    facts: ContractFacts
    tables: RiskTables


def leg_files(home: Path) -> list[str]:
    """The names of the strategies that are files of legs."""
    found = []
    for path in sorted((home / "config" / "strategies").glob("*.toml")):
        try:
            parsed = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError):
            continue
        if "legs" in parsed:
            found.append(str(parsed.get("name", path.stem)))
    return found


def names_contracts(run: StrategyRun) -> bool:
    """True if a rule of the strategy trades something else than what it watches."""
    return any(rule is not None and rule.kind is not TradeKind.SAME for rule in (run.long, run.short))


def trades_contracts(run: StrategyRun, options: tuple[str, ...]) -> bool:
    """True if contracts are to be priced: they were asked for, or the strategy can trade nothing else."""
    return bool(options) or run.plan is not None or (run.long is None and run.short is None)


def terms_of(
    asked: OptionDataRequest, settings: BacktestSettings, run: StrategyRun, market: Market
) -> tuple[OptionTerms, tuple[str, ...]]:
    """The terms that options of the command and the settings make, and what a reader of the result has to know.

    `AskedWrongly` and `DataError` say what was expected.
    """
    chosen = _settled(settings, {**asked.surface, **({"iv": asked.iv} if asked.iv else {})})
    about = OptionRecords(market.data, market.calendar, market.facts, chosen.rate)
    found = read_sources((source for source in asked.options if source != MODEL), about)
    terms = OptionTerms(
        shape=Shape(**{name: getattr(chosen, name) for name in _SHAPE}),
        level=parse_iv(chosen.iv),
        sessions=chosen.iv_sessions,
        factor=chosen.iv_factor,
        least=chosen.iv_least_sessions,
        settle_minutes=chosen.settle_minutes,
        same_day=chosen.bhavcopy == "same_day",
        recorded=found.recorded,
        quotes=found.quotes,
        days=found.days,
        tables=market.tables,
        legs_only=run.plan is not None or not any(_is_same(run)),
    )
    return terms, (*found.said, *_warned(terms, market.data), said_of(terms))


def _warned(terms: OptionTerms, data: Sequence[Columns]) -> list[str]:
    """What a reader would otherwise take for more than it is."""
    if not any(item.smiles for item in terms.days):
        return []
    if terms.same_day:
        return ["the volatilities of a day are those of its own close: what is shown no trader could have known"]
    first = min(ist_date(int(columns.start_ns[0])) for columns in data)
    if any(item.smiles and item.day < first for item in terms.days):
        return []
    return ["no file of a day before the first: that day is modelled (--surface bhavcopy=same_day uses its own close)"]


def _is_same(run: StrategyRun) -> tuple[bool, ...]:
    return tuple(rule is not None and rule.kind is TradeKind.SAME for rule in (run.long, run.short))


def _settled(settings: BacktestSettings, given: Mapping[str, str]) -> BacktestSettings:
    """The settings with those of the command; checked like those of the file."""
    known = list(declarations(BacktestSettings))
    for name in given:
        if name not in known:
            raise AskedWrongly(f"--surface: expected one of {', '.join(known)}, found {name!r}{hint(name, known)}")
    try:
        return validated(BacktestSettings, {**msgspec.structs.asdict(settings), **given})
    except ValidationError as error:
        first = error.errors()[0]
        said = str(first["msg"]).removeprefix("Value error, ")
        name = str(first["loc"][0])
        option = "--iv" if name == "iv" else f"--surface {name}"
        raise AskedWrongly(f"{option}: {said}; found {given.get(name)!r}") from None


def said_of(terms: OptionTerms) -> str:
    """One sentence on what the prices of options are made of."""
    shape = terms.shape
    realised = f"{terms.factor:g} times the realised volatility of the {terms.sessions} days before"
    return (
        f"what nobody recorded of options is priced off the underlying (docs/options-backtest.md): "
        f"{f'volatility {terms.level:g}' if terms.level else realised} at the money, skew {shape.skew:g}, "
        f"smile {shape.smile:g}, near {shape.near:g} over {shape.near_days:g} days, carry {shape.carry:g}, "
        f"half a spread of {shape.spread_ticks:g} ticks and {shape.wing_ticks:g} more a deviation"
    )


def described(terms: OptionTerms) -> dict[str, Any]:
    """The same as figures; `iv` is None where it is the realised one."""
    return {
        "iv": terms.level or None,
        "iv_sessions": terms.sessions,
        "iv_factor": terms.factor,
        **{name: getattr(terms.shape, name) for name in _SHAPE},
        "settle_minutes": terms.settle_minutes,
        "bhavcopy": "same_day" if terms.same_day else "before",
    }
