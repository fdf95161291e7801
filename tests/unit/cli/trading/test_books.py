"""The tables of orders, positions and round trips: of which account a row is, where there are several."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mytrading.cli.trading import books

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
