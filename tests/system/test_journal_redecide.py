"""`journal verify` over what a router process really wrote: its decisions come out again, and a forged one does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.enums import OrderState
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.orders import OrderChanged
from mytrading.messages.run_config import RunConfig, write_run_config
from mytrading.operations.journal_verify import verify_journals
from mytrading.runtime.journal.journal import Row, chain_hash, read_segment, segments
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.journal_surgery import rebuild, remove
from tests.kit.router_bench import Bench, statuses
from tests.kit.simulator_process import start_simulator
from tests.kit.waiting import PATIENCE, eventually

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunConfig]:
    """The journals of a router that placed an entry, was killed, and cancelled it when it stopped."""
    folder = tmp_path_factory.mktemp("again")
    with start_simulator(folder) as simulator, runtime_folder() as runtime, ExitStack() as stack:
        config = feed_config(folder / "run", runtime, simulator.rest, simulator.ws, ("NSE:SBIN",))
        Path(config.state_dir).mkdir(parents=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        bench = Bench(config, stack)
        bench.start("reconciler")
        router = bench.start("router")
        bench.command_a_resting_entry()
        eventually(lambda: (order := bench.order("e1")) and order.state is OrderState.ACCEPTED, 15)
        router.kill()
        router.wait()
        router = bench.start("router")
        eventually(lambda: len(runs(config)) == 2, 15)
        router.terminate()
        assert router.wait(8 * PATIENCE) == 0
        assert statuses(simulator) == ["cancelled"]
        yield config


@pytest.fixture
def config(written: RunConfig, tmp_path: Path) -> RunConfig:
    """A copy of them, to be damaged."""
    shutil.copytree(written.state_dir, tmp_path / "state")
    return msgspec.structs.replace(written, state_dir=str(tmp_path / "state"))


def runs(config: RunConfig) -> list[int]:
    """The rows at which runs of the router began."""
    return [row.seq for row in read_segment(journal(config)) if _kind(row) == "RunStarted"]


def journal(config: RunConfig) -> Path:
    (path,) = segments(config.journal_dir("router"))
    return path


def rewrite(path: Path, change: Any) -> int:
    """Change the body of the first row for which `change(message)` is not None, and make the chain whole again."""
    decoders = {name: StreamDecoder(name) for name in ("orders", "records", "internal", "commands", "reports", "reads")}
    decoders["status"] = StreamDecoder("status")
    written, forged, previous = [], 0, bytes(8)
    for row in read_segment(path):
        new = None if forged else change(decoders[row.stream].decode_body(row.body))
        forged = forged or (row.seq if new is not None else 0)
        body = row.body if new is None else encode_body(new)
        previous = chain_hash(previous, row.seq, row.stream, body)
        written.append(row._replace(body=body, hash=previous))
    rebuild(path, written)
    return forged


def problems(config: RunConfig) -> list[str]:
    return [finding.problem for finding in verify_journals(config) if finding.problem]


def test_router_journal_is_decided_again_without_a_difference(config: RunConfig) -> None:
    assert problems(config) == []
    (finding,) = (found for found in verify_journals(config) if found.daemon == "router")
    assert finding.decided_again >= 5


def test_forged_decision_with_a_whole_chain_is_named(config: RunConfig) -> None:
    def double(message: Any) -> Any:
        if isinstance(message, OrderChanged) and message.event == "submitted":
            order = msgspec.structs.replace(message.order, quantity=20)
            return msgspec.structs.replace(message, order=order)
        return None

    seq = rewrite(journal(config), double)
    (problem, *_) = problems(config)
    assert f"row {seq}:" in problem
    assert "order.quantity is 20 there, 10 here" in problem


def test_decision_that_was_left_out_is_named(config: RunConfig) -> None:
    path = journal(config)
    rows = list(read_segment(path))
    last = rows[-1]
    while _kind(last) != "OrderChanged":
        rows.pop()
        last = rows[-1]
    remove(path, lambda row: row.seq >= last.seq)
    (problem, *_) = problems(config)
    assert "none there, order here" in problem


def test_rows_of_another_version_are_applied_and_not_judged(written: RunConfig, config: RunConfig) -> None:
    def older(message: Any) -> Any:
        return msgspec.structs.replace(message, version="0.0.1") if isinstance(message, RunStarted) else None

    rewrite(journal(config), older)
    (finding,) = (found for found in verify_journals(config) if found.daemon == "router")
    assert finding.problem == ""
    (whole,) = (found for found in verify_journals(written) if found.daemon == "router")
    assert 0 < finding.decided_again < whole.decided_again


def _kind(row: Row) -> str:
    return type(StreamDecoder(row.stream).decode_body(row.body)).__name__
