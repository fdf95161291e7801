"""Benchmarks: what the stack reaches, beside what the machine could do, measured in the same run.

Ratios count, not figures: every goal is held against a limit measured moments before on the same machine. Nothing is
subtracted and nothing is left out of the way that is measured.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from difflib import get_close_matches

from lab.bench.results import Figure


def run_bench(names: list[str], as_json: bool) -> int:
    """Measure the named groups (all without a name) and print their figures; returns the exit code.

    That is 2 if a name is unknown, 1 if the goal of a binding figure was missed, else 0.

    SIGTERM and SIGINT end it, with 128 and the signal's number, after what it started has been stopped.
    """
    from lab.bench.backtest import measure_backtest
    from lab.bench.bare_chain import measure_hop
    from lab.bench.call_counts import measure_call_counts
    from lab.bench.client import measure_client
    from lab.bench.compiled import measure_compiled
    from lab.bench.console import measure_console, measure_quote_beside_console
    from lab.bench.exit_after_cancel import measure_exit_after_cancel
    from lab.bench.exit_latency import measure_breach
    from lab.bench.feed import measure_burst, measure_frame, measure_subscribe
    from lab.bench.isolation import measure_isolation
    from lab.bench.legs import measure_legs
    from lab.bench.risk import measure_risk
    from lab.bench.risk_quote import measure_risk_quote
    from lab.bench.screen import measure_screen
    from lab.bench.stack import measure_latency, measure_start
    from lab.bench.strategies import measure_authors
    from lab.bench.subscribe import measure_subscribe_simulator
    from lab.bench.webhooks import (
        measure_quote_beside_webhooks,
        measure_webhook_answers,
        measure_webhook_load,
        measure_webhook_to_order,
    )
    from lab.unwind_on_signal import unwound_by_signals

    groups: dict[str, Callable[[Callable[[str], None]], list[Figure]]] = {
        "latency": measure_latency,
        "breach": measure_breach,
        "exit_after_cancel": measure_exit_after_cancel,
        "hop": measure_hop,
        "client": measure_client,
        "start": measure_start,
        "feed_frame": measure_frame,
        "subscribe_3000": measure_subscribe,
        "subscribe_simulator": measure_subscribe_simulator,
        "feed_burst": measure_burst,
        "backtest": measure_backtest,
        "legs": measure_legs,
        "screen": measure_screen,
        "authors": measure_authors,
        "compiled": measure_compiled,
        "isolation": measure_isolation,
        "risk": measure_risk,
        "risk_quote": measure_risk_quote,
        "call_counts": measure_call_counts,
        "webhook_answer": measure_webhook_answers,
        "webhook_to_order": measure_webhook_to_order,
        "quote_beside_webhooks": measure_quote_beside_webhooks,
        "webhook_load": measure_webhook_load,
        "console": measure_console,
        "quote_beside_console": measure_quote_beside_console,
    }
    unknown = [name for name in names if name not in groups]
    if unknown:
        close = get_close_matches(unknown[0], groups, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        print(f"mytrading bench: expected {', '.join(groups)}; found {unknown[0]}{hint}", file=sys.stderr)
        return 2
    machine = describe_machine()
    missed: list[Figure] = []
    with unwound_by_signals():
        for name in names or list(groups):
            for figure in groups[name](_progress):
                show_figure(figure, machine, as_json)
                missed += [figure] if figure.binding and not figure.met else []
    for figure in missed:
        print(f"mytrading bench: {figure.name}: {figure.why}", file=sys.stderr)
    return 1 if missed else 0


def describe_machine() -> str:
    """Processor, cores, load, system and Python, in one line."""
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _progress(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def show_figure(figure: Figure, machine: str, as_json: bool) -> None:
    """Print one figure."""
    if as_json:
        print(json.dumps({**figure.as_dict(), "machine": machine}), flush=True)
        return
    if figure.value is None:
        print(f"{figure.name:24} {figure.why}  goal {figure.goal}")
        return
    mark = "met" if figure.met else "MISSED"
    limit = f"  limit {figure.limit:.3f}  ratio {figure.ratio:.2f}" if figure.limit and figure.ratio else ""
    print(f"{figure.name:24} {figure.value:10.3f} {figure.unit:4}{limit}  goal {figure.goal}  {mark}  n={figure.n}")
