"""A source's pulse, and the choice between primary and backup on the ways that matter most."""

from __future__ import annotations

from mytrading.core.feed.source_failover import ChoiceRules, Condition, Pulse, SourceChoice, Switch, SwitchReason
from mytrading.core.time import SECOND

WELL, DOUBTFUL, SICK = Condition.WELL, Condition.DOUBTFUL, Condition.SICK


def pulse(expects: int = 1) -> Pulse:
    made = Pulse(13 * SECOND, 5 * SECOND, 0)
    made.record_connect(0)
    made.expect(expects, 0)
    return made


def test_connected_source_without_a_tick_is_neither_well_nor_sick_at_first() -> None:
    made = pulse()
    assert not made.is_well(SECOND) and not made.is_sick(SECOND)
    made.record_quote(SECOND)
    assert made.is_well(SECOND)


def test_mute_source_is_found_within_fifteen_seconds_and_after_a_freeze_of_ten_is_not() -> None:
    made = pulse()
    made.record_quote(SECOND)
    assert made.is_well(12 * SECOND) and not made.take_due_reconnect(12 * SECOND)
    assert made.is_mute(15 * SECOND) and made.is_sick(15 * SECOND)
    assert made.take_due_reconnect(15 * SECOND)
    assert not made.take_due_reconnect(16 * SECOND)


def test_fresh_connection_that_stays_mute_is_given_up_at_growing_intervals() -> None:
    made = pulse()
    made.record_quote(0)
    times = []
    for second in range(1, 600):
        if made.take_due_reconnect(second * SECOND):
            times.append(second)
            made.record_loss()
            made.record_connect(second * SECOND)
    assert [b - a for a, b in zip([0, *times], times, strict=False)] == [14, 27, 53, 105, 209]


def test_tick_on_connecting_does_not_heal_what_falls_mute_again_at_once() -> None:
    made = pulse()
    made.record_quote(0)
    found = []
    for second in range(1, 200):
        if made.take_due_reconnect(second * SECOND):
            found.append(second)
            made.record_connect(second * SECOND)
            made.record_quote(second * SECOND)
    assert found == [14, 41, 94, 199]
    for second in range(200, 700):
        made.record_quote(second * SECOND)
    assert made.take_due_reconnect(714 * SECOND)


def test_closed_market_expects_nothing_and_opening_starts_the_count() -> None:
    made = pulse()
    for second in range(100):
        made.expect(0, second * SECOND)
    assert made.is_well(99 * SECOND) and not made.is_mute(99 * SECOND)
    made.expect(1, 100 * SECOND)
    assert not made.is_well(100 * SECOND) and not made.is_sick(100 * SECOND)
    assert made.is_sick(114 * SECOND)


def test_quiet_instruments_are_given_more_time() -> None:
    made = pulse(expects=12)
    assert not made.is_mute(100 * SECOND)
    assert made.is_mute(157 * SECOND)


def test_lost_connection_is_sick_after_its_own_shorter_wait() -> None:
    made = pulse()
    made.record_quote(0)
    made.record_loss()
    assert not made.is_well(SECOND) and not made.is_sick(5 * SECOND)
    assert made.is_sick(6 * SECOND) and not made.is_mute(6 * SECOND)


def run(choice: SourceChoice, seconds: range, *conditions: Condition) -> list[tuple[int, Switch]]:
    found = [(second, choice.choose(conditions, second * SECOND)) for second in seconds]
    return [(second, switch) for second, switch in found if switch is not None]


def test_sick_primary_is_left_at_once_and_gets_the_feed_back_after_minutes_of_health() -> None:
    choice = SourceChoice(2, ChoiceRules())
    assert run(choice, range(10), WELL, WELL) == []
    assert run(choice, range(10, 12), SICK, WELL) == [(10, Switch(0, 1, SwitchReason.TAKEOVER))]
    assert run(choice, range(12, 400), WELL, WELL) == [(312, Switch(1, 0, SwitchReason.FAILBACK))]
    assert choice.switches == 2


def test_health_with_a_break_starts_the_minutes_anew() -> None:
    choice = SourceChoice(2, ChoiceRules())
    run(choice, range(10), SICK, WELL)
    assert run(choice, range(10, 300), WELL, WELL) == []
    assert run(choice, range(300, 301), DOUBTFUL, WELL) == []
    assert run(choice, range(301, 700), WELL, WELL) == [(601, Switch(1, 0, SwitchReason.FAILBACK))]


def test_primary_that_failed_again_waits_twice_as_long() -> None:
    choice = SourceChoice(2, ChoiceRules())
    run(choice, range(10), SICK, WELL)
    run(choice, range(10, 311), WELL, WELL)
    assert choice.active == 0
    assert [switch for _, switch in run(choice, range(320, 330), SICK, WELL)] == [Switch(0, 1, SwitchReason.TAKEOVER)]
    assert [at for at, _ in run(choice, range(330, 1000), WELL, WELL)] == [930]


def test_backup_that_is_not_well_does_not_take_over() -> None:
    choice = SourceChoice(2, ChoiceRules())
    assert run(choice, range(100), SICK, DOUBTFUL) == []
    assert run(choice, range(100, 200), SICK, SICK) == []


def test_backup_that_fails_too_gives_the_feed_to_a_primary_that_came_back() -> None:
    choice = SourceChoice(2, ChoiceRules())
    run(choice, range(5), SICK, WELL)
    assert run(choice, range(5, 60), WELL, WELL) == []
    assert [switch.to for _, switch in run(choice, range(60, 61), WELL, SICK)] == [0]


def test_best_of_several_healthy_backups_takes_over() -> None:
    choice = SourceChoice(3, ChoiceRules())
    assert [switch.to for _, switch in run(choice, range(5), SICK, WELL, WELL)] == [1]
    assert [switch.to for _, switch in run(choice, range(5, 10), SICK, SICK, WELL)] == [2]
    assert [switch for _, switch in run(choice, range(10, 400), SICK, WELL, WELL)] == [
        Switch(2, 1, SwitchReason.FAILBACK)
    ]


def test_source_alone_is_kept() -> None:
    choice = SourceChoice(1, ChoiceRules())
    assert run(choice, range(100), SICK) == []
