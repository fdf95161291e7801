"""Lists of alerts: what is critical stands first, and many of one kind do not hide the one that is their cause."""

from __future__ import annotations

from typing import Any

from mytrading.cli.stack.commands import problem_lines
from mytrading.cli.trading.alerts import alert_rows


def row(code: str, subject: str, severity: str, at: int, **fields: Any) -> dict[str, Any]:
    return {"code": code, "subject": subject, "severity": severity, "message": f"{code} of {subject}", "first_ns": at,
            "last_ns": at, "daemon": "router", **fields}  # fmt: skip


MISSING = [row("ORDER_MISSING", f"o{number}", "warning", 100 + number, count=2) for number in range(92)]
CAUSE = row("DAY_NOT_ROLLED", "router", "critical", 500)


def test_ninety_alerts_of_one_kind_are_one_row_below_the_critical_one_that_is_younger() -> None:
    first, second = alert_rows([*MISSING, CAUSE])
    assert first == CAUSE
    assert (second["subject"], second["count"]) == ("o0, o1, o2 and 89 more", 184)
    assert (second["first_ns"], second["last_ns"]) == (100, 191)
    assert second["message"] == "92 alerts, the newest: ORDER_MISSING of o91"


def test_alerts_of_one_code_but_of_another_severity_or_ended_stay_apart() -> None:
    rows = [row("A", "x", "warning", 1), row("A", "y", "critical", 2), row("A", "z", "warning", 3, cleared=True)]
    assert [one["subject"] for one in alert_rows(rows)] == ["y", "x", "z"]


def test_each_alert_has_its_own_row_where_that_is_asked_for() -> None:
    rows = alert_rows([*MISSING, CAUSE], each=True)
    assert (len(rows), rows[0], rows[1]["subject"]) == (93, CAUSE, "o0")


def test_summary_of_a_start_names_the_cause_first_and_the_many_once() -> None:
    faulted = {"name": "s", "state": "FAULTED", "problem": "no file"}
    fault = row("STRATEGY_FAULTED", "s", "critical", 1)
    assert problem_lines([faulted], [*MISSING, CAUSE, fault]) == [
        "strategy s is faulted and does nothing: no file",
        "alert DAY_NOT_ROLLED router: DAY_NOT_ROLLED of router",
        "alert ORDER_MISSING o0, o1, o2 and 89 more: 92 alerts, the newest: ORDER_MISSING of o91",
    ]
