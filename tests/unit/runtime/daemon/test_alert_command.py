"""The operator's own command: what it receives, and that nothing it does disturbs the daemon."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from ast import literal_eval
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.runtime.daemon.alert_command import AlertCommand
from tests.kit.waiting import eventually

ALERT = Alert(
    code="FEED_DOWN", severity=Severity.CRITICAL, subject="feed", message="no data; look", daemon="feed",
    first_ns=1, last_ns=2,
)  # fmt: skip
PYTHON = shlex.quote(sys.executable)


def test_command_gets_the_alert_on_its_input_and_in_its_environment(tmp_path: Path) -> None:
    script, out = tmp_path / "tell.py", tmp_path / "reported.json"
    script.write_text(
        "import json, os, sys\n"
        "facts = {k: v for k, v in os.environ.items() if k.startswith('ALERT_')}\n"
        "json.dump([json.load(sys.stdin), facts, sys.argv[2:]], open(sys.argv[1], 'w'))\n"
    )
    woken = threading.Event()
    command = AlertCommand(f"{PYTHON} {script} {out} 'two words'", woken.set)
    command.hand_over(ALERT)
    assert woken.wait(60)
    reported, facts, words = json.loads(out.read_text())
    assert reported["code"] == "FEED_DOWN" and reported["message"] == "no data; look"
    assert facts["ALERT_SEVERITY"] == "critical" and facts["ALERT_STATE"] == "raised"
    assert words == ["two words"]
    command.stop()


def test_command_runs_whatever_a_server_wrote_into_the_alert(tmp_path: Path) -> None:
    """A NUL, a lone surrogate or a text of 200 kB kept the command from being run at all."""
    out = tmp_path / "reported"
    script = tmp_path / "tell.py"
    script.write_text("import os, sys\nopen(sys.argv[1], 'a').write(ascii(os.environ['ALERT_MESSAGE']) + '\\n')\n")
    command = AlertCommand(f"{PYTHON} {script} {out}", lambda: None)
    for text in ("zero \0 here", "lone \ud800 half", "long " + "ü" * 100_000, "\x1b]0;title\x07bell"):
        command.hand_over(replace(ALERT, message=text))
    eventually(lambda: out.exists() and len(out.read_text().splitlines()) == 4, 30)
    reported = [literal_eval(line) for line in out.read_text().splitlines()]
    assert reported[:2] == ["zero  here", "lone  half"]
    assert reported[2].startswith("long üüü") and 4000 < len(reported[2].encode()) <= 4096
    assert reported[3] == "bell"
    command.stop()


@pytest.mark.parametrize(
    ("words", "timeout_s", "expected"),
    [
        (f"{PYTHON} -c 'import sys; sys.exit(\"broken pager\")'", 60.0, "broken pager"),
        ("/nowhere/pager", 60.0, "No such file"),
        ("sleep 600", 0.2, "did not end within"),
    ],
    ids=["fails", "missing", "hangs"],
)
def test_command_that_goes_wrong_is_logged_and_the_next_alert_is_reported(
    words: str, timeout_s: float, expected: str
) -> None:
    command = AlertCommand(words, lambda: None, timeout_s=timeout_s)
    command.hand_over(ALERT)
    command.hand_over(ALERT)

    def problems() -> str:
        command.log_failures()
        return said[-1] if said else ""

    said: list[str] = []
    command._log = _Recorder(said)  # type: ignore[assignment]
    eventually(lambda: problems() and len(said) == 2, 10)
    assert all(expected in text for text in said)
    assert command.counts == {"alerts_handed_over": 2, "alert_command_failed": 2}
    command.stop()


class _Recorder:
    def __init__(self, said: list[str]) -> None:
        self._said = said

    def error(self, _event: str, **fields: str) -> None:
        self._said.append(fields["problem"])
