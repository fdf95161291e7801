"""HTTP in a daemon: the port that it gets, and the refusal of a taken one."""

from __future__ import annotations

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
