"""A real reconciler process, and the router's and risk's ends of its streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from mytrading.messages.run_config import RunConfig, write_run_config
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import PullSocket, PushSocket, ZMQPublisher, ZMQSubscriber
from tests.kit.fork_server import Process, start
from tests.kit.waiting import PATIENCE, eventually


@dataclass
class Running:
    """The process, and what it has said so far."""

    process: Process
    reports: PullSocket
    account: ZMQSubscriber
    status: ZMQSubscriber
    reads: PushSocket
    orders: ZMQPublisher
    log: Path
    seen: list[Any] = field(default_factory=list)

    def all(self, kind: type) -> list[Any]:
        """Messages of a kind so far."""
        for source in (self.reports, self.account, self.status):
            while (frame := source.receive()) is not None:
                self.seen.append(frame.message)
        return [message for message in self.seen if isinstance(message, kind)]

    def wait(self, kind: type, condition: Callable[[Any], Any], seconds: float = 10.0) -> Any:
        """The first message of a kind that fits; on failure the log is shown."""
        try:
            return eventually(lambda: next((found for found in self.all(kind) if condition(found)), None), seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}\n{self.seen[-5:]}") from None

    def wait_newest(self, kind: type, condition: Callable[[Any], Any], seconds: float = 10.0) -> Any:
        """The newest message of a kind once it fits."""
        return eventually(lambda: (found := self.all(kind)) and condition(found[-1]) and found[-1], seconds)


@contextmanager
def reconciler(config: RunConfig) -> Iterator[Running]:
    folder = Path(config.state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_run_config(folder / "run.msgpack", config)
    log = folder / "reconciler.log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab"))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        where = config.runtime_dir
        ends = (
            PullSocket("reports", endpoint(where, "reports"), context),
            ZMQSubscriber("account", [endpoint(where, "account", "reconciler")], context=context),
            ZMQSubscriber("status", [endpoint(where, "status", "reconciler")], context=context),
            PushSocket(endpoint(where, "reads"), context),
            ZMQPublisher(endpoint(where, "orders", "router"), context=context),
        )
        process = start(
            [sys.executable, "-m", "mytrading.daemons.reconciler"],
            env={**os.environ, "MYTRADING_RUN": str(folder / "run.msgpack")},
            stdout=output,
            stderr=output,
        )
        try:
            yield Running(process, *ends, log)
        finally:
            process.terminate()
            try:
                code = process.wait(6 * PATIENCE)
            finally:
                process.kill()
        assert code == 0, log.read_text()[-3000:]
