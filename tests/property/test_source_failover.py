"""Failover between sources: the feed goes to one that is well, leaves a well one only for good, never ping-pongs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mytrading.core.feed.source_failover import ChoiceRules, Condition, SourceChoice, Switch, SwitchReason
from mytrading.core.time import SECOND

RULES = ChoiceRules(
    steady_ns=2 * SECOND, failback_ns=60 * SECOND, longest_steady_ns=16 * SECOND, longest_failback_ns=240 * SECOND
)
SPELLS = st.lists(st.tuples(st.sampled_from(Condition), st.integers(1, 90)), min_size=1, max_size=12)
"""What a source is, and for how many seconds; the last spell lasts for ever."""


def day(spells: list[list[tuple[Condition, int]]]) -> list[list[Condition]]:
    """The conditions of all sources, second by second."""
    rows = [[condition for condition, seconds in each for _ in range(seconds)] for each in spells]
    length = max(map(len, rows))
    return [list(now) for now in zip(*(row + row[-1:] * (length - len(row)) for row in rows), strict=True)]


def play(seconds: list[list[Condition]]) -> list[tuple[int, Switch]]:
    choice = SourceChoice(len(seconds[0]), RULES)
    found = [(at, choice.choose(conditions, at * SECOND)) for at, conditions in enumerate(seconds)]
    return [(at, switch) for at, switch in found if switch is not None]


@given(st.lists(SPELLS, min_size=2, max_size=3))
def test_switch_goes_only_to_a_source_that_was_well_long_enough(spells: list[list[tuple[Condition, int]]]) -> None:
    seconds = day(spells)
    for at, switch in play(seconds):
        wait = 2 if switch.reason is SwitchReason.TAKEOVER else 60
        assert at >= wait
        assert all(conditions[switch.to] is Condition.WELL for conditions in seconds[at - wait : at + 1])


@given(st.lists(SPELLS, min_size=2, max_size=3))
def test_source_that_is_not_sick_is_left_only_for_a_better_one(spells: list[list[tuple[Condition, int]]]) -> None:
    seconds = day(spells)
    for at, switch in play(seconds):
        assert (switch.reason is SwitchReason.TAKEOVER) == (seconds[at][switch.previous] is Condition.SICK)
        assert switch.reason is SwitchReason.TAKEOVER or switch.to < switch.previous


@given(st.lists(SPELLS, min_size=2, max_size=3))
def test_sick_source_is_left_at_once_while_another_is_well_for_the_longest_wait(
    spells: list[list[tuple[Condition, int]]],
) -> None:
    seconds = day(spells)
    choice = SourceChoice(len(spells), RULES)
    well = [0] * len(spells)
    for at, conditions in enumerate(seconds):
        choice.choose(conditions, at * SECOND)
        well = [count + 1 if now is Condition.WELL else 0 for count, now in zip(well, conditions, strict=True)]
        if conditions[choice.active] is Condition.SICK:
            assert max(well) <= 17


@given(st.lists(SPELLS, min_size=2, max_size=3))
def test_sources_never_ping_pong(spells: list[list[tuple[Condition, int]]]) -> None:
    """A source fails three times in quick succession at most; after that it serves again only after longer waits."""
    seconds = day(spells)
    returns: dict[int, list[int]] = {}
    for at, switch in play(seconds):
        returns.setdefault(switch.to, []).append(at)
    for times in returns.values():
        for failures, (before, after) in enumerate(pairwise(times)):
            assert after - before > min(2 << max(0, failures - 1), 16)


@given(st.lists(st.integers(1, 59), min_size=2, max_size=40))
def test_primary_that_flaps_faster_than_the_failback_changes_nothing(spans: list[int]) -> None:
    flapping = [(Condition.SICK if turn % 2 == 0 else Condition.WELL, span) for turn, span in enumerate([5, *spans])]
    if flapping[-1][0] is Condition.WELL:
        flapping.append((Condition.SICK, 1))
    switches = play(day([flapping, [(Condition.WELL, 1)]]))
    assert [(at, switch.to) for at, switch in switches] == [(2, 1)]


def test_both_sources_flapping_in_turns_change_the_feed_ever_more_rarely() -> None:
    turn = 6
    seconds = [
        [Condition.WELL, Condition.SICK] if (at // turn) % 2 else [Condition.SICK, Condition.WELL]
        for at in range(turn * 200)
    ]
    assert len(play(seconds)) <= 8
