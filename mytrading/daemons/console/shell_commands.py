"""Questions that the command line answers: asked of it, in a process of low priority that ends with its answer.

Journals of a day, settings and the like need libraries and memory that this process has no use for otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.messages.run_config import RunConfig
from mytrading.messages.text import plain

_COMMAND = "from mytrading.cli.main import run; run()"
LONGEST_S = 30.0
NICE = "10"
_RAN_WRONG = 2
MOST_ERROR = 500


def ask_shell(config: RunConfig, *words: str, of_stack: bool = True, seconds: float = LONGEST_S) -> Any:
    """Return the JSON that `mytrading WORDS --json` prints for this stack; raises `ApiRefused` with its error.

    A word of a person comes after `--`, so that it is never an option. Without `of_stack` the command names no stack.
    """
    asked = _with_options(words, "--json")
    return json.loads(run_shell(config, *asked, of_stack=of_stack, seconds=seconds).strip().splitlines()[-1])


def _with_options(words: tuple[str, ...], *options: str) -> tuple[str, ...]:
    at = words.index("--") if "--" in words else len(words)
    return (*words[:at], *options, *words[at:])


def run_shell(config: RunConfig, *words: str, of_stack: bool = True, seconds: float = LONGEST_S) -> str:
    """Return what `mytrading WORDS` prints, as `ask_shell`; raises `ApiRefused` with its error."""
    asked = _with_options(words, "--profile", config.profile) if of_stack else words
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MYTRADING_")},
        "MYTRADING_HOME": config.home,
        "MYTRADING_STATE_DIR": str(config.state.parent),
        "MYTRADING_LOG_DIR": str(Path(config.log_dir).parent),
        "NO_COLOR": "1",
    }
    try:
        done = subprocess.run(
            ["nice", "-n", NICE, sys.executable, "-c", _COMMAND, *asked],
            capture_output=True, text=True, timeout=seconds, cwd=config.home, env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        text = f"`mytrading {words[0]}` took longer than {seconds:g} s; ask it in a shell"
        raise ApiRefused("STACK_TIMEOUT", text, "", 5) from error
    if done.returncode:
        last = plain(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no word")
        text = last.removeprefix("mytrading: ")[:MOST_ERROR]
        raise ApiRefused("NOT_FOUND" if done.returncode == _RAN_WRONG else "REFUSED", text)
    return done.stdout
