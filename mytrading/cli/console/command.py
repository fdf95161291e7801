"""`mytrading console`: its address, and the code by which its first user is made."""

from __future__ import annotations

import time

import typer

from mytrading.cli.shell.failures import ERROR, NOT_RUNNING, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note

app = typer.Typer(name="console", help="The web console: its address, and its first user.", no_args_is_help=True)
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
        while (place := read_console_endpoint(config)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
    if place is None:
        fail(NOT_RUNNING, "the web console does not listen; `mytrading alerts` and `mytrading logs console` say why")
    shown = place["public"] or place["url"]
    if as_json:
        print_json({**place, "address": shown, "profile": config.profile, "listening": True})
    else:
        print(shown)


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
