"""`mytrading journal verify|show|export`: the record of every decision, read straight from the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, stack
from mytrading.core.time import format_ist

if TYPE_CHECKING:
    from mytrading.messages.run_config import RunConfig

app = typer.Typer(help="The record of every decision: verify, show, export.", no_args_is_help=True)
_DAEMON = typer.Option("", "--daemon", "-d", help="Only this daemon's journal.")


def _judge_name(config: RunConfig, daemon: str) -> None:
    """Exit 2 for a name that no process and no journal has."""
    from mytrading.messages.streams import ALL
    from mytrading.operations.journal_verify import journals

    if daemon and daemon not in ALL and not journals(config, daemon):
        fail(USAGE, f"no daemon is called {daemon!r}: expected one of {', '.join(ALL)}")


@app.command()
def verify(daemon: str = _DAEMON, as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION) -> None:
    """Check that no row was changed, lost or made unreadable, that readers and writers agree, and that the router's
    inputs still lead to its decisions; exit 1 if not."""
    with stack(profile) as found:
        from mytrading.operations.journal_verify import verify as check

        _judge_name(found.config, daemon)
        findings = check(found.config, daemon)
    problems = [finding.problem for finding in findings if finding.problem]
    if as_json:
        print_json({"ok": not problems, "files": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            again = f", {finding.decided_again} inputs decided again" if finding.decided_again else ""
            print(f"{finding.daemon:<11} {Path(finding.file).name:<18} {finding.rows:>8} rows  "
                  f"{finding.problem or 'in order' + again}")  # fmt: skip
        if not findings:
            print("no journals yet")
    if problems:
        fail(ERROR, f"{len(problems)} journal problem(s)")


@app.command()
def show(
    trace: str = typer.Option("", "--trace", help="All rows that belong to this id (of a signal, an order, …)."),
    daemon: str = _DAEMON,
    limit: int = typer.Option(50, "--limit", "-n", min=0, help="At most this many, the newest; 0 is all."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Show rows: what a daemon read and what it decided."""
    with stack(profile) as found:
        from mytrading.operations.journal_verify import KINDS, decoded, traced

        _judge_name(found.config, daemon)
        rows = list(decoded(found.config, daemon))
    if trace:
        rows = traced(rows, trace)
        if not rows:
            where = f"the journal of {daemon}" if daemon else "any journal"
            fail(USAGE, f"no row in {where} has the id {trace!r}; `mytrading orders --json` and `signals --json` "
                 "print ids")  # fmt: skip
    else:
        rows.sort(key=lambda entry: (entry.row.machine_ns, entry.row.seq))
    for entry in rows[-limit:] if limit else rows:
        row, kind = entry.row, KINDS[entry.row.kind]
        if as_json:
            print_json({"daemon": entry.daemon, "seq": row.seq, "epoch": row.epoch, "kind": kind, "stream": row.stream,
                        "stream_seq": row.stream_seq, "source": row.source, "market_ns": row.market_ns,
                        "machine_ns": row.machine_ns, "body": entry.body})  # fmt: skip
        else:
            moment = format_ist(row.market_ns, "%m-%d %H:%M:%S")
            body = " ".join(f"{key}={value}" for key, value in entry.body.items() if key != "type")
            print(f"{moment} {entry.daemon:<10} {row.seq:>6} {kind:<6} {row.stream:<8} "
                  f"{entry.body.get('type', '')} {body}"[:400])  # fmt: skip


@app.command()
def export(
    target: Path = typer.Argument(..., help="The Parquet file to write."),  # noqa: B008
    daemon: str = _DAEMON,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Write rows to a Parquet file, bodies as JSON."""
    with stack(profile) as found:
        from mytrading.operations.journal_verify import decoded
        from mytrading.operations.journal_verify import export as write

        _judge_name(found.config, daemon)
        try:
            count = write(decoded(found.config, daemon), target)
        except OSError as error:
            fail(USAGE, f"journal export: expected a file that can be written, found {target}: {error.strerror}")
    if as_json:
        print_json({"file": str(target), "rows": count})
    else:
        print(f"{count} rows written to {target}")
