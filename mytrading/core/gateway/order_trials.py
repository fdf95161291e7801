"""Orders that screens ask risk about: those to be sent to it, and its answers, by the id that the screen gave."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.messages.control import OrderTrial, OrderTrialResult

KEPT = 100


class OrderTrials:
    """The newest trials and their results. A trial is sent to risk each time that it is asked, until it is answered."""

    def __init__(self) -> None:
        self._trials: dict[str, OrderTrial] = {}
        self._results: dict[str, OrderTrialResult] = {}
        self._unsent: list[OrderTrial] = []

    def ask(self, trial: OrderTrial) -> OrderTrialResult | None:
        """Return the result of a trial; None if there is none yet, and then the trial is to be sent."""
        known = self._trials.get(trial.id)
        if known is not None and replace(trial, asked_machine_ns=known.asked_machine_ns) == known:
            trial = known
        else:  # new, or another order under an id that was used
            self._results.pop(trial.id, None)
            self._trials.pop(trial.id, None)
            self._trials[trial.id] = trial
            for old in list(self._trials)[:-KEPT]:
                del self._trials[old]
                self._results.pop(old, None)
        found = self._results.get(trial.id)
        if found is None:
            self._unsent.append(trial)
        return found

    def take_unsent(self) -> list[OrderTrial]:
        """Return the trials to be sent to risk now, once."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def receive(self, result: OrderTrialResult) -> None:
        """Keep an answer of risk to a trial that was asked here."""
        if result.id in self._trials:
            self._results[result.id] = result
