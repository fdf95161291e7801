"""Garbage on every socket of a running stack: counted, logged with a sample, and trading goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from mytrading.messages.streams import ALL, STREAMS, Pattern
from mytrading.runtime.streams.endpoints import endpoint
from tests.kit.bad_frames import bad_frames
from tests.kit.stack import Stack
from tests.kit.stack_project import make_busy_project
from tests.kit.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

PIPES = {name: stream.readers[0] for name, stream in STREAMS.items() if stream.pattern is Pattern.PIPE}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("bad")
    with Stack(folder, **make_busy_project(folder / "home")) as running:
        running.up("--simulator")
        yield running


def refused(stack: Stack, daemon: str) -> list[dict[str, object]]:
    """Log events of a daemon about frames that it refused."""
    lines = (Path(stack.config.log_dir) / "main.log").read_text().splitlines()
    rows = [json.loads(line) for line in lines if "frame.refused" in line]
    return [row for row in rows if row["component"] == daemon]


@pytest.mark.parametrize(("stream", "reader"), PIPES.items())
def test_bad_frames_on_a_pipe_are_counted_and_trading_goes_on(stack: Stack, stream: str, reader: str) -> None:
    pids = {name: stack.pid(name) for name in ALL}
    before = stack.beat(reader)["bad_frames"]
    placed = len(stack.ask("orders"))
    frames = list(bad_frames())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.connect(endpoint(stack.config.runtime_dir, stream))
    for frame in frames:
        push.send(frame)
    eventually(lambda: stack.beat(reader)["bad_frames"] >= before + len(frames), 20)
    context.destroy(linger=0)
    samples = refused(stack, reader)
    assert samples and all(row["sample"] is not None and row["problem"] for row in samples)
    assert len(samples) <= len(PIPES), "a sample a minute and socket, not one for each frame"
    eventually(lambda: len(stack.ask("orders")) > placed, 60)
    assert {name: stack.pid(name) for name in ALL} == pids
    eventually(stack.is_ready, 20)


def test_frame_beyond_any_size_cuts_its_sender_off_and_nobody_else(stack: Stack) -> None:
    placed = len(stack.ask("orders"))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.connect(endpoint(stack.config.runtime_dir, "signals"))
    memory = stack.beat("risk")["rss_mb"]
    push.send(bytes(64 << 20))
    eventually(lambda: len(stack.ask("orders")) > placed, 60)
    assert stack.beat("risk")["rss_mb"] < memory + 32
    context.destroy(linger=0)


def test_bad_requests_of_operators_are_answered_or_dropped(stack: Stack) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    for parts in ([b""], [b"", b"garbage"], [b"\xc1"], [b"", os.urandom(2000)], [b"a", b"b", b"c"]):
        dealer = context.socket(zmq.DEALER)
        dealer.connect(endpoint(stack.config.runtime_dir, "ops"))
        dealer.send_multipart(parts)
        assert dealer.poll(5000 * PATIENCE), f"no answer to {parts}"
        dealer.close(0)
    context.destroy(linger=0)
    assert stack.run("status").returncode == 0
