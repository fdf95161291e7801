"""Several strategies over one capital in one run: what each one made of it, and how they go together.

The machines hold all of them, as live: one account, one margin, one set of limits, each strategy with positions of its
own.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns, DataError
from mytrading.backtest.data.load import RequestError
from mytrading.backtest.engine.ledger import curve_of
from mytrading.backtest.options.market import OptionTerms
from mytrading.backtest.results import output
from mytrading.backtest.run import RunResult, Spec
from mytrading.backtest.setup.prepare import Fetch, Prepared, RunRequest, prepare
from mytrading.core.text.spelling import name_key
from mytrading.strategies.errors import hint
from mytrading.strategies.parameters import Parameter


class PortfolioMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy of a portfolio: name or file, and where it differs from the request. `name` tells two of one apart."""

    strategy: str
    name: str = ""
    instrument: str = ""
    timeframe: str = ""
    lots: Annotated[int, msgspec.Meta(ge=0)] = 0
    product: str = ""
    stop: Literal["", "broker", "engine", "none"] = ""
    parameters: Mapping[str, Parameter] = {}

    def request(self, whole: RunRequest, parameters: Mapping[str, str]) -> RunRequest:
        """Return the request for it alone: its own values, else those of the `whole`; `parameters` replace its own."""
        own = {key: getattr(self, key) for key in ("instrument", "timeframe", "lots", "product", "stop")}
        given = {key: value for key, value in own.items() if value}
        texts = {key: _text(value) for key, value in self.parameters.items()}
        if self.instrument:
            given["universe"] = ""
        return dataclasses.replace(whole, name=self.strategy, parameters={**texts, **parameters}, **given)


class PortfolioFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file for `--portfolio`."""

    strategies: tuple[PortfolioMember, ...]


def read_portfolio(path: Path) -> tuple[PortfolioMember, ...]:
    """Read the strategies of a portfolio file (TOML, tables `[[strategies]]`); raises `RequestError`."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), PortfolioFile).strategies
    except OSError as error:
        raise RequestError(f"--portfolio {path}: {error.strerror}; expected a TOML file of [[strategies]]") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise RequestError(
            f"--portfolio {path}: {error}; expected tables [[strategies]] with strategy, and perhaps "
            f"{', '.join(PortfolioMember.__struct_fields__[1:])}"
        ) from error
    if not found:
        raise RequestError(f"--portfolio {path}: expected at least one table [[strategies]], found none")
    return found


def prepare_portfolio(
    home: Path, members: Sequence[str | PortfolioMember], request: RunRequest, fetch: Fetch | None = None
) -> Prepared:
    """Build the spec of a run of several strategies, with notes; parameters of the request are `NAME.key`. Raises
    `RequestError`, `DataError` or `ConfigurationError`."""
    listed = [PortfolioMember(one) if isinstance(one, str) else one for one in members]
    given = _parameters_by_name([one.name or one.strategy for one in listed], request.parameters)
    parts = [prepare(home, one.request(request, given[one.name or one.strategy]), fetch) for one in listed]
    specs = [
        dataclasses.replace(part.spec, run=replace(part.spec.run, name=one.name or part.spec.run.name))
        for one, part in zip(listed, parts, strict=True)
    ]
    twice = {spec.run.name for spec in specs if [one.run.name for one in specs].count(spec.run.name) > 1}
    if twice:
        raise RequestError(
            f"{', '.join(sorted(twice))}: expected each strategy once; give one of them another name, in a file for "
            "--portfolio by `name`"
        )
    if len({type(spec.calendar) for spec in specs}) > 1:
        raise RequestError("bars of some strategies lie outside trading hours; give --session exchange or data for all")
    options = [spec.options for spec in specs if spec.options is not None]
    whole = dataclasses.replace(
        specs[0], partners=tuple(specs[1:]), data=_all_data(specs),
        options=_shared_options(options, alone=len(options) == len(specs)),
    )  # fmt: skip
    return Prepared(whole, _shared_notes({spec.run.name: part.notes for spec, part in zip(specs, parts, strict=True)}))


def _shared_notes(notes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The notes of all strategies, each once; one that is not of all is said of those it is of."""
    of: dict[str, list[str]] = {}
    for name, mine in notes.items():
        for note in mine:
            of.setdefault(note, []).append(name)
    return tuple(
        note if len(names) == len(notes) or note.startswith(tuple(names)) else f"{', '.join(names)}: {note}"
        for note, names in of.items()
    )


def _text(value: Parameter) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shared_options(options: Sequence[OptionTerms], *, alone: bool) -> OptionTerms | None:
    """The terms of a run's options: those of the first strategy that trades some; None if none does. An index is traded
    itself too, unless all strategies trade legs only."""
    if not options:
        return None
    return dataclasses.replace(options[0], legs_only=alone and all(one.legs_only for one in options))


def _parameters_by_name(names: Sequence[str], parameters: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    by_key = {name_key(name): name for name in names}
    for text, value in parameters.items():
        name, dot, key = text.partition(".")
        if not dot or name_key(name) not in by_key:
            raise RequestError(
                f"--param {text}: expected STRATEGY.PARAMETER with several strategies{hint(name, names)}"
            )
        found[by_key[name_key(name)]][key] = value
    return found


def _all_data(specs: Sequence[Spec]) -> tuple[Columns, ...]:
    """The bars of all strategies, each instrument once."""
    found: dict[str, Columns] = {}
    for columns in (columns for spec in specs for columns in spec.data):
        known = found.setdefault(columns.instrument, columns)
        if known.timeframe != columns.timeframe or not np.array_equal(known.start_ns, columns.start_ns):
            raise DataError(f"{columns.instrument}: strategies got different bars of it; name its file once, by --data")
    return tuple(found.values())


@dataclass(frozen=True)
class PortfolioResult:
    """A run of several strategies: `whole` as one, and the part of each, in the order in which they were given."""

    whole: RunResult
    parts: tuple[RunResult, ...]

    @cached_property
    def daily_profit(self) -> NDArray[np.float64]:
        """Rupees after costs by strategy (rows) and day (columns)."""
        rows = [np.diff(part.curve.daily()[1], prepend=part.spec.capital) for part in self.parts]
        return np.array(rows)

    @cached_property
    def correlations(self) -> NDArray[np.float64]:
        """Correlations of the strategies' daily profits; NaN where one never changed."""
        daily, count = self.daily_profit, len(self.parts)
        found = np.full((count, count), np.nan)
        moves = np.flatnonzero(np.ptp(daily, axis=1) > 0) if daily.shape[1] > 1 else np.empty(0, np.int64)
        if len(moves):
            found[np.ix_(moves, moves)] = np.atleast_2d(np.corrcoef(daily[moves]))
        return found

    @cached_property
    def risk_shares(self) -> NDArray[np.float64]:
        """Each strategy's share of the variance of the whole's daily profit: covariance with it over its variance."""
        total = self.daily_profit.sum(axis=0)
        centred = total - total.mean() if len(total) else total
        variance = float(centred @ centred)
        return self.daily_profit @ centred / variance if variance > 0 else np.full(len(self.parts), np.nan)


def split_result(result: RunResult) -> PortfolioResult:
    """Return the result of a run of several strategies as a whole and by strategy."""
    members, priced = result.spec.members, result.priced
    contracts, exits = (priced.columns, priced.exits) if priced is not None else ((), None)
    parts = []
    for member in members:
        name = member.run.name
        ledger = result.ledger.of_strategy(name)
        data = tuple(columns for columns in result.spec.data if columns.instrument in member.run.symbols)
        curve = curve_of(result.spec.capital, (*result.spec.data, *contracts), ledger.fills, exits)
        parts.append(dataclasses.replace(
            result, spec=dataclasses.replace(member, data=data, options=None), ledger=ledger, curve=curve, priced=None,
            fault=result.faults.get(name), bars=sum(map(len, data)),
            stand_ins=tuple(one for one in result.stand_ins if one in member.run.symbols),
        ))  # fmt: skip
    symbols = tuple(dict.fromkeys(symbol for member in members for symbol in member.run.symbols))
    parameters = {f"{one.run.name}.{key}": value for one in members for key, value in one.run.parameters.items()}
    run = replace(
        result.spec.run, name=" + ".join(one.run.name for one in members), symbols=symbols, parameters=parameters,
        plan=None,
    )  # fmt: skip
    return PortfolioResult(dataclasses.replace(result, spec=dataclasses.replace(result.spec, run=run)), tuple(parts))


def portfolio_summary(found: PortfolioResult) -> dict[str, Any]:
    """Return the object that `--json` prints last: the whole, and `strategies` with the same keys each, their shares of
    profit (None where the whole lost) and risk, and `correlations` of their daily profits."""
    bodies = [output.summary(part) for part in found.parts]
    whole = output.summary(found.whole)
    net = whole["pnl"]["net"]
    shares = [
        {"profit_share": round(body["pnl"]["net"] / net, 6) if net > 0 else None, "risk_share": _finite(float(risk))}
        for body, risk in zip(bodies, found.risk_shares, strict=True)
    ]
    names = [body["strategy"] for body in bodies]
    return {
        **whole,
        "stops": [{"strategy": body["strategy"], **stop} for body in bodies for stop in body["stops"]],
        "faults": {body["strategy"]: body["fault"] for body in bodies if body["fault"]},
        "strategies": [{**body, **share} for body, share in zip(bodies, shares, strict=True)],
        "correlations": {
            name: {other: _finite(float(value)) for other, value in zip(names, row, strict=True)}
            for name, row in zip(names, found.correlations, strict=True)
        },
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
