"""What the router makes of its configuration, and what it writes about orders."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.daemons.router import order_machine
from mytrading.messages.runconfig import UnknownExit
from tests.unit.cli.stacks import run_config


@pytest.mark.parametrize("chosen", UnknownExit)
def test_unknown_exit_of_the_run_file_reaches_the_order_machine(tmp_path: Path, chosen: UnknownExit) -> None:
    config = run_config(tmp_path)
    assert config.risk.unknown_exit is UnknownExit.SECOND_EXIT
    changed = msgspec.structs.replace(config, risk=msgspec.structs.replace(config.risk, unknown_exit=chosen))
    assert order_machine(changed).limits.unknown_exit is chosen
