"""The router's hands: for each account that orders may go to a lock and a pool of workers with connections of its own.

A call goes to the server of its order's account and to no other; what concerns an account that this run does not serve
is refused here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from mytrading.adapters.venues import Venue, make_venue
from mytrading.messages.enums import Call, Outcome
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.run_config import AccountRun, RunConfig
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.paths import account_lock_path
from mytrading.runtime.recovery.begun_calls import BegunCalls, attempt_digest
from mytrading.runtime.supervision.instance_lock import InstanceLock


class Job(NamedTuple):
    """A call: its `request`, what `begun` sent of it, and the `note` that is written before a placing one leaves."""

    call: Call
    order: Order
    request: Any = None
    begun: Any = None
    note: bytes = b""


class AccountPools:
    """Locks every account at once, so that no second router speaks for it; raises `AlreadyRunning`."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._locks = [InstanceLock(account_lock_path(config, account)) for account in config.order_accounts]
        for lock in self._locks:
            lock.acquire(wait_s=6.0)
        self._pools: dict[str, WorkerPool[Job, Venue, CallOutcome]] = {}
        self._writers = {account.id: make_venue(config, account, machine_now) for account in config.order_accounts}
        """Venues that write requests and send none."""
        self._refused: list[CallOutcome] = []
        self.open_calls = 0
        """Calls submitted whose end was not taken yet."""
        self._wake: Callable[[], None] = lambda: None
        self.begun = BegunCalls(config.state / "router-calls")

    def start_workers(self, wake: Callable[[], None]) -> None:
        """Start each account's workers; they call `wake` when a call has ended (see `take_outcomes`)."""
        self._wake = wake
        self._pools = {account.id: self._pool(account) for account in self._config.order_accounts}

    def _pool(self, account: AccountRun) -> WorkerPool[Job, Venue, CallOutcome]:
        connect = partial(make_venue, self._config, account, machine_now)
        name, count = f"router.{account.id}", self._config.venue.order_workers
        return WorkerPool(name, count, connect, self._finish, _failed, self._wake, begin=self._begin, reserve=1)

    def _begin(self, venue: Venue, job: Job) -> Job:
        if job.call is Call.PLACE:
            self.begun.record(job.note)
        return Job(job.call, job.order, job.request, venue.begin(job.request), job.note)

    def _finish(self, venue: Venue, job: Job) -> CallOutcome:
        if job.begun is None and job.call is Call.PLACE:
            self.begun.record(job.note)
        return venue.finish(job.call, job.order, job.begun)

    def prepare_job(self, call: Call, order: Order) -> Job:
        """Build the job of an order call (place, modify, cancel), its request serialized; nothing is sent."""
        writer = self._writers.get(order.account)
        note = attempt_digest(order.client_order_id, order.call.attempt) if call is Call.PLACE else b""
        return Job(call, order, writer.encode(call, order) if writer is not None else None, None, note)

    def warm_connection(self, job: Job) -> None:
        """Poll the connection that `submit` will use for this job, to have its code and socket in the caches.

        Called while the disk syncs; the answer does not matter, since `submit` polls again. Nothing is sent."""
        pool = self._pools.get(job.order.account)
        if pool is not None and (tool := pool.next_tool) is not None:
            tool.can_send_at_once()

    def submit(self, job: Job, rank: int) -> None:
        """Queue a call for its account's workers, lower `rank` first; returns at once. No such account: refused."""
        self.open_calls += 1
        if (pool := self._pools.get(job.order.account)) is not None:
            pool.submit(job, rank)
            return
        names = ", ".join(self._pools)
        text = f"account {job.order.account} takes no orders in this run, those that do: {names}; see docs/accounts.md"
        self._refused.append(_outcome(job, Outcome.REFUSED, text))
        self._wake()

    def take_outcomes(self) -> list[CallOutcome]:
        """Return and clear the outcomes of calls that have ended."""
        refused, self._refused = self._refused, []
        ended = [*refused, *(outcome for pool in self._pools.values() for outcome in pool.take_results())]
        self.open_calls -= len(ended)
        return ended

    @property
    def calls_queued(self) -> int:
        """Count of calls that wait for a worker."""
        return sum(pool.waiting for pool in self._pools.values())

    def stop_workers(self, wait_s: float) -> None:
        """Stop the workers, waiting up to `wait_s` seconds in all for calls that run."""
        for pool in self._pools.values():
            pool.stop(wait_s / len(self._pools))

    def release_locks(self) -> None:
        """Release the locks by which only this process trades the accounts."""
        self.begun.close()
        for lock in self._locks:
            lock.release()


def _failed(job: Job, error: Exception) -> CallOutcome:
    """A worker broke in the middle of a call: nobody knows what became of it."""
    return _outcome(job, Outcome.UNKNOWN, f"{type(error).__name__}: {error}")


def _outcome(job: Job, outcome: Outcome, message: str) -> CallOutcome:
    now = machine_now()
    return CallOutcome(
        client_order_id=job.order.client_order_id, account=job.order.account, call=job.call, outcome=outcome,
        began_machine_ns=job.order.call.began_machine_ns or now, ended_machine_ns=now, message=message,
    )  # fmt: skip
