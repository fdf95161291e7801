"""Ten strategies on one instrument of one stack: each has orders, positions, stops and a result of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.in_process_command import asked
from tests.kit.project import copy_project
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

COUNT = 10
NAMES = [f"Owner_{number}" for number in range(COUNT)]
SBIN = "NSE:SBIN"
HEAD = '''
from mytrading.strategies import Bar, BaseStrategy, Leg, Signal


class Owner(BaseStrategy):
    """Buys its own number of shares once a day."""

    abstract = True
    shares: int = 0

    def on_data(self, data: Bar) -> Signal | None:
        if self.traded_today or not self.shares:
            return None
        return self.create_signal("BUY", legs=[Leg(instrument=self.instrument, lots=self.shares)])
'''
ONE = '''

class Owner{0}(Owner):
    """Has {1} shares."""

    name = "Owner_{0}"
    shares: int = {1}
'''


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    copy_project(home)
    text = HEAD + "".join(ONE.format(number, number + 1) for number in range(COUNT))
    (home / "strategies" / "owners.py").write_text(text, encoding="utf-8")
    for name in NAMES:
        settings = f'name = "{name}"\nsymbols = ["{SBIN}"]\ntimeframes = ["1m"]\ntrade = "same"\ndirection = "long"\n'
        (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(settings, encoding="utf-8")
    folder = tmp_path_factory.mktemp("many")
    limits = {"MIN_ORDER_SIZE": "0", "MAX_POSITION_SIZE": "10000000", "MAX_POSITIONS_PER_SYMBOL": "50"}
    with Stack(folder, MYTRADING_HOME=str(home), ENABLED_STRATEGIES=",".join(NAMES), **limits) as found:
        found.up("--simulator", "--speed", "5")
        yield found


def ask(stack: Stack, *words: str) -> Any:
    """Answer to a question, which is put again while the gateway of a starved machine does not answer."""

    def answer() -> Any:
        done = asked(stack.environment, *words, "--json")
        return None if "did not answer" in done.stderr else done

    done = eventually(answer, 60)
    assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def owned(stack: Stack) -> dict[str, int]:
    """Units of SBIN by owner."""
    rows = ask(stack, "positions")
    return {row["strategy"]: row["quantity"] for row in rows if row["instrument"] == SBIN and row["quantity"]}


def test_each_strategy_owns_what_it_bought_and_its_stop(stack: Stack) -> None:
    wanted = {name: number + 1 for number, name in enumerate(NAMES)}
    eventually(lambda: owned(stack) == wanted, 90)
    assert stack.broker_net() == {SBIN: sum(wanted.values())}

    def guarded() -> bool:
        rows = [row for row in ask(stack, "orders", "--live") if row["purpose"] == "stop"]
        return {row["strategy"]: row["quantity"] for row in rows} == wanted

    eventually(guarded, 60)
    for name in NAMES:
        shown = ask(stack, "strategies", "show", name, "--limit", "0")
        assert [row["quantity"] for row in shown["positions"] if row["quantity"]] == [wanted[name]]
        entries = [row for row in shown["orders"] if row["purpose"] == "entry" and row["filled"]]
        assert [row["filled"] for row in entries] == [wanted[name]]
        assert {row["strategy"] for row in shown["orders"]} <= {name}


def test_closing_one_leaves_the_others_and_gives_it_alone_a_result(stack: Stack) -> None:
    before = owned(stack)
    assert len(before) == COUNT, before
    assert ask(stack, "flatten", "--strategy", NAMES[3])["flat"] is True
    left = {name: units for name, units in before.items() if name != NAMES[3]}
    assert owned(stack) == left
    assert stack.broker_net() == {SBIN: sum(left.values())}
    shown = {name: ask(stack, "strategies", "show", name) for name in NAMES}
    (trade,) = shown[NAMES[3]]["trades"]
    assert trade["quantity"] == before[NAMES[3]]
    assert shown[NAMES[3]]["realised"] == pytest.approx(trade["realised"], abs=0.011)
    assert [name for name in NAMES if shown[name]["trades"]] == [NAMES[3]]
    assert all(shown[name]["realised"] == 0 for name in left)
    for name in left:
        (position,) = (row for row in shown[name]["positions"] if row["quantity"])
        worth, moves = position["quantity"] * (position["ltp"] - position["average_price"]), position["quantity"] * 1.0
        assert position["unrealised"] == pytest.approx(worth, abs=moves), "of its own units, a quote apart at most"
    eventually(lambda: not stack.disagreements(), 60)
