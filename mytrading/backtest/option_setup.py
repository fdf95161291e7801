"""From the options of the command to what options of a run are priced by.

Used by `setup`. The one rule: what the prices are made of is said in one sentence with the result.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mytrading.backtest.asked import AskedWrongly
from mytrading.backtest.option_terms import OptionTerms
from mytrading.config.backtest import BacktestSettings, parse_iv
from mytrading.core.margin_table import RiskTables
from mytrading.core.surface import Shape
from mytrading.messages.runconfig import StrategyRun, TradeKind
from mytrading.strategies.errors import hint

MODEL = "model"
_SHAPE = ("skew", "smile", "near", "near_days", "carry", "rate", "spread_ticks", "wing_ticks")


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
    options: tuple[str, ...],
    iv: str,
    surface: Mapping[str, str],
    settings: BacktestSettings,
    run: StrategyRun,
    tables: RiskTables,
) -> OptionTerms:
    """The terms that options of the command and the settings make; `AskedWrongly` says what was expected."""
    for source in options:
        if source != MODEL:
            raise AskedWrongly(f"--options: expected {MODEL}, found {source!r}")
    chosen = _settled(settings, {**surface, **({"iv": iv} if iv else {})})
    return OptionTerms(
        shape=Shape(**{name: getattr(chosen, name) for name in _SHAPE}),
        level=parse_iv(chosen.iv),
        sessions=chosen.iv_sessions,
        factor=chosen.iv_factor,
        least=chosen.iv_least_sessions,
        settle_minutes=chosen.settle_minutes,
        same_day=chosen.bhavcopy == "same_day",
        tables=tables,
        legs_only=run.plan is not None or not any(_is_same(run)),
    )


def _is_same(run: StrategyRun) -> tuple[bool, ...]:
    return tuple(rule is not None and rule.kind is TradeKind.SAME for rule in (run.long, run.short))


def _settled(settings: BacktestSettings, given: Mapping[str, str]) -> BacktestSettings:
    """The settings with those of the command; checked like those of the file."""
    known = list(BacktestSettings.model_fields)
    for name in given:
        if name not in known:
            raise AskedWrongly(f"--surface: expected one of {', '.join(known)}, found {name!r}{hint(name, known)}")
    try:
        return BacktestSettings.model_validate({**settings.model_dump(), **given})
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
