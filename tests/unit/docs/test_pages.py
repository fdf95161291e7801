"""The documents agree with the code: the stream table, the commands, the programs of supervisord.conf."""

from __future__ import annotations

import configparser
import re
import tomllib
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import pytest
from packaging.requirements import Requirement

from mytrading.cli.app import app
from mytrading.config.settings import TradingSettings
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.messages.commands import BASKET_BROKEN
from mytrading.messages.run_config import STARTING_CASH, SimulatorRules
from mytrading.messages.streams import ALL, OPTIONAL, STREAMS, Stream
from mytrading.runtime.supervision.control import PROGRAMS
from mytrading.simulator.settings.options import SimulatorOptions
from tests.kit import order_state_diagram
from tests.kit.pictures import MOST_BYTES
from tests.kit.project import ROOT


def stream_row(stream: Stream) -> str:
    """The line of docs/architecture.md that describes a stream."""
    names = ", ".join
    writers = "every daemon" if stream.writers == (*ALL, *OPTIONAL) else names(stream.writers)
    pattern = stream.pattern.value.replace("_", "-")
    return f"| `{stream.name}` | {writers} | {names(stream.readers)} | {pattern} | {stream.delivery.value} |"


def test_architecture_stream_table_equals_the_code() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    written = [line for line in text.splitlines() if line.startswith("| `")]
    assert written == [stream_row(stream) for stream in STREAMS.values()]


def test_page_of_commands_names_every_command_and_the_readme_the_page() -> None:
    assert "docs/commands.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    commands = [str(info.name or getattr(info.callback, "__name__", "")) for info in app.registered_commands]
    groups = [str(group.name) for group in app.registered_groups]
    missing = [name for name in (*commands, *groups) if f"`{name}" not in text and f"mytrading {name}" not in text]
    assert missing == []


def test_page_of_operations_names_every_event_alert_of_the_router() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("Event alerts are\n")[2]
    named = set(re.findall(r"`([A-Z_]+)`", text.partition("\nA state alert")[0]))
    assert named == {*EventAlert, "ENTRY_LEFT", BASKET_BROKEN}


def test_supervisord_conf_has_exactly_the_known_programs_in_order() -> None:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "supervisord.conf", encoding="utf-8")
    programs = {
        name.removeprefix("program:"): parser[name] for name in parser.sections() if name.startswith("program:")
    }
    assert tuple(sorted(programs, key=lambda name: int(programs[name]["priority"]))) == PROGRAMS
    assert set(PROGRAMS) == {"simulator", *ALL, *OPTIONAL}
    assert all(programs[name]["exitcodes"] == "78" for name in PROGRAMS)
    assert all(int(programs[name]["stopwaitsecs"]) >= 5 for name in PROGRAMS)


def test_lock_file_pins_hashes_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:/|--(index|extra|find)|(^|\s)/", text)
    pins = re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==\S+ \\$", text, flags=re.MULTILINE)
    assert len(pins) == len(set(pins)) > 50
    assert len(re.findall(r"^    --hash=sha256:[0-9a-f]{64}", text, flags=re.MULTILINE)) >= len(pins)


def test_lock_file_pins_the_extras_that_one_package_asks_of_another() -> None:
    """pip 23.2, which Python 3.11 brings, else takes the newest version with that extra, and finds no hash for it."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    asked = [
        (found.name, extra)
        for name in re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==", text, flags=re.MULTILINE)
        for found in map(Requirement, installed_requirements(name))
        if found.marker is None or found.marker.evaluate({"extra": ""})
        for extra in found.extras
    ]
    assert ("coverage", "toml") in asked
    for name, extra in asked:
        assert re.search(rf"^{name}\[(?:[a-z]+,)*{extra}(?:,[a-z]+)*\]==", text, flags=re.MULTILINE), (name, extra)


def installed_requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # pinned for another system
        return []


def test_starting_cash_is_the_same_in_a_stack_and_in_a_simulator_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPER_TRADING_INITIAL_CAPITAL", raising=False)
    alone, in_a_stack = SimulatorOptions(api_key="k").capital, TradingSettings().simulator.capital
    assert alone == in_a_stack == SimulatorRules().capital == STARTING_CASH
    text = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert f"the starting cash (default {STARTING_CASH:.0f} rupees" in text


def test_picture_of_the_order_states_is_that_of_the_table() -> None:
    again = "write it again: python -m tests.kit.order_state_diagram"
    assert order_state_diagram.written() == order_state_diagram.picture(), again
    marks = order_state_diagram.DECISIONS, order_state_diagram.END_DECISIONS
    assert order_state_diagram.written(*marks) == order_state_diagram.decisions(), again


def test_every_hard_case_names_a_test_that_exists() -> None:
    text = (ROOT / "tests" / "system" / "RECONCILIATION.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `(test_\w+)` \|$", text, re.MULTILINE)
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) >= 40
    assert [name for name in named if f"def {name}(" not in source] == []


def test_list_of_decisions_has_each_with_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    titles = {path.name: path.read_text(encoding="utf-8").partition("\n")[0] for path in folder.glob("0*.md")}
    text = (folder / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d{4}) \| \[(.+)\]\((\S+)\) \|$", text, re.MULTILINE)
    assert [name for _, _, name in listed] == sorted(titles)
    assert [name for number, title, name in listed if titles[name] != f"# {number} {title}"] == []


def test_every_picture_is_small_and_shown_in_a_document() -> None:
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    assert [path.name for path in pictures if f"pictures/{path.name})" not in texts] == []
    sizes = [path.stat().st_size for path in pictures]
    assert len(sizes) > 5 and max(sizes) < MOST_BYTES and sum(sizes) < 1_000_000


def test_fee_rows_that_are_said_to_be_unverified_stand_in_the_fee_file() -> None:
    text = (ROOT / "docs" / "backtest.md").read_text(encoding="utf-8").partition("## Costs")[2].partition("\n## ")[0]
    fees = tomllib.loads((ROOT / "config" / "fees.toml").read_text(encoding="utf-8"))
    reported = re.findall(r"^\| (`[^|]*) \| ([0-9-]{10}) \| ([0-9-]{10}|) ?\|$", text, re.MULTILINE)
    assert len(reported) == 5
    for names, begin, end in reported:
        rows = [row for name in re.findall(r"`(\w+)`", names) for row in fee_rows(fees, name)]
        assert date.fromisoformat(begin) in rows, names
        assert not end or date.fromisoformat(end) + timedelta(days=1) in rows, names


def fee_rows(fees: dict[str, Any], name: str) -> list[date]:
    """First days of a charge's rates, over all segments."""
    rows = [*fees.get(name, ()), *(row for one in fees["segments"].values() for row in one.get(name, ()))]
    return [row["from"] for row in rows]
