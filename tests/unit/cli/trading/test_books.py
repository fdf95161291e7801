"""The tables of orders, positions and round trips: of which account a row is, where there are several."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mytrading.cli.trading import books
from mytrading.messages import ops

LIST: Any = SimpleNamespace(invoked_subcommand=None)
COMMANDS: tuple[Callable[[], None], ...] = (
    lambda: books.orders(LIST, False, 50),
    lambda: books.positions(LIST, False),
    lambda: books.trades(50, False, ""),
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("accounts", "named"), [(("main", "second"), True), (("main", "main"), False)])
def test_rows_of_several_accounts_say_which_and_those_of_one_do_not(
    command: Callable[[], None],
    accounts: tuple[str, ...],
    named: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"strategy": "S", "account": account, "instrument": "NSE:SBIN", "quantity": 1} for account in accounts]
    monkeypatch.setattr(books, "ask_gateway", lambda *_, **__: rows)
    command()
    head, *lines = capsys.readouterr().out.splitlines()
    assert ("account" in head.split()) is named
    assert all(account in line for account, line in zip(accounts, lines, strict=True)) is named


class Asked:
    """A stack that takes every command down and answers none."""

    def __init__(self) -> None:
        self.commands: list[Any] = []

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, command: Any) -> Any:
        self.commands.append(command)
        raise typer.Exit(2)


@pytest.mark.parametrize("words", [[], ["--force", "--reason", "I watch it"]])
@pytest.mark.parametrize(
    ("app", "command", "kind"),
    [
        (books.orders_app, ["modify", "stop-1", "--trigger", "90"], ops.ModifyCommand),
        (books.orders_app, ["cancel", "stop-1"], ops.CancelCommand),
        (books.positions_app, ["close", "NFO:NIFTY25NOV2625550PE"], ops.CloseCommand),
    ],
)
def test_what_takes_protection_away_is_sent_with_force_and_reason_where_they_were_given(
    app: typer.Typer, command: list[str], kind: type[Any], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Asked()
    monkeypatch.setattr(books, "find_stack", lambda _profile: stack)
    CliRunner().invoke(app, [*command, *words])
    (sent,) = stack.commands
    assert type(sent) is kind
    assert (sent.force, sent.reason) == (bool(words), "I watch it" if words else "")


def test_run_that_is_closed_whole_needs_no_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "find_stack", lambda _profile: Asked())
    said = CliRunner().invoke(books.positions_app, ["close", "--run", "5d41402abc4b", "--force"])
    assert "or --force" in str(said.exception)


def test_reason_of_the_router_for_a_denied_entry_stands_beside_the_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under BROKER_CHANGED no rule of risk denies: the order is made, and the router denies it."""
    reason = "BROKER_CHANGED: the server of main names its broker upstox"
    account = {"account": "main", "result": "denied", "orders": 1, "filled": 0, "reason": reason}
    row = {"created_ns": 1, "strategy": "S", "watch": "NSE:SBIN", "action": "BUY", "denied": [], "result": "denied"}
    monkeypatch.setattr(books, "ask_gateway", lambda *_, **__: [{**row, "accounts": [account]}])
    books.signals(50, False, "")
    assert reason in capsys.readouterr().out
