"""Timing of the router's calls: their requests are written while the disk takes the decision, and sent after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from mytrading.daemons.router import daemon
from mytrading.daemons.router.account_pools import AccountPools, Job
from mytrading.daemons.router.daemon import TradeManager
from mytrading.messages.control import Alert
from mytrading.messages.enums import Call, OrderState, OrderType, Product, Purpose, Severity, Side
from mytrading.messages.orders import Order, OrderChanged
from mytrading.runtime.journal.journal import JournalFull
from tests.kit.feed_process import runtime_folder
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[TradeManager]:
    """A router whose disk and workers tell what they are asked, in order."""
    sync = os.fdatasync

    def synced(descriptor: int) -> None:
        said.append("synced")
        sync(descriptor)

    shutil.copytree(ROOT / "config", tmp_path / "config")
    with runtime_folder() as runtime, ExitStack() as stack:
        config = msgspec.structs.replace(run_config(tmp_path), home=str(tmp_path), runtime_dir=str(runtime))
        venue = msgspec.structs.replace(config.venue, rest_url="http://127.0.0.1:1")
        router = TradeManager(msgspec.structs.replace(config, venue=venue))
        stack.callback(router.context.destroy, linger=0)
        router.setup()
        stack.callback(router.teardown)
        monkeypatch.setattr(os, "fdatasync", synced)
        monkeypatch.setattr(daemon, "LEAVE_NS", 0)  # nothing that is sent here is ever answered
        monkeypatch.setattr(AccountPools, "prepare_job", telling_written(AccountPools.prepare_job, said))
        monkeypatch.setattr(AccountPools, "submit", lambda _, job, rank: said.append(f"sent {sent(job)} at {rank}"))
        yield router


def telling_written(written: Callable[..., Job], said: list[str]) -> Callable[..., Job]:
    def tell(self: AccountPools, call: Call, order: Order) -> Job:
        said.append(f"wrote {order.client_order_id}")
        return written(self, call, order)

    return tell


def sent(job: Job) -> str:
    assert b'"symbol":"SBIN"' in job.request, "the request is whole"
    return job.order.client_order_id


def submitted(name: str) -> OrderChanged:
    order = Order(
        client_order_id=name, account="paper", instrument="NSE:SBIN", product=Product.MIS, strategy="T", run="r1",
        cause=name, purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, price=900.0,
        state=OrderState.SUBMITTED, created_ns=1, updated_ns=1,
    )  # fmt: skip
    return OrderChanged(event="submitted", order=order, machine_ns=1)


def test_request_is_written_before_the_sync_and_sent_after_it(router: TradeManager, said: list[str]) -> None:
    router.record([submitted("one")])
    assert said == ["wrote one", "synced", "sent one at 2"]


def test_alert_of_an_answer_is_not_ended_by_what_is_done_late_of_its_sending(router: TradeManager) -> None:
    """Both came within the milliseconds in which counting and logging wait: the doubt was never reported."""
    order = submitted("one").order
    unknown = msgspec.structs.replace(order, state=OrderState.UNKNOWN)
    alert = Alert(
        code="ORDER_UNKNOWN", severity=Severity.CRITICAL, subject="one", message="look", daemon="router",
        first_ns=2, last_ns=2,
    )  # fmt: skip
    reported: list[tuple[str, bool]] = []
    router.on_alert = lambda said: reported.append((said.code, said.cleared))  # type: ignore[method-assign]
    router.record([submitted("one")])
    router.record([OrderChanged(event="unknown", order=unknown, machine_ns=2), alert])
    router._run_later()
    assert reported == [("ORDER_UNKNOWN", False)]


def test_order_that_no_disk_took_is_never_sent(
    router: TradeManager, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither then nor with the next decision, whose requests are its own."""

    def lost(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lost)
        with pytest.raises(JournalFull):
            router.record([submitted("one")])
    assert said == ["wrote one"]
    router.record([submitted("two")])
    assert said == ["wrote one", "wrote two", "synced", "sent two at 2"]


def test_sync_that_failed_once_sends_when_the_disk_has_it(
    router: TradeManager, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fdatasync

    def lost(file: int) -> None:
        if "not synced" not in said:
            said.append("not synced")
            raise OSError(5, "Input/output error")
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lost)
        router.record([submitted("one")])
    assert said == ["wrote one", "not synced", "synced", "sent one at 2"]


def test_what_was_written_for_other_rows_is_not_sent(router: TradeManager, said: list[str]) -> None:
    router.prepare_calls([submitted("one")])
    router.begin_calls([submitted("two")])
    assert said == ["wrote one", "wrote two", "sent two at 2"]
