"""`mytrading account`: the accounts of config/accounts.toml, their keys encrypted.

The work is done in `cli.accounts.accounts`. An API key is typed without echo or read from stdin, never given on the
command line, and never printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson, Limit
from mytrading.cli.shell.output import print_notes, print_result, print_rows

if TYPE_CHECKING:
    from mytrading.cli.accounts.accounts import AccountBook

app = typer.Typer(help="Accounts at OpenAlgo servers: add, list, test, edit, remove, keys.", no_args_is_help=True)

Name = Annotated[str, Argument(metavar="NAME", help="Name of the account in journals and on screens.")]
KeyStdin = Annotated[bool, Option("--key-stdin", help="Read the API key from standard input instead of asking for it.")]
Broker = Annotated[str, Option("--broker", help="Broker of the account; default: as the server reports.")]
Role = Annotated[str, Option("--role", help="primary (quotes and orders), backup (takes the feed over), trading.")]
ProductName = Annotated[str, Option("--product", help="MIS, NRML or CNC, for strategies that name none; default MIS.")]


def _opened() -> AccountBook:
    from mytrading.cli.accounts.accounts import AccountBook

    return AccountBook.open()


@contextmanager
def _changing() -> Iterator[AccountBook]:
    """The accounts, locked for a change; what goes wrong ends the command."""
    with exit_on_errors():
        from mytrading.cli.accounts.accounts import AccountBook

        with AccountBook.open_locked() as book:
            yield book


@app.command()
def add(
    name: Name,
    host: str = Option("", "--host", help="The server's REST address, say http://127.0.0.1:5000."),
    ws_url: str = Option("", "--ws-url", help="Its WebSocket proxy; default: port 8765 of the host."),
    broker: Broker = "", role: Role = "", product: ProductName = "", key_stdin: KeyStdin = False,
    from_env: bool = Option(False, "--from-env", help="Move the key of .env, and its addresses, in here."),
    key_store: str = Option("file", "--key-store", help="Where a first key is kept: file or keyring."),
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Ping a server, and keep the account if it knows the key. The first account is the primary."""
    with exit_on_errors():
        from mytrading.cli.accounts.accounts import environment_account, remove_environment_key

        opened = _opened()
        written = environment_account(opened.home) if from_env else None
        if written is None and not host:
            fail(USAGE, "--host: expected the server's REST address, say http://127.0.0.1:5000, or --from-env")
        if written is not None:
            host, ws_url = host or written.host, ws_url or written.ws_url
        given = {"host": host, "ws_url": ws_url, "broker": broker, "role": role, "product": product}
        opened.check_new(name, given, key_store)
        key = written.key if written is not None else _api_key(key_stdin)
        pong = opened.ping_new(name, given, key)
        with _changing() as book:
            book.check_new(name, given, key_store)
            row = book.add(name, given, key, key_store, pong)
        moved = [remove_environment_key(book.home)] if written is not None else []
    where = f"{row['broker'] or 'a broker without a name'} at {host}, {row['role']}"
    print_result(row, as_json, f"account {name} is kept: {where}")
    print_notes([*moved, *book.notes()])


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """The accounts, without their keys."""
    with exit_on_errors():
        book = _opened()
    columns = ("id", "role", "broker", "host", "ws_url", "product")
    print_rows(book.rows(), columns, as_json, "no accounts; `mytrading account add NAME --host URL` adds one")
    print_notes(book.notes())


@app.command()
def test(name: str = Argument("", metavar="[NAME]"), as_json: AsJson = False) -> None:
    """Ping one account's server, or all: key, broker session and mode. Exit 1 if one of them does not answer well."""
    with exit_on_errors():
        rows = _opened().ping_accounts(name)
    print_rows(rows, ("id", "ok", "broker", "message", "mode", "ms"), as_json, "no accounts")
    if bad := [str(row["id"]) for row in rows if not row["ok"]]:
        fail(ERROR, f"{len(bad)} of {len(rows)} accounts failed: {', '.join(bad)}")


@app.command()
def edit(
    name: Name,
    host: str = Option("", "--host", help="Another address of the server."),
    ws_url: str = Option("", "--ws-url", help="Another WebSocket proxy."),
    broker: Broker = "", role: Role = "", product: ProductName = "",
    new_key: bool = Option(False, "--new-key", help="Ask for another API key."),
    key_stdin: KeyStdin = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change an account; another host or key is pinged before it replaces the old one."""
    given = {"host": host, "ws_url": ws_url, "broker": broker, "role": role, "product": product}
    if not any(given.values()) and not new_key and not key_stdin:
        fail(USAGE, "nothing to change: name an option, say --new-key; `mytrading account edit --help` lists them")
    with exit_on_errors():
        opened = _opened()
        opened.find(name)
        key = _api_key(key_stdin) if new_key or key_stdin else ""
        tried = opened.ping_edited(name, given, key)
        with _changing() as book:
            row = book.edit(name, given, key, tried)
    print_result(row, as_json, f"account {name} is changed")
    print_notes(book.notes())


@app.command()
def remove(
    name: Name,
    force: bool = Option(False, "--force", help="Although quantity is open or unknown."),
    as_json: AsJson = False,
) -> None:
    """Forget an account and its key. Refused while it holds open quantity, here or at the broker."""
    with _changing() as book:
        row = book.remove(name, force)
    heir = f"; {row['primary']} is the primary now" if row["promoted"] else ""
    print_result(row, as_json, f"account {name} is removed{heir}")
    print_notes(book.notes())


@app.command()
def audit(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Changes of accounts and their authors, and failovers of market data to another account's server; all profiles."""
    with exit_on_errors():
        from mytrading.cli.accounts.accounts import audit_rows

        rows = audit_rows()
    columns = ("time", "profile", "user", "action", "subject", "result", "details")
    print_rows(rows[-limit:] if limit else rows, columns, as_json, "nothing was changed yet")


@app.command("set-primary")
def set_primary(name: Name, as_json: AsJson = False) -> None:
    """Make an account the primary, for quotes and orders; the former primary becomes a backup."""
    with _changing() as book:
        row = book.set_primary(name)
    print_result(row, as_json, f"{name} is the primary account")
    print_notes(book.notes())


@app.command("rotate-key")
def rotate_key(as_json: AsJson = False) -> None:
    """Encrypt all API keys under a new key; the old one opens nothing afterwards."""
    with _changing() as book:
        row = book.rotate_key()
    after = "; drop the old key from MYTRADING_KEY now" if row["key"] == "MYTRADING_KEY" else ""
    print_result(row, as_json, f"{row['accounts']} API keys are encrypted under the new key ({row['key']}){after}")


def _api_key(from_stdin: bool) -> str:
    if from_stdin:
        key = sys.stdin.readline().strip()
    else:
        if not sys.stdin.isatty():
            fail(USAGE, "no terminal to ask for the API key on: give it on standard input with --key-stdin")
        key = str(typer.prompt("API key", hide_input=True, err=True)).strip()
    if not key:
        fail(USAGE, "expected an API key, found nothing; it stands on your OpenAlgo server's API key page")
    return key
