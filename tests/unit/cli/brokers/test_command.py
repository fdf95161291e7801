"""`mytrading brokers`: what is known of each broker, in any spelling of its name, and what is not known."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.kit.in_process_command import asked


def brokers(*words: str) -> subprocess.CompletedProcess[str]:
    return asked(os.environ, "brokers", *words)


def test_list_has_36_brokers_each_ready_with_limits_or_refused() -> None:
    rows = json.loads(brokers("--json").stdout)
    assert len(rows) == 36
    assert {row["standing"] for row in rows} == {"ready", "with limits", "refused"}
    assert {row["name"] for row in rows if row["standing"] == "refused"} >= {"paytm", "groww"}
    assert all(row["since"] != "not known" and "none yet" in row["checked"] for row in rows)


@pytest.mark.parametrize("name", ["5paisa", "fivepaisa", "FivePaisa"])
def test_broker_is_found_by_any_of_its_names(name: str) -> None:
    assert json.loads(brokers(name, "--json").stdout)["name"] == "fivepaisa"


def test_refused_broker_says_why_since_when_and_which_setting_accepts_it() -> None:
    said = brokers("paytm").stdout
    for part in ("paytm: refused", "MARKET order", "ACCEPTED_BROKERS=paytm", "2026-11-25", "in the engine"):
        assert part in said


def test_what_the_facts_do_not_tell_is_not_known() -> None:
    """Of Nubra's trade rows, one an order, it is not known whose id they bear; of Delta how a stop is moved."""
    assert json.loads(brokers("nubra", "--json").stdout)["trade_order_id"] == "not known"
    assert json.loads(brokers("deltaexchange", "--json").stdout)["stop_move"] == "not known"


def test_name_of_no_broker_is_refused_with_the_nearest() -> None:
    done = brokers("zerhoda")
    assert done.returncode == 2 and "did you mean zerodha" in done.stderr and done.stdout == ""


def test_sandbox_is_no_broker() -> None:
    assert brokers("sandbox").returncode == 2
