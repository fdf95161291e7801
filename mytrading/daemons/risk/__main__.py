"""`python -m mytrading.daemons.risk`: the process that supervisor starts."""

from mytrading.daemons.risk.daemon import RiskManager
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(RiskManager, "risk"))
