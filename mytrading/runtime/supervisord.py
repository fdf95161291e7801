"""The supervisor process: `python -m mytrading.runtime.supervisord FILE`, supervisor itself under an instance lock.

Started by `runtime.supervision` only. The one rule: the lock is held from the first to the last moment, so that its
holder is always the pid of the stack's supervisor, and a second one never starts a program twice.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.supervisord import Supervisor

from mytrading.runtime.lock import AlreadyRunning, InstanceLock

EXIT_RUNNING = 75
_LONGEST_WAIT_S = 0.1


class _Options(ServerOptions):  # type: ignore[misc]
    """Supervisor sleeps up to a second between looks at its children, which makes restarts and stops that late."""

    def __init__(self) -> None:
        super().__init__()
        wait = self.poller.poll
        self.poller.poll = lambda seconds: wait(min(seconds, _LONGEST_WAIT_S))


def main(conf: str) -> int:
    """Run until told to shut down; 75 if another supervisor of this stack lives."""
    lock = InstanceLock(Path(os.environ["MYTRADING_STACK_DIR"]) / "lock" / "supervisord.lock")
    try:
        lock.acquire(wait_s=1.0)  # whoever asks for the holder takes the lock for a moment
    except AlreadyRunning as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_RUNNING
    options = _Options()
    options.realize(["-n", "-c", conf], doc=__doc__)
    options.first, options.test = True, False
    try:
        Supervisor(options).main()
    except asyncore.ExitNow:
        pass
    finally:
        options.close_httpservers()
        options.close_logger()
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
