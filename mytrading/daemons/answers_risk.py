"""The gateway's answer to `mytrading risk`: what risk last said of itself, and every level that holds entries back.

Used by `Answers`. The one rule: a picture that is old is shown with its age, never as if it were of now.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mytrading.core.control import ControlMachine
from mytrading.core.view import StackView
from mytrading.messages.enums import TradingLevel
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import MarketClock, machine_now
from mytrading.runtime.kill_file import KillFile


class RiskVerbs:
    """A part of `Answers`."""

    _config: RunConfig
    _view: StackView
    _control: ControlMachine
    _clock: MarketClock

    def _verb_risk(self, _: dict[str, str]) -> Any:
        """Limits, money, stops and levels."""
        picture = self._view.risk
        if picture is None:
            return {"known": False, **self._switched()}
        # `to_builtins` leaves defaults out: a reader of JSON gets every field
        return {
            "known": True,
            "age_s": round((machine_now() - picture.machine_ns) / 1e9, 2),
            "at_ns": picture.at_ns,
            "entries": picture.entries,
            "denied": picture.denied,
            "waits": picture.waits,
            "limits": [msgspec.structs.asdict(row) for row in picture.limits],
            "money": [msgspec.structs.asdict(row) for row in picture.money],
            "stops": [msgspec.structs.asdict(row) for row in picture.stops],
            "runs": [
                {**msgspec.structs.asdict(row), "legs": [msgspec.structs.asdict(leg) for leg in row.legs]}
                for row in picture.runs
            ],
            **self._switched(),
        }

    def _switched(self) -> dict[str, Any]:
        """What a person has switched: levels, flattens that are not proven yet, and the file KILL."""
        return {"levels": self._levels(), "flattens": self._flattens(), "kill": self._kill()}

    def _flattens(self) -> list[dict[str, Any]]:
        """Flattens under way, with who asked for them, when and why."""
        return [
            {"id": level.id, "account": level.account, "strategy": level.strategy, "instrument": level.instrument,
             "state": level.state, "reason": level.reason, "by": level.by, "at_ns": level.opened_ns}
            for level in self._view.flattens.values()
            if level.state != "done"
        ]  # fmt: skip

    def _limits_reached(self) -> list[str]:
        """The limits of the day, and halts of them, that keep entries back."""
        picture = self._view.risk
        return [row.reached for row in picture.limits if row.reached] if picture is not None else []

    def _levels(self) -> list[dict[str, Any]]:
        """Levels other than normal, with who set them, when and why."""
        rows = [row for row in self._control.trading.values() if row.level is not TradingLevel.NORMAL]
        return [
            {"account": row.account or "all", "level": row.level.value, "reason": row.reason, "by": row.by,
             "at_ns": row.at_ns}
            for row in rows
        ]  # fmt: skip

    def _kill(self) -> dict[str, Any] | None:
        """What the file KILL says, if it is there."""
        kill = KillFile(self._config.state).look()
        if kill is None:
            return None
        return {"word": kill.word, "by": kill.by, "why": kill.why, "written_ns": kill.written_ns}
