"""`python main.py [--dry-run] [--log-level LEVEL]` is `mytrading up`."""

from __future__ import annotations

import sys

from mytrading.cli.main import run

if __name__ == "__main__":
    run(["up", *sys.argv[1:]])
