"""The verdict on a run: what must be zero, and what else is worth knowing, from the records of both sides.

Used by `campaign`. Pure: records in, figures out. The one rule: the simulator's own records are the truth; our journals
are what is judged by it, and every figure that is not zero comes with a line that says where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mytrading.bench.figures import percentile
from mytrading.chaos import fates
from mytrading.chaos.bare import Stretch, stretches
from mytrading.chaos.limits import Most, limit_breaches
from mytrading.chaos.records import Beat, Broken, Broker, Held, Moved, Ours
from mytrading.core.order import UNRESOLVED
from mytrading.simulator.chronicle import CALL, FAULT, STARTED

_S = 1_000_000_000
_GATHERED_S = 1.5
"""After the simulator was stopped, what had gathered at its door comes in at once, whenever it was sent."""
_KILLS = frozenset({"kill", "leave"})
_AWAY = frozenset({"kill", "hang", "restart", "starve", "stutter", "token_rollover"})
_HARMLESS = frozenset({"ws_mute", "ws_stall", "ws_drop", "price_wrong", "price_zero", "update_duplicated", "by_hand"})
"""What does not touch the way from a fill to its stop, and so excuses nothing."""


_ON_THE_WAY = frozenset({"", "router", "reconciler", "simulator", "supervisord"})
"""Whose trouble keeps a stop from its place; an empty target is the whole machine's."""


class Bounds(NamedTuple):
    """What is allowed. Seconds; `poll` is the interval of the reconciler's reads of the order book."""

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


class Evidence(NamedTuple):
    """Everything that is judged. `end_ns` is when the stack had settled; `verify` are the findings of the journals."""

    broker: Broker
    ours: Ours
    broken: tuple[Broken, ...]
    beats: tuple[Beat, ...]
    verify: tuple[str, ...]
    end_ns: int


class Verdict(NamedTuple):
    """`must_be_zero` by name, the other figures as they are printed, and a line for each thing found."""

    must_be_zero: dict[str, float]
    figures: dict[str, Any]
    findings: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all that must be zero is."""
        return not any(self.must_be_zero.values())


def judge(evidence: Evidence, bounds: Bounds) -> Verdict:
    """The verdict."""
    broker, ours = evidence.broker, evidence.ours
    doubled = fates.duplicated(broker.orders, ours)
    lost = fates.lost(broker.orders, ours)
    differing = differences(broker.net, ours.net, ours.unmanaged)
    bare = stretches(broker.events, ours.orders, bounds.guarded, evidence.end_ns)
    beyond = [(stretch, over) for stretch in bare if (over := beyond_allowance(stretch, evidence.broken, bounds))]
    breaches, gathered = rate_breaches(evidence, bounds.calls)
    limits = breaches_of_limits(evidence, bounds)
    findings = [*doubled, *lost, *differing, *(_bare_line(*each) for each in beyond), *breaches, *limits]
    return Verdict(
        {
            "duplicated": len(doubled),
            "lost": len(lost),
            "position_differs": len(differing),
            "bare_seconds": round(sum(over for _, over in beyond), 3),
            "rate_breaches": len(breaches),
            "limit_breaches": len(limits),
            "verify_differs": len(evidence.verify),
        },
        {**_figures(evidence, bare), "calls_gathered": gathered},
        (*findings, *evidence.verify),
    )


def breaches_of_limits(evidence: Evidence, bounds: Bounds) -> list[str]:
    """Entries that the broker got after a limit was reached."""
    most = Most(bounds.most_positions, bounds.order_value, bounds.position_value)
    return limit_breaches(evidence.broker.events, evidence.ours, most)


def differences(broker: dict[Held, int], ours: dict[Held, int], unmanaged: dict[Held, int]) -> list[str]:
    """Where the simulator's net is not what we own plus what is unmanaged."""
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
    grace = round((bounds.settle + bounds.recovery + bounds.poll) * _S)
    until = stretch.begin_ns + round(bounds.healthy * _S)
    for thing in sorted(broken):
        excuses = thing.what not in _HARMLESS and thing.target in _ON_THE_WAY
        if excuses and thing.end_ns + grace > stretch.begin_ns and thing.begin_ns <= until:
            until = max(until, thing.end_ns + grace)
    return round(max(0, stretch.end_ns - until) / _S, 3)


def _bare_line(stretch: Stretch, over: float) -> str:
    instrument, product, strategy = stretch.owner
    lasted = (stretch.end_ns - stretch.begin_ns) / _S
    what = f"{strategy} in {instrument} {product} lay bare for {lasted:.1f} s from {stretch.begin_ns}"
    return f"{what}, {over:.1f} s too long"


def rate_breaches(evidence: Evidence, most: int) -> tuple[list[str], int]:
    """Order calls beyond the most of a rolling or a calendar second, and how many came in gathered by a stop."""
    stopped = [
        (thing.begin_ns, thing.end_ns + round(_GATHERED_S * _S))
        for thing in evidence.broken
        if thing.what in ("hang", "stutter", "starve", "nice") and thing.target in ("", "simulator")
    ]
    times = sorted(event.machine_ns for event in evidence.broker.events if event.kind == CALL)
    for thing in evidence.broken:  # the calls of somebody else are not the router's
        if thing.what == "by_hand" and (at := next((t for t in times if thing.begin_ns <= t <= thing.end_ns), 0)):
            times.remove(at)
    plain = [at for at in times if not any(begin <= at <= end for begin, end in stopped)]
    found = []
    for place, at in enumerate(plain):
        rolling = sum(1 for other in plain[max(0, place - 4 * most) : place + 1] if at - other < _S)
        calendar = sum(1 for other in plain[max(0, place - 4 * most) : place + 1] if other // _S == at // _S)
        if max(rolling, calendar) > most:
            found.append(f"order call at {at}: {rolling} in a rolling, {calendar} in a calendar second, {most} allowed")
    return found, len(times) - len(plain)


# figures


def _figures(evidence: Evidence, bare: Sequence[Stretch]) -> dict[str, Any]:
    acts = Counter(thing.what for thing in evidence.broken)
    faults = Counter(str(event.body) for event in evidence.broker.events if event.kind == FAULT)
    purposes = Counter(
        evidence.ours.orders[order.request.strategy].purpose.value
        for order in evidence.broker.orders
        if order.filled and order.request.strategy in evidence.ours.orders
    )
    clean, rest = _fill_to_stop(evidence, bare)
    recovered, waited = recoveries(evidence.broken, evidence.beats)
    return {
        "kills": sum(acts[kind] for kind in _KILLS),
        "acts": {kind: count for kind, count in sorted(acts.items()) if kind not in faults},
        "faults": sum(faults.values()),
        "faults_by_kind": dict(sorted(faults.items())),
        "orders": len(evidence.broker.orders),
        "filled": dict(sorted(purposes.items())),
        "unknowns": _unknowns(evidence.ours.moves, evidence.ours),
        "ghosts": len({move.order.client_order_id for move in evidence.ours.moves if move.event == "ghost"}),
        "starts_of_the_simulator": sum(event.kind == STARTED for event in evidence.broker.events),
        "protection_in_doubt_s": round(in_doubt(evidence.ours.moves, evidence.end_ns), 1),
        "recovery_s": spread(recovered),
        "recovery_disturbed_s": spread(waited),
        "fill_to_stop_s": spread(clean),
        "fill_to_stop_disturbed_s": spread(rest),
    }


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


def _unknowns(moves: Iterable[Moved], ours: Ours) -> dict[str, Any]:
    names = {move.order.client_order_id for move in moves if move.event == "unknown"}
    ended = Counter(ours.orders[name].state.value for name in names)
    return {"count": len(names), "ended": dict(sorted(ended.items()))}


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
    return (total + sum(end_ns - begin for begin in since.values())) / _S


def recoveries(broken: Iterable[Broken], beats: Sequence[Beat]) -> tuple[list[float], list[float]]:
    """Seconds from a daemon's kill to its successor's readiness, where nothing else was done to that one meanwhile.

    Those in which the machine was starved or the simulator was away, for which readiness may wait, are second.
    """
    clean: list[float] = []
    rest: list[float] = []
    things = sorted(broken)
    for thing in things:
        if thing.what != "kill":
            continue
        back = next(
            (b for b in beats if b.daemon == thing.target and b.at_ns > thing.begin_ns and b.ready), None
        )  # fmt: skip
        if back is None:
            continue
        meanwhile = [other for other in things if other.begin_ns <= back.at_ns and other.end_ns >= thing.begin_ns]
        if any(other.target in (thing.target, "supervisord") for other in meanwhile if other is not thing):
            continue
        away = any(other.what in _AWAY and other.target in ("", "simulator") for other in meanwhile)
        (rest if away else clean).append((back.at_ns - thing.begin_ns) / _S)
    return clean, rest


def _fill_to_stop(evidence: Evidence, bare: Sequence[Stretch]) -> tuple[list[float], list[float]]:
    """Seconds from a fill that opened to the stop for it: undisturbed ones, and the rest."""
    clean: list[float] = []
    rest: list[float] = []
    for stretch in bare:
        if stretch.opened:
            touched = any(
                thing.begin_ns <= stretch.end_ns and thing.end_ns >= stretch.begin_ns - 2 * _S
                for thing in evidence.broken
                if thing.what not in _HARMLESS
            )
            (rest if touched else clean).append((stretch.end_ns - stretch.begin_ns) / _S)
    return clean, rest
