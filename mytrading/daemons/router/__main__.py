"""`python -m mytrading.daemons.router`: the process that supervisor starts."""

from mytrading.daemons.router.daemon import TradeManager
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(TradeManager, "router"))
