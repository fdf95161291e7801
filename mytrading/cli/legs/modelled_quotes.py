"""Quotes for legs without a running stack: option prices off a price of the underlying, as backtests make them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time, timedelta
from pathlib import Path

import numpy as np

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.options.loop import OptionWorld
from mytrading.backtest.options.market import SHAPE_SETTINGS, OptionMarket, OptionTerms
from mytrading.cli.shell.target import load_calendar, load_contract_facts
from mytrading.config.sections import BacktestSettings
from mytrading.core.engine import contract_selection
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.options.chain import ChainView
from mytrading.core.options.surface import Shape
from mytrading.core.time import MINUTE, SECOND, to_ns
from mytrading.messages.market import Quote

_DAYS_AHEAD = 30


class ModelledQuotes:
    """`prices` by instrument, in rupees, with the underlying at `spot` on a day at `second` (of the day, in India).

    `level` is the yearly volatility at the money; 0 for that of `config/instruments.toml`. `day` is moved to the next
    trading day. Raises `DataError` for an underlying whose options are not known.
    """

    def __init__(
        self, home: Path, watch: str, spot: float, level: float, day: date, second: int, settings: BacktestSettings
    ) -> None:
        calendar, facts = load_calendar(home), load_contract_facts(home)
        self.day = next_trading_day(watch.partition(":")[0], day, home)
        self.now = to_ns(self.day, time.min) + second * SECOND
        table = np.array([[spot], [spot], [spot], [spot], [0.0]])
        bars = Columns(watch, "1m", np.array([self.now - MINUTE], dtype=np.int64), table)
        shape = Shape(**{name: getattr(settings, name) for name in SHAPE_SETTINGS})
        self._market = OptionMarket(OptionTerms(shape=shape, level=level), (bars,), calendar, facts)
        self.book = OptionWorld(calendar, facts, self._market, (watch,)).open_day(self.day)
        self.prices: dict[str, float] = {watch: spot}
        self._chains = contract_selection.OptionChains()
        self._chains.apply(Quote(watch, self.now, self.now, spot))

    def wait_for_prices(self, instruments: Iterable[str], seconds: float) -> list[str]:  # noqa: ARG002
        """Price these instruments; returns those that have no price (empty: none). Nothing is waited for."""
        wanted = [name for name in instruments if name not in self.prices]
        contracts = [one for name in wanted if (one := self.book.get(name)) is not None]
        for name, moment in self._market.prices_at(contracts, self.now).items():
            self._chains.apply(Quote(name, self.now, self.now, moment.price, moment.bid, moment.ask))
            self.prices[name] = moment.price
        return [name for name in wanted if name not in self.prices]

    def require_prices(self, instruments: Iterable[str], seconds: float, advice: str) -> None:
        """Price these instruments; `NoSuchContract`, ending with `advice`, if one has no price."""
        if missing := self.wait_for_prices(instruments, seconds):
            raise NoSuchContract(f"no price of {', '.join(missing)} can be modelled; {advice}")

    def chain(self, underlying: str, expiry: str) -> ChainView | None:
        """Return the option chain by modelled quotes of every listed strike."""
        self.wait_for_prices([one.id for one in self.book.options(underlying, expiry)], 0.0)
        return self._chains.chain_view(self.book, underlying, expiry, self.now)


def next_trading_day(exchange: str, day: date, home: Path) -> date:
    """Return the first day from `day` on with a session of an exchange; an index trades as its derivatives do."""
    calendar = load_calendar(home)
    known = (
        exchange if exchange in calendar.exchanges else {"NSE_INDEX": "NFO", "BSE_INDEX": "BFO"}.get(exchange, "NFO")
    )
    days = (day + timedelta(number) for number in range(_DAYS_AHEAD))
    return next((one for one in days if calendar.session(known, one) is not None), day)
