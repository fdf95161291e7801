"""`mytrading doctor`: every condition of a trading day checked in one go, each with its cause and cure.

Doctor changes nothing that stays, and never the mode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from msgspec.structs import replace

from mytrading import __version__
from mytrading.cli.shell.failures import CONFIGURATION, ERROR, USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note, print_rows, progress_bar
from mytrading.config.problems import ConfigurationError

if TYPE_CHECKING:
    from mytrading.cli.doctor.checks import Check, CheckContext, Checks, Finding
    from mytrading.messages.run_config import RunConfig
    from mytrading.orchestrator import TradingOrchestrator

_SHOWN = {"ok": "ok", "warning": "look", "failed": "FAILED", "not tested": "–"}
_READY_S = 40.0


def doctor(
    simulator: bool = typer.Option(False, "--simulator", help="Try everything on a simulated stack of its own."),
    quick: bool = typer.Option(False, "--quick", help="Check only what `up` checks: machine, server, key, mode."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Check server, key, broker, mode, streams, instruments, money, machine and a paper order. Exit 1 on a failure."""
    if simulator and profile:
        fail(USAGE, "--simulator tries a stack of its own: leave --profile out")
    with exit_on_errors():
        from mytrading.cli.doctor.checks import CheckContext, Finding, Verdict
        from mytrading.cli.shell.target import running_or_configured_stack
        from mytrading.runtime.host.build import running_build

        if simulator:
            with _trial_stack() as stack:
                rows = _examine(CheckContext(stack), quick, as_json)
        else:
            try:
                rows = _examine(CheckContext(running_or_configured_stack(profile)), quick, as_json)
            except ConfigurationError as error:
                rows = [Finding(Verdict.FAILED, str(error), "mend it; `mytrading config check`", "configuration")]
                if not as_json:
                    _print_table(rows)
    bad = [row for row in rows if row.verdict is Verdict.FAILED]
    if not as_json:
        print(f"mytrading {__version__}, build {running_build() or 'unknown'}")
    else:
        print_json({"ok": not bad, "build": running_build(), "findings": [row.body for row in rows]})
    if bad:
        names = ", ".join(row.title for row in bad)
        fail(ERROR, "" if as_json else f"{len(bad)} of {len(rows)} checks failed: {names}")


def _examine(context: CheckContext, quick: bool, as_json: bool) -> list[Finding]:
    from mytrading.cli.doctor.checks import check_other_accounts, run_checks
    from mytrading.cli.doctor.webhook_checks import check_webhooks
    from mytrading.runtime.daemon.webhook_files import webhook_paths

    source = context.for_quote_source()
    if source is None:
        looks = [run_checks(context, _named(*(_QUICK if quick else _checks())))]
    else:
        looks = [run_checks(context, _simulator_checks(quick)), run_checks(source, _source_checks(quick))]
    if webhook_paths(context.config.webhooks_dir):
        looks.insert(1, run_checks(context, (("webhooks", (), check_webhooks),)))
    rows: list[Finding] = []
    with progress_bar("checks", None, as_json) as update:
        for row in chain(*looks, check_other_accounts(context, _account_checks(quick))):
            rows.append(row)
            update(completed=len(rows), note=row.title)
    if not as_json:
        _print_sections(context.config, rows)
    return rows


def _print_sections(config: RunConfig, rows: Sequence[Finding]) -> None:
    """Print a table of the machine and the primary account, then one of each further account, below its name."""
    for name, section in groupby(rows, lambda row: row.account):
        if name:
            account = next(one for one in (*config.quote_accounts, *config.accounts) if one.id == name)
            role = "source of quotes" if account == config.source else account.role.value
            print(f"\naccount {name}, {role}, {account.rest_url}")
        _print_table(list(section))


def _print_table(rows: Sequence[Finding]) -> None:
    table = [{**row.body, "verdict": _SHOWN[row.verdict.value]} for row in rows]
    print_rows(table, ("verdict", "check", "found", "cure"), False, "")


def _checks() -> dict[str, tuple[str, tuple[str, ...], Check]]:
    """Every check by name, with the checks that must pass before it, in this order."""
    from mytrading.cli.doctor import broker_checks, data_checks, paper_order, probes

    server, session = ("server",), ("broker session",)
    checks: Checks = (
        ("disk", (), probes.check_disk), ("calendar", (), probes.check_calendar), ("ports", (), probes.check_ports),
        ("permissions", (), probes.check_permissions), ("server", (), probes.check_server),
        ("clock skew", server, probes.check_clock_skew), ("key", server, probes.check_api_key),
        ("broker session", ("key",), probes.check_broker_session), ("broker", session, broker_checks.check_broker),
        ("left orders", session, broker_checks.check_left_orders), ("mode", session, probes.check_server_mode),
        ("WebSocket", session, probes.check_websocket), ("order stream", session, probes.check_order_stream),
        ("instruments", session, probes.check_instruments), ("history", session, probes.check_history),
        ("sampled bars", (), data_checks.check_sampled_bars),
        ("funds", session, probes.check_funds), ("margin", session, paper_order.check_margin),
        ("egress address", (), probes.check_egress_address), ("paper order", ("mode",), paper_order.check_paper_order),
    )  # fmt: skip
    return {check[0]: check for check in checks}


_LOCAL = ("disk", "calendar", "ports", "permissions")
_SERVER = ("server", "clock skew", "key", "broker session", "broker", "left orders")
_QUICK = (*_LOCAL, *_SERVER, "mode")
"""Checks of `up`: some milliseconds against a server that answers."""
_START = ("WebSocket", "order stream", "funds", "margin", "egress address")
"""Further checks of `up`, in parallel: none places an order or fetches more than the feed does anyway."""


def _named(*names: str, needs: Mapping[str, str] | None = None) -> Checks:
    """Return the named checks in this order; `needs`: the check that must pass before another, if not the usual one."""
    checks, other = _checks(), needs or {}
    return tuple((name, (other[name],) if name in other else checks[name][1], checks[name][2]) for name in names)


def _simulator_checks(quick: bool) -> Checks:
    """Checks of the stack's own simulator, where its quotes are those of another server."""
    more = () if quick else ("order stream", "funds", "margin", "paper order")
    needs = {"mode": "key", **dict.fromkeys(("order stream", "funds", "margin"), "mode")}
    return _named(*_LOCAL, "server", "key", "mode", *more, needs=needs)


def _source_checks(quick: bool) -> Checks:
    """Checks of the server that a simulator has its quotes from, whatever its mode."""
    return _named(*_SERVER, *(() if quick else ("WebSocket", "instruments", "history")))


def _account_checks(quick: bool) -> Checks:
    more = () if quick else ("funds",)
    return _named(
        "server",
        "key",
        "broker",
        "left orders",
        "mode",
        *more,
        needs=dict.fromkeys(("broker", "left orders", "mode", "funds"), "key"),
    )


def check_before_start(stack: TradingOrchestrator) -> None:
    """Check machine and servers as `up` does before it starts processes; prints warnings and failures to stderr. Ends
    the command where nothing may be entered and nothing is held."""
    from mytrading.cli.doctor.checks import CheckContext, Verdict, check_other_accounts, run_checks, run_in_parallel
    from mytrading.operations.refused_start import refused_start

    context = CheckContext(stack, hurried=True)
    source = context.for_quote_source()
    if source is not None:
        looks = [run_checks(context, _named(*_LOCAL)), run_checks(source, _source_checks(quick=True))]
        looks.append(run_in_parallel(source, _named("WebSocket")))
    elif stack.config.simulator.embedded:
        looks = [run_checks(context, _named(*_LOCAL))]
    else:
        looks = [run_checks(context, _named(*_QUICK)), run_in_parallel(context, _named(*_START))]
    for row in chain(*looks, check_other_accounts(context, _account_checks(quick=True))):
        if row.verdict in (Verdict.FAILED, Verdict.WARNING):
            print_note(f"doctor: {row.title}: {row.found} → {row.cure}")
    if refusal := refused_start(stack.config):
        fail(CONFIGURATION, refusal)


@contextmanager
def _trial_stack() -> Iterator[TradingOrchestrator]:
    """A simulated stack in a folder of its own, stopped and removed afterwards."""
    from mytrading.cli.shell.start import StartOptions, prepare_stack, write_market_clock
    from mytrading.orchestrator import TradingOrchestrator
    from mytrading.runtime.streams.endpoints import runtime_dir

    with tempfile.TemporaryDirectory(prefix="mytrading-doctor-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        places = {"state_dir": state, "runtime_dir": runtime_dir(state), "log_dir": Path(folder) / "logs"}
        planned = prepare_stack(StartOptions(simulator=True, speed=1.0)).config
        stack = TradingOrchestrator(replace(planned, **{name: str(path) for name, path in places.items()}))
        print_note("starting a simulated stack to try everything on")
        stack.start(write_market_clock)
        try:
            stack.wait_ready(_READY_S)
            yield stack
        finally:
            stack.stop()
