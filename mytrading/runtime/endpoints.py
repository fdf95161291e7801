"""Where each stream's socket is: an `ipc://` path in the private runtime folder, or a TCP port on loopback.

The one rule: nobody else in the code builds an endpoint.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import STREAMS, Pattern
from mytrading.runtime.clock import anchor_dir


def runtime_dir(state_dir: Path) -> Path:
    """The folder for the sockets of the stack whose state is in `state_dir`: short, 0700, gone after a boot."""
    key = hashlib.blake2b(str(state_dir.resolve()).encode(), digest_size=4).hexdigest()
    folder = anchor_dir() / key
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def endpoint(folder: str, stream: str, writer: str = "") -> str:
    """The `ipc://` endpoint of a stream; fan-out streams with several writers have one per writer."""
    several = stream in STREAMS and STREAMS[stream].pattern is Pattern.FAN_OUT and len(STREAMS[stream].writers) > 1
    return f"ipc://{folder}/{stream}-{writer}" if several else f"ipc://{folder}/{stream}"


def endpoint_of(config: RunConfig, stream: str, writer: str = "") -> str:
    """The endpoint of a stream in a run, by the transport it was started with. Fails on a stream without a port."""
    messaging = config.messaging
    if messaging.transport != "tcp":
        return endpoint(config.runtime_dir, stream, writer)
    port = messaging.ports.get(f"{stream}-{writer}") or messaging.ports[stream]
    return f"tcp://{messaging.address}:{port}"
