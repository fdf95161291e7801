"""`python -m mytrading.daemons.engine`: the process that supervisor starts."""

from mytrading.daemons.engine.daemon import StrategyEngine
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(StrategyEngine, "engine"))
