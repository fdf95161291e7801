"""A strategy tried on paper money: a stack of its own on the simulator, beside this one, with none of its accounts.

It is started by `mytrading up --simulator` in a state folder of its own, so it shares no books, journals or keys with
any other stack, reads no `.env`, and lives on when this console ends. There is one at a time; a new one ends it.
"""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.shell_commands import error_of, shell_environment, shell_words
from mytrading.daemons.console.user_store import UserStore, store_path
from mytrading.messages.console_api import PaperTrialState
from mytrading.messages.run_config import RUN_FILE, RunConfig, RunConfigError, decode_run_config
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.streams.endpoints import read_console_endpoint
from mytrading.runtime.supervision.control import supervisor_pid

FOLDER, PROFILE = "trials", "paper"
LONGEST_S = 120.0
"""Starting and stopping take so long at most."""


class PaperTrial:
    """The trial beside this console's stack. Its users are those of this console, with the same passwords."""

    def __init__(self, config: RunConfig, store: UserStore) -> None:
        self._config, self._store = config, store
        self.state = config.state.parent / FOLDER / PROFILE
        """Its state folder."""
        self._lock = threading.Lock()
        self._busy = ""
        self._strategy = ""
        self._error = ""

    def status(self) -> PaperTrialState:
        """Return the state of the paper trial, and where its own console listens."""
        found = self._running()
        if self._busy:
            return PaperTrialState(state=self._busy, strategy=self._strategy, address="", error="")
        if found is None:
            state = "failed" if self._error else "none"
            return PaperTrialState(state=state, strategy=self._strategy, address="", error=self._error)
        place = read_console_endpoint(found) or {}
        strategy = ", ".join(one.name for one in found.strategies)
        return PaperTrialState(state="running", strategy=strategy, address=str(place.get("url", "")), error="")

    def start(self, strategy: str) -> None:
        """Start a paper trial of this strategy with an empty state, after the end of one that runs; in a thread."""
        self._begin("starting", strategy, ("up", "--simulator", "--fresh", "--detach"))

    def stop(self) -> None:
        """Stop the paper trial, in a thread."""
        self._begin("stopping", self._strategy, ())

    def _begin(self, what: str, strategy: str, words: tuple[str, ...]) -> None:
        with self._lock:
            if self._busy:
                raise ApiRefused("REFUSED", f"the trial is {self._busy} already; wait until that is done")
            self._busy, self._strategy, self._error = what, strategy, ""
        threading.Thread(target=self._work, args=(strategy, words), name="console.trial", daemon=True).start()

    def _work(self, strategy: str, words: tuple[str, ...]) -> None:
        try:
            if self._running() is not None:
                self._run("down", "--profile", PROFILE)
            if words:
                self._store.copy_users(store_path(self.state))
                self._run(*words, ENABLED_STRATEGIES=strategy)
        except (OSError, ApiRefused, subprocess.TimeoutExpired) as error:
            self._error = error.error if isinstance(error, ApiRefused) else str(error)
            get_logger("console").warning("trial.failed", strategy=strategy, error=self._error)
        finally:
            self._busy = ""

    def _run(self, *words: str, **settings: str) -> None:
        """Run a command of the trial's own stack; raises `ApiRefused` with its error."""
        environment = {
            **{name: value for name, value in shell_environment(self._config).items() if "SUPERVISOR" not in name},
            "MYTRADING_STATE_DIR": str(self.state.parent),
            "MYTRADING_LOG_DIR": str(Path(self._config.log_dir).parent / FOLDER),
            **settings,
        }
        done = subprocess.run(
            shell_words(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LONGEST_S,
            cwd=self._config.home, env=environment,
        )  # fmt: skip
        if done.returncode:
            raise ApiRefused("REFUSED", error_of(done.stderr))

    def _running(self) -> RunConfig | None:
        """The configuration of the stack that runs; None if none does."""
        if not supervisor_pid(self.state):
            return None
        with suppress(RunConfigError):
            return decode_run_config(self.state / RUN_FILE)
        return None
