"""A file of faults that is edited while the simulator serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.simulator.faults.registry import FaultFile, Faults, read_fault_file
from mytrading.simulator.main import EditedFile


def followed(path: Path) -> tuple[EditedFile, Faults]:
    faults = Faults()
    file = EditedFile(path, "the faults stay as they are", FaultFile(path, faults, lambda _: "").read)
    for setting in read_fault_file(path):
        faults.set(setting)
    return file, faults


def test_edited_file_sets_what_is_new_ends_what_is_gone_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "place_timeout"\ncount = 2\n[[fault]]\nkind = "ws_drop"\ncount = 1\n')
    file, faults = followed(path)
    assert faults.fire("place_timeout") is not None
    file.reread_if_changed()
    assert faults.names()["place_timeout"] == 1, "nothing was edited, so nothing is set anew"
    path.write_text('[[fault]]\nkind = "place_timeout"\ncount = 2\n[[fault]]\nkind = "price_zero"\ncount = 3\n')
    file.reread_if_changed()
    assert faults.names() == {"place_timeout": 1, "price_zero": 3}


def test_file_that_cannot_be_used_changes_nothing_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "ws_drop"\ncount = 1\n')
    file, faults = followed(path)
    path.write_text('[[fault]]\nkind = "ws_dropped"\n')
    file.reread_if_changed()
    assert faults.names() == {"ws_drop": 1}
    said = capsys.readouterr().err
    assert "ws_dropped" in said
    assert "the faults stay as they are" in said
    path.unlink()
    file.reread_if_changed()
    assert faults.names() == {"ws_drop": 1}
