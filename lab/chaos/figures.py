"""Figures of a run beside the verdict: acts, orders, and how long things took.

Pure. Times in which something stood in the way are listed apart, never left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lab.bench.results import percentile
from lab.chaos.evidence import HARMLESS, Evidence
from lab.chaos.host_pauses import PAUSE
from lab.chaos.operator_audit import counted
from lab.chaos.records import Beat, Broken, Moved, Ours
from lab.chaos.unprotected_time import Stretch
from mytrading.core.orders.state_machine import UNRESOLVED
from mytrading.core.time import SECOND
from mytrading.simulator.venue.event_log import FAULT, STARTED

_KILLS = frozenset({"kill", "leave"})
_ENDS = frozenset({"kill", "leave", "restart"})
_SECOND_STARTS_S = 6.0
"""For so long after its end a process that comes up again takes the machine's time."""
_AWAY = frozenset({"kill", "hang", "restart", "starve", "stutter", "token_rollover", PAUSE})


def figures(sides: Sequence[tuple[Evidence, Sequence[Stretch]]]) -> dict[str, Any]:
    """The figures of all accounts together, each with its bare stretches."""
    broken = sorted({thing for evidence, _ in sides for thing in evidence.broken})
    events = [event for evidence, _ in sides for event in evidence.broker.events]
    acts = Counter(thing.what for thing in broken)
    faults = Counter(str(event.body) for event in events if event.kind == FAULT)
    spans = [_fill_to_stop(evidence, bare) for evidence, bare in sides]
    alone, burst, disturbed = recoveries(broken, sides[0][0].beats)
    times = {
        "recovery_s": alone,
        "recovery_burst_s": burst,
        "recovery_disturbed_s": disturbed,
        "fill_to_stop_s": [seconds for clean, _ in spans for seconds in clean],
        "fill_to_stop_disturbed_s": [seconds for _, rest in spans for seconds in rest],
    }
    unknown = [name_state for evidence, _ in sides for name_state in _unknowns(evidence.ours.moves, evidence.ours)]
    return {
        "kills": sum(acts[kind] for kind in _KILLS),
        "acts": {kind: count for kind, count in sorted(acts.items()) if kind not in faults},
        "paused_s": round(sum(thing.end_ns - thing.begin_ns for thing in broken if thing.what == PAUSE) / SECOND, 1),
        "faults": sum(faults.values()),
        "faults_by_kind": dict(sorted(faults.items())),
        "accounts": len(sides),
        "orders": sum(len(evidence.broker.orders) for evidence, _ in sides),
        "filled": dict(sorted(sum((_filled(evidence) for evidence, _ in sides), Counter[str]()).items())),
        "of_slices": sum(bool(order.links.parent) for evidence, _ in sides for order in evidence.ours.orders.values()),
        "limits_reached": sum(len(evidence.ours.losses) for evidence, _ in sides),
        "flattens": sum(len(evidence.ours.flattens) for evidence, _ in sides),
        "requests": dict(sorted(sum((counted(evidence.ours) for evidence, _ in sides), Counter[str]()).items())),
        "unknowns": {"count": len(unknown), "ended": dict(sorted(Counter(unknown).items()))},
        "ghosts": sum(
            len({move.order.client_order_id for move in evidence.ours.moves if move.event == "ghost"})
            for evidence, _ in sides
        ),
        "starts_of_the_simulator": sum(event.kind == STARTED for event in events),
        "protection_in_doubt_s": round(sum(in_doubt(side.ours.moves, side.end_ns) for side, _ in sides), 1),
        **{name: spread(values) for name, values in times.items()},
        "samples": {name: " ".join(f"{value:.3f}" for value in values) for name, values in times.items()},
    }


def _filled(evidence: Evidence) -> Counter[str]:
    """Count the orders of each purpose that filled, wholly or in part."""
    ours = evidence.ours.orders
    return Counter(
        ours[order.request.strategy].purpose.value
        for order in evidence.broker.orders
        if order.filled and order.request.strategy in ours
    )


def spread(values: Sequence[float]) -> dict[str, float]:
    """Count, median, 99th percentile and largest, in seconds."""
    if not values:
        return {"count": 0}
    return {
        "count": len(values),
        "p50": round(percentile(list(values), 0.5), 3),
        "p99": round(percentile(list(values), 0.99), 3),
        "max": round(max(values), 3),
    }


def _unknowns(moves: Iterable[Moved], ours: Ours) -> list[str]:
    """Return the end of each order whose fate was once unknown."""
    names = {move.order.client_order_id for move in moves if move.event == "unknown"}
    return [ours.orders[name].state.value for name in names]


def in_doubt(moves: Iterable[Moved], end_ns: int) -> float:
    """Seconds in which the fate of a stop or an exit was unknown, summed over orders."""
    since: dict[str, int] = {}
    total = 0
    for move in moves:
        name = move.order.client_order_id
        doubtful = move.order.purpose.reduces and move.order.state in UNRESOLVED
        if doubtful and name not in since:
            since[name] = move.machine_ns
        elif not doubtful and name in since:
            total += move.machine_ns - since.pop(name)
    return (total + sum(end_ns - begin for begin in since.values())) / SECOND


def recoveries(broken: Iterable[Broken], beats: Sequence[Beat]) -> tuple[list[float], list[float], list[float]]:
    """Seconds from a daemon's kill to its successor's readiness, where nothing else was done to that one meanwhile.

    First those with no other process on its way up meanwhile, then those of bursts, which share the machine's time,
    and last those in which the machine was starved or a simulator away, for which readiness may wait.
    """
    alone: list[float] = []
    burst: list[float] = []
    disturbed: list[float] = []
    things = sorted(broken)
    for thing in things:
        back = _back(thing, beats) if thing.what == "kill" else 0
        if not back:
            continue
        near = [other for other in things if other is not thing and other.begin_ns <= back]
        meanwhile = [other for other in near if other.end_ns >= thing.begin_ns]
        if any(other.target in (thing.target, "supervisord") for other in meanwhile):
            continue
        since = thing.begin_ns - round(_SECOND_STARTS_S * SECOND)
        seconds = (back - thing.begin_ns) / SECOND
        if any(other.what in _AWAY and other.target in ("", "simulator") for other in meanwhile):
            disturbed.append(seconds)
        elif any(other.what in _ENDS and other.begin_ns >= since for other in near):
            burst.append(seconds)
        else:
            alone.append(seconds)
    return alone, burst, disturbed


def _back(thing: Broken, beats: Sequence[Beat]) -> int:
    """Machine ns at which the killed daemon was ready again; 0 if it never was."""
    later = (beat.at_ns for beat in beats if beat.daemon == thing.target and beat.at_ns > thing.begin_ns and beat.ready)
    return next(later, 0)


def _fill_to_stop(evidence: Evidence, bare: Sequence[Stretch]) -> tuple[list[float], list[float]]:
    """Seconds from a fill that opened to the stop for it: undisturbed ones, and the rest."""
    clean: list[float] = []
    rest: list[float] = []
    for stretch in bare:
        if stretch.opened:
            touched = any(
                thing.begin_ns <= stretch.end_ns and thing.end_ns >= stretch.begin_ns - 2 * SECOND
                for thing in evidence.broken
                if thing.what not in HARMLESS
            )
            (rest if touched else clean).append((stretch.end_ns - stretch.begin_ns) / SECOND)
    return clean, rest
