"""`mytrading instruments` on the files of a state folder: what is listed, found, changed and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.warehouse import Warehouse
from mytrading.cli.main import run as main
from mytrading.messages.instruments import InstrumentKind, InstrumentRefusal
from mytrading.messages.run_config import write_run_config
from tests.kit.instrument_snapshot import ODD, snapshot
from tests.kit.run_configs import run_config

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = run_config(tmp_path)
    write_run_config(config.state / "run.msgpack", config)
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(config.state.parent))
    return config.state


@pytest.fixture
def run(state: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["instruments", *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def test_show_counts_by_underlying_and_shows_one_contract(state: Path, run: Run) -> None:
    InstrumentFile(state).write(snapshot("2026-11-20"))
    code, out, _ = run("show", "--json")
    body = json.loads(out)
    (future,) = (row for row in body["underlyings"] if row["kind"] == "FUT")
    assert (code, body["day"], future["lots"], future["freeze"]) == (0, "2026-11-20", [65], [1800])
    code, out, _ = run("show", "nse:b&b", "--json")
    assert (code, json.loads(out)["name"]) == (0, "BEN & BOB")
    assert run("show", "NOSUCH")[0] == 2


def test_show_of_refused_contracts_exits_1_with_the_reasons(state: Path, run: Run) -> None:
    assert run("show")[0] == 1
    InstrumentFile(state).write(
        snapshot("2026-11-20", refusals=(InstrumentRefusal("NIFTY", "the list was cut short"),))
    )
    code, out, err = run("show")
    assert (code, "instruments of 2026-11-20" in out) == (1, True)
    assert "refused: NIFTY: the list was cut short" in err


def test_search_finds_by_words_of_symbol_and_name(state: Path, run: Run) -> None:
    InstrumentFile(state).write(snapshot("2026-11-20"))
    _, out, _ = run("search", "nifty", "26000ce", "--json")
    assert {row["strike"] for row in json.loads(out)} == {26_000.0}
    _, out, _ = run("search", "bob", "--json")
    assert [row["id"] for row in json.loads(out)] == ["NSE:B&B"]
    assert "--server" in run("search", "nosuch")[1]


def test_diff_and_save_span_the_copies_and_the_warehouse(state: Path, run: Run) -> None:
    store = InstrumentFile(state)
    assert run("diff")[0] == 2
    for number in range(1, 13):
        store.write(snapshot(f"2026-11-{number:02d}"))
    later = [msgspec.structs.replace(row, lot_size=75) if row.kind is InstrumentKind.FUT else row
             for row in store.snapshot().instruments if row != ODD]  # fmt: skip
    store.write(snapshot("2026-11-13", instruments=tuple(later)))
    for _ in range(2):
        code, out, _ = run("save", "--json")
        assert code == 0, out
    assert (len(store.days()), store.days()[0]) == (10, "2026-11-04")
    warehouse = Warehouse(state)
    assert warehouse.instrument_days()[0] == "2026-11-01"
    assert set(warehouse.instruments("2026-11-01")) == set(snapshot("2026-11-01").instruments)
    _, out, _ = run("diff", "--from", "2026-11-02", "--json")
    body = json.loads(out)
    assert (body["to"], body["added"], body["removed"]) == ("2026-11-13", [], ["NSE:B&B"])
    assert [change["after"] for change in body["changed"]] == [75, 75, 75]
    assert "NIFTY: lot size 65 → 75 (3 contracts); 1 removed" in run("diff")[1]
