"""`instruments accept`: what may be accepted of the server's contracts, what is journaled and told to the feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.adapters.storage.instrument_store import AcceptedFile, InstrumentFile
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.daemons.gateway.daemon import Gateway
from mytrading.messages import ops
from mytrading.messages.instruments import InstrumentRefusal
from mytrading.messages.journal_rows import ContractsAccepted
from mytrading.messages.run_config import RunConfig
from tests.kit.feed_process import runtime_folder
from tests.kit.instrument_snapshot import snapshot
from tests.kit.run_configs import run_config

LOT = InstrumentRefusal("NIFTY", "the lot is 75", contracts_only=True, key="lot 75, table 65")
TICK = InstrumentRefusal("NIFTY", "the tick is 0.1", contracts_only=True, key="tick 0.1, table 0.05")
CONTRACTS = InstrumentRefusal("CRUDEOIL", "it counts contracts, not units", contracts_only=True)
BAD = InstrumentRefusal("NIFTY", "9 of 99 rows cannot be read", contracts_only=True)
ACCEPT = ops.AcceptContractsCommand(request_id="a1", by="me", name="nifty", reason="circular of today")


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    with runtime_folder() as runtime:
        yield msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime))


def asked(config: RunConfig, *requests: Any) -> list[Any]:
    """The replies of a gateway that lives for these requests."""
    gateway = Gateway(config)
    gateway.setup()
    try:
        return [gateway.reply(msgspec.msgpack.encode(request)) for request in requests]
    finally:
        gateway.teardown()
        gateway.context.destroy(linger=0)


def listed(config: RunConfig, *refusals: InstrumentRefusal) -> None:
    InstrumentFile(config.state).write(snapshot("2026-11-20", refusals=refusals))


def test_accepted_contracts_are_told_to_the_feed_and_outlive_gateway_and_day(config: RunConfig) -> None:
    listed(config, LOT, BAD)
    (taken,) = asked(config, ACCEPT)
    assert taken == ops.ContractsTaken(name="NIFTY", keys=(LOT.key,), refused=(BAD.reason,))
    file = AcceptedFile(config.state)
    assert file.keys() == {"NIFTY": (LOT.key,)} and not file.has_changed()
    file.path.unlink()  # the journal is the record
    listed(config, TICK)
    asked(config)
    assert file.has_changed() and file.keys() == {"NIFTY": (LOT.key,)}
    asked(config, msgspec.structs.replace(ACCEPT, request_id="a2"))
    assert file.keys() == {"NIFTY": (LOT.key, TICK.key)}


def test_acceptance_is_carried_into_the_next_day_with_who_and_why() -> None:
    machine = ControlMachine()
    row = ContractsAccepted(name="NIFTY", keys=(LOT.key,), at_ns=1, by="me", reason="circular of today")
    machine.apply(row)
    for day in ("2026-11-23", "2026-11-25"):
        machine.apply(machine.snapshot(day))
    assert machine.contracts == {"NIFTY": row}


@pytest.mark.parametrize(
    ("refusals", "fields", "words"),
    [
        ((), {}, "nothing of NIFTY can be accepted: its contracts are in order"),
        ((BAD,), {}, "nothing of NIFTY can be accepted: 9 of 99 rows cannot be read"),
        ((CONTRACTS,), {"name": "CRUDEOIL"}, "it counts contracts, not units"),
        ((LOT,), {"expected": ("lot 5, table 65",)}, "expected lot 5, table 65 of NIFTY, found lot 75, table 65"),
        ((LOT,), {"name": "SENSEX"}, "nothing of SENSEX"),
    ],
)
def test_what_cannot_be_accepted_or_was_not_seen_is_refused_and_leaves_nothing(
    config: RunConfig, refusals: tuple[InstrumentRefusal, ...], fields: dict[str, Any], words: str
) -> None:
    listed(config, *refusals)
    (reply,) = asked(config, msgspec.structs.replace(ACCEPT, **fields))
    assert isinstance(reply, ops.ErrorReply) and words in reply.error
    assert AcceptedFile(config.state).keys() == {}
