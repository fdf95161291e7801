"""`mytrading state show|backup|reset|rebuild-ledger|upgrade`: the folder of everything that outlives the processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail, find_stack
from mytrading.cli.shell.options import Account, AsJson, Profile, Reason, RequestId, Yes
from mytrading.cli.shell.output import print_json, print_note, print_result, print_rows
from mytrading.core.time import format_ist
from mytrading.messages.run_config import RunConfig, decode_run_folders
from mytrading.runtime.journal.format import check_state_layout, write_state_layout
from mytrading.runtime.journal.journal import JournalDamaged, JournalFull, JournalOfAnotherVersion

if TYPE_CHECKING:
    from mytrading.operations.state_upgrade import Twofold
    from mytrading.orchestrator import TradingOrchestrator

app = typer.Typer(help="The state folder: show, backup, reset, rebuild-ledger, upgrade.", no_args_is_help=True)


@app.command()
def show(as_json: AsJson = False, profile: Profile = "") -> None:
    """Files, sizes, versions and days of a stack's state."""
    with find_stack(profile) as found:
        from mytrading.operations.state_backup import state_contents

        rows = state_contents(found.config)
    if as_json:
        print_json({"folder": found.config.state_dir, "files": rows})
        return
    print(found.config.state_dir)
    print_rows(
        rows, ("name", "day", "bytes", "rows", "state", "version", "build", "schema", "layout"), False, "nothing yet"
    )


@app.command()
def backup(
    target: Path | None = typer.Argument(None, help="The tar.gz to write; default: beside the state folders."),  # noqa: B008
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Copy the whole state, consistent also while the stack runs, with a manifest and hashes; no API key is in it."""
    with find_stack(profile) as found:
        path, manifest = _backup(found.config, target)
    body = {"file": str(path), "bytes": path.stat().st_size, "files": len(manifest["files"])}
    print_result(body, as_json, f"{body['files']} files, {body['bytes']:,} bytes in {path}")


def _backup(config: RunConfig, target: Path | None = None) -> tuple[Path, dict[str, Any]]:
    from mytrading.operations import state_backup

    name = f"{config.profile}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.tar.gz"
    path = target or config.state.parent / "backups" / name
    if path.is_dir():
        path = path / name
    try:
        state_backup.write_backup(config, path, _progress_every(2.0))
        return path, state_backup.verify_backup(path)
    except OSError as error:
        fail(USAGE, f"state backup: expected a file that can be written, found {path}: {error.strerror or error}")
    except (state_backup.StateInMotion, ValueError) as error:
        fail(ERROR, f"state backup: {error}")


def _progress_every(seconds: float) -> Callable[[str], None]:
    """Prints a line of progress, at most once in so many seconds."""
    last = time.monotonic()

    def show(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > seconds:
            last = time.monotonic()
            print_note(text)

    return show


@app.command()
def reset(
    force: bool = typer.Option(False, "--force", help="Also with positions or live orders; asks for the profile."),
    confirm: str = typer.Option("", "--confirm", metavar="PROFILE", help="The profile's name, instead of typing it."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Empty the state folder, after a backup. Refuses while the stack runs, or with positions or orders known."""
    with find_stack(profile) as found:
        _refuse_reset(found, force)
        name = found.config.profile
        if (confirm or typer.prompt(f"type {name} to empty {found.config.state_dir}", err=True)) != name:
            fail(USAGE, f"state reset: expected the profile's name {name}; nothing was done")
        path, _ = _backup(found.config)
        found.clear_state()
    text = f"the {name} state is empty; what it was is in {path}"
    print_result({"profile": name, "backup": str(path)}, as_json, text)


def _refuse_reset(found: TradingOrchestrator, force: bool) -> None:
    from mytrading.operations.day_close import day_book
    from mytrading.runtime.journal.day_files import day_files

    if found.is_running():
        fail(ERROR, f"state reset: the {found.config.profile} stack runs; `mytrading down` first")
    try:
        files = day_files(found.config)
        days = [file.day for file in files if file.daemon == "router"]
        book = day_book(files, days[-1]) if days else None
        known = [f"{p.quantity:+d} {p.instrument} of {p.strategy}" for p in book.open_positions] if book else []
        known += [f"order {order.client_order_id} ({order.state})" for order in book.live_orders()] if book else []
    except (JournalDamaged, JournalOfAnotherVersion) as error:
        damaged = isinstance(error, JournalDamaged)
        known = [f"{'a damaged journal' if damaged else 'a journal that this version cannot read'} ({error})"]
    if known and not force:
        fail(ERROR, f"state reset: expected nothing held or live, found {', '.join(known[:5])}; close it, or --force")


@app.command("rebuild-ledger")
def rebuild_ledger(
    account: Account = "", reason: Reason = "", yes: Yes = False, request: RequestId = "", as_json: AsJson = False,
    profile: Profile = "",
) -> None:  # fmt: skip
    """Show broker, ledger and difference side by side, and make the ledger what the broker's books show. Asks; needs a
    reason; entries stay halted until `mytrading resume`."""
    from mytrading.cli.trading import settling
    from mytrading.messages.ops import RebuildCommand

    command = RebuildCommand(request_id=request, account=account, reason=reason)
    with find_stack(profile) as found:
        settling.report(settling.settle(found, command, yes, as_json), as_json)


@app.command()
def upgrade(as_json: AsJson = False, profile: Profile = "") -> None:
    """Make journals of an older version readable by this one, after a backup. The stack must be stopped."""
    with exit_on_errors():
        from mytrading import __version__
        from mytrading.operations import state_upgrade
        from mytrading.orchestrator import TradingOrchestrator

        found = TradingOrchestrator.find(profile or None, decode_run_folders)
        if found.is_running():
            fail(ERROR, f"state upgrade: the {found.config.profile} stack runs; `mytrading down` first")
        check_state_layout(found.config.state)
        if twofold := state_upgrade.days_written_twice(found.config):
            wanted = "one file of each day, found two with different rows"
            fail(ERROR, f"state upgrade: {_twofold_text(wanted, twofold)}")
        if anew := state_upgrade.days_begun_anew(found.config):
            wanted = "days that continue each other, found an older file that began with nothing after a newer one"
            fail(ERROR, f"state upgrade: {_twofold_text(wanted, anew)}")
        files = state_upgrade.stored_days(found.config)
        if ahead := state_upgrade.files_of_newer_version(files):
            text = f"{ahead[0].path} is of version {ahead[0].version} (schema {ahead[0].schema})"
            fail(ERROR, f"state upgrade: {text}, newer than this version {__version__}; install that version")
        old = state_upgrade.files_to_upgrade(files)
        path = _backup(found.config)[0] if old else None
        try:
            rows = state_upgrade.upgrade_files(files, print_note) if old else 0
        except (JournalFull, OSError) as error:
            fail(ERROR, f"state upgrade: {error}; nothing was changed")
        state_upgrade.remove_left_behind(found.config)
        write_state_layout(found.config.state)
    body = {"files": len(old), "rows": rows, "backup": str(path) if path else ""}
    done = f"{len(old)} files brought to version {__version__}, {rows} rows changed"
    print_result(body, as_json, done if old else "nothing to upgrade")


def _twofold_text(wanted: str, found: list[Twofold]) -> str:
    """What a person has to know to choose between two files; upgrading would write over the newer one, or hide it."""
    lines = [
        f"  {path}: {_moment(first)} to {_moment(last)}"
        for day in found
        for path, (first, last) in ((day.old, day.old_ns), (day.new, day.new_ns))
    ]
    return (
        f"expected {wanted}, since an older version was started on this state; nothing was changed. "
        "`mytrading state backup`, then move the file that does not count out of the folder, an SQLite file with all "
        "that bears its name (its newest rows are in -wal and -front), for all processes alike:\n" + "\n".join(lines)
    )


def _moment(ns: int) -> str:
    return format_ist(ns, "%Y-%m-%d %H:%M:%S") if ns else "no rows"
