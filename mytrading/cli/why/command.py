"""`mytrading why`: how an order came to be and what became of it, step by step, from the journals."""

from __future__ import annotations

import typer

from mytrading.cli.shell.failures import USAGE, fail, stack
from mytrading.cli.shell.options import AsJson, Profile, order_ids
from mytrading.cli.shell.output import print_json
from mytrading.core.time import format_ist

_MARKS = {"quote": "·", "signal": "»", "command": "→", "send": "⇒", "outcome": "⇐", "fill": "●", "stop": "■"}


def why(
    order: str = typer.Argument(
        ..., metavar="ID", help="Order (ours or the broker's), signal or goal.", autocompletion=order_ids
    ),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """The chain of an order: quote, signal, decision, command, send, outcome, reports, fills, stop, with times.

    Market time is that of India; ms are machine time since the first step, and since the one before. Works while the
    stack runs and when it is down.
    """
    with stack(profile) as found:
        from mytrading.cli.why.chain import chain

        steps = chain(found.config, order)
    if not steps:
        fail(USAGE, f"no journal of {found.config.profile} knows {order!r}; `orders` and `signals --json` show ids")
    if as_json:
        print_json([{"at": _moment(step.market_ns), **step._asdict()} for step in steps])
        return
    print(f"{'market time':<12}  {'ms':>10}  {'+ms':>9}  {'daemon':<10}  step")
    for step in steps:
        mark = _MARKS.get(step.kind, " ")
        times = f"{_moment(step.market_ns):<12}  {step.ms:>10,.1f}  {step.step_ms:>9,.1f}"
        print(f"{times}  {step.daemon:<10}  {mark} {step.kind:<8}  {step.what}")


def _moment(market_ns: int) -> str:
    return f"{format_ist(market_ns, '%H:%M:%S')}.{market_ns // 1_000_000 % 1000:03d}"
