"""`mytrading console`: an address is named only while something listens there."""

from __future__ import annotations

import socket

from mytrading.cli.console.command import listens_at


def test_console_that_was_killed_listens_no_more_where_its_file_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as served:
        place = {"url": f"http://127.0.0.1:{served.getsockname()[1]}"}
        assert listens_at(place)
    assert not listens_at(place) and not listens_at(None)
