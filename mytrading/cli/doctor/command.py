"""`mytrading doctor`: every condition of a trading day checked in one go, each with its cause and cure.

Doctor changes nothing that stays, and never the mode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, failures, print_json, say

if TYPE_CHECKING:
    from mytrading.cli.doctor.checks import Checks, Finding, Patient
    from mytrading.messages.run_config import RunConfig
    from mytrading.orchestrator import TradingOrchestrator

_WORDS = {"ok": "ok", "warning": "look", "failed": "FAILED", "not tested": "–"}
_READY_S = 40.0


def doctor(
    simulator: bool = typer.Option(False, "--simulator", help="Try everything on a simulated stack of its own."),
    quick: bool = typer.Option(False, "--quick", help="Only what `up` looks at: machine, server, key, mode."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Check server, key, broker, mode, streams, instruments, money, machine and a paper order. Exit 1 on a failure."""
    if simulator and profile:
        fail(USAGE, "--simulator tries a stack of its own: leave --profile out")
    with failures():
        from mytrading.cli.doctor.checks import Finding, Patient, Verdict
        from mytrading.cli.shell.target import stack_of
        from mytrading.config.problems import ConfigurationError

        if simulator:
            with _trial_stack() as stack:
                rows = _look(Patient(stack), quick, as_json)
        else:
            try:
                rows = _look(Patient(stack_of(profile)), quick, as_json)
            except ConfigurationError as error:
                rows = [Finding("configuration", Verdict.FAILED, str(error), "mend it; `mytrading config check`")]
                if not as_json:
                    print_finding(rows[0])
    bad = [row for row in rows if row.verdict is Verdict.FAILED]
    if as_json:
        print_json({"ok": not bad, "findings": [row._asdict() for row in rows]})
    if bad:
        fail(
            ERROR, "" if as_json else f"{len(bad)} of {len(rows)} checks failed: {', '.join(row.title for row in bad)}"
        )


def _look(patient: Patient, quick: bool, as_json: bool) -> list[Finding]:
    from mytrading.cli.doctor.checks import examine, examine_others

    source = patient.of_source()
    if source is None:
        looks = [examine(patient, quick_checks() if quick else all_checks())]
    else:
        looks = [examine(patient, simulator_checks(quick)), examine(source, source_checks(quick))]
    rows: list[Finding] = []
    for row in chain(*looks, examine_others(patient, account_checks(quick))):
        if not as_json:
            if row.account and row.account != rows[-1].account:
                print_account(patient.config, row.account)
            print_finding(row)
        rows.append(row)
    return rows


def print_account(config: RunConfig, name: str) -> None:
    """The line above the rows of a further account."""
    account = next(one for one in (*config.sources, *config.accounts) if one.id == name)
    role = "source of quotes" if account == config.source else account.role.value
    print(f"\naccount {name}, {role}, {account.rest_url}", flush=True)


def print_finding(row: Finding) -> None:
    """A line with cause, and one with the cure if there is something to cure."""
    print(f"{_WORDS[row.verdict.value]:<7} {row.check:<15} {row.found}", flush=True)
    if row.cure:
        print(f"{'':<23} → {row.cure}", flush=True)


def local_checks() -> Checks:
    """What needs no server; a millisecond. Name, what must pass first, check."""
    from mytrading.cli.doctor import host_checks

    return (
        ("disk", (), host_checks.disk),
        ("ports", (), host_checks.ports),
        ("permissions", (), host_checks.permissions),
    )


def quick_checks() -> Checks:
    """What `up` looks at: some milliseconds against a server that answers."""
    from mytrading.cli.doctor import server_checks as there

    return (
        *local_checks(),
        ("server", (), there.server),
        ("clock skew", ("server",), there.clock),
        ("key", ("server",), there.key),
        ("broker session", ("key",), there.session),
        ("mode", ("broker session",), there.mode),
    )


def all_checks() -> Checks:
    """Everything, in the order in which one thing needs the other."""
    from mytrading.cli.doctor import host_checks, test_order
    from mytrading.cli.doctor import server_checks as there
    from mytrading.cli.doctor import stream_checks as stack

    needs = ("broker session",)
    return (
        *quick_checks(),
        ("WebSocket", needs, stack.websocket),
        ("order stream", needs, stack.order_stream),
        ("instruments", needs, there.instruments),
        ("history", needs, there.history),
        ("funds", needs, there.funds),
        ("margin", needs, test_order.margin),
        ("egress address", (), host_checks.egress),
        ("paper order", ("mode",), test_order.paper_order),
    )


def simulator_checks(quick: bool) -> Checks:
    """What is asked of the stack's own simulator, where its quotes are those of another server."""
    from mytrading.cli.doctor import server_checks as there
    from mytrading.cli.doctor import stream_checks as stack
    from mytrading.cli.doctor import test_order

    first: Checks = (
        *local_checks(),
        ("server", (), there.server),
        ("key", ("server",), there.key),
        ("mode", ("key",), there.mode),
    )
    if quick:
        return first
    return (
        *first,
        ("order stream", ("mode",), stack.order_stream),
        ("funds", ("mode",), there.funds),
        ("margin", ("mode",), test_order.margin),
        ("paper order", ("mode",), test_order.paper_order),
    )


def source_checks(quick: bool) -> Checks:
    """What is asked of the server that a simulator has its quotes from; its mode is nobody's business."""
    wanted = ("server", "clock skew", "key", "broker session")
    more = () if quick else ("WebSocket", "instruments", "history")
    return tuple(row for row in all_checks() if row[0] in (*wanted, *more))


def start_checks() -> Checks:
    """What `up` looks at besides, side by side: what brings no order, and no more than the feed fetches anyway."""
    wanted = ("WebSocket", "order stream", "funds", "margin", "egress address")
    return tuple(row for row in all_checks() if row[0] in wanted)


def account_checks(quick: bool) -> Checks:
    """What is asked of every further account's server."""
    from mytrading.cli.doctor import server_checks as there

    checks: Checks = (("server", (), there.server), ("key", ("server",), there.key), ("mode", ("key",), there.mode))
    return checks if quick else (*checks, ("funds", ("key",), there.funds))


def before_start(stack: TradingOrchestrator) -> None:
    """What is wrong before the processes start, on stderr; a simulated stack has no server to ask yet."""
    from mytrading.cli.doctor.checks import Patient, Verdict, examine, examine_at_once, examine_others

    patient = Patient(stack, hurried=True)
    source = patient.of_source()
    if source is not None:
        at_once = tuple(row for row in source_checks(quick=False) if row[0] == "WebSocket")
        looks = [examine(patient, local_checks()), examine(source, source_checks(quick=True))]
        looks.append(examine_at_once(source, at_once))
    elif stack.config.simulator.embedded:
        looks = [examine(patient, local_checks())]
    else:
        looks = [examine(patient, quick_checks()), examine_at_once(patient, start_checks())]
    for row in chain(*looks, examine_others(patient, account_checks(quick=True))):
        if row.verdict in (Verdict.FAILED, Verdict.WARNING):
            say(f"doctor: {row.title}: {row.found} → {row.cure}")


@contextmanager
def _trial_stack() -> Iterator[TradingOrchestrator]:
    """A simulated stack in a folder of its own, stopped and removed afterwards."""
    import msgspec

    from mytrading.cli.shell.start import Wanted, prepare, set_clock
    from mytrading.orchestrator import TradingOrchestrator
    from mytrading.runtime.streams.endpoints import runtime_dir

    with tempfile.TemporaryDirectory(prefix="mytrading-doctor-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        planned = prepare(Wanted(simulator=True, speed=1.0)).config
        config = msgspec.structs.replace(
            planned, state_dir=str(state), runtime_dir=str(runtime_dir(state)), log_dir=str(Path(folder) / "logs")
        )
        stack = TradingOrchestrator(config)
        say("starting a simulated stack to try everything on")
        stack.start(_without_word(set_clock))
        try:
            stack.wait_ready(_READY_S)
            yield stack
        finally:
            stack.stop()


def _without_word(set_clock: Callable[[RunConfig], str]) -> Callable[[RunConfig], None]:
    def setting(config: RunConfig) -> None:
        set_clock(config)

    return setting


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)
