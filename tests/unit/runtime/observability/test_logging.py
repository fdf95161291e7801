"""Logging: which line goes where, what is masked, and that several processes can share and rotate one file."""

from __future__ import annotations

import io
import json
import logging as stdlib_logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from mytrading.runtime.observability.logging import (
    SharedLogFile,
    configure_logging,
    get_logger,
    level_number,
    performance_logger,
    trade_logger,
)
from tests.kit.fork_server import start


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers = stdlib_logging.getLogger().handlers
    yield
    structlog.reset_defaults()
    stdlib_logging.getLogger().handlers = handlers


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / f"{name}.log"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def events(folder: Path, name: str) -> list[str]:
    return [line["event"] for line in lines(folder, name)]


def log_one_of_each() -> None:
    get_logger("part").debug("detail.seen")
    get_logger("part").info("daemon.started", pid=1)
    trade_logger().info("order.filled", order_id="17", state="FILLED")
    performance_logger().info("performance.measured", mean=1.5)
    get_logger("part").error("call.failed")


def test_events_at_level_info_go_to_their_files(tmp_path: Path) -> None:
    configure_logging("router", tmp_path, "INFO", console=False)
    log_one_of_each()
    assert events(tmp_path, "main") == ["daemon.started", "order.filled", "call.failed"]
    assert events(tmp_path, "trade") == ["order.filled"]
    assert events(tmp_path, "performance") == ["performance.measured"]
    assert events(tmp_path, "error") == ["call.failed"]


def test_events_at_level_error_leave_the_trade_log_complete(tmp_path: Path) -> None:
    configure_logging("router", tmp_path, "error", console=False)
    log_one_of_each()
    assert events(tmp_path, "main") == ["call.failed"]
    assert events(tmp_path, "trade") == ["order.filled"]


def test_events_at_level_debug_include_details(tmp_path: Path) -> None:
    configure_logging("router", tmp_path, "DEBUG", console=False)
    log_one_of_each()
    assert "detail.seen" in events(tmp_path, "main")


def test_trade_line_has_time_component_id_and_state(tmp_path: Path) -> None:
    configure_logging("router", tmp_path, console=False)
    trade_logger().info("order.filled", order_id="17", state="FILLED")
    (line,) = lines(tmp_path, "trade")
    assert line["time"].endswith("+05:30")
    assert (line["component"], line["order_id"], line["state"], line["level"]) == ("router", "17", "FILLED", "info")


def test_files_switched_off_are_not_written(tmp_path: Path) -> None:
    configure_logging("router", tmp_path, console=False, off=("trade", "error"))
    log_one_of_each()
    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["main.log", "performance.log"]


def test_unknown_level_names_the_allowed_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'LOUD': expected one of DEBUG, INFO"):
        configure_logging("router", tmp_path, "LOUD")
    assert level_number("warning") == 30


def test_secrets_reach_neither_file_nor_console(tmp_path: Path) -> None:
    screen = io.StringIO()
    configure_logging("router", tmp_path, secrets=("s3cr3t-key",), stream=screen)
    log = get_logger()
    log.info("request.sent", api_key="unregistered", body={"apikey": "s3cr3t-key"}, url="http://x/?k=s3cr3t-key")
    try:
        raise RuntimeError("refused s3cr3t-key")
    except RuntimeError:
        log.exception("request.failed")
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.log")) + screen.getvalue()
    assert "s3cr3t" not in written
    assert "unregistered" not in written
    assert "request.failed" in written
    assert "RuntimeError: refused ***" in written


def test_console_line_shows_event_and_fields(tmp_path: Path) -> None:
    screen = io.StringIO()
    configure_logging("risk", None, stream=screen)
    get_logger().info("signal.denied", reason="market closed", size=2.5)
    assert screen.getvalue().rstrip().endswith("risk       signal.denied reason='market closed' size=2.5")


def test_fields_that_cannot_be_encoded_or_clash_are_kept_as_text(tmp_path: Path) -> None:
    configure_logging("risk", tmp_path, console=False)
    get_logger().info("odd.seen", level="halt", broken="\ud800")
    (line,) = lines(tmp_path, "main")
    assert line["level_"] == "'halt'"
    assert line["broken"] == "'\\ud800'"


def test_overlong_line_is_cut_and_stays_json(tmp_path: Path) -> None:
    configure_logging("risk", tmp_path, console=False)
    get_logger().info("body.seen", body="x" * 100_000)
    (line,) = lines(tmp_path, "main")
    assert line["event"] == "body.seen"
    assert len(line["cut"]) < 10_000


def test_warnings_of_libraries_are_logged(tmp_path: Path) -> None:
    configure_logging("feed", tmp_path, console=False)
    stdlib_logging.getLogger("websocket").warning("closed by %s", "peer")
    (line,) = lines(tmp_path, "main")
    assert (line["event"], line["message"], line["source"]) == ("library.logged", "closed by peer", "websocket")


def test_unwritable_folder_does_not_stop_the_writer(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    configure_logging("feed", blocked / "logs", console=False)
    get_logger().error("still.running")
    file = SharedLogFile(blocked / "logs" / "main.log", 20_000, 30, check_seconds=0.0)
    file.write(b"lost\n")
    blocked.unlink()
    file.write(b"kept\n")
    assert (file.lost, file.path.read_text()) == (1, "kept\n")


WRITER = """
import sys
from pathlib import Path
from mytrading.runtime.observability.logging import SharedLogFile
file = SharedLogFile(Path(sys.argv[1]), 20_000, 30, check_seconds=0.0)
for number in range(2000):
    file.write(f'{{"writer":{sys.argv[2]},"number":{number},"pad":"{"x" * 50}"}}\\n'.encode())
"""


def test_file_shared_by_processes_and_rotated_loses_and_mixes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    writers = [start([sys.executable, "-c", WRITER, str(path), str(n)]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    parts = list(tmp_path.glob("main*.log"))
    rows = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert len(parts) > 5
    assert sorted((row["writer"], row["number"]) for row in rows) == [(w, n) for w in range(3) for n in range(2000)]
    assert all(part.stat().st_size < 25_000 for part in parts)


def test_parts_older_than_the_retention_are_removed(tmp_path: Path) -> None:
    old, young = tmp_path / "main.2020-01-01T000000.log", tmp_path / "main.2026-01-01T000000.log"
    for part in (old, young):
        part.write_text("x\n")
    os.utime(old, (time.time() - 40 * 86_400,) * 2)
    file = SharedLogFile(tmp_path / "main.log", 10, 30, check_seconds=0.0)
    for _ in range(3):
        file.write(b"0123456789\n")
    assert not old.exists()
    assert young.exists()


def test_file_moved_away_by_somebody_is_opened_anew(tmp_path: Path) -> None:
    file = SharedLogFile(tmp_path / "main.log", 1000, 30, check_seconds=0.0)
    file.write(b"one\n")
    (tmp_path / "main.log").rename(tmp_path / "mine.txt")
    file.write(b"two\n")
    assert (tmp_path / "main.log").read_bytes() == b"two\n"


def test_import_of_logging_loads_neither_rich_nor_pydantic() -> None:
    code = (
        "import sys, mytrading.runtime.observability.logging; "
        "print([m for m in ('rich', 'pydantic', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
