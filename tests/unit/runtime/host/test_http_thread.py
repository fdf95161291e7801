"""HTTP in a daemon: the port that it gets, and the refusal of a taken one."""

from __future__ import annotations

import socket

import pytest

from mytrading.runtime.host.http_thread import PortTaken, bind_port


def test_taken_port_is_refused_or_the_next_one_is_had() -> None:
    with bind_port("127.0.0.1", 0, next_free=False, setting="CONSOLE_PORT") as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken, match="CONSOLE_PORT"):
            bind_port("127.0.0.1", port, next_free=False, setting="CONSOLE_PORT")
        with bind_port("127.0.0.1", port, next_free=True, setting="CONSOLE_PORT") as other:
            assert other.getsockname()[1] > port
        with bind_port("127.0.0.1", port, next_free=True, setting="CONSOLE_PORT", other=port + 1) as other:
            assert other.getsockname()[1] > port + 1


def test_port_of_before_is_had_again_where_any_or_the_next_will_do() -> None:
    with bind_port("127.0.0.1", 0, next_free=False, setting="CONSOLE_PORT") as holder:
        before = holder.getsockname()[1]
        with bind_port("127.0.0.1", 0, next_free=False, setting="CONSOLE_PORT", before=before) as other:
            assert other.getsockname()[1] != before, "it is taken"
    for port, next_free in ((0, False), (before - 3, True)):
        with bind_port("127.0.0.1", port, next_free=next_free, setting="CONSOLE_PORT", before=before) as again:
            assert again.getsockname()[1] == before
    with bind_port("127.0.0.1", 0, next_free=False, setting="CONSOLE_PORT") as free:
        port = free.getsockname()[1]
    with bind_port("127.0.0.1", port, next_free=False, setting="CONSOLE_PORT", before=before) as own:
        assert own.getsockname()[1] == port, "a port that was set is that port"


def test_answer_is_sent_at_once_and_not_after_the_acknowledgement_of_its_head() -> None:
    listening = bind_port("127.0.0.1", 0, next_free=False, setting="CONSOLE_PORT")
    with listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
