"""Routes of the trial on paper money: a strategy run beside this stack, on the simulator."""

from __future__ import annotations

from litestar import get, post
from litestar.datastructures import State
from litestar.params import JSONBody

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.actions_api import TRADER
from mytrading.daemons.console.authentication import audit
from mytrading.daemons.console.paper_trial import PaperTrial
from mytrading.daemons.console.research_words import check_strategy_name
from mytrading.messages import console_api as api


@get("/api/paper", sync_to_thread=True)
def show_paper(state: State) -> api.PaperTrialState:
    """Return the state of the paper trial, and the address of its own console."""
    trial: PaperTrial = state.trial
    return trial.status()


@post("/api/paper", opt=TRADER | {"action": "paper trial"}, sync_to_thread=True, status_code=200)
def start_paper(request: ConsoleRequest, state: State, data: JSONBody[api.PaperTrialStart]) -> api.PaperTrialState:
    """Start a trial of a strategy on the simulator, in place of one that runs."""
    trial: PaperTrial = state.trial
    trial.start(check_strategy_name(data.strategy))
    audit(request, "paper trial", data.strategy, "done", "")
    return trial.status()


@post("/api/paper/stop", opt=TRADER | {"action": "paper trial"}, sync_to_thread=True, status_code=200)
def stop_paper(request: ConsoleRequest, state: State) -> api.PaperTrialState:
    """Stop the paper trial."""
    trial: PaperTrial = state.trial
    trial.stop()
    audit(request, "paper trial", "stop", "done", "")
    return trial.status()


ROUTES = [show_paper, start_paper, stop_paper]
