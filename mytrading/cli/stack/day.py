"""`mytrading day close|export`: the end of a trading day, verified, sealed and archived."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.failures import ERROR, USAGE, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note, print_result
from mytrading.runtime.journal.day_files import DayFile, day_files, parquet_of

if TYPE_CHECKING:
    from mytrading.operations.day_close import DayBook
    from mytrading.orchestrator import TradingOrchestrator

app = typer.Typer(help="The end of a trading day: close, export.", no_args_is_help=True)


@app.command()
def close(
    day: str = typer.Option("", "--date", metavar="YYYY-MM-DD", help="Trading day; default: the newest."),
    force: bool = typer.Option(False, "--force", help="Continue despite damaged rows or open intraday positions."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Verify a day's journals, seal them, export them to Parquet, and print a summary of the day.

    Refuses while its sessions last, while the stack still writes to it, and while positions are open that must be flat.
    """
    with find_stack(profile) as found:
        from mytrading.operations import day_close

        files = day_files(found.config)
        known = sorted({file.day for file in files})
        if not known:
            fail(USAGE, "there are no journals yet; `mytrading up` starts a stack")
        if day and day not in known:
            fail(USAGE, f"--date: expected a day with a journal ({known[0]} to {known[-1]}), found {day!r}")
        wanted = day or max((file.day for file in files if file.daemon == "router"), default=known[-1])
        book = day_close.day_book(files, wanted, whole=False)
        bad = _problems(found, files, book, force)
        sealed = [] if found.is_running() else day_close.seal_day(found.config, files, wanted)
        written = day_close.export_closed_days(found.config, print_note)
        body = {
            **book.summary(), "problems": bad, "sealed": sealed,
            "exported": [row for row in written if row["day"] == wanted],
            "archive": str(parquet_of(found.config, "router", wanted).parent),
            "unread": day_close.lagging_readers(files, found.config, wanted),
            "removed": day_close.remove_old_journals(found.config),
        }  # fmt: skip
    print_json(body) if as_json else _print(body)


def _problems(found: TradingOrchestrator, files: list[DayFile], book: DayBook, force: bool) -> list[str]:
    """Problems of a day that `force` overrules; ends the command unless the day may be closed."""
    from mytrading.operations.day_close import journal_damage, why_not_over

    day, bad = book.day, list(journal_damage(files, book.day))
    if waits := why_not_over(found.config, book):
        fail(ERROR, f"day {day} cannot be closed: {waits}")
    newest = {file.daemon: file.day for file in files}
    if found.is_running() and day in newest.values():
        fail(ERROR, f"day {day} is still being written: the stack seals it at midnight; `mytrading down` closes it now")
    held = book.open_positions if day == newest.get("router") else []
    intraday = (one for one in held if one.product == "MIS")
    bad += [f"{one.strategy} still holds {one.quantity} of {one.instrument} (MIS)" for one in intraday]
    if bad and not force:
        cure = "close what must be flat and look at what is damaged, or use --force"
        fail(ERROR, f"day {day} cannot be closed: {'; '.join(bad)}; {cure}")
    return bad


@app.command()
def export(as_json: AsJson = False, profile: Profile = "") -> None:
    """Export all closed days that are not in the archive, and remove journals that are kept no longer."""
    with find_stack(profile) as found:
        from mytrading.operations import day_close
        from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock

        lock = InstanceLock(found.config.lock_dir / "export.lock")
        try:
            lock.acquire()
        except AlreadyRunning as error:
            fail(ERROR, f"day export: {error}")
        body: dict[str, Any] = {
            "exported": day_close.export_closed_days(found.config, print_note),
            "removed": day_close.remove_old_journals(found.config),
        }
        lock.release()
    print_result(body, as_json, f"{len(body['exported'])} files exported, {len(body['removed'])} journals removed")


def _print(body: dict[str, Any]) -> None:
    orders = ", ".join(f"{count} {state.lower()}" for state, count in body["orders"].items() if state != "all")
    print(f"{date.fromisoformat(body['day']):%a %d %b %Y}: {body['orders']['all']} orders ({orders or 'none'}), "
          f"{body['trades']} trades, realised ₹{body['realised']:,.2f} before fees")  # fmt: skip
    for position in body["positions"]:
        print(f"held: {position['quantity']:+d} {position['instrument']} {position['product']} {position['strategy']}")
    for kind, rows in body["differences"].items():
        for row in rows:
            print(f"{kind}: {row if isinstance(row, str) else ' '.join(map(str, row.values()))}")
    for text in (*body["problems"], *body["unread"]):
        print(f"note: {text}")
    print(f"archive: {body['archive']} ({len(body['exported'])} files written now)")
