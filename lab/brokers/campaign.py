"""A run over brokers, chapter by chapter: several stages side by side, each playing its cases one after another."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lab.brokers import uneven_books
from lab.brokers.cases import CASES, Case, carried_night, refuses_entries
from lab.brokers.prices import ENTERED, PRICES, SPEED, watched_at
from lab.brokers.results import FAILED, LEFT_OUT, PASSED, BrokerResult, CaseResult
from lab.brokers.stage import ENDING, FUTURE, SHARES, Stage, Unplayed, UpEnded
from mytrading.simulator.settings.broker_profile import broker_profiles

REFUSED = ("groww", "paytm")
"""Brokers whose server cannot keep a stop, or whose books cannot be believed: entries have to be refused."""
LISTED = ("deltaexchange", "dhan_sandbox")
"""Brokers that are no broker of Indian markets, or no broker: listed, not conformed."""
SIDE_BY_SIDE = 16
"""Stages that fit into two cores: one takes 6 % of a core while its market runs, and six seconds of one to start."""

FAST_SIDE_BY_SIDE = 6
"""The same of markets at twenty times the speed, which take a third of a core each."""
ORDERS, PRICED = "orders", "prices"
CHAPTERS = (ORDERS, PRICED)
"""A life of positions in cases, and an hour of market data at each broker."""

Progress = Callable[[str], None]


class Wanted(NamedTuple):
    """What is to be run: `cases` are parts of names, none for all, as with `chapters`. `keep` keeps the folders of good
    brokers too."""

    home: Path
    brokers: Sequence[str]
    cases: Sequence[str] = ()
    side_by_side: int = SIDE_BY_SIDE
    keep: bool = False
    chapters: Sequence[str] = ()


def conformed_brokers() -> list[str]:
    """Return the brokers that are conformed: all of the simulator's profiles but those that are only listed."""
    return sorted(set(broker_profiles()) - set(LISTED))


def run(wanted: Wanted, progress: Progress) -> list[BrokerResult]:
    """Play all brokers and return their results in the order of `wanted.brokers`."""
    chapters = [_run_chapter(wanted, name, progress) for name in CHAPTERS if name in (wanted.chapters or CHAPTERS)]
    return [
        BrokerResult(parts[0].broker, [case for part in parts for case in part.cases], parts[0].not_known)
        for parts in zip(*chapters, strict=True)
    ]


def _run_chapter(wanted: Wanted, chapter: str, progress: Progress) -> list[BrokerResult]:
    done = itertools.count(1)

    def play(broker: str) -> BrokerResult:
        result = play_broker(wanted, broker, progress, chapter)
        if not result.cases:
            return result
        word = "good" if result.is_good else f"{result.number(FAILED)} failed"
        at = f"{chapter} [{next(done)}/{len(wanted.brokers)}]"
        progress(f"{at} {broker}: {word}, {result.number(LEFT_OUT)} left out")
        return result

    most = wanted.side_by_side if chapter == ORDERS else min(wanted.side_by_side, FAST_SIDE_BY_SIDE)
    with ThreadPoolExecutor(max_workers=most) as pool:
        try:
            return list(pool.map(play, wanted.brokers))
        except BaseException:
            ENDING.set()  # the stages that play take themselves down, those that wait are not begun
            pool.shutdown(cancel_futures=True)
            raise


def play_broker(wanted: Wanted, broker: str, progress: Progress, chapter: str = ORDERS) -> BrokerResult:
    """Play a chapter's cases of one broker; folders of stages on which all passed are removed."""
    folder = Path(tempfile.mkdtemp(prefix=f"mytrading-{broker}-"))
    cast = _casting(broker, wanted.cases) if chapter == ORDERS else _chosen([(PRICES, ENTERED)], wanted.cases)
    left, results = list(cast), list[CaseResult]()
    while left and not ENDING.is_set():
        place = folder / f"stage-{len(results) + 1:02d}"
        played = _play_on_a_stage(chapter, wanted.home, place, broker, left, progress)
        results += played
        left = left[len(played) :]
    result = BrokerResult(broker, results, broker_profiles()[broker].silent)
    if result.is_good and not wanted.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _stage(chapter: str, home: Path, folder: Path, broker: str) -> Stage:
    """A stage for a chapter: that of prices has a fast market with uneven books, and watches more."""
    enters = broker not in REFUSED
    if chapter == ORDERS:
        return Stage(folder, home, broker, enters=enters)
    return Stage(folder, home, broker, enters=enters, speed=SPEED, watch=watched_at, simulator=uneven_books.__name__)


def _play_on_a_stage(
    chapter: str, home: Path, folder: Path, broker: str, left: Sequence[tuple[Case, str]], progress: Progress
) -> list[CaseResult]:
    """Play cases until one fails: what it left behind would be judged with the next, which gets a stage of its own."""
    results: list[CaseResult] = []
    try:
        with _stage(chapter, home, folder, broker) as stage:
            for case, instrument in left:
                results.append(play_case(stage, case, instrument))
                progress(_line(results[-1]))
                if results[-1].word == FAILED or ENDING.is_set():
                    break
    except UpEnded as error:
        results.append(_not_started(broker, left[0][0], str(error), folder))
        progress(_line(results[-1]))
    except Exception as error:  # noqa: BLE001  a defect of the harness costs one case and not the run
        seen = (repr(error), *traceback.format_exc().splitlines(), f"logs and books in {folder}")
        results.append(
            CaseResult(broker, left[min(len(results), len(left) - 1)][0].name, FAILED, {"unplayed": 1}, seen)
        )
        progress(_line(results[-1]))
    return results


def _not_started(broker: str, case: Case, why: str, folder: Path) -> CaseResult:
    """A stack that does not start at all is what a refused broker may expect, if its name is in the reason."""
    if broker in REFUSED and broker in why.lower():
        return CaseResult(broker, case.name, PASSED, {}, ())
    return CaseResult(broker, case.name, FAILED, {"unplayed": 1}, (why, f"logs and books in {folder}"))


def _casting(broker: str, parts: Sequence[str]) -> Iterable[tuple[Case, str]]:
    """The cases of a broker with the instrument of each."""
    if broker in REFUSED:
        return _chosen(
            [(Case("entries are refused", refuses_entries, lambda _: ""), f"NSE:{next(iter(SHARES))}")], parts
        )
    cast = zip(CASES, itertools.cycle(SHARES), strict=False)
    chosen = ((case, FUTURE if case.play is carried_night else f"NSE:{share}") for case, share in cast)
    return _chosen(chosen, parts)


def _chosen(cast: Iterable[tuple[Case, str]], parts: Sequence[str]) -> list[tuple[Case, str]]:
    return [one for one in cast if not parts or any(part in one[0].name for part in parts)]


def play_case(stage: Stage, case: Case, instrument: str) -> CaseResult:
    """Play a case and judge it by the venue's record; a story that could not go on is a finding as well."""
    if why := case.needs(stage):
        return CaseResult(stage.broker, case.name, LEFT_OUT, {}, (why,))
    stage.begin_case()
    began, unplayed = time.monotonic(), []
    try:
        case.play(stage, instrument)
    except (Unplayed, OSError) as error:
        unplayed.append(str(error))
    stage.compare_ledger(instrument)
    verdict = stage.judge(instrument)
    more = {kind: len(lines) for kind, lines in stage.findings.items()}
    counts = {**verdict.counts, **more, "unplayed": len(unplayed)}
    lines = [*verdict.lines, *itertools.chain(*stage.findings.values()), *unplayed]
    word = FAILED if lines else PASSED
    if lines:
        lines += [f"books: {stage.books(instrument)}", *stage.alert_lines(), f"logs and books in {stage.folder}"]
    return CaseResult(stage.broker, case.name, word, counts, lines, time.monotonic() - began)


def _line(result: CaseResult) -> str:
    what = f": {result.lines[0]}" if result.lines else ""
    return f"{result.broker}: {result.case}: {result.word} ({result.seconds:.0f} s){what}"
