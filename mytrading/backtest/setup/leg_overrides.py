"""Values of a file of legs that a run changes: `leg1.stop=30%`, `legs.stop=20%`, `risk.max_loss=5000`.

A key is written as in the file, and what the file itself could not say is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import asdict, replace
from pydantic import ValidationError

from mytrading.backtest.data.load import RequestError
from mytrading.config.leg_plan import NOT_OF_LEGS, OWN_KEYS, LegConfig, LegPlanConfig, first_clash
from mytrading.config.run_config import build_strategy_run
from mytrading.config.strategies import FIELDS, PERCENT_KEYS, StrategyConfig, strategy_config
from mytrading.config.symbols import SymbolConfig
from mytrading.config.validation import setting_values
from mytrading.messages.run_config import StrategyRun
from mytrading.strategies.errors import hint
from mytrading.strategies.parameters import Parameter

_LEG = re.compile(r"leg(\d+)\.(\w+)")
_RISK = re.compile(r"risk[._](\w+)")
_FIXED = frozenset(
    (*NOT_OF_LEGS, "underlying", "legs", "enabled", "options", "timeframes", "product", "accounts", "group",
     "allocation", "allocation_factors")
)  # fmt: skip
"""Keys that set the data and accounts of a run, or are options of the command."""
_INSTEAD = {"lots": "profile", "profile": "lots"}
_SAME_LEVEL = {**PERCENT_KEYS, **{new: old for old, new in PERCENT_KEYS.items()}}
_TIMES = ("exit_time", "square_off_time")


@dataclass(frozen=True)
class LegOverrides:
    """Contents of a file of legs, in a form in which values can be changed; it travels to workers."""

    table: Mapping[str, Any]
    config: StrategyConfig
    symbols: SymbolConfig

    def apply_to(self, run: StrategyRun, given: Mapping[str, Parameter]) -> StrategyRun:
        """Return the run with the values of `given` by key; lots, product and stop of the command line stay unless
        `given` has them. `RequestError` names the key that cannot have its value."""
        if not given:
            return run
        before = self._run(run, self.config, self.table)
        try:
            after = self._run(run, self._config(given), self._table(given))
        except ValidationError as error:
            raise RequestError(_problem(error)) from None
        new, old = asdict(after), asdict(before)
        return replace(run, **{name: getattr(after, name) for name in new if new[name] != old[name]})

    def keys(self) -> tuple[str, ...]:
        """Return the names of all values that can be changed."""
        leg = [name for name in LegConfig.model_fields if name != "instrument"]
        of_legs = [f"leg{number}.{name}" for number in range(1, len(self.table["legs"]) + 1) for name in leg]
        of_all = [f"legs.{name}" for name in leg]
        own = [name for name in (*OWN_KEYS, *FIELDS) if name not in _FIXED and not name.startswith("risk_")]
        return (
            *of_legs,
            *of_all,
            *dict.fromkeys(own),
            *(name.replace("risk_", "risk.", 1) for name in FIELDS if "risk_" in name),
        )

    def canonical_key(self, key: str) -> str:
        """Return the key as it is spelled in results; `RequestError` if it does not exist."""
        wanted = key.strip().lower()
        if found := _RISK.fullmatch(wanted):
            wanted = f"risk.{found[1]}"
        known = self.keys()
        if wanted in known:
            return wanted
        if (leg := _LEG.fullmatch(wanted)) and not 1 <= int(leg[1]) <= len(self.table["legs"]):
            raise RequestError(f"--param {key}: expected leg1 to leg{len(self.table['legs'])}, found leg{leg[1]}")
        examples = "leg1.stop, legs.stop, risk.max_loss, entry_time"
        raise RequestError(f"--param {key}: expected a key of its file, such as {examples}{hint(wanted, known)}")

    def check_values(self, name: str, values: Sequence[Parameter]) -> None:
        """Raise `RequestError` unless the key `name`, such as `leg1.stop`, may have each of `values`."""
        for value in values:
            try:
                _plan_of(self._table({name: value}))
                self._config({name: value})
            except ValidationError as error:
                if (where := error.errors()[0]["loc"]) and isinstance(where[-1], str):
                    raise RequestError(_problem(error)) from None

    def _run(self, run: StrategyRun, config: StrategyConfig, table: Mapping[str, Any]) -> StrategyRun:
        legs = _plan_of(table)
        if clash := first_clash(legs):
            raise RequestError(re.sub(r"^legs\[(\d+)\]", r"--param leg\1", clash))
        plan = legs.plan(self.symbols)
        return build_strategy_run(config, run.symbols, run.product, run.file, run.accounts, plan)

    def _table(self, given: Mapping[str, Parameter]) -> dict[str, Any]:
        table = {**self.table, "legs": [dict(leg) for leg in self.table["legs"]]}
        for key, value in given.items():
            if leg := _LEG.fullmatch(key):
                _put(table["legs"][int(leg[1]) - 1], leg[2], value)
            elif key.startswith("legs."):
                legs, name = table["legs"], key[5:]
                sold = [item for item in legs if str(item.get("action", "")).upper() == "SELL"]
                for item in [item for item in legs if name in item] or sold or legs:
                    _put(item, name, value)
            elif key in OWN_KEYS:
                table[key] = value
        return table

    def _config(self, given: Mapping[str, Parameter]) -> StrategyConfig:
        changed: dict[str, Any] = {}
        for key, value in given.items():
            name = key.replace("risk.", "risk_", 1)
            if name in FIELDS:
                if _SAME_LEVEL.get(name) in given:
                    raise RequestError(f"{name} and {_SAME_LEVEL[name]} are one level, given twice; leave one out")
                changed[name] = value
                if name in _SAME_LEVEL:  # what the file says under the other key no longer counts
                    changed.setdefault(_SAME_LEVEL[name], 0.0)
            elif key in _TIMES:  # risk closes by them too
                changed[f"risk_{key}"] = value
        values = dict(setting_values(self.config)) | changed
        return strategy_config(self.config.name, values, self.config.parameters)


def _put(leg: dict[str, Any], name: str, value: Parameter) -> None:
    """Give a leg a value; lots take the place of a profile, and a profile that of lots."""
    leg[name] = value if name in ("lots", "quantity") else str(value)
    if name in _INSTEAD and value:
        leg.pop(_INSTEAD[name], None)


def _plan_of(table: Mapping[str, Any]) -> LegPlanConfig:
    return LegPlanConfig.model_validate({key: table[key] for key in OWN_KEYS if key in table})


def _problem(error: ValidationError) -> str:
    """The first finding, by the key as it is given."""
    first = error.errors()[0]
    where = [f"leg{part + 1}" if isinstance(part, int) else str(part) for part in first["loc"] if part != "legs"]
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    found = "" if "found" in message or not where else f", found {first['input']!r}"
    return f"{'--param ' + '.'.join(where).replace('risk_', 'risk.', 1) + ': ' if where else ''}{message}{found}"
