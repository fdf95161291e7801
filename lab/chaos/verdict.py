"""Verdict on a run: counts that must be zero, and further figures, from the records of both sides.

Pure: records in, figures out. The simulator's own records are the truth; our journals are what is judged by it, and
every figure that is not zero comes with a line that says where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from lab.chaos import order_audit
from lab.chaos.evidence import HARMLESS, Evidence
from lab.chaos.figures import figures
from lab.chaos.host_pauses import PAUSE
from lab.chaos.limit_audit import Most, limit_breaches
from lab.chaos.operator_audit import unanswered
from lab.chaos.records import Broken, Held
from lab.chaos.unprotected_time import Stretch, stretches
from mytrading.core.time import SECOND
from mytrading.simulator.venue.event_log import CALL, STARTED, LoggedEvent

_GATHERED_S = 1.5
"""After the simulator was stopped, what had gathered at its door comes in at once, whenever it was sent."""
_UP_S = 30
"""For so long after its start a simulator may still be making up its day."""
_COUNTED = ("duplicated", "lost", "position_differs", "bare_seconds", "rate_breaches", "limit_breaches")
_ON_THE_WAY = frozenset({"", "router", "reconciler", "simulator", "supervisord"})
"""Processes whose trouble keeps a stop from its place; an empty target is the whole machine's."""


class Bounds(NamedTuple):
    """The allowed times. Seconds; `poll` is the interval of the reconciler's reads of the order book."""

    healthy: float = 5.0
    settle: float = 2.0
    recovery: float = 10.0
    poll: float = 10.0
    calls: int = 10
    """Order calls that the exchange takes in a rolling and in a calendar second."""
    most_positions: int = 1_000_000
    guarded: frozenset[str] = frozenset()
    """Strategies whose stops rest at the broker."""
    order_value: float = 0.0
    position_value: float = 0.0
    """Rupees that one entry, and what is held of one instrument, may be worth; 0: not judged."""


class Verdict(NamedTuple):
    """`must_be_zero` by name, the other figures as they are printed, and a line for each thing found."""

    must_be_zero: dict[str, float]
    figures: dict[str, Any]
    findings: tuple[str, ...]

    @property
    def good(self) -> bool:
        """True if all figures that must be zero are."""
        return not any(self.must_be_zero.values())


def judge(evidence: Evidence | Mapping[str, Evidence], bounds: Bounds) -> Verdict:
    """The verdict; of several accounts, each by its own evidence, together."""
    sides = {"": evidence} if isinstance(evidence, Evidence) else evidence
    found = {name: _found(side, bounds) for name, side in sides.items()}
    verify, crashes = next(iter(sides.values())).verify, next(iter(sides.values())).crashes
    zero = {
        what: round(sum(each[what] for each, _, _, _ in found.values()), 3) for what in _COUNTED
    } | {"verify_differs": len(verify), "crashed": len(crashes)}  # fmt: skip
    lines = [f"{name}: {line}".removeprefix(": ") for name, each in found.items() for line in each[1]]
    pairs = [(sides[name], each[2]) for name, each in found.items()]
    gathered = sum(each[3] for each in found.values())
    return Verdict(zero, {**figures(pairs), "calls_gathered": gathered}, (*lines, *verify, *crashes))


def with_alerts(verdict: Verdict, answered: int, wrong: Sequence[str]) -> Verdict:
    """Return the verdict with that on alerts over HTTP: how many were answered, and a line for each wrong answer."""
    zero = verdict.must_be_zero | {"alerts_wrong": len(wrong)}
    return Verdict(zero, verdict.figures | {"alerts": answered}, (*verdict.findings, *wrong))


def _found(evidence: Evidence, bounds: Bounds) -> tuple[dict[str, float], list[str], list[Stretch], int]:
    """Return one account's counts that must be zero, a line for each finding, bare stretches, and gathered calls."""
    broker, ours = evidence.broker, evidence.ours
    doubled = order_audit.duplicated(broker.orders, ours)
    lost = [*order_audit.lost(broker.orders, ours), *unanswered(ours)]
    differing = differences(broker.net, ours.net, ours.unmanaged)
    bare = stretches(broker.events, ours.orders, bounds.guarded, evidence.end_ns)
    beyond = [(stretch, over) for stretch in bare if (over := beyond_allowance(stretch, evidence.broken, bounds))]
    breaches, gathered = rate_breaches(evidence, bounds.calls)
    limits = breaches_of_limits(evidence, bounds)
    findings = [*doubled, *lost, *differing, *(_bare_line(*each) for each in beyond), *breaches, *limits]
    zero = {
        "duplicated": len(doubled),
        "lost": len(lost),
        "position_differs": len(differing),
        "bare_seconds": round(sum(over for _, over in beyond), 3),
        "rate_breaches": len(breaches),
        "limit_breaches": len(limits),
    }
    return zero, findings, bare, gathered


def breaches_of_limits(evidence: Evidence, bounds: Bounds) -> list[str]:
    """Entries that the broker got after a limit was reached."""
    most = Most(bounds.most_positions, bounds.order_value, bounds.position_value)
    return limit_breaches(evidence.broker.events, evidence.ours, most, evidence.broken)


def differences(broker: dict[Held, int], ours: dict[Held, int], unmanaged: dict[Held, int]) -> list[str]:
    """Return the instruments in which the simulator's net is not our positions plus unmanaged units."""
    found = []
    for held in sorted({*broker, *ours, *unmanaged}):
        there, here, beside = broker.get(held, 0), ours.get(held, 0), unmanaged.get(held, 0)
        if there != here + beside:
            found.append(f"position {held[0]} {held[1]}: {there} at the broker, {here} owned and {beside} unmanaged")
    return found


def beyond_allowance(stretch: Stretch, broken: Iterable[Broken], bounds: Bounds) -> float:
    """Seconds that a bare stretch lasted longer than it may.

    It may last `healthy` seconds. What is broken before that is over, or the time it earns, earns time until its own
    end plus what settling, recovery and one poll take.
    """
    grace = round((bounds.settle + bounds.recovery + bounds.poll) * SECOND)
    until = stretch.begin_ns + round(bounds.healthy * SECOND)
    for thing in sorted(broken):
        excuses = thing.what not in HARMLESS and thing.target in _ON_THE_WAY
        if excuses and thing.end_ns + grace > stretch.begin_ns and thing.begin_ns <= until:
            until = max(until, thing.end_ns + grace)
    return round(max(0, stretch.end_ns - until) / SECOND, 3)


def _bare_line(stretch: Stretch, over: float) -> str:
    owner = stretch.owner
    lasted = (stretch.end_ns - stretch.begin_ns) / SECOND
    what = f"{owner.strategy} in {owner.instrument} {owner.product} lay bare for {lasted:.1f} s from {stretch.begin_ns}"
    return f"{what}, {over:.1f} s too long"


def rate_breaches(evidence: Evidence, most: int) -> tuple[list[str], int]:
    """Order calls beyond the most of a rolling or a calendar second, and how many came in gathered by a stop."""
    stopped = [
        (thing.begin_ns, thing.end_ns + round(_GATHERED_S * SECOND))
        for thing in evidence.broken
        if thing.what in ("hang", "stutter", "starve", "nice", PAUSE) and thing.target in ("", "simulator")
    ]
    stopped += _after_starting(evidence.broker.events)
    times = sorted(event.machine_ns for event in evidence.broker.events if event.kind == CALL)
    for thing in evidence.broken:  # the calls of somebody else are not the router's
        if thing.what == "by_hand" and (at := next((t for t in times if thing.begin_ns <= t <= thing.end_ns), 0)):
            times.remove(at)
    plain = [at for at in times if not any(begin <= at <= end for begin, end in stopped)]
    found = []
    for place, at in enumerate(plain):
        rolling = sum(1 for other in plain[max(0, place - 4 * most) : place + 1] if at - other < SECOND)
        calendar = sum(1 for other in plain[max(0, place - 4 * most) : place + 1] if other // SECOND == at // SECOND)
        if max(rolling, calendar) > most:
            found.append(f"order call at {at}: {rolling} in a rolling, {calendar} in a calendar second, {most} allowed")
    return found, len(times) - len(plain)


def _after_starting(events: Sequence[LoggedEvent]) -> list[tuple[int, int]]:
    """Return the spans after silences of a simulator that had just come up, as begin and end.

    It makes up its day first, and whoever calls meanwhile waits at its door.
    """
    found = []
    started = -_UP_S * SECOND
    for before, after in pairwise(events):
        started = before.machine_ns if before.kind == STARTED else started
        silent = after.machine_ns - before.machine_ns > _GATHERED_S * SECOND
        if silent and after.machine_ns - started < _UP_S * SECOND:
            found.append((after.machine_ns, after.machine_ns + round(_GATHERED_S * SECOND)))
    return found
