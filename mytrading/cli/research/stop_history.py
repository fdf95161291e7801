"""The stop of a position over time, for charts: what its orders at the broker were, by the router's journals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mytrading.core.orders.state_machine import LIVE
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.enums import Purpose
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.run_config import RunConfig
from mytrading.operations.journal_verify import journal_files
from mytrading.runtime.journal.journal import JournalDamaged, read_segment

StopSteps = dict[str, list[tuple[int, float | None]]]
"""By instrument: market ns and the stop from then on in rupees, None for none."""


def stop_history(config: RunConfig, strategy: str) -> StopSteps:
    """Read the stops that a strategy had at the broker from the journals that are kept; damaged ones are left out."""
    return stop_steps(_stop_orders(config, strategy))


def _stop_orders(config: RunConfig, strategy: str) -> Iterable[Order]:
    """The strategy's stop orders at each of their changes, oldest first."""
    decoders: dict[str, StreamDecoder] = {}
    name, kind = strategy.encode(), Purpose.STOP.value.encode()
    for _, path in journal_files(config, "router"):
        try:
            for row in read_segment(path):
                if name in row.body and kind in row.body:
                    decoder = decoders.setdefault(row.stream, StreamDecoder(row.stream))
                    body = decoder.decode_body(row.body)
                    if isinstance(body, OrderChanged) and body.order.strategy == strategy:
                        yield body.order
        except JournalDamaged:
            continue  # `journal verify` reports it


def stop_steps(orders: Iterable[Order]) -> StopSteps:
    """Return how the stop of each instrument changed, from stop orders at each of their changes, oldest first."""
    found: StopSteps = {}
    live: dict[str, dict[str, float]] = {}
    for order in orders:
        if order.purpose is not Purpose.STOP:
            continue
        mine = live.setdefault(order.instrument, {})
        mine.pop(order.client_order_id, None)
        if order.state in LIVE:
            mine[order.client_order_id] = order.trigger_price
        level = next(reversed(mine.values()), None)
        steps = found.setdefault(order.instrument, [])
        if (steps[-1][1] if steps else None) != level:
            steps.append((order.updated_ns, level))
    return found


def stop_curve(
    steps: Sequence[tuple[int, float | None]], held: Sequence[dict[str, Any]], first_ns: int, last_ns: int
) -> tuple[list[int], list[float | None]]:
    """Return a stop as times (ns) and prices of a line with steps and holes, from `first_ns` to `last_ns`. `held` are
    open positions of the instrument: a stop that risk holds is drawn from their entry on."""
    spans = [
        (begin, steps[number + 1][0] if number + 1 < len(steps) else last_ns, level)
        for number, (begin, level) in enumerate(steps)
        if level is not None
    ]
    if not steps or steps[-1][1] is None:
        spans += [(row["opened_ns"], last_ns, row["stop"]) for row in held if row.get("stop")]
    times: list[int] = []
    prices: list[float | None] = []
    for begin, end, level in spans:
        begin, end = max(begin, first_ns), min(end, last_ns)
        if begin < end:
            if times and times[-1] < begin:
                times.append(begin)
                prices.append(None)
            times += [begin, end]
            prices += [level, level]
    return times, prices
