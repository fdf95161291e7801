"""The place of a process beside the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.messages.streams import ALL
from mytrading.runtime.daemon.process import set_priority


def test_engine_alone_is_offered_to_the_kernel_where_memory_runs_out(tmp_path: Path) -> None:
    offered = {name: tmp_path / name for name in ALL if name != "gateway"}
    for name, score in offered.items():
        set_priority(name, score)
    assert [name for name, score in offered.items() if score.exists()] == ["engine"]
    assert int(offered["engine"].read_text()) > 0


def test_system_without_such_an_offer_starts_the_engine_all_the_same(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "score"
    set_priority("engine", missing)
    assert not missing.exists()


def test_process_whose_name_says_nothing_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("mytrading.runtime.daemon.process.os.nice", asked.append)
    set_priority("risk")
    assert asked == [0]
