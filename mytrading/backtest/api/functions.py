"""Backtests and searches from Python and notebooks, with pandas frames in and out.

`from mytrading import backtest, optimize, load_bars`. A call does what the command of the same name does: it runs in
the project folder, with its settings, calendar, fees and margins.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

import numpy as np
import pandas as pd

from mytrading.backtest.data.columns import Columns, DataError, build_columns
from mytrading.backtest.data.load import are_bhavcopies, load_bhavcopy_bars
from mytrading.backtest.data.load import load_bars as load_file
from mytrading.backtest.data.store import STORE, load_stored, open_store
from mytrading.backtest.results import output
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.search.space import Space, parse_leg_space, parse_space
from mytrading.backtest.search.study import Progress, StudyPlan, search
from mytrading.backtest.search.trials import Trial, deflated_sharpe, rank_trials, stability_of
from mytrading.backtest.search.workers import InProcess, local_workers, pack_spec
from mytrading.backtest.setup.prepare import Prepared, RunRequest, prepare, source_file
from mytrading.config.loading import load_settings
from mytrading.runtime.host.paths import project_home
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.parameters import Parameter

if TYPE_CHECKING:
    from plotly import graph_objects as go

INDIA = "Asia/Kolkata"
_PRICES = ("open", "high", "low", "close")
_TIMES = ("timestamp", "datetime", "start", "time", "date")
Day: TypeAlias = "date | str | None"
Strategy: TypeAlias = "str | Path | type[BaseStrategy]"
Source: TypeAlias = "pd.DataFrame | str | Path"
Data: TypeAlias = "Source | Sequence[Source] | Mapping[str, Source]"


class RunOptionsByName(TypedDict, total=False):
    """Keyword arguments of `backtest` and `optimize`, as the options of the commands: see docs/backtest.md."""

    instrument: str
    universe: str
    timeframe: str
    first: Day
    last: Day
    capital: float
    lots: int
    product: str
    stop: str
    costs: str
    risk: str
    session: str
    slippage_ticks: float
    slippage: float
    options: Sequence[str]
    iv: str
    machines: bool


def load_bars(
    source: Source, instrument: str = "", *, timeframe: str = "", first: Day = None, last: Day = None
) -> pd.DataFrame:
    """Load bars of one instrument as a frame: open, high, low, close, volume by the start of each bar (Indian time).
    `source` is a file, a folder of bhavcopies, `store`, or an instrument of the store; `timeframe` picks among stored
    ones, the finest without. `attrs` of the frame name instrument and timeframe. Raises `DataError`."""
    begin, end = _day(first), _day(last)
    text = str(source)
    if isinstance(source, pd.DataFrame):
        raise DataError("load_bars: expected a file, `store` or an instrument, found a frame, which holds bars already")
    if text == STORE or (":" in text and not Path(text).exists()):
        name = _resolve(instrument or text) if instrument or text != STORE else ""
        if not name:
            raise DataError("load_bars: expected the instrument of the store, say load_bars('store', 'NSE:SBIN')")
        (columns,) = load_stored(open_store(project_home()), [name], timeframe or "1d", begin, end)
        if timeframe and columns.timeframe != timeframe:
            raise DataError(f"{STORE}: {name}: expected bars of {timeframe}, found those of {columns.timeframe}")
    else:
        path = Path(source)
        name = _resolve(instrument) if instrument else ""
        daily = path.exists() and are_bhavcopies(path)
        columns = (load_bhavcopy_bars if daily else load_file)(path, name, begin, end)
    return bars_frame(columns)


def bars_frame(columns: Columns) -> pd.DataFrame:
    """Return bars as a frame by the start of each in Indian time; `attrs` name the instrument and the timeframe."""
    frame = pd.DataFrame(columns.table.T.copy(), index=_times(columns.start_ns), columns=[*_PRICES, "volume"])
    frame.index.name = "start"
    frame.attrs.update(instrument=columns.instrument, timeframe=columns.timeframe)
    return frame


def columns_of(frame: pd.DataFrame, instrument: str = "") -> Columns:
    """Return the bars of a frame: columns open, high, low, close, and volume if there is one, in any case; the index or
    a column has the starts, of India where they name no zone. Raises `DataError`."""
    names = {str(name).lower(): name for name in frame.columns}
    missing = [name for name in _PRICES if name not in names]
    if missing:
        raise DataError(f"frame: found columns {', '.join(names) or 'none'}; expected {', '.join(_PRICES)} too")
    name = instrument or str(frame.attrs.get("instrument", ""))
    if not name:
        raise DataError("frame: whose bars are they? give instrument=, say 'NSE:SBIN', or {instrument: frame}")
    stamps: Any = frame.index
    if not isinstance(stamps, pd.DatetimeIndex):
        found = next((names[one] for one in _TIMES if one in names), None)
        if found is None:
            raise DataError(
                f"frame: expected times in its index or a column {', '.join(_TIMES)}; found {frame.index.dtype}"
            )
        stamps = pd.DatetimeIndex(frame[found])
    stamps = stamps.tz_localize(INDIA) if stamps.tz is None else stamps
    if stamps.hasnans:
        raise DataError("frame: a row has no time; mend or drop it")
    start_ns = np.asarray(stamps.as_unit("ns").asi8, dtype=np.int64)
    table = np.zeros((5, len(frame)))
    for row, column in enumerate((*_PRICES, "volume")):
        if column in names:
            table[row] = frame[names[column]].to_numpy(dtype=np.float64, na_value=np.nan)
    return build_columns(name, start_ns, table, f"frame of {name}")


def backtest(
    strategy: Strategy, data: Data, parameters: Mapping[str, Parameter] | None = None,
    **options: Unpack[RunOptionsByName],
) -> BacktestResults:  # fmt: skip
    """Backtest a strategy, a name, a file or a class, on a frame, a file, `store`, or {instrument: frame or file}.
    `parameters` by name; `options` are those of `mytrading backtest`, say `instrument="NSE:SBIN", capital=500_000`."""
    prepared = prepare(project_home(), _request(strategy, data, parameters or {}, options))
    return BacktestResults(prepared, run(prepared.spec))


def optimize(
    strategy: Strategy, data: Data, parameters: Mapping[str, Iterable[Parameter] | Parameter], *,
    objective: str = "sharpe", method: str = "grid", trials: int = 0, seed: int = 1, least_trades: int = 1,
    workers: int = 1, progress: Progress = lambda _done, _wanted, _trial: None, **options: Unpack[RunOptionsByName],
) -> SearchResults:  # fmt: skip
    """Search parameters: `{"fast_period": range(5, 30, 5), "slow_period": [40, 60]}`, a single value stays fixed.
    `objective`, `method` and `trials` as in `mytrading optimize`. More than one of `workers` needs a strategy in a
    file."""
    request = _request(strategy, data, {}, options)
    prepared = prepare(project_home(), request)
    spec = prepared.spec
    texts = [f"{name}={_values(values)}" for name, values in parameters.items()]
    space = parse_leg_space(spec.legs, texts) if spec.legs else parse_space(spec.strategy, texts)
    plan = StudyPlan(space, objective, method, trials, seed)
    if workers > 1:
        crew = local_workers(pack_spec(spec, _file_of(strategy)), objective, least_trades, workers)
        with crew as found:
            done = search(plan, found, [], lambda _trial: None, progress)
    else:
        with nullcontext(InProcess(spec, objective, least_trades)) as alone:
            done = search(plan, alone, [], lambda _trial: None, progress)
    return SearchResults(prepared, space, objective, tuple(done))


class BacktestResults:
    """Results of a backtest as frames. `result` is the run itself, `notes` are its warnings to a reader."""

    def __init__(self, prepared: Prepared, result: RunResult) -> None:
        self.result = result
        self.notes = (*prepared.notes, *output.stand_in_notes(result))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Return the object that `mytrading backtest --json` prints."""
        return output.summary(self.result)

    @cached_property
    def metrics(self) -> pd.Series:
        """Figures by name, such as `sharpe`; NaN where there is none."""
        return pd.Series(output.metrics(self.result), name=self.result.spec.run.name)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a trade: entry and exit time and price, side, quantity, gross, costs and net in rupees, leg,
        and what ended it."""
        rows = self.result.ledger.trades
        frame = pd.DataFrame({
            "entry_time": _times(np.array([one.entry_ns for one in rows], np.int64)),
            "exit_time": _times(np.array([one.exit_ns for one in rows], np.int64)),
        })  # fmt: skip
        for name in output.TRADE_COLUMNS[2:-1]:
            frame[name] = [getattr(one, name) for one in rows]
        frame["ended_by"] = self.result.ledger.exit_words
        return frame

    @cached_property
    def equity(self) -> pd.DataFrame:
        """By the end of each bar: equity in rupees after costs, drawdown (0 to −1), rupees held."""
        curve = self.result.curve
        columns = {"equity": curve.equity, "drawdown": output.bar_drawdowns(self.result), "exposure": curve.exposure}
        frame = pd.DataFrame(columns, index=_times(curve.end_ns))
        frame.index.name = "end"
        return frame

    @cached_property
    def daily_returns(self) -> pd.Series:
        """Simple returns by day."""
        days, _ = self.result.curve.daily()
        index = pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[ns]"), name="day")
        return pd.Series(output.daily_returns(self.result), index=index, name="return")

    @cached_property
    def events(self) -> pd.DataFrame:
        """Denials, alerts and faults: time, code, subject, text; the first 2,000."""
        rows = self.result.ledger.events
        frame = pd.DataFrame({"time": _times(np.array([one.at_ns for one in rows], np.int64))})
        for name in ("code", "subject", "text"):
            frame[name] = [getattr(one, name) for one in rows]
        return frame

    def plot(self) -> go.Figure:
        """Return a chart of equity and drawdown, which a notebook shows."""
        return _equity_chart(self.equity, self.result.spec.run.name)

    def report(self, folder: str | Path) -> Path:
        """Write the files of `mytrading backtest --report` and return the page."""
        from mytrading.backtest.results.report import write_report

        page = Path(folder) / "report.html"
        output.write_files(self.result, Path(folder))
        write_report(self.result, self.notes, page)
        return page

    def __repr__(self) -> str:
        body = self.summary
        fault = f"; it stopped: {body['fault']}" if body["fault"] else ""
        return (
            f"{body['strategy']} {body['from']} to {body['to']}: {body['trades']:,} trades, "
            f"₹{body['pnl']['net']:,.2f} after costs of ₹{body['costs']:,.2f}{fault}"
        )


@dataclass(frozen=True)
class SearchResults:
    """Results of a search. `space` has its axes, `done` all trials in the order in which they ended."""

    prepared: Prepared
    space: Space
    objective: str
    done: tuple[Trial, ...]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial, best first: parameters, the objective, net rupees, trades, metrics, and a problem if any."""
        best = rank_trials(self.done, self.objective)
        rows = [*best, *(trial for trial in self.done if not trial.has_value)]
        return pd.DataFrame([
            {**one.parameters, **one.metrics, self.objective: one.objective, "net": one.net, "trades": one.trades,
             "problem": one.problem}
            for one in rows
        ])  # fmt: skip

    @property
    def best(self) -> dict[str, Parameter]:
        """The parameters of the best trial. Raises `DataError` if no trial has a figure."""
        return dict(self._best_trial.parameters)

    @property
    def _best_trial(self) -> Trial:
        best = rank_trials(self.done, self.objective)
        if not best:
            problem = self.done[0].problem if self.done else "there was none"
            raise DataError(f"none of {len(self.done)} trials gave a figure; the first: {problem}")
        return best[0]

    @property
    def deflated_sharpe(self) -> float:
        """The chance that the best one's Sharpe ratio is more than the luck of so many trials."""
        return deflated_sharpe(self._best_trial, self.done).probability

    def backtest(self, parameters: Mapping[str, Parameter] | None = None) -> BacktestResults:
        """Backtest some parameters of the search, the best ones without any."""
        spec = self.prepared.spec.with_parameters(self.best if parameters is None else parameters)
        return BacktestResults(self.prepared, run(spec))

    def plot(self) -> go.Figure:
        """Return a chart of the objective: over one parameter, or as a map over the first two."""
        return _search_chart(self.trials, self.space, self.objective)

    def report(self, folder: str | Path) -> Path:
        """Write the report of `mytrading optimize` and return its page."""
        from mytrading.backtest.search.overfitting import overfitting_of
        from mytrading.backtest.search.report import SearchWorth, write_search

        trials, page = list(self.done), Path(folder) / "report.html"
        best = self._best_trial
        stable = stability_of(best, trials, self.space, self.objective)
        worth = SearchWorth(deflated_sharpe(best, trials), stable, overfitting_of(trials))
        title = f"{self.prepared.spec.run.name}: {len(trials):,} sets of parameters by {self.objective}"
        write_search(page, title, self.prepared.notes, self.space, trials, self.objective, worth, None)
        return page

    def __repr__(self) -> str:
        best = self._best_trial
        values = ", ".join(f"{name}={value}" for name, value in best.parameters.items())
        return f"{len(self.done):,} trials, best {self.objective} {best.objective:.4f}: {values}"


def _request(
    strategy: Strategy, data: Data, parameters: Mapping[str, Parameter], options: RunOptionsByName
) -> RunRequest:
    given: dict[str, Any] = dict(options)
    for name in ("first", "last"):
        given[name] = _day(given.get(name))
    if "capital" in given:
        given["capital"] = float(given["capital"])
    if isinstance(given.get("options"), str):
        given["options"] = (given["options"],)
    given["options"] = tuple(given.get("options", ()))
    sources = tuple(_sources(data, given.get("instrument", "")))
    if isinstance(data, pd.DataFrame) and not given.get("instrument"):
        given["instrument"] = next(one.instrument for one in sources if isinstance(one, Columns))
    texts = {name: str(value) for name, value in parameters.items()}
    own = strategy if isinstance(strategy, type) else None
    return RunRequest("" if own else str(strategy), sources, parameters=texts, strategy=own, **given)


def _sources(data: Data, instrument: str) -> Iterable[str | Columns]:
    """The sources of a request: texts as on the command line, frames as columns."""
    if isinstance(data, pd.DataFrame):
        yield columns_of(data, _resolve(instrument) if instrument else "")
    elif isinstance(data, Mapping):
        for name, source in data.items():
            yield columns_of(source, _resolve(name)) if isinstance(source, pd.DataFrame) else f"{name}={source}"
    elif isinstance(data, str | Path):
        yield str(data)
    else:
        for source in data:
            yield from _sources(source, "")


def _values(values: Iterable[Parameter] | Parameter) -> str:
    """Values of a parameter as the command line has them."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return str(values)
    return ",".join(str(value) for value in values)


def _file_of(strategy: Strategy) -> Path:
    if not isinstance(strategy, type):
        return source_file(project_home(), str(strategy))
    try:
        return Path(inspect.getfile(strategy))
    except (OSError, TypeError):
        name = strategy.__name__
        raise DataError(
            f"{name}: more than one worker needs its file; write the class to one, or give workers=1"
        ) from None


def _day(day: Day) -> date | None:
    return date.fromisoformat(day) if isinstance(day, str) else day


def _resolve(name: str) -> str:
    if ":" in name:
        return name
    return load_settings(project_home(), "default", overrides={"ENABLED_STRATEGIES": ""}).symbols.resolve(name)


def _times(ns: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.asarray(ns, np.int64).astype("datetime64[ns]"), tz="UTC").tz_convert(INDIA)


def _equity_chart(frame: pd.DataFrame, title: str) -> go.Figure:
    from plotly import graph_objects as go

    from mytrading.reports.charts import sample_row_numbers

    shown = frame.iloc[np.union1d(sample_row_numbers(len(frame)), [int(np.argmin(frame["drawdown"]))])]
    figure = go.Figure()
    figure.add_scatter(x=shown.index, y=shown["equity"], name="equity ₹", line={"color": "#1f77b4"})
    drawdown = shown["drawdown"] * 100
    figure.add_scatter(
        x=shown.index, y=drawdown, name="drawdown %", fill="tozeroy", line={"color": "#d62728"}, yaxis="y2"
    )
    figure.update_layout(
        title=title, yaxis={"domain": [0.35, 1], "title": "₹"}, yaxis2={"domain": [0, 0.28], "title": "%"}
    )
    return figure


def _search_chart(trials: pd.DataFrame, space: Space, objective: str) -> go.Figure:
    from plotly import graph_objects as go

    names = [axis.name for axis in space.axes]
    figure = go.Figure()
    if len(names) == 1:
        rows = trials.sort_values(names[0])
        figure.add_scatter(x=rows[names[0]], y=rows[objective], mode="lines+markers", name=objective)
        figure.update_layout(xaxis_title=names[0], yaxis_title=objective)
        return figure
    table = trials.pivot_table(index=names[1], columns=names[0], values=objective, aggfunc="max")
    most = float(np.nanmax(np.abs(table.to_numpy()))) if table.size else 1.0
    figure.add_heatmap(
        x=list(table.columns), y=list(table.index), z=table.to_numpy(), zmin=-most, zmax=most, colorscale="RdYlGn"
    )
    figure.update_layout(xaxis_title=names[0], yaxis_title=names[1], title=f"{objective}, best of other parameters")
    return figure
