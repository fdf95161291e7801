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
_BOUND = "import ctypes, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 15)"
"""Linux sends the process SIGTERM (15) when its parent dies (PR_SET_PDEATHSIG)."""
LONGEST_S = 30.0
NICE = "10"
_RAN_WRONG = 2
MOST_ERROR = 500


def ask_shell(
    config: RunConfig,
    *words: str,
    of_stack: bool = True,
    seconds: float = LONGEST_S,
    given: str = "",
    codes: tuple[int, ...] = (),
) -> Any:
    """Return the JSON that `mytrading WORDS --json` prints for this stack; raises `ApiRefused` with its error.

    A word of a person comes after `--`, so that it is never an option; `given` is its standard input. Without
    `of_stack` the command names no stack. With one of these exit `codes` it is asked for what it printed all the same.
    """
    asked = _with_options(words, "--json")
    said = run_shell(config, *asked, of_stack=of_stack, seconds=seconds, given=given, codes=codes)
    return json.loads(said.strip().splitlines()[-1])


def _with_options(words: tuple[str, ...], *options: str) -> tuple[str, ...]:
    at = words.index("--") if "--" in words else len(words)
    return (*words[:at], *options, *words[at:])


def shell_environment(config: RunConfig) -> dict[str, str]:
    """Return the environment of a command of this stack: its folders, and no setting of the console's own."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MYTRADING_")},
        "MYTRADING_HOME": config.home,
        "MYTRADING_STATE_DIR": str(config.state.parent),
        "MYTRADING_LOG_DIR": str(Path(config.log_dir).parent),
        "NO_COLOR": "1",
    }


def shell_words(*words: str, priority: str = NICE, bound: bool = False) -> list[str]:
    """Return the words that run `mytrading WORDS` in a process of low priority; `bound`: it ends with this one."""
    return ["nice", "-n", priority, sys.executable, "-c", f"{_BOUND}; {_COMMAND}" if bound else _COMMAND, *words]


def run_shell(
    config: RunConfig,
    *words: str,
    of_stack: bool = True,
    seconds: float = LONGEST_S,
    given: str = "",
    codes: tuple[int, ...] = (),
) -> str:
    """Return what `mytrading WORDS` prints, as `ask_shell`; raises `ApiRefused` with its error."""
    asked = _with_options(words, "--profile", config.profile) if of_stack else words
    try:
        done = subprocess.run(
            shell_words(*asked),
            capture_output=True, text=True, timeout=seconds, cwd=config.home, input=given,
            env=shell_environment(config),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        text = f"`mytrading {words[0]}` took longer than {seconds:g} s; ask it in a shell"
        raise ApiRefused("STACK_TIMEOUT", text, "", 5) from error
    if done.returncode and not (done.returncode in codes and done.stdout.strip()):
        text = error_of(done.stderr)
        if text.startswith("MOVED: "):
            raise ApiRefused("MOVED", text.removeprefix("MOVED: "))
        raise ApiRefused("NOT_FOUND" if done.returncode == _RAN_WRONG else "REFUSED", text)
    return done.stdout


def error_of(said: str) -> str:
    """Return the error of a command that failed: the last line of what it said on stderr."""
    last = plain(said.strip().splitlines()[-1] if said.strip() else "no word")
    return last.removeprefix("mytrading: ")[:MOST_ERROR]
