"""The KILL file as the router reads it: each writing is carried out once, also across restarts and without risk."""

from __future__ import annotations

from typing import Any, Protocol

from mytrading.messages.control import KILL
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.supervision.kill_file import FLATTEN, KillFile


class _Router(Protocol):
    name: str
    clock: MarketClock
    log: Any
    orders: Any

    def step(self, stream: str, message: Any, source: str = "", *, keep: bool = False) -> tuple[Any, ...]: ...


class KillWatch:
    """What the router knows of the file."""

    def __init__(self, config: RunConfig) -> None:
        self._file = KillFile(config.state)
        self._accounts = tuple(account.id for account in config.order_accounts)

    def look_for(self, router: _Router, machine_ns: int) -> None:
        """Let the router learn what the file says, if that has changed. Without a file: one call to the system."""
        news = self._file.news(router.orders.trading(KILL), router.clock.now())
        if news is None:
            return
        router.log.warning("kill_file.seen", level=news.level.value, reason=news.reason, by=news.by)
        router.step("control", news, source=router.name, keep=True)
        kill = self._file.look()
        if kill is None or kill.word != FLATTEN:
            return
        for account in self._accounts:
            signal = kill.flatten(account, router.clock.now(), machine_ns)
            router.step("control", signal, source=router.name, keep=True)
