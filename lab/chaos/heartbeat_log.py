"""Listens to the heartbeats of a stack and notes when each daemon came, became ready, and was replaced.

It only listens.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import zmq

from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import ALL
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber

_WAIT_MS = 100


class Beats:
    """A thread that writes a line for each change of a daemon's pid or readiness."""

    def __init__(self, config: RunConfig, log: Path) -> None:
        self._config = config
        self._log = log
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="beats", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._ended.set()
        self._thread.join(5.0)

    def _listen(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        endpoints = [endpoint_of(self._config, "status", name) for name in ALL]
        subscriber = ZMQSubscriber("status", endpoints, context=context)
        known: dict[str, tuple[int, bool]] = {}
        with self._log.open("a", encoding="utf-8") as file:
            while not self._ended.is_set():
                subscriber.socket.poll(_WAIT_MS)
                while (frame := subscriber.receive()) is not None:
                    beat = frame.message
                    if not isinstance(beat, Heartbeat):
                        continue
                    now = (beat.pid, beat.ready and beat.state is DaemonState.RUNNING)
                    if known.get(beat.daemon) != now:
                        known[beat.daemon] = now
                        row = {"at_ns": machine_now(), "daemon": beat.daemon, "pid": beat.pid, "ready": now[1]}
                        file.write(json.dumps(row) + "\n")
                file.flush()
        context.destroy(linger=0)
