"""Function calls on the hot paths: what is counted, and that more than a tenth above the noted figure fails the run."""

from __future__ import annotations

import json

import pytest

from lab.bench import call_counts, run_bench
from lab.bench.call_counts import NOTED, CallCounter, counted


def helper() -> int:
    return len("abc")


def begin() -> None:
    helper()


def test_functions_are_counted_until_one_after_another_and_with_those_of_c() -> None:
    with CallCounter() as plain:
        begin()
        helper()
    with CallCounter(in_c=True) as with_c:
        begin()
    with CallCounter(until="helper") as ended:
        begin()
        helper()
    with CallCounter(after="begin") as later:
        begin()
        helper()
    assert (plain.total, with_c.total, ended.total, later.total, later.late) == (3, 3, 2, 3, 2)
    assert ended.ended and not plain.ended


def test_a_tenth_above_the_noted_count_is_allowed_and_more_is_not() -> None:
    noted = NOTED["calls_quote_risk"]
    most = int(noted * 1.1)
    assert counted("calls_quote_risk", most).met
    figure = counted("calls_quote_risk", most + 1)
    assert not figure.met and figure.limit == noted
    assert figure.why.startswith(f"{most + 1} function calls, {noted} noted, at most {most} allowed; ")


def test_count_above_its_limit_fails_the_run_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = counted("calls_bus_send", 2 * NOTED["calls_bus_send"])
    monkeypatch.setattr(call_counts, "measure_call_counts", lambda _: [grown, counted("calls_bus_receive", 2)])
    assert run_bench(["call_counts"], as_json=True) == 1
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["name"], first["met"], first["why"]) == ("calls_bus_send", False, grown.why)
    assert second["met"] and "why" not in second and "binding" not in second
    assert err == f"mytrading bench: calls_bus_send: {grown.why}\n"
    monkeypatch.setattr(call_counts, "measure_call_counts", lambda _: [counted("calls_bus_receive", 2)])
    assert run_bench(["call_counts"], as_json=False) == 0
