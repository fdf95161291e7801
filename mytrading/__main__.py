"""`python -m mytrading …` is `mytrading …`, for where the command is not on the path.

The one rule: nothing but the call; workers of a search import this file's package and must not run a command.
"""

from __future__ import annotations

from mytrading.cli.main import run

if __name__ == "__main__":
    run()
