"""A stack whose contracts are not in order: entries are denied with the reason, and screens say so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.kit.project import copy_project
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = pytest.mark.system


def test_contracts_without_freeze_quantity_deny_every_entry_with_the_reason(tmp_path: Path) -> None:
    home = tmp_path / "home"
    copy_project(home)
    facts = home / "config" / "instruments.toml"
    facts.write_text(facts.read_text().replace("value = 1800", "value = 0"))
    with Stack(tmp_path, MYTRADING_HOME=str(home)) as stack:
        stack.up("--simulator")

        def denied() -> list[Any]:
            return [row["denied"] for row in stack.ask("signals") if row["denied"]]

        reasons = eventually(denied, 40)
        assert any("freeze quantity is missing" in text for text in reasons[0]), reasons
        assert stack.ask("orders") == []
        eventually(lambda: "INSTRUMENTS_REFUSED" in {row["code"] for row in stack.ask("alerts")}, 10)
        shown = stack.run("instruments", "show")
        assert shown.returncode == 1 and "add it to config/instruments.toml" in shown.stderr
        done = stack.run("doctor")
        assert done.returncode == 1 and re.search(r"^FAILED +instruments ", done.stdout, re.MULTILINE)
