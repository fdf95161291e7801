"""Endpoints of the streams: an `ipc://` path in the private runtime folder, or a TCP port on loopback."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import STREAMS, Pattern
from mytrading.runtime.host.clock import anchor_dir
from mytrading.runtime.host.paths import stack_name, state_key


def runtime_dir(state_dir: Path) -> Path:
    """Make and return the private socket folder of the stack whose state is in `state_dir`; gone after a boot."""
    folder = anchor_dir() / state_key(state_dir)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def named_dir(config: RunConfig) -> Path:
    """Return the link, named after the stack, by which other programs find the runtime folder."""
    return anchor_dir() / "stacks" / stack_name(config.state)


def name_runtime_dir(config: RunConfig) -> None:
    """Create or replace the link `named_dir` to the runtime folder, in one step."""
    link = named_dir(config)
    link.parent.mkdir(mode=0o700, exist_ok=True)
    made = link.with_name(f".{link.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    made.symlink_to(config.runtime_dir)
    made.replace(link)


def endpoint(folder: str, stream: str, writer: str = "") -> str:
    """The `ipc://` endpoint of a stream; fan-out streams with several writers have one per writer."""
    several = stream in STREAMS and STREAMS[stream].pattern is Pattern.FAN_OUT and len(STREAMS[stream].writers) > 1
    return f"ipc://{folder}/{stream}-{writer}" if several else f"ipc://{folder}/{stream}"


def endpoint_of(config: RunConfig, stream: str, writer: str = "") -> str:
    """Return the endpoint of a stream in a run, by its transport; `KeyError` for a stream without a TCP port."""
    messaging = config.messaging
    if messaging.transport != "tcp":
        return endpoint(config.runtime_dir, stream, writer)
    port = messaging.ports.get(f"{stream}-{writer}") or messaging.ports[stream]
    return f"tcp://{messaging.bind_address}:{port}"


def webhook_endpoint_file(config: RunConfig) -> Path:
    """Return the file in which the process `webhooks` says where it listens."""
    return Path(config.runtime_dir) / "webhooks.json"


def read_webhook_endpoint(config: RunConfig) -> dict[str, Any] | None:
    """Return port, local and public address of the process `webhooks`; None if it does not listen."""
    with suppress(OSError, ValueError):
        found = json.loads(webhook_endpoint_file(config).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def console_endpoint_file(config: RunConfig) -> Path:
    """Return the file in which the process `console` says where it listens."""
    return Path(config.runtime_dir) / "console.json"


def console_port_file(config: RunConfig) -> Path:
    """Return the file in which the process `console` keeps its port for the rest of the run."""
    return Path(config.runtime_dir) / "console.port"


def read_console_endpoint(config: RunConfig) -> dict[str, Any] | None:
    """Return port and address of the web console; None if it does not listen."""
    with suppress(OSError, ValueError):
        found = json.loads(console_endpoint_file(config).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None
