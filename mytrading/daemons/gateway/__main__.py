"""`python -m mytrading.daemons.gateway`: the process that supervisor starts."""

from mytrading.daemons.gateway.daemon import Gateway
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(Gateway, "gateway"))
