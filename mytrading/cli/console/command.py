"""`mytrading console`: print its address and the first user's code, and reset a lost password."""

from __future__ import annotations

import socket
import sys
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from mytrading.cli.shell.failures import ERROR, NOT_RUNNING, USAGE, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note

app = typer.Typer(name="console", help="The web console: address, first user, lost password.", no_args_is_help=True)
PATIENCE_S = 5.0
"""A console that has just been started is given so long to listen."""


@app.command()
def url(as_json: AsJson = False, profile: Profile = "") -> None:
    """Print the address of the running stack's console. Exit 3 if the stack does not run or has none."""
    from mytrading.runtime.streams.endpoints import read_console_endpoint

    with find_stack(profile) as found:
        config = found.config
        if not found.is_running():
            fail(NOT_RUNNING, f"the {config.profile} stack is not running; `{found.start_command}` starts it")
        if not config.console.enabled:
            fail(NOT_RUNNING, "this stack runs without its web console; start it without --no-console")
        deadline = time.monotonic() + PATIENCE_S
        while not (listens := listens_at(place := read_console_endpoint(config))) and time.monotonic() < deadline:
            time.sleep(0.05)
    if place is None or not listens:
        fail(NOT_RUNNING, "the web console does not listen; `mytrading alerts` and `mytrading logs console` say why")
    shown = place["public"] or place["url"]
    if as_json:
        print_json({**place, "address": shown, "profile": config.profile, "listening": True})
    else:
        print(shown)


def listens_at(place: dict[str, Any] | None) -> bool:
    """Return true if a console listens at the address that it wrote (None: none); one that was killed does not."""
    if place is None:
        return False
    found = urlsplit(place["url"])
    try:
        socket.create_connection((found.hostname or "", found.port or 0), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


@app.command()
def code(as_json: AsJson = False, profile: Profile = "") -> None:
    """Print the code that the browser asks for to make the first user, an administrator; it is valid for 15 minutes."""
    from mytrading.daemons.console.user_store import CODE_S, has_users, new_code

    with find_stack(profile) as found:
        config = found.config
    if has_users(config):
        fail(ERROR, "the console has users already: an administrator adds further ones on its page `users`")
    made = new_code(config)
    if as_json:
        print_json({"code": made, "seconds": CODE_S, "profile": config.profile})
        return
    print(made)
    print_note(f"good for {CODE_S // 60} minutes; `mytrading console url` prints where to give it")


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="Name of the user.")],
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password as one line of standard input.")] = False,
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Give a user a new password, who is enabled, and without a second factor; all its sessions end. For a lost one."""
    from contextlib import closing

    from mytrading.daemons.console.passwords import WeakPassword, check_password, hash_password
    from mytrading.daemons.console.user_store import UserStore, code_path, has_users, store_path

    with find_stack(profile) as found:
        config = found.config
    if not has_users(config):
        fail(ERROR, "the console has no user yet; `mytrading console code` prints the code for the first one")
    if stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        given = str(typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        fail(USAGE, "no terminal to ask for the password on: give it on standard input with --stdin")
    try:
        check_password(given, name)
    except WeakPassword as error:
        fail(USAGE, f"password: {error}")
    with closing(UserStore(store_path(config.state), code_path(config), 0, 0)) as store:
        if not store.reset_user(name, hash_password(given)):
            names = ", ".join(one.name for one in store.users())
            fail(ERROR, f"expected the name of a user ({names}), found {name}")
        store.audit("shell", "", "password", name, "done", "second factor and sessions ended")
    if as_json:
        print_json({"user": name, "reset": True, "profile": config.profile})
        return
    print(f"{name} logs in with the new password, without a second factor")
