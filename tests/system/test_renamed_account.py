"""An account is renamed while it holds: the next run says so, nothing calls itself flat that is not, and an operator's
word ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.simulator_process import API_KEY, start_simulator
from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, LONG, SHARES, WIDE, make_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def account(name: str) -> dict[str, str]:
    return {"OPENALGO_ACCOUNT": name, "LIVE_CONFIRM": name}


def settle_by_word(stack: Stack) -> None:
    """Name the units of the account that is not there as gone: shown, done once, the journal kept as it was."""
    command = (
        "positions", "settle", "NSE:INFY", "--account", "main", "--reason", "renamed", "--request-id", "word-of-1",
    )  # fmt: skip
    shown = stack.run(*command, "--json")
    assert shown.returncode == 2 and "no book was looked at" in shown.stdout, shown.stdout + shown.stderr
    assert stack.held()["Long"] == 20, "what was only shown was done"
    assert stack.run(*command[:5], "--yes").returncode != 0, "no reason was asked for"
    done = stack.run(*command, "--yes")
    assert done.returncode == 0 and "+20 booked as gone" in done.stdout, done.stdout + done.stderr
    again = stack.run(*command, "--yes").stdout.splitlines()
    assert again == done.stdout.splitlines()[-1:], "the same request was not answered as before"
    assert list((stack.state / "journal" / "router" / "copies").glob("*word-of-1.journal")), "no copy was kept"


def test_units_of_a_renamed_account_close_all_entries_until_a_word_names_them(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    clock = tmp_path / "server" / "market.json"
    with start_simulator(
        tmp_path / "server", speed=60, start="2026-11-20 10:00", personality="live", clock=clock
    ) as server:  # fmt: skip
        host, port = server.ws.rsplit("/", 1)[1].split(":")
        environment = make_project(
            tmp_path / "home", HEAD + LONG, {"Long": SHARES.format(name="Long")}, WIDE,
            OPENALGO_API_KEY=API_KEY, OPENALGO_API_HOST=server.rest, OPENALGO_WS_HOST=host, OPENALGO_WS_PORT=port,
            TRADING_MODE="live", ENABLE_TRADE_EXECUTION="true", SIMULATOR_CLOCK=str(clock), **account("main"),
        )  # fmt: skip
        with Stack(tmp_path, **environment) as stack:
            stack.up()
            held = eventually(stack.held, 90)
            assert stack.down().returncode == 0
            stack.environment |= account("second")
            stack.up()
            (alert,) = eventually(lambda: [one for one in stack.ask("alerts") if one["code"] == "ACCOUNT_ABSENT"], 20)
            assert (alert["subject"], alert["severity"]) == ("main", "critical")
            denied = eventually(
                lambda: [one for one in stack.ask("signals") if any("ACCOUNT_ABSENT" in why for why in one["denied"])],
                90,
            )
            assert denied, "no account enters anything"
            for command in (("flatten",), ("down", "--flatten")):
                done = stack.run(*command, "--deadline", "10")
                assert done.returncode == 5, done.stdout
                assert "flat: two reads" not in done.stdout + done.stderr
                assert "account main is not in this run" in done.stderr and "Long holds 20" in done.stderr
            assert stack.pid("router"), "the stack goes on"
            assert stack.held()["Long"] == held["Long"] == 20
            beside = stack.run("flatten", "--account", "second", "--deadline", "10")
            assert beside.returncode == 0 and "account main is not in this run" in beside.stderr, beside.stderr
            assert not [order for order in stack.ask("orders") if order["state"] == "INITIALIZED"]
            settle_by_word(stack)
            eventually(lambda: not [one for one in stack.ask("alerts") if one["code"] == "ACCOUNT_ABSENT"], 20)
            flat = stack.run("flatten", "--deadline", "10")
            assert flat.returncode == 0 and "flat: two reads" in flat.stdout, flat.stdout + flat.stderr
