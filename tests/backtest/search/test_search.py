"""Searches: the same trials whoever runs them, kept and gone on with, screened alike, and judged for luck."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.run import Spec, run
from mytrading.backtest.search import screen, trials, walk_forward
from mytrading.backtest.search.report import heat_map
from mytrading.backtest.search.space import Space, parse_space
from mytrading.backtest.search.study import FILE, StudyError, StudyPlan, TrialsFile, fingerprint, search
from mytrading.backtest.search.trials import Trial, evaluate, rank_trials
from mytrading.backtest.search.workers import cluster_workers, local_workers, pack_spec
from mytrading.cli.app import app
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE
from mytrading.messages.enums import Product
from mytrading.messages.run_config import Direction, StopPlan
from mytrading.reports.document import ReportNote
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import BaseStrategy
from mytrading.strategies.parameters import Parameter
from tests.kit.backtest_specs import bars_of, begin_of, fees, spec_of
from tests.kit.pages import charts_of, column_of, report_of, tables_of, titles
from tests.kit.project import ROOT

FILE_OF = ROOT / "strategies" / "sma_crossover.py"
SMA: type[BaseStrategy] = load_file(FILE_OF, BaseStrategy).classes[0]


def spec(temper: str = "trend", direction: Direction = Direction.BOTH, **fields: Any) -> Spec:
    """The shipped strategy on all the bars, or on the first `bars` of them."""
    count = fields.pop("bars", 0)
    made = spec_of(SMA, begin_of(bars_of(temper), count) if count else bars_of(temper), **fields)
    return dataclasses.replace(made, run=replace(made.run, direction=direction, stop=StopPlan.NONE), fees=None)


class Here:
    """Runs trials at once, in this process."""

    count = 1
    where = "here"

    def __init__(self, of: Spec, objective: str = "net") -> None:
        self.of, self.objective = of, objective
        self.ran: list[dict[str, Parameter]] = []

    def submit(self, number: int, parameters: Mapping[str, Parameter]) -> Future[Trial]:
        self.ran.append(dict(parameters))
        done: Future[Trial] = Future()
        done.set_result(evaluate(self.of, number, parameters, self.objective, 1))
        return done


def space() -> Space:
    return parse_space(SMA, ["fast_period=3:9:3", "slow_period=12:20:8"])


def searched(
    crew: Any, plan: StudyPlan, before: Sequence[Trial] = (), keep: Callable[[Trial], None] = lambda _: None
) -> Any:
    return search(plan, crew, before, keep, lambda *_: None)


def test_grid_tries_every_point_once_and_ranks_the_best_first() -> None:
    crew = Here(spec(bars=400))
    trials = searched(crew, StudyPlan(space(), "net"))
    assert [trial.parameters for trial in trials] == list(space().points())
    best = rank_trials(trials, "net")[0]
    assert best.net == max(trial.net for trial in trials)
    alone = spec(bars=400)
    result = run(dataclasses.replace(alone, run=replace(alone.run, parameters=best.parameters)))
    assert result.ledger.trade_hash() == best.trade_hash


@pytest.mark.parametrize("method", ["random", "tpe", "nsga"])
def test_sampler_tries_no_point_twice_and_the_same_ones_with_one_seed(method: str) -> None:
    plan = StudyPlan(space(), "net", method, trials=5, seed=3)
    first, second = Here(spec(bars=400)), Here(spec(bars=400))
    trials = searched(first, plan)
    searched(second, plan)
    assert len(trials) == 5
    assert first.ran == second.ran
    assert len({tuple(sorted(point.items())) for point in first.ran}) == 5


def test_strategy_that_refuses_its_parameters_is_a_trial_with_a_problem() -> None:
    trials = searched(
        Here(spec(bars=400)), StudyPlan(parse_space(SMA, ["fast_period=5:25:20", "slow_period=20"]), "net")
    )
    refused = trials[1]
    assert not refused.has_value
    assert "must be below slow_period" in refused.problem
    assert rank_trials(trials, "net") == [trials[0]]


def test_stopped_search_goes_on_where_it_was(tmp_path: Path) -> None:
    plan, name = StudyPlan(space(), "net"), fingerprint(spec(), "text", StudyPlan(space(), "net"))
    record = TrialsFile(tmp_path, name)
    record.read()
    whole = searched(Here(spec(bars=400)), plan, keep=record.add)
    with pytest.raises(StudyError, match="another search writes to it"):
        TrialsFile(tmp_path, name).read(fresh=True)
    record.close()
    lines = (tmp_path / FILE).read_bytes().split(b"\n")
    (tmp_path / FILE).write_bytes(b"\n".join([*lines[:3], lines[3][:40]]))
    record = TrialsFile(tmp_path, name)
    before = record.read()
    assert [trial.trade_hash for trial in before] == [trial.trade_hash for trial in whole[:2]], "a torn line is dropped"
    crew = Here(spec(bars=400))
    again = searched(crew, plan, before, record.add)
    assert len(crew.ran) == len(whole) - 2
    assert {trial.trade_hash for trial in again} == {trial.trade_hash for trial in whole}
    record.close()
    assert len(TrialsFile(tmp_path, name).read()) == len(whole)


def test_folder_of_another_search_is_refused_until_begun_anew(tmp_path: Path) -> None:
    with closing(TrialsFile(tmp_path, "one")) as one:
        one.read()
    with pytest.raises(StudyError, match="--fresh"):
        TrialsFile(tmp_path, "other").read()
    assert TrialsFile(tmp_path, "other").read(fresh=True) == []


def test_fingerprint_changes_with_data_text_and_options() -> None:
    plan = StudyPlan(space(), "net")
    same = fingerprint(spec(), "text", plan)
    assert same == fingerprint(spec(), "text", plan)
    assert same != fingerprint(spec(), "other", plan)
    assert same != fingerprint(spec("wild"), "text", plan)
    assert same != fingerprint(dataclasses.replace(spec(), capital=5.0), "text", plan)
    assert same != fingerprint(spec(), "text", StudyPlan(space(), "sharpe"))


def test_fingerprint_changes_with_limits_hours_and_the_fewest_trades() -> None:
    plan, made = StudyPlan(space(), "net"), spec()
    same = fingerprint(made, "text", plan, 1)
    assert same == fingerprint(spec(), "text", plan, 1)
    assert same != fingerprint(made, "text", plan, 30)
    assert same != fingerprint(dataclasses.replace(made, limits=replace(made.limits, max_order_size=5.0)), "text", plan)
    assert same != fingerprint(dataclasses.replace(made, run=replace(made.run, intraday=True)), "text", plan)
    assert same != fingerprint(spec(direction=Direction.LONG), "text", plan)


def test_fingerprint_changes_with_the_content_of_fees_calendar_and_contracts() -> None:
    plan, made = StudyPlan(space(), "net"), dataclasses.replace(spec(), fees=fees())
    same = fingerprint(made, "text", plan)
    assert same == fingerprint(dataclasses.replace(spec(), fees=fees()), "text", plan)
    dearer = FeeSchedule(replace(fees().file, sebi=()))
    assert same != fingerprint(dataclasses.replace(made, fees=dearer), "text", plan)
    parsed = tomllib.loads((ROOT / "config" / "calendar.toml").read_text())
    parsed["special"] = []
    assert same != fingerprint(dataclasses.replace(made, calendar=Calendar.from_dict(parsed)), "text", plan)
    moved = replace(made.facts, square_off={})
    assert same != fingerprint(dataclasses.replace(made, facts=moved), "text", plan)


@pytest.mark.parametrize("method", ["grid", "tpe"])
@pytest.mark.parametrize(
    "ranges", [["fast_period=3:6:3", "slow_period=20:28:8"], ["fast_period=3:9:2"]], ids=["moved", "fewer"]
)
def test_search_with_other_ranges_keeps_only_the_trials_that_lie_in_them(ranges: list[str], method: str) -> None:
    of = spec(bars=400)
    before = [trial(n, float(n), **point) for n, point in enumerate(space().points())]
    plan, crew = StudyPlan(parse_space(SMA, ranges), "net", method), Here(of)
    found = searched(crew, plan, before)
    assert len(found) == len(plan.space)
    assert all(plan.space.contains(one.parameters) for one in found)
    assert trials.stability_of(rank_trials(found, "net")[0], found, plan.space, "net").neighbours > 0


def test_screened_points_run_though_the_folder_holds_other_trials() -> None:
    before = [trial(n, float(n), **point) for n, point in enumerate(space().points())]
    *others, best = space().points()
    plan, crew = StudyPlan(space(), "net", "grid", 1), Here(spec(bars=400))
    found = search(plan, crew, before[: len(others)], lambda _: None, lambda *_: None, [best])
    assert crew.ran == [best]
    assert [one.parameters for one in found] == [best]


@contextmanager
def crews(kind: str) -> Iterator[Any]:
    payload = pack_spec(spec(bars=400), FILE_OF)
    with ExitStack() as closing:
        if kind == "processes":
            yield closing.enter_context(local_workers(payload, "net", 1, 1))
            return
        address = "local-cluster" if kind == "dask of its own" else closing.enter_context(scheduler())
        yield closing.enter_context(cluster_workers(payload, "net", 1, address, 1))


@contextmanager
def scheduler() -> Iterator[str]:
    """The address of a Dask scheduler with a worker, both threads of this process that talk over TCP."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize(
    "kind", ["processes", "dask at an address", pytest.param("dask of its own", marks=pytest.mark.long)]
)
def test_workers_give_what_this_process_gives(kind: str) -> None:
    plan = StudyPlan(parse_space(SMA, ["fast_period=3,6", "slow_period=12"]), "net")
    with crews(kind) as crew:
        found = searched(crew, plan)
    expected = searched(Here(spec(bars=400)), plan)
    by_point = {trial.parameters["fast_period"]: trial.trade_hash for trial in found}
    assert by_point == {trial.parameters["fast_period"]: trial.trade_hash for trial in expected}


# screening


@pytest.mark.parametrize("temper", ["gaps", "range", "trend", "wild"])
@pytest.mark.parametrize(
    ("direction", "product"),
    [(Direction.BOTH, Product.MIS), (Direction.SHORT, Product.MIS), (Direction.LONG, Product.CNC)],
)
def test_screening_trades_as_the_event_engine(temper: str, direction: Direction, product: Product) -> None:
    assert len(both_ways(spec(temper, direction), product=product)) > 100


@pytest.mark.parametrize("temper", ["gaps", "range", "trend", "wild"])
@pytest.mark.parametrize(
    ("timeframe", "direction", "product"),
    [
        ("3m", Direction.LONG, Product.CNC),
        ("5m", Direction.BOTH, Product.MIS),
        ("15m", Direction.BOTH, Product.MIS),
        ("1h", Direction.SHORT, Product.MIS),
    ],
)
def test_screening_of_a_longer_timeframe_trades_as_the_event_engine(
    temper: str, timeframe: str, direction: Direction, product: Product
) -> None:
    trips = both_ways(spec(temper, direction), product=product, timeframes=(timeframe,))
    assert timeframe == "1h" or len(trips) > 3


def test_screening_of_a_longer_timeframe_keeps_off_the_first_and_last_minutes() -> None:
    made = spec("gaps")
    made = dataclasses.replace(made, limits=replace(made.limits, avoid_first_minutes=40, avoid_last_minutes=50))
    assert len(both_ways(made, timeframes=("5m",))) < len(both_ways(spec("gaps"), timeframes=("5m",)))


def test_screening_of_a_timeframe_that_the_bars_cannot_make_is_refused() -> None:
    made = spec()
    coarse = bars_of("trend")
    coarse = Columns(coarse.instrument, "5m", coarse.start_ns[::5], coarse.table[:, ::5])
    with pytest.raises(screen.ScreenError, match="3m bars cannot be made of 5m bars; give finer data"):
        screen.screen_data(dataclasses.replace(made, data=(coarse,), run=replace(made.run, timeframes=("3m",))))
    with pytest.raises(screen.ScreenError, match="one timeframe, found NSE:SBIN in 1m, 5m"):
        screen.screen_data(dataclasses.replace(made, run=replace(made.run, timeframes=("1m", "5m"))))


SIGNS = {"BUY": 1.0, "SELL": -1.0}


@pytest.mark.parametrize("temper", ["trend", "gaps"])
@pytest.mark.parametrize("share", [0.0005, 0.001])
def test_screening_with_a_stop_makes_the_trips_of_the_engine(temper: str, share: float) -> None:
    made = spec(temper)
    stopped = both_ways(made, stop=StopPlan.BROKER, stop_loss_pct=share, product=Product.MIS)
    assert stopped != both_ways(made, product=Product.MIS)


def both_ways(made: Spec, **fields: Any) -> list[tuple[Any, ...]]:
    """The round trips of the screening, which are those of the event engine."""
    chosen = replace(made.run, parameters={"fast_period": 3, "slow_period": 8}, **fields)
    made = dataclasses.replace(made, run=chosen)
    result = run(made)
    on = screen.screen_data(made)
    figures, _, trips = screen.simulate(on, screen.compute_signals(SMA, chosen.parameters, on), 10_000)
    starts = made.data[0].start_ns
    rows = [(int(starts[int(a)]), int(starts[int(b)]), units, p, q) for a, b, units, p, q in trips.tolist()]
    expected = [
        (
            t.entry_ns,
            t.exit_ns - t.exit_ns % MINUTE,
            t.quantity * (1.0 if t.side == "BUY" else -1.0),
            t.entry_price,
            t.exit_price,
        )
        for t in result.ledger.trades
    ]
    assert rows == expected
    assert figures["net"] == pytest.approx(result.gross, abs=1e-6)
    return rows


def test_costs_of_a_screening_are_near_those_of_the_engine() -> None:
    from tests.kit.backtest_specs import fees

    made = dataclasses.replace(spec(), fees=fees())
    made = dataclasses.replace(made, run=replace(made.run, parameters={"fast_period": 3, "slow_period": 8}))
    result, on = run(made), screen.screen_data(made)
    figures, _, _ = screen.simulate(on, screen.compute_signals(SMA, made.run.parameters, on))
    assert figures["costs"] == pytest.approx(result.ledger.costs, rel=0.1)


def test_sweep_ranks_as_the_engine_does() -> None:
    made = spec("wild", bars=700)
    plan = StudyPlan(parse_space(SMA, ["fast_period=3:12:3", "slow_period=15:30:15"]), "net")
    swept = screen.screen_all(made, plan.space.points(), "net", 1, 2)
    engine = searched(Here(made), plan)
    assert [trial.parameters for trial in rank_trials(swept, "net")] == [
        trial.parameters for trial in rank_trials(engine, "net")
    ]


def test_strategy_without_positions_cannot_be_screened() -> None:
    class Plain(BaseStrategy):
        pass

    with pytest.raises(screen.ScreenError, match="positions"):
        screen.screen_data(spec_of(Plain, bars_of("trend")))


# luck


def trial(number: int, objective: float, returns: Sequence[float] = (), **parameters: Parameter) -> Trial:
    return Trial(number=number, parameters=parameters, objective=objective, returns=tuple(returns))


def test_expected_best_of_worthless_trials_is_what_simulation_shows() -> None:
    drawn = np.random.default_rng(1).standard_normal((20_000, 50)).max(axis=1).mean()
    assert trials.expected_best_sharpe(1.0, 50) == pytest.approx(drawn, rel=0.02)
    assert trials.expected_best_sharpe(1.0, 1) == 0.0


def test_deflated_sharpe_of_luck_is_low_and_of_merit_high() -> None:
    random = np.random.default_rng(7)
    noise = [trial(n, 0.0, random.normal(0, 0.01, 250)) for n in range(200)]
    lucky = max(noise, key=lambda one: np.mean(one.returns) / np.std(one.returns))
    assert trials.deflated_sharpe(lucky, noise).probability < 0.9
    good = trial(999, 0.0, random.normal(0.004, 0.01, 250))
    assert trials.deflated_sharpe(good, [*noise, good]).probability > 0.95
    assert math.isnan(trials.deflated_sharpe(trial(1, 1.0, (0.0, 0.0)), noise).probability)


def test_probabilistic_sharpe_equals_the_published_example() -> None:
    """Bailey and López de Prado (2012): 24 months, ratio 0.458, skew −2.448, kurtosis 10.164: 0.9130 above 0."""
    assert trials.probabilistic_sharpe(0.458, 0.0, -2.448, 10.164, 24) == pytest.approx(0.913, abs=2e-3)


def test_neighbours_of_a_spike_rank_low_and_of_a_plateau_high() -> None:
    grid = parse_space(SMA, ["fast_period=1:5", "slow_period=11:15"])
    spike = [trial(n, 9.0 if p["fast_period"] == 3 and p["slow_period"] == 13 else -abs(p["fast_period"] - 5.0), **p)
             for n, p in enumerate(grid.points())]  # fmt: skip
    plateau = [trial(n, -abs(p["fast_period"] - 3.0) - abs(p["slow_period"] - 13.0), **p)
               for n, p in enumerate(grid.points())]  # fmt: skip
    best = {name: rank_trials(trials, "net")[0] for name, trials in (("spike", spike), ("plateau", plateau))}
    low = trials.stability_of(best["spike"], spike, grid, "net")
    high = trials.stability_of(best["plateau"], plateau, grid, "net")
    assert (low.neighbours, high.neighbours) == (8, 8)
    assert low.rank < 0.6 < high.rank


@pytest.mark.parametrize(("lowest", "turns"), [(-1.0, True), (1.0, False)])
def test_heat_map_turns_its_colours_at_zero_only_if_some_lose(lowest: float, turns: bool) -> None:
    grid = space()
    trials = [trial(n, lowest + n, **point) for n, point in enumerate(grid.points())]
    assert heat_map(grid.axes[0], grid.axes[1], trials, "net").diverging is turns


def test_screened_search_of_a_longer_timeframe_gives_what_a_backtest_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    common = [*COMMON[:4], "-t", "5m", "--stop", "none"]
    space_of = ("-p", "fast_period=3,5", "-p", "slow_period=15", "--objective", "net", "--workers", "1")
    options = ("--screen", "--top", "1", "--report", str(tmp_path))
    body = reported("optimize", "SMA_Crossover", *common, *space_of, *options)
    best = body["best"][0]
    alone = reported("backtest", "SMA_Crossover", *common, *(f"-p{k}={v}" for k, v in best["parameters"].items()))
    assert (best["trade_hash"], best["trades"]) == (alone["trade_hash"], alone["trades"])
    assert best["trades"] > 3


# walking forward


def test_folds_judge_every_later_day_once_and_never_on_days_of_the_choice() -> None:
    days = np.array([1, 2, 3, 6, 7, 8, 9, 10, 13])
    rolling, anchored = (
        walk_forward.split_days(days, 4, 2, anchored=False),
        walk_forward.split_days(days, 4, 2, anchored=True),
    )
    assert [(fold.first, fold.split, fold.end) for fold in rolling] == [(1, 7, 9), (3, 9, 13), (7, 13, 14)]
    assert [fold.first for fold in anchored] == [1, 1, 1]
    judged = [int(day) for fold in rolling for day in days if fold.split <= day < fold.end]
    assert judged == [7, 8, 9, 10, 13]
    assert [fold.out_of_sample_days for fold in rolling] == [2, 2, 1]
    with pytest.raises(walk_forward.WalkError, match="found 9 days"):
        walk_forward.split_days(days, 9, 1, anchored=False)


# commands


def reported(*arguments: str) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*arguments, "--json"])
    assert found.exit_code == 0, found.output
    body: dict[str, Any] = json.loads(found.stdout)
    return body


COMMON = ("-d", str(ROOT / "tests" / "data" / "bars-trend.csv.gz"), "-i", "NSE:SBIN", "-t", "1m", "--stop", "none")


def test_screened_search_runs_the_best_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    space_of = ("-p", "fast_period=3:12:3", "-p", "slow_period=15:30:5", "--objective", "net", "--workers", "1")
    options = ("--screen", "--top", "2", "--report", str(tmp_path))
    body = reported("optimize", "SMA_Crossover", *COMMON, *space_of, *options)
    assert (body["trials"], body["screened"]) == (2, 16)
    assert len(body["best"]) == 2
    report = report_of(tmp_path)
    assert [one.draw for chart in charts_of(report, "Parameters") for one in chart.series] == ["heat"]
    notes = [block.text for section in report.sections for block in section.blocks if isinstance(block, ReportNote)]
    assert [note.split(" gave")[0] for note in notes] == ["2", "16"]
    assert "Run by the event engine, the best first" in titles(report)
    measures = column_of(tables_of(report, "What the best is worth")[0], "Measure")
    assert {"Deflated Sharpe ratio", "Probability of backtest overfitting"} <= set(measures)


def test_walk_forward_names_choices_and_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    space_of = ("-p", "fast_period=3,6", "-p", "slow_period=15", "--objective", "net", "--workers", "1")
    body = reported(
        "walk-forward", "SMA_Crossover", *COMMON, *space_of, "--train", "3", "--test", "2", "--report", str(tmp_path)
    )
    assert body["folds"]
    assert all(fold["parameters"]["fast_period"] in (3, 6) for fold in body["folds"])
    assert (tmp_path / "report.html").exists()


def test_walk_forward_into_a_folder_that_cannot_be_made_says_so_before_any_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "taken").write_text("a file")
    where = ("--train", "3", "--test", "2", "--on", "tcp://127.0.0.1:9", "--report", str(tmp_path / "taken" / "below"))
    found = CliRunner().invoke(app, ["walk-forward", "SMA_Crossover", *COMMON, "-p", "fast_period=3,6", *where])
    assert "name another folder with --report" in str(found.exception)


def test_search_without_a_range_says_how_one_is_written() -> None:
    found = CliRunner().invoke(app, ["optimize", "SMA_Crossover", *COMMON, "-p", "fast_period=3"])
    assert "expected a range to search" in str(found.exception)
