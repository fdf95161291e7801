"""A start that the settings refuse names what is held meanwhile: those of a strategy without a file refuse it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.cli.main import run
from mytrading.messages.codec import encode_body
from mytrading.messages.enums import Product
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.run_config import RUN_FILE
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal
from tests.kit.project import copy_project

CALL = "NFO:NIFTY30DEC2526000CE"
CONFIGURATION = 4
"""The exit code of settings that are refused, as docs/operations.md has it."""


def position(strategy: str, quantity: int, seen: int = 0) -> PositionChanged:
    level = Position(
        account="main", instrument=CALL, product=Product.NRML, strategy=strategy, run="r", quantity=quantity,
        quantity_seen=quantity or seen, opened_ns=1, updated_ns=1,
    )  # fmt: skip
    return PositionChanged(position=level, client_order_id="x", fill_quantity=quantity, fill_price=1.0, at_ns=1)


def keep(state: Path, day: str, *rows: PositionChanged) -> None:
    journal = Journal(state / "journal" / "router", "router", day, 4096)
    journal.append([Entry(OUTPUT, "orders", encode_body(row)) for row in rows], 1, 1)
    journal.close()
    (state / RUN_FILE).write_bytes(b"of an earlier start")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with settings for a strategy `Carry`, whose file is gone."""
    made = copy_project(tmp_path / "project")
    (made / "config" / "strategies" / "carry.toml").write_text("lots = 1\n")
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "states"))
    monkeypatch.setenv("MYTRADING_HOME", str(made))
    return made


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run(["up", *words])
    assert ended.value.code == CONFIGURATION
    return capsys.readouterr().err


def test_refused_start_names_owner_contract_and_units_of_the_strategy_that_is_gone_first(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "states" / "paper"
    keep(
        state,
        "2026-11-25",
        position("Carry", 130),
        position("Another", 0, seen=75),
        position("Carry", 65),
        position("Flat", 0),
    )
    text = refused(capsys, "--simulator")
    assert "config/strategies/carry.toml: no file in strategies/ has a strategy 'carry'" in text
    mine = f"Carry holds +65 {CALL} NRML in main by the journal of 2026-11-25; put its file back, or take away"
    other = f"Another holds +75 {CALL} NRML in main by the journal of 2026-11-25\n"
    assert text.index(mine) < text.index(other)
    assert "+130" not in text and "Flat" not in text
    assert "nobody moves or places a stop" in text


def test_what_another_profile_holds_is_not_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "states" / "paper", "2026-11-25", position("Carry", 65))
    keep(tmp_path / "states" / "default-live", "2026-11-25", position("Carry", -75))
    assert "+65" in (text := refused(capsys, "--simulator")) and "-75" not in text
    assert "-75" in (text := refused(capsys)) and "+65" not in text


def test_any_other_wrong_setting_names_what_is_held_as_well_and_a_damaged_journal_that_it_is_not_known(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config" / "strategies" / "carry.toml").unlink()
    (home / "config" / "settings.toml").write_text("[risk\n")
    assert "holds" not in refused(capsys, "--simulator"), "nothing was ever started"
    state = tmp_path / "states" / "paper"
    keep(state, "2026-11-25", position("Carry", 65))
    assert f"Carry holds +65 {CALL}" in refused(capsys, "--simulator")
    (state / "journal" / "router" / "2026-11-25.journal").write_bytes(b"something else altogether")
    assert f"what {state} holds cannot be read" in refused(capsys, "--simulator")
