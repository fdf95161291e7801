"""Orders that screens ask risk about: sent until answered, answered once asked, and only so many kept."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.gateway.order_trials import KEPT, OrderTrials
from mytrading.messages.control import OrderTrial, OrderTrialResult

TRIAL = OrderTrial(id="t", account="main", strategy="S", instrument="NSE:SBIN", lots=1, asked_machine_ns=5)


def test_trial_is_sent_with_its_first_time_until_it_is_answered() -> None:
    trials = OrderTrials()
    assert trials.ask(TRIAL) is None
    assert trials.ask(replace(TRIAL, asked_machine_ns=9)) is None
    assert trials.take_unsent() == [TRIAL, TRIAL]
    trials.receive(answer := OrderTrialResult(id="t", at_ns=1))
    assert trials.ask(replace(TRIAL, asked_machine_ns=10)) == answer
    assert trials.take_unsent() == []


def test_another_order_under_a_used_id_gets_no_old_answer() -> None:
    trials = OrderTrials()
    trials.ask(TRIAL)
    trials.receive(OrderTrialResult(id="t", at_ns=1))
    assert trials.ask(replace(TRIAL, lots=2)) is None


def test_answers_to_nobody_and_old_ones_are_forgotten() -> None:
    trials = OrderTrials()
    trials.receive(OrderTrialResult(id="t", at_ns=1))
    assert trials.ask(TRIAL) is None
    trials.receive(OrderTrialResult(id="t", at_ns=1))
    for number in range(KEPT):
        trials.ask(replace(TRIAL, id=f"n{number}"))
    assert trials.ask(TRIAL) is None
