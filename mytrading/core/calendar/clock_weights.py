"""The weights of the variance clock, apart from its arithmetic: processes that only read settings load no numpy."""

from __future__ import annotations

import msgspec

_ORDINARY_HOURS = 6.25
"""Of the session that weights are shares of: 9:15 to 15:30."""
_MOST = 5.0
"""Ordinary days of variance that a night, a weekend or an hour can be worth at most: more is a mistake of units."""
_ROUNDING = 0.005


class ClockWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares of the variance of an ordinary day; night and hours of an ordinary session make 1.

    `hours` are of a session's hours from its open, the last one of every later hour too. `night`, `weekend` and
    `holiday` are of the time from a close to the next open: with no closed day between them, with a Saturday or Sunday,
    and with a closed weekday.
    """

    hours: tuple[float, ...] = (0.245, 0.107, 0.072, 0.070, 0.087, 0.119, 0.080)
    night: float = 0.28
    weekend: float = 0.40
    holiday: float = 0.40

    def __post_init__(self) -> None:
        named = {"hours": self.hours, "night": (self.night,), "weekend": (self.weekend,), "holiday": (self.holiday,)}
        for name, weights in named.items():
            if not all(0 <= weight <= _MOST for weight in weights):
                raise ValueError(f"{name}: expected shares of an ordinary day from 0 to {_MOST:g}, found {weights}")
        if not self.hours or not sum(self.hours):
            raise ValueError(f"hours: expected one hour above 0 at least, found {self.hours}")
        whole = self.night + self.session_share
        if abs(whole - 1) > _ROUNDING:
            raise ValueError(
                f"night and hours: expected 1 together over an ordinary session of {_ORDINARY_HOURS} hours, found "
                f"{self.night:g} + {self.session_share:.4g} = {whole:.4g}; divide all weights by {whole:.4g}"
            )

    @property
    def session_share(self) -> float:
        """The share of an ordinary day's variance that passes in its session."""
        count = int(_ORDINARY_HOURS)
        hours = [self.hours[min(number, len(self.hours) - 1)] for number in range(count + 1)]
        return sum(hours[:count]) + (_ORDINARY_HOURS - count) * hours[count]
