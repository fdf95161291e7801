"""What options of a backtest are priced by: the shape of the surface, its level, recorded bars, and files of a day.

Made by `option_setup`, read by `option_market`. The one rule: it is plain data, so that a run with it can be repeated
anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mytrading.backtest.columns import Columns
from mytrading.core.indicators import FloatArray
from mytrading.core.money.margin_table import RiskTables
from mytrading.core.options.surface import Shape, Smile
from mytrading.messages.instruments import Instrument

MODELLED, CALIBRATED, RECORDED = 0, 1, 2
"""Where a price came from: the surface's own shape, volatilities read off prices, or a price that was made."""
SOURCES = ("modelled", "calibrated", "recorded")


@dataclass(frozen=True, eq=False)
class ListedDay:
    """The contracts of one underlying on one day, as its exchange listed them, and what they say at its close.

    `smiles` by expiry (ISO date); `spot` is the underlying's close, 0 where the file has none.
    """

    day: date
    underlying: str
    contracts: tuple[Instrument, ...]
    smiles: Mapping[str, Smile] = field(default_factory=dict)
    spot: float = 0.0


@dataclass(frozen=True, eq=False)
class OptionTerms:
    """`level` is the volatility at the money; 0 for `factor` times the realised one of the last `sessions` days.

    Until `least` days are over it is that of `config/instruments.toml`. `recorded` are bars by contract, and `quotes`
    the bid and ask at the end of each, of shape (2, n), NaN where there was none; a contract that nobody recorded them
    of is not in it. With
    `same_day` a day's file shapes the prices of its own day: it knows the close. Without `legs_only` an index that is
    watched may stand in for its future. `tables` say what sold options need in margin.
    """

    shape: Shape = field(default_factory=Shape)
    level: float = 0.0
    sessions: int = 20
    factor: float = 1.0
    least: int = 5
    settle_minutes: int = 30
    recorded: Mapping[str, Columns] = field(default_factory=dict)
    quotes: Mapping[str, FloatArray] = field(default_factory=dict)
    days: tuple[ListedDay, ...] = ()
    same_day: bool = False
    legs_only: bool = True
    tables: RiskTables = field(default_factory=RiskTables)
