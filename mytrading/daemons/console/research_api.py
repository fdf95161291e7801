"""Routes of research: runs over history put into the queue, looked at, and cancelled."""

from __future__ import annotations

from pathlib import Path

from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.actions_api import TRADER
from mytrading.daemons.console.authentication import audit
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.research_queue import ResearchQueue
from mytrading.daemons.console.research_words import research_words
from mytrading.daemons.console.user_store import wall_ms
from mytrading.messages import console_api as api


@get("/api/research", sync_to_thread=True)
def show_research(state: State) -> list[api.ResearchJob]:
    """List the research runs of this console, the newest first."""
    queue: ResearchQueue = state.research
    return queue.jobs()


@post("/api/research", opt=TRADER | {"action": "research"}, sync_to_thread=True, status_code=200)
def queue_research(request: ConsoleRequest, state: State, data: JSONBody[api.ResearchRequest]) -> list[api.ResearchJob]:
    """Queue a research run; a repeated id is the run that has it."""
    report = f"console/{data.kind}-{data.strategy}-{data.request_id[-12:]}"
    words = research_words(data, Path(state.config.home), report, state.config.profile)
    shown = " ".join(words[: words.index("--report")])
    job = api.ResearchJob(
        id=data.request_id, kind=data.kind, strategy=data.strategy, asked=shown, by=request.user.name, state="waiting",
        asked_wall_ms=wall_ms(), report=report, request=data,
    )  # fmt: skip
    queue: ResearchQueue = state.research
    taken = queue.add(job)
    audit(request, "research", data.strategy, "done" if taken else "refused", shown, data.request_id)
    if not taken:
        raise ApiRefused("REFUSED", "too many runs wait; cancel some, or wait for them")
    return queue.jobs()


@post(
    "/api/research/{job:str}/cancel", opt=TRADER | {"action": "research cancel"}, sync_to_thread=True, status_code=200
)
def cancel_research(request: ConsoleRequest, state: State, job: FromPath[str]) -> list[api.ResearchJob]:
    """Cancel a research run; its files stay."""
    queue: ResearchQueue = state.research
    if not queue.cancel(job):
        raise ApiRefused("REFUSED", "expected a run that waits or is under way; load the list again")
    audit(request, "research cancel", job[:64], "done", "")
    return queue.jobs()


ROUTES = [show_research, queue_research, cancel_research]
