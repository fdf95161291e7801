"""How risk stands, once a second on `status`: limits, money, stops, runs. A level: the next one repeats it.

Written by risk, read by the gateway for `mytrading risk`. Nothing that trades reads it.
"""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import LimitAction, LimitKind


class LimitUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One limit. `most` and `value` are rupees, fractions or R, as the kind has it; `value` is None while not known.

    `used` is the share of it that is used up, `left` what is missing to it in its own unit. `reached` says why entries
    have ended by it, empty while they have not.
    """

    kind: LimitKind
    scope: str
    name: str
    most: float
    action: LimitAction
    value: float | None = None
    used: float = 0.0
    left: float | None = None
    reached: str = ""


class Money(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rupees of the day of an account or a strategy; of an account also equity and its peak, None while not known."""

    scope: str
    name: str
    profit: float
    equity: float | None = None
    peak: float | None = None


class HeldStop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position and the price at which it is closed; `holder` is broker, engine or none.

    `distance` is how far the last price may move against it, in rupees, `at_risk` what that would cost.
    """

    account: str
    instrument: str
    product: str
    strategy: str
    quantity: int
    average_price: float
    ltp: float | None = None
    unrealised: float | None = None
    stop: float | None = None
    holder: str = "none"
    distance: float | None = None
    at_risk: float | None = None


class LegUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position of a run and the prices at which its own rules close it, None where it has none."""

    account: str
    instrument: str
    product: str
    quantity: int
    average_price: float
    ltp: float | None = None
    profit: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    trailing: float | None = None


class RunUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run of a strategy and what ends it: rupees of its profit, and when it is closed by the clock.

    `profit` is None while a leg has no fresh price; `peak` and `trailing_stop` until its stop trails. `closes_ns` is
    the market time at which closing begins, 0 if the clock closes nothing of it; `leaving` the rule that closes it now.
    """

    strategy: str
    run: str
    opened_ns: int
    profit: float | None = None
    realised: float = 0.0
    max_loss: float | None = None
    max_profit: float | None = None
    peak: float | None = None
    trailing_stop: float | None = None
    supertrend: str = ""
    closes_ns: int = 0
    leaving: str = ""
    legs: tuple[LegUse, ...] = ()


class RiskPicture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="risk_picture"):
    """All of it at one moment; `entries` counts admitted ones since the start, `denied` refused signals.

    `closed` says why no entry of the traded account is admitted, trading hours left out, empty while some may be.
    """

    at_ns: int
    machine_ns: int
    limits: tuple[LimitUse, ...] = ()
    money: tuple[Money, ...] = ()
    stops: tuple[HeldStop, ...] = ()
    entries: int = 0
    denied: int = 0
    waits: str = ""
    runs: tuple[RunUse, ...] = ()
    closed: str = ""
