"""`python -m mytrading.daemons.reconciler`: the process that supervisor starts."""

from mytrading.daemons.reconciler.daemon import Reconciler
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(Reconciler, "reconciler"))
