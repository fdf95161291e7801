"""`python -m mytrading.daemons.console`: the process that supervisor starts unless the console is switched off."""

from mytrading.daemons.console.daemon import Console
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(Console, "console"))
