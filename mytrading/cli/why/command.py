"""`mytrading why`: the chain behind an order, from quote and signal through command, send and outcome to the stop.

It reads the journals of all daemons, whether the stack runs or not. Only ancestors and descendants of an id are shown,
never what merely shares a signal with it. The chain of a position, a closed trade or an alert is that of the orders and
signals that it consists of or names (`subjects`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import typer

from mytrading.cli.shell.failures import USAGE, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile, order_ids
from mytrading.cli.shell.output import print_json, print_rows
from mytrading.cli.why.journal_entries import ChainEntry, Journals, parent_ids, subject_id
from mytrading.cli.why.subjects import roots_of_id, roots_of_subject
from mytrading.core.time import format_ist
from mytrading.messages.run_config import RunConfig
from mytrading.messages.webhooks import AlertJudged
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.journal.journal import INPUT

MS = 1_000_000
_MARKS = {"quote": "·", "signal": "»", "command": "→", "send": "⇒", "outcome": "⇐", "fill": "●", "stop": "■"}
_ROUNDS = 8


def why(
    order: str = typer.Argument(
        ...,
        metavar="ID",
        help="Order (ours or the broker's), signal or goal; a position as 'ACCOUNT|PRODUCT|INSTRUMENT|STRATEGY', an "
        "alert as 'DAEMON|CODE|SUBJECT'.",
        autocompletion=order_ids,
    ),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """The chain of an order: quote or alert, signal, decision, command, send, outcome, reports, fills and stop.

    That of a position: of its orders since it was flat. That of an alert: of the order, position or strategy it names.
    Market time is that of India; ms are machine time since the first step, and since the one before. Works while the
    stack runs and when it is down.
    """
    with find_stack(profile) as found:
        steps = order_chain(found.config, order)
    if not steps:
        fail(USAGE, f"no journal of {found.config.profile} knows {order!r}; `orders` and `signals --json` show ids")
    if as_json:
        print_json([{"at": _moment(step.market_ns), **step._asdict()} for step in steps])
        return
    rows = [
        {"market time": _moment(step.market_ns), "ms": step.ms, "+ms": step.step_ms, "daemon": step.daemon,
         "kind": f"{_MARKS.get(step.kind, ' ')} {step.kind}", "step": step.what}
        for step in steps
    ]  # fmt: skip
    print_rows(rows, ("market time", "ms", "+ms", "daemon", "kind", "step"), False, "")


def _moment(market_ns: int) -> str:
    return f"{format_ist(market_ns, '%H:%M:%S')}.{market_ns // 1_000_000 % 1000:03d}"


class Step(NamedTuple):
    """One step of a chain. `ms` counts from the first step, `step_ms` from the one before, in machine time."""

    market_ns: int
    machine_ns: int
    ms: float
    step_ms: float
    daemon: str
    kind: str
    what: str
    subject: str


def order_chain(config: RunConfig, wanted: str) -> list[Step]:
    """Return the steps of an order (our id or the broker's), signal, goal, request, position, closed trade or alert;
    empty if no journal has it."""
    source = Journals(config)
    roots, own = _begin(source, wanted)
    if not roots and not own:
        return []
    ids = _closure(source, roots) if roots else set()
    entries = {(e.daemon, e.place): e for e in source.entries_mentioning(ids) if subject_id(e.body) in ids}
    entries |= {(e.daemon, e.place): e for e in own}
    for entry in list(entries.values()):
        if entry.row.kind != INPUT and (led := source.input_behind(entry)) is not None:
            entries.setdefault((led.daemon, led.place), led)
    steps = _steps(list(entries.values()))
    if not roots and own[-1].body["type"] == "alert":
        last = steps[-1]
        steps.append(last._replace(step_ms=0.0, kind="alone", what=_ALONE))
    for what in _exit_outcomes(config, entries.values()):
        steps.append(steps[-1]._replace(step_ms=0.0, kind="result", what=what))
    return steps


def _exit_outcomes(config: RunConfig, entries: Iterable[ChainEntry]) -> list[str]:
    """What became of the exits that alerts of the chain asked for."""
    judged = [msgspec.convert(one.body, AlertJudged) for one in entries if one.body.get("type") == "alert_judged"]
    exits = [row for row in judged if row.signal and not row.target]
    if not exits:
        return []
    from mytrading.cli.shell.target import load_calendar
    from mytrading.cli.webhooks.history import read_exit_outcomes

    outcomes, calendar = read_exit_outcomes(config), load_calendar(config.home)
    now = MarketClock.load(config.clock_path).now()
    found = ((row.symbol, outcomes.of(row, calendar, now)) for row in exits)
    return [f"exit of {symbol}: {outcome}" for symbol, outcome in found if outcome]


_ALONE = "the alert names no order, signal, position or strategy of the journals: it stands alone"


def _begin(source: Journals, wanted: str) -> tuple[set[str], list[ChainEntry]]:
    """Return the ids to follow, and the rows that belong to the subject itself, which has no id of its own."""
    found = roots_of_subject(source, wanted)
    return (found.ids, found.rows) if found else (roots_of_id(source, wanted), [])


def _closure(source: Journals, roots: set[str]) -> set[str]:
    up, down = set(roots), set(roots)
    for _ in range(_ROUNDS):
        entries = source.entries_mentioning(up | down)
        more_up = {p for e in entries if subject_id(e.body) in up for p in parent_ids(e.body)} - up
        more_down = {subject_id(e.body) for e in entries if parent_ids(e.body) & down} - down - {""}
        if not more_up and not more_down:
            break
        up |= more_up
        down |= more_down
    return up | down


def _steps(entries: list[ChainEntry]) -> list[Step]:
    ordered = sorted(entries, key=lambda e: (e.row.machine_ns, e.row.kind, e.place))
    rows = [
        Step(entry.row.market_ns, entry.row.machine_ns, 0.0, 0.0, entry.daemon, *found, subject_id(entry.body))
        for entry in ordered
        if (found := describe_row(entry.body, reading=entry.row.kind == INPUT)) is not None
    ]
    if (quote := _quote_behind(ordered)) is not None:
        rows = sorted([quote, *rows], key=lambda step: step.machine_ns)
    timed: list[Step] = []
    for step in rows:
        first, before = (rows[0].machine_ns, timed[-1].machine_ns) if timed else (step.machine_ns, step.machine_ns)
        elapsed, since = (step.machine_ns - first) / MS, (step.machine_ns - before) / MS
        timed.append(step._replace(ms=round(elapsed, 3), step_ms=round(since, 3)))
    return timed


def _quote_behind(entries: list[ChainEntry]) -> Step | None:
    """The quote that the signal was made of, by the machine time that it carries; of a signal from history the bar."""
    for entry in entries:
        body = entry.body
        if body.get("type") == "alert_received":
            return None
        if body.get("type") != "signal":
            continue
        at = f" at {body['price']:,.2f}" if body.get("price") else ""
        market = int(body.get("bar_ns") or body["created_ns"])
        if received := int(body.get("trace_ns", 0)):
            return Step(market, received, 0.0, 0.0, "feed", "quote", f"quote of {body['watch']}{at}", body["id"])
        what = f"bar of {body['watch']}{at}, from the history"
        return Step(market, entry.row.machine_ns, 0.0, 0.0, "feed", "bar", what, body["id"])
    return None


Wording = tuple[str, str]
"""The kind of a step, and its text."""


def describe_row(body: dict[str, Any], *, reading: bool) -> Wording | None:
    """Return (kind, text) of a journal row, which is a daemon's input if `reading`, else its decision.
    None for an input that its sender's journal already describes, or an output that is no decision."""
    kind = str(body.get("type"))
    if kind == "signal":
        return ("received" if reading else "signal", _signal(body))
    if reading and kind in _SENT:
        return None
    if kind in _DECIDED:
        return _DECIDED[kind](body)
    return _input(kind, body) if reading else None


def _signal(body: dict[str, Any]) -> str:
    legs = ", ".join(f"{leg['lots']:+d} lots {leg['instrument']}" for leg in body.get("legs", ())) or "flat"
    reason = f": {body['reason']}" if body.get("reason") else ""
    return f"{body['strategy']} signals {body['action']} ({legs}){reason}"


def _order(body: dict[str, Any]) -> Wording:
    order, event = body["order"], str(body["event"])
    name = f"{order['purpose']} {order['side']} {order['quantity']} {order['instrument']}"
    kinds = {"submitted": "send", "cancel_requested": "send", "filled": "fill", "partially_filled": "fill"}
    filled = f", filled {order['filled']} at {order.get('average_price', 0.0):,.2f}" if order.get("filled") else ""
    seen = order.get("filled_seen", 0)
    sighted = f", sighted {seen}" if seen > order.get("filled", 0) else ""
    broker = f" as {order['broker_order_id']}" if order.get("broker_order_id") else ""
    message = f" ({order['message']})" if order.get("message") else ""
    prices = f" trigger {order['trigger_price']:g}" if order.get("trigger_price") else ""
    return kinds.get(event, "order"), f"{name}{prices}: {event}, {order['state']}{broker}{filled}{sighted}{message}"


def _place(body: dict[str, Any]) -> Wording:
    reference = f" near {body['reference_price']:,.2f}" if body.get("reference_price") else ""
    stop = f", stop at {body['stop_trigger']:g}" if body.get("stop_trigger") else ""
    return "command", f"enter {body['side']} {body['quantity']} {body['instrument']}{reference}{stop}"


def _outcome(body: dict[str, Any]) -> Wording:
    took = (body["ended_machine_ns"] - body["began_machine_ns"]) / 1e6
    broker = f" {body['broker_order_id']}" if body.get("broker_order_id") else ""
    message = f": {body['message']}" if body.get("message") else ""
    return "outcome", f"{body['call']} answered {body['outcome']}{broker} after {took:,.1f} ms{message}"


def _position(body: dict[str, Any]) -> Wording:
    position, units = body["position"], body.get("fill_quantity", 0)
    moved = f"{units:+d} at {body['fill_price']:,.2f}, now" if units else "sighted: now"
    held = position.get("quantity", 0)
    realised = position.get("realised", 0.0)
    return "fill", f"{position['strategy']} {position['instrument']} {moved} {held} (realised {realised:,.2f})"


def _adjusted(body: dict[str, Any]) -> Wording:
    position = body["position"]
    moved = f"{body['quantity']:+d} at {body.get('price', 0.0):,.2f}, now {position.get('quantity', 0)}"
    return "fill", f"{position['strategy']} {position['instrument']} {moved}, without an order: {body['cause']}"


def _unmanaged(body: dict[str, Any]) -> Wording:
    price = f" at {body['average_price']:,.2f}" if body.get("average_price") else ""
    whose = "which no order of this stack led to and no strategy owns" if body["quantity"] else "nothing is left over"
    return "report", f"units in {body['account']} beyond all owners': {body['quantity']:+d}{price}, {whose}"


def _raised(body: dict[str, Any]) -> Wording:
    name = f"{body['code']} {body['subject']}"
    return "alert", f"{name}: over" if body.get("cleared") else f"{body['severity']} {name}: {body['message']}"


def _goal(body: dict[str, Any]) -> Wording:
    goal = body["goal"]
    waits = ", waits for the open of its exchange" if goal.get("awaits_open") else ""
    state = goal.get("state", "open")
    return "exit", f"exit of {goal['instrument']} is {state}, attempt {goal.get('attempts', 0)}{waits}"


def _protection(body: dict[str, Any]) -> Wording:
    level = body["protection"]
    failed = f", {level['failures']} failed" if level.get("failures") else ""
    moves = f", to be moved to {move['trigger']:g}" if (move := level.get("moving")) else ""
    state = level.get("state", "open")
    return "stop", f"stop of {level['instrument']} at {level['trigger']:g} is {state}{moves}{failed}"


def _flatten(body: dict[str, Any]) -> Wording:
    level = body["flatten"]
    return "flatten", f"flatten of {level['account']} is {level.get('state', 'open')}, {level.get('proofs', 0)} proofs"


def _operator(body: dict[str, Any]) -> Wording:
    reason = f": {body['reason']}" if body.get("reason") else ""
    by = f" by {body['by']}" if body.get("by") else ""
    return "operator", f"{str(body['type']).removesuffix('_requested')} requested{by}{reason}"


def _alert(body: dict[str, Any]) -> Wording:
    refused = body.get("refusal")
    if refused:
        return "denied", f"{body.get('symbol') or 'alert'} refused: {refused['code']}: {refused['text']}"
    wanted = f"{body['target']:+d}" if body.get("target") else "nothing"
    return "decided", f"{body['symbol']} wants {wanted} of {body['instrument']}: {body['verdict']}"


def _input(kind: str, body: dict[str, Any]) -> Wording | None:
    """An input that led to a step: a report, a read of the books, a quote, an operator's switch."""
    if kind == "order_report":
        row = body["order"]
        filled = f", filled {row['filled']}" if row.get("filled") else ""
        return "report", f"order stream: {row['broker_order_id']} is {row['status']}{filled}"
    if kind == "books_read":
        books = [name for name in ("orders", "trades", "positions") if body.get(name) is not None]
        return "report", f"read of {', '.join(books) or 'nothing'}"
    if kind == "alert_received":
        return "alert", f"POST from {body['ip']} to {body['webhook']}: {body['body']}"
    if kind == "trading_state":
        return "operator", f"trading level {body['level']}: {body['reason']}"
    if kind == "strategy_switch":
        why = f" (by {body['by']})" if body.get("by") else ""
        why = f"{why}: {body['reason']}" if body.get("reason") else why
        return "operator", f"entries of {body['strategy']} switched {'on' if body['enabled'] else 'off'}{why}"
    return ("quote", "quote led to it") if kind == "quote" else None


_DECIDED: dict[str, Callable[[dict[str, Any]], Wording]] = {
    "alert": _raised,
    "alert_judged": _alert,
    "order": _order,
    "place_entry": _place,
    "close_goal": lambda body: ("command", f"close {body['strategy']} in {body['instrument']}: {body['reason']}"),
    "signal_denied": lambda body: ("denied", f"{body['code']}: {body['message']}"),
    "signal_expired": lambda body: ("denied", f"EXPIRED: {body['strategy']}'s signal came too late"),
    "call_outcome": _outcome,
    "position": _position,
    "position_adjusted": _adjusted,
    "unmanaged": _unmanaged,
    "goal": _goal,
    "protection": _protection,
    "flatten": _flatten,
    "resolve_requested": _operator,
    "claim_requested": _operator,
    "flatten_requested": _operator,
    "request_answered": lambda body: ("operator", f"{'done' if body.get('ok') else 'refused'}: {body['message']}"),
}
_SENT = frozenset(("order", "position", "goal", "protection", "flatten", "request_answered", "signal_denied"))
"""Rows that are shown where they were written alone."""
