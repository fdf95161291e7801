"""Streams over TCP: the daemons talk on loopback ports alone, trade, and find each other again after a kill."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import psutil
import pytest

from mytrading.messages.streams import ALL, OPTIONAL
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

SPAN = 30
"""Ports from the base port on that a stack may use."""


def free_base() -> int:
    """A base port from which on nobody listens, below those the system hands out."""
    for base in range(21_000, 29_000, SPAN):
        if all(is_free(port) for port in range(base, base + SPAN)):
            return base
    raise AssertionError(f"no {SPAN} free ports in a row")


def is_free(port: int) -> bool:
    with closing(socket(AF_INET, SOCK_STREAM)) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listening(stack: Stack) -> set[tuple[str, int]]:
    """Every TCP address that a daemon of the stack, the simulator aside, listens on."""
    found = set()
    for name in ALL:
        for connection in psutil.Process(stack.pid(name)).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                found.add((connection.laddr.ip, connection.laddr.port))
    return found


def test_stack_over_tcp_trades_on_loopback_ports_alone(tmp_path: Path) -> None:
    base = free_base()
    environment = {"MYTRADING_TRANSPORT_INSECURE": "yes", "ZMQ_BASE_PORT": str(base)}
    with Stack(tmp_path, MYTRADING_TRANSPORT="tcp", **environment) as stack:
        stack.up("--simulator")
        ports = stack.config.messaging.ports
        assert all(base <= port < base + SPAN for port in ports.values())
        running = {port for name, port in ports.items() if not name.endswith(OPTIONAL)}
        assert listening(stack) == {("127.0.0.1", port) for port in running}
        assert {path.name for path in Path(stack.config.runtime_dir).glob("*")} == {
            "supervisor.sock", "supervisord.pid"
        }  # fmt: skip
        eventually(lambda: filled(stack), 40)
        stack.kill("risk")
        eventually(stack.is_ready, 30)
        before = len(filled(stack))
        eventually(lambda: len(filled(stack)) > before, 60)
        eventually(lambda: not stack.disagreements(), 30)


def filled(stack: Stack) -> list[str]:
    """The ids of filled orders."""
    return [row["client_order_id"] for row in stack.ask("orders") if row["state"] == "FILLED"]


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.4", "localhost"])
def test_address_that_is_not_loopback_is_refused_before_anything_starts(tmp_path: Path, address: str) -> None:
    with Stack(tmp_path, MYTRADING_TRANSPORT="tcp", ZMQ_BIND_ADDRESS=address) as stack:
        done = stack.run("up", "--detach", "--simulator")
        assert done.returncode == 4
        assert "ZMQ_BIND_ADDRESS" in done.stderr
        assert address in done.stderr
        assert not stack.base.exists()
