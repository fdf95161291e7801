"""A signal kept back by an entry that was lost on its way: `signals`, `why` and `alerts` name it, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.trading import alerts, books
from mytrading.cli.why import command as why
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.messages.codec import encode_body
from mytrading.messages.commands import PlaceEntry, SignalDenied
from mytrading.messages.enums import OrderState
from mytrading.messages.signals import Leg, Signal
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Entry, Journal
from tests.kit.fake_broker import SECOND, OrderBench, time_out
from tests.kit.gateway_queries import ops_server
from tests.kit.risk_bench import SHARE, RiskBench
from tests.kit.run_configs import run_config


class Lost(NamedTuple):
    """A stack in which the order of signal `a` is lost, and signal `b` wants the same side."""

    order: str

    def said(self, *words: str) -> str:
        done = CliRunner(env={"COLUMNS": "400"}).invoke(app, list(words))
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def cure(self) -> str:
        return f"mytrading orders resolve {self.order} --not-placed"


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lost:
    """Risk and the order machine decide; what they decided is in a journal and in the gateway's view."""
    config, risk_bench, bench = run_config(tmp_path), RiskBench(), OrderBench()
    risk_bench.quote(SHARE)
    (entry,) = risk_bench.intent("a", Leg(instrument=SHARE, lots=10))
    assert isinstance(entry, PlaceEntry)
    bench.read()
    bench.enter(entry.id)
    time_out(bench, placed=False)
    bench.read()
    bench.tick(140 * SECOND)
    bench.read()
    assert bench.order(entry.id).state is OrderState.LOST
    risk_bench.order(entry, OrderState.UNKNOWN)
    risk_bench.order(entry, OrderState.LOST)
    risk_bench.intent("b", Leg(instrument=SHARE, lots=10))
    view, control = StackView(), ControlMachine()
    for row in risk_bench.rows:
        view.apply(row)
    for alert in bench.alerts:
        control.apply(alert)
    _write(Journal(config.journal_dir("risk"), "risk", "2026-11-20"), risk_bench.rows)
    server = ops_server(config, view, control)
    for commands in (books, alerts):
        monkeypatch.setattr(commands, "ask_gateway", lambda _, query: server.answer(query))

    @contextmanager
    def stack(_: str) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(config=config)

    monkeypatch.setattr(why, "find_stack", stack)
    return Lost(entry.id)


def _write(journal: Journal, rows: list[Any]) -> None:
    streams = {Signal: (INPUT, "signals"), SignalDenied: (OUTPUT, "commands")}
    for number, row in enumerate(rows, 1):
        if type(row) in streams:
            kind, stream = streams[type(row)]
            journal.append([Entry(kind, stream, encode_body(row))], number, number)
    journal.close()


@pytest.mark.parametrize("words", [("signals",), ("signals", "--json"), ("why", "b"), ("why", "b", "--json")])
def test_signal_kept_back_by_a_lost_entry_is_shown_with_its_code_and_the_cure(
    lost: Lost, words: tuple[str, ...]
) -> None:
    said = lost.said(*words)
    assert "RESERVED" in said and lost.cure in said


def test_alert_of_a_lost_entry_says_which_side_is_kept_back_and_the_cure(lost: Lost) -> None:
    said = lost.said("alerts")
    assert "ORDER_LOST" in said and "entries of that side are denied (RESERVED)" in said and lost.cure in said
