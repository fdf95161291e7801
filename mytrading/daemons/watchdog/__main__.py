"""`python -m mytrading.daemons.watchdog`: the process that supervisor starts."""

from mytrading.daemons.watchdog.daemon import Watchdog
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(Watchdog, "watchdog"))
