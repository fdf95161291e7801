"""`python -m mytrading …` is `mytrading …`, for where the command is not on the path.

The module is only the call: workers of a search import this package and must not run a command.
"""

from __future__ import annotations

from mytrading.cli.main import run

if __name__ == "__main__":
    run()
