"""A command of the program run inside the tests' process, for questions asked again and again until the answer fits.

Used by `tests.kit.stack`: a process for each question would take a core from the very stack that is waited for.
Rule: nothing that starts or stops a stack is run here, which would be of this process then.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from mytrading.cli.main import run


def asked(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Exit code and words of a command in an environment of its own."""
    said, problems, code = io.StringIO(), io.StringIO(), 0
    with patch.dict(os.environ, environment, clear=True), redirect_stdout(said), redirect_stderr(problems):
        try:
            run(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(arguments, code, said.getvalue(), problems.getvalue())


Command = Callable[..., tuple[int, str, str]]
"""Runs `mytrading` with these words; returns the exit code, what was printed and what was said beside it."""
