"""Routes of research: runs over history put into the queue, looked at, and cancelled.

A run is a command of the shell. What a page gives becomes values of its options, after a check of its own: no name of a
strategy is a path, no data lies outside the project's folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.actions_api import TRADER
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.research_queue import ResearchQueue
from mytrading.daemons.console.user_store import wall_ms
from mytrading.messages import console_api as api

SEARCHES = ("optimize", "walk-forward")
SERVED = ("store", "openalgo", "model")
"""Data that is no file."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_.]*=[A-Za-z0-9_.,:%+ -]+")


@get("/api/research", sync_to_thread=True)
def show_research(state: State) -> list[api.ResearchJob]:
    """The runs of this console, the newest first."""
    queue: ResearchQueue = state.research
    return queue.jobs()


@post("/api/research", opt=TRADER, sync_to_thread=True, status_code=200)
def queue_research(request: ConsoleRequest, state: State, data: JSONBody[api.ResearchRequest]) -> list[api.ResearchJob]:
    """Queue a run; one of an id that was queued already is that one."""
    report = f"console/{data.kind}-{data.strategy}-{data.request_id[-12:]}"
    words = research_words(data, Path(state.config.home), report, state.config.profile)
    shown = " ".join(words[: words.index("--report")])
    job = api.ResearchJob(
        id=data.request_id, kind=data.kind, strategy=data.strategy, asked=shown, by=request.user.name, state="waiting",
        asked_wall_ms=wall_ms(), report=report,
    )  # fmt: skip
    queue: ResearchQueue = state.research
    taken = queue.add(job, words)
    state.store.audit(
        request.user.name, request.user.ip, "research", data.strategy, "done" if taken else "refused", shown,
        data.request_id,
    )  # fmt: skip
    if not taken:
        raise ApiRefused("REFUSED", "too many runs wait; cancel some, or wait for them")
    return queue.jobs()


@post("/api/research/{job:str}/cancel", opt=TRADER, sync_to_thread=True, status_code=200)
def cancel_research(request: ConsoleRequest, state: State, job: FromPath[str]) -> list[api.ResearchJob]:
    """End a run; what it has written stays."""
    queue: ResearchQueue = state.research
    if not queue.cancel(job):
        raise ApiRefused("REFUSED", "expected a run that waits or is under way; load the list again")
    state.store.audit(request.user.name, request.user.ip, "research cancel", job[:64], "done", "")
    return queue.jobs()


def research_words(asked: api.ResearchRequest, home: Path, report: str, profile: str) -> tuple[str, ...]:
    """Return the words of the command that a request stands for; raises `ApiRefused` with the field that is wrong."""
    if not _NAME.fullmatch(asked.strategy):
        raise ApiRefused("BAD_REQUEST", f"strategy: expected the name of one, found {asked.strategy!r}", "strategy")
    for text in asked.parameters:
        if not _PARAMETER.fullmatch(text):
            raise ApiRefused("BAD_REQUEST", f"parameters: expected NAME=VALUE, found {text!r}", "parameters")
    if asked.kind in SEARCHES and not asked.parameters:
        raise ApiRefused("BAD_REQUEST", "parameters: expected values to try, say fast_period=5:30:5", "parameters")
    options: list[tuple[str, object]] = [("--data", _data(home, text, "data")) for text in asked.data]
    options += [("--options", _data(home, text, "options")) for text in asked.options]
    options += [("--param", text) for text in asked.parameters]
    options += [
        ("--from", asked.first), ("--to", asked.last), ("--instrument", asked.instrument),
        ("--timeframe", asked.timeframe), ("--iv", asked.volatility), ("--capital", asked.capital),
        ("--lots", asked.lots),
    ]  # fmt: skip
    if asked.kind in SEARCHES:
        options += [
            ("--objective", asked.objective), ("--method", asked.method), ("--trials", asked.trials),
            ("--workers", asked.workers),
        ]  # fmt: skip
    if asked.kind == "walk-forward":
        options += [("--train", asked.train_days), ("--test", asked.test_days)]
    given = [f"{name}={value}" for name, value in options if value]
    return (
        asked.kind, *given, "--report", str(home / "runs" / report), "--profile", profile, "--", asked.strategy,
    )  # fmt: skip


def _data(home: Path, text: str, field: str) -> str:
    """A source of data: one that is served, or a file of the project, which may stand behind `INSTRUMENT=`."""
    instrument, equals, file = text.rpartition("=")
    path = (home / file).resolve()
    if text in SERVED:
        return text
    if not path.is_relative_to(home.resolve()) or not path.exists() or instrument.startswith("-"):
        what = f"{field}: expected {', '.join(SERVED)}, or a file in the project's folder; found {text!r}"
        raise ApiRefused("BAD_REQUEST", what, field)
    return f"{instrument}{equals}{path}"


ROUTES = [show_research, queue_research, cancel_research]
