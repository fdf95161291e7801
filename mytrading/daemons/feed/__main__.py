"""`python -m mytrading.daemons.feed`: the process that supervisor starts."""

from mytrading.daemons.feed.daemon import DataManager
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(DataManager, "feed"))
