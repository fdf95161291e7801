"""The traders of a chaos run: the strategies, their files, and the shares they trade.

Everything goes by market time and by prices on a coarse grid, so that a restart changes nothing. No two strategies
trade one instrument, so that what the broker nets is what one of them holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

LONG, BOTH, REST, SLICES, WATCH = "ChaosLong", "ChaosBoth", "ChaosRest", "ChaosSlices", "ChaosWatch"
_FREEZE, _LOT = 40, 10

_HEAD = '''"""{what}"""

from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Leg, Signal


class {name}(BaseStrategy):
    """Each instrument begins its rounds at a moment of its own."""

    subscribe_quotes = True
    round_seconds: int = {round_seconds}
    both: bool = {both}
    stride: int = {stride}

    def on_data(self, data: Any) -> Signal | None:
        if isinstance(data, Bar):
            return None
        second = self.now_ns // 1_000_000_000 + sum(self.instrument.encode()) * self.stride
        number, phase = divmod(second, self.round_seconds)
'''
_TRADES = """        if phase > self.round_seconds * 0.55:
            return None if self.position.is_flat else self.create_signal("EXIT")
        if self.both and number % 2:
            return None if self.position.is_short else self.create_signal("SELL")
        return None if self.position.is_long else self.create_signal("BUY")
"""
_RESTS = """        if phase > self.round_seconds * 0.75:
            return self.create_signal("EXIT")
        if not self.position.is_flat or data.ltp <= 0.0:
            return None
        grid = max(round(data.ltp * 0.0008 / 0.05), 1) * 0.05
        below = round(data.ltp // grid * grid, 2)
        if number % 2:
            terms = {"order_type": "SL", "trigger_price": round(below + 2 * grid, 2),
                     "limit_price": round(below + 6 * grid, 2)}
        else:
            terms = {"order_type": "LIMIT", "limit_price": below}
        return self.create_signal("BUY", legs=[Leg(instrument=self.instrument, lots=40, valid_seconds=20.0, **terms)])
"""
_WATCHES = """        return None
"""
_CONFIG = """
name = "{name}"
symbols = [{symbols}]
timeframes = ["1m"]
lots = {lots}
direction = "{direction}"
stop = "{stop}"
stop_loss_percent = {tight}
max_daily_loss = {loss}

[trade]
long = "{trade}"
short = "same"
"""
_SHARE = """
[underlyings.{name}]
name = "{name}"
exchange = "NSE"
reference_price = {price}
volatility = 0.4
tick = 0.05
"""
_WITH_FUTURES = f"""lot = [{{ from = 2010-01-01, value = {_LOT} }}]
freeze = [{{ from = 2010-01-01, value = {_FREEZE} }}]
future_tick = [{{ from = 2010-01-01, value = 0.05 }}]
option_tick = [{{ from = 2010-01-01, value = 0.05 }}]
strike_step = 100.0
monthly = [{{ from = 2010-01-01, weekday = 1 }}]
"""


class Part(NamedTuple):
    """A strategy: its watched instruments, lots, behaviour, and the contract traded for each instrument."""

    name: str
    symbols: tuple[str, ...]
    lots: int
    what: str
    code: str = _TRADES
    trade: str = "same"
    both: bool = False


class Cast(NamedTuple):
    """All strategies of a run, with their settings. `loss` is the most that `ChaosBoth` may lose a day, 0 for no limit.

    `tight` is how far off `ChaosLong` has its stops, a fraction of the price: 0.001 are a few ticks, so that many
    trigger; 0 for the default, which the quarter of a minute that a position lasts hardly ever reaches.
    """

    round_seconds: int = 16
    stride: int = 5
    stop: str = "broker"
    loss: float = 0.0
    tight: float = 0.0
    long: int = 14
    both: int = 6
    rest: int = 4
    slices: int = 2
    watch: int = 14
    alerts: int = 2

    @property
    def parts(self) -> tuple[Part, ...]:
        """The strategies, each with instruments of its own."""
        sizes = (self.long, self.both, self.rest, self.slices, self.watch)
        names = iter(_names(sum(sizes)))
        long, both, rest, slices, watch = (tuple(next(names) for _ in range(size)) for size in sizes)
        return (
            Part(LONG, long, 60, "In and out of every instrument in turn."),
            Part(BOTH, both, 25, "In and out of every instrument in turn, bought and sold short.", both=True),
            Part(REST, rest, 40, "Enters by LIMIT and by stop-limit, which rest.", _RESTS),
            Part(SLICES, slices, 9, "Trades more than the freeze quantity at once.", trade="future"),
            Part(WATCH, watch, 1, "Watches, and trades nothing.", _WATCHES),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the watched instruments."""
        return tuple(name for part in self.parts for name in part.symbols)

    @property
    def alerted(self) -> tuple[str, ...]:
        """The instruments that alerts trade."""
        return _names(sum((self.long, self.both, self.rest, self.slices, self.watch, self.alerts)))[-self.alerts :]

    @property
    def parkable(self) -> tuple[str, ...]:
        """The instruments that are only bought, at the market."""
        return self.parts[0].symbols


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"NSE:CHAOS{number:02d}" for number in range(1, count + 1))


def write_cast(home: Path, cast: Cast) -> None:
    """Write the strategies, their files, and the shares into a home."""
    (home / "strategies").mkdir()
    for path in (home / "config" / "strategies").glob("*.toml"):
        path.unlink()
    with (home / "config" / "instruments.toml").open("a", encoding="utf-8") as file:
        futures = {symbol for part in cast.parts if part.trade == "future" for symbol in part.symbols}
        for symbol in (*cast.symbols, *cast.alerted):
            number = int(symbol[-2:])
            file.write(_SHARE.format(name=f"CHAOS{number:02d}", price=100.0 + 35.0 * (number % 20)))
            file.write(_WITH_FUTURES if symbol in futures else "")
    for part in cast.parts:
        _write(home, cast, part)


def _write(home: Path, cast: Cast, part: Part) -> None:
    head = _HEAD.format(
        what=part.what, name=part.name, round_seconds=cast.round_seconds, both=part.both, stride=cast.stride
    )
    (home / "strategies" / f"{part.name.lower()}.py").write_text(head + part.code, encoding="utf-8")
    text = _CONFIG.format(
        name=part.name,
        symbols=", ".join(f'"{symbol}"' for symbol in part.symbols),
        lots=part.lots,
        direction="both" if part.both else "long",
        stop=cast.stop,
        trade=part.trade,
        loss=cast.loss if part.both else 0.0,
        tight=100 * cast.tight if part.name == LONG else 0.0,
    )
    (home / "config" / "strategies" / f"{part.name.lower()}.toml").write_text(text, encoding="utf-8")
