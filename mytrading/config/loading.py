"""`TradingSettings` from defaults, config/*.toml, profile, .env, environment and command line; later ones win."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mytrading.config import cross_checks
from mytrading.config.accounts import AccountConfig, read_accounts
from mytrading.config.leg_plan import (
    OWN_KEYS,
    LegPlanConfig,
    clamped_strike_warnings,
    judgeable_plan,
    legs_of,
    parse_leg_plan,
    unknown_symbol_problems,
)
from mytrading.config.problems import ConfigurationError, describe_error, describe_expected, hint, name_key, nearest
from mytrading.config.sections import (
    LIKELY_PREFIXES,
    OWN_PREFIXES,
    REMOVED_KEYS,
    RENAMED,
    SECTIONS,
    STRATEGY_PATH,
    UNUSED,
    VARIABLES,
)
from mytrading.config.settings import TradingSettings
from mytrading.config.sources import Profile, Value, parse_toml, plain_values, profile_by_name, read_env_file, read_toml
from mytrading.config.strategies import (
    FIELDS,
    StrategyConfig,
    convert_parameter,
    judge_percent_keys,
    names_option,
    strategy_config,
)
from mytrading.config.strategy_files import KnownStrategy, discover_strategies, duplicate_names
from mytrading.config.symbols import SymbolConfig
from mytrading.config.validation import build_section, declarations, split_names

_T = TypeVar("_T")

_PATHS = frozenset(f"{section}.{name}" for section, kind in SECTIONS.items() for name in declarations(kind))
_WORDS = {"trade.long": "trade_long", "trade.short": "trade_short"}
_FIELD_NAMES = {name_key(name): name for name in FIELDS}


def load_settings(
    home: Path,
    profile: str = "default",
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    checked: bool = True,
) -> TradingSettings:
    """Load the settings of the project in `home`; `ConfigurationError` lists every problem.

    `environ` defaults to the process's. `overrides` are the command line's, by dotted path ("logging.level") or
    variable name. `checked=False` permits settings
    that contradict each other.
    """
    loader = _Loader(home, profile_by_name(profile), discover_strategies(home / "strategies"))
    loader.read_files()
    loader.read_profile()
    if not loader.profile.simulated:
        loader.apply_variables(read_env_file(home / ".env", loader.problems), from_file=True)
    elif (home / ".env").exists():
        loader.warnings.append(
            f".env is not read with profile {profile}, which must not reach a server; set variables in the environment "
            "instead, say: ENABLED_STRATEGIES=RSI_MeanReversion make paper"
        )
    variables = (os.environ if environ is None else environ).items()
    loader.apply_variables({name: Value(text.strip(), name, "environment") for name, text in variables}, False)
    for name, raw in (overrides or {}).items():
        loader.apply_override(name, Value(raw, name, "command line"))
    return loader.finish(checked)


class _Loader:
    """Collects values by dotted path and by strategy, and every problem on the way."""

    def __init__(self, home: Path, profile: Profile, known: Sequence[KnownStrategy]) -> None:
        self.home = home
        self.profile = profile
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._known = {name_key(item.name): item for item in sorted(known, key=lambda item: not item.fault)}
        self._missing: list[str] = []
        """Strategies that have settings, or are enabled, and have no file."""
        self._namesakes = duplicate_names(known)
        self._faults: dict[str, str] = {}
        self._values: dict[str, Value] = {}
        self._strategies: dict[str, dict[str, Value]] = {key: {} for key in self._known}
        self._symbols: dict[str, Value] = {}
        self._accounts: tuple[AccountConfig, ...] = ()
        self._overruled: list[tuple[Value, Value]] = []
        """Values of files with the other values of the profile that replace them."""
        self._unused: list[str] = []
        self._plans: dict[str, LegPlanConfig] = {}
        self._written: dict[str, dict[str, Any]] = {}
        self._put_by: dict[str, set[str]] = {}
        """By strategy the keys of its settings that are wrong, and left out so that the others can be judged."""
        self._judgeable: set[str] = set()
        """The problems of those keys."""

    def read_files(self) -> None:
        for path, value in read_toml(self.home / "config" / "settings.toml", self.home, self.problems).items():
            if path in _PATHS:
                self._values[path] = value
            elif path in REMOVED_KEYS:
                self.problems.append(_removed(path, value))
            else:
                self.problems.append(f"{value.where}: no such setting{hint(path, _PATHS)}")
        for key, value in read_toml(self.home / "config" / "symbols.toml", self.home, self.problems).items():
            if not key.startswith("names."):
                self.problems.append(f"{value.where}: expected a short name below [names], say names.TCS = 'NSE:TCS'")
            elif not isinstance(value.raw, str):
                self.problems.append(f"{value.where} = {value.raw!r}: expected an instrument as text, say 'NSE:TCS'")
            else:
                self._symbols[key.removeprefix("names.")] = value
        for file in sorted((self.home / "config" / "strategies").glob("*.toml")):
            self._read_strategy_file(file)
        if not self.profile.simulated:
            self._accounts = read_accounts(self.home, self.problems)

    def _read_strategy_file(self, file: Path) -> None:
        values = read_toml(file, self.home, self.problems)
        named = values.pop("name", None)
        name = str(named.raw) if named else file.stem
        if "legs" in values:
            values = self._take_legs(file, name, values)
        if name_key(name) not in self._known:
            where = named.where if named else str(file.relative_to(self.home))
            names = [item.name for item in self._known.values()]
            self.problems.append(f"{where}: no file in strategies/ has a strategy {name!r}{hint(name, names)}")
            self._missing.append(name)
            return
        for key, value in values.items():
            word = _WORDS.get(key, key.removeprefix("parameters.").replace("risk.", "risk_", 1))
            for target in ("trade_long", "trade_short") if key == "trade" else (word,):
                self._set_strategy(name_key(name), target, value)

    def _take_legs(self, file: Path, name: str, values: dict[str, Value]) -> dict[str, Value]:
        """Note a strategy of legs; only the settings that every strategy has are left."""
        place = str(file.relative_to(self.home))
        if (other := self._known.get(name_key(name))) is not None:
            self.problems.append(f"{place}: {other.file} has a strategy {other.name} already; give one another name")
            return {}
        text, parsed = parse_toml(file, self.home, []) or ("", {})
        self._written[name] = plain_values(parsed)
        before = len(self.problems)
        plan, wrong = parse_leg_plan(parsed, text, place, self.problems)
        self._note_wrong(name, wrong, before)
        self._known[name_key(name)] = KnownStrategy(name=name, file=place)
        self._strategies[name_key(name)] = {}
        for word in ("trade_long", "trade_short"):
            self._set_strategy(name_key(name), word, Value("none", word, place))
        if plan is not None:
            self._plans[name] = plan
            if not wrong:
                self.warnings += clamped_strike_warnings(plan, text, place)
            self._set_strategy(name_key(name), "symbols", Value(list(plan.symbols()), "symbols", place))
            for word in ("exit_time", "square_off_time"):  # risk closes by them too, should the engine be away
                if text := getattr(plan, word):
                    self._set_strategy(name_key(name), f"risk_{word}", Value(text, word, place))
        return {key: value for key, value in values.items() if key not in OWN_KEYS and key not in wrong}

    def _note_wrong(self, name: str, wrong: Iterable[str], before: int) -> None:
        """Note keys of a strategy that are left out; the problems from number `before` on are theirs."""
        self._put_by.setdefault(name, set()).update(wrong)
        self._judgeable.update(self.problems[before:])

    def read_profile(self) -> None:
        origin = f"profile {self.profile.name}"
        for path, raw in self.profile.settings.items():
            value = Value(raw, path, origin)
            self._overrule(self._values.get(path), value)
            self._values[path] = value
        for name, settings in self.profile.strategies.items():
            for word, raw in settings.items():
                if name_key(name) in self._known:
                    value = Value(raw, f"{name}.{word}", origin)
                    self._overrule(self._strategies[name_key(name)].get(word), value)
                    self._set_strategy(name_key(name), word, value)

    def _overrule(self, written: Value | None, value: Value) -> None:
        if written is not None and _plain_text(written.raw) != _plain_text(value.raw):
            self._overruled.append((written, value))

    def apply_variables(self, values: Mapping[str, Value], from_file: bool) -> None:
        given: dict[str, Value] = {}
        for name, value in values.items():
            if not self.profile.ignores(name) and value.raw != "":
                self._apply_variable(name, value, from_file, given)
            elif name == "ENABLED_STRATEGIES" and value.raw == "":
                self.warnings.append(
                    f"{value.where} is empty, which counts as not given; ENABLE_STRATEGY_ENGINE=false runs no strategy"
                )

    def _apply_variable(self, name: str, value: Value, from_file: bool, given: dict[str, Value]) -> None:
        variable = VARIABLES.get(name)
        if variable is None:
            self._apply_unlisted(name, value, from_file)
            return
        if variable.outside and from_file:
            self.problems.append(f"{value.where} = {value.raw!r}: expected in the environment, say `export {name}=…`")
        elif variable.path.startswith(STRATEGY_PATH):
            strategy, _, parameter = variable.path.removeprefix(STRATEGY_PATH).partition(".")
            if name_key(strategy) in self._known:
                self._set_strategy(name_key(strategy), parameter, value)
            else:
                self.problems.append(f"{value.where}: no file in strategies/ has the strategy {strategy} it is for")
        elif variable.path:
            other = given.setdefault(variable.path, value)
            if other.raw != value.raw:
                self.problems.append(
                    f"{value.where} = {value.raw!r}: {other.where} sets the same to {other.raw!r}; keep one"
                )
            self._values[variable.path] = value

    def _apply_unlisted(self, name: str, value: Value, from_file: bool) -> None:
        if name in RENAMED:
            text = f"{value.where} has no effect: it is called {RENAMED[name]} now; set that instead"
            (self.problems if from_file else self.warnings).append(text)
        elif name in UNUSED and not from_file:
            self._unused.append(name)
        elif name in UNUSED:
            self.problems.append(f"{value.where}: nothing here reads this variable; remove it ({UNUSED[name]})")
        elif name.startswith("STRATEGY_"):
            self._apply_strategy_variable(name, value)
        else:
            misspelt = name.startswith(LIKELY_PREFIXES) and nearest(name, VARIABLES, cutoff=0.9)
            if from_file or name.startswith(OWN_PREFIXES) or misspelt:
                self.problems.append(f"{value.where}: no such variable{hint(name, VARIABLES)}")

    def _apply_strategy_variable(self, name: str, value: Value) -> None:
        rest = name_key(name.removeprefix("STRATEGY_"))
        owner = max((key for key in self._known if rest.startswith(key)), key=len, default="")
        if not owner:
            names = [f"STRATEGY_{item.name.upper()}_…" for item in self._known.values()]
            self.problems.append(f"{value.where}: no such strategy{hint(name, names)}")
            return
        self._set_strategy(owner, rest.removeprefix(owner), value)

    def apply_override(self, name: str, value: Value) -> None:
        if name in _PATHS:
            self._values[name] = value
        else:
            self._apply_variable(name, value, True, {})

    def _set_strategy(self, key: str, word: str, value: Value) -> None:
        item, plain = self._known[key], name_key(word)
        fields = _FIELD_NAMES | {name_key(name): name for name in item.parameters}
        if plain in fields:
            self._strategies[key][fields[plain]] = value
        elif f"strategy.{plain}" in REMOVED_KEYS:
            self.problems.append(_removed(f"strategy.{plain}", value))
        elif not item.fault:  # else its parameters are not known
            self.problems.append(f"{value.where}: {item.name} has no setting {word}{hint(word, fields.values())}")
            self._judgeable.add(self.problems[-1])

    def finish(self, checked: bool = True) -> TradingSettings:
        """Validate what was collected, and if `checked` how it goes together."""
        debug = self._values.get("system.debug")
        if debug and str(debug.raw).lower() in ("true", "yes", "on", "1"):
            self._values.setdefault("logging.level", Value("DEBUG", "DEBUG_MODE", "DEBUG_MODE"))
        self.warnings += cross_checks.account_warnings(self._values) if self._accounts else ()
        self.warnings += cross_checks.deadline_warnings(self._values)
        symbols = self._build_symbols()
        sections: dict[str, Any] = {}
        for section, kind in SECTIONS.items():
            prefix = f"{section}."
            found = {path.removeprefix(prefix): v for path, v in self._values.items() if path.startswith(prefix)}
            sections[section] = self._judged(found, partial(build_section, kind)) or kind()
        self.warnings += cross_checks.free_space_warnings(
            self._values.get("process.min_free_bytes"), sections["process"]
        )
        strategies = self._build_strategies(sections)
        for name, plan in self._plans.items():
            before = len(self.problems)
            unknown = unknown_symbol_problems(plan, symbols, self._known[name_key(name)].file)
            self.problems += unknown.values()
            if unknown:
                self._note_wrong(name, {*unknown, "symbols", *legs_of(plan, unknown)}, before)
        self.problems += cross_checks.market_file_problems(self.home, sections["data"].exchanges)
        self._warn_of_overruled(strategies)
        if not self._judgeable.issuperset(self.problems):
            raise ConfigurationError(*self.problems, missing=self._missing)
        own_origins = {
            f"strategies.{item.name}.{name}": value.where
            for item in strategies
            for name, value in self._strategies[name_key(item.name)].items()
        }
        settings = TradingSettings(
            profile=self.profile.name,
            symbols=symbols,
            accounts=self._accounts,
            strategies=strategies,
            home=self.home,
            warnings=tuple(self.warnings),
            unused=tuple(sorted(self._unused)),
            origins={path: value.where for path, value in self._values.items()} | own_origins,
            files={item.name: item.file for item in self._known.values()},
            plans={name: judgeable_plan(plan, self._put_by[name]).plan(symbols) for name, plan in self._plans.items()},
            written=self._written,
            faults_by_name=self._faults,
            **sections,
        )
        contradictions = cross_checks.find_contradictions(settings) if checked else []
        self.problems += [text for text in contradictions if not self._follows(text)]
        if self.problems:
            raise ConfigurationError(*self.problems, missing=self._missing)
        return settings

    def _follows(self, contradiction: str) -> bool:
        """True if a contradiction names what was left out, so that nobody can tell yet if it is one."""
        return any(
            name in contradiction or self._known[name_key(name)].file in contradiction
            for name, wrong in self._put_by.items()
            for key in wrong
            if re.search(rf"(?<!\w){re.escape(key)}(?!\w)", contradiction)
            or re.search(rf"(?<!\w){re.escape(key.replace('risk_', 'risk.', 1))}(?!\w)", contradiction)
        )

    def _warn_of_overruled(self, strategies: Sequence[StrategyConfig]) -> None:
        """Name values of files that the profile replaces, unless a later source sets them again."""
        own = (value for item in strategies for value in self._strategies[name_key(item.name)].values())
        in_force = {id(value) for value in (*self._values.values(), *own)}
        files: dict[str, list[str]] = {}
        for written, value in self._overruled:
            if id(value) in in_force:
                files.setdefault(written.origin.partition(":")[0], []).append(f"{written.label} ({value.raw})")
        self.warnings += [
            f"profile {self.profile.name} sets these itself, whatever {file} says: {', '.join(shown)}; variables "
            "of the environment beat it"
            for file, shown in files.items()
        ]

    def _build_symbols(self) -> SymbolConfig:
        names = {key.upper(): value.raw for key, value in self._symbols.items()}
        try:
            return SymbolConfig(names={**SymbolConfig().names, **names})
        except ValidationError as error:
            self.problems.extend(f"config/symbols.toml: {describe_expected(detail)}" for detail in error.errors())
            return SymbolConfig()

    def _build_strategies(self, sections: Mapping[str, Any]) -> tuple[StrategyConfig, ...]:
        built = []
        value = self._values.get("system.enabled_strategies")  # also when something else in its section is wrong
        names = split_names(value.raw) if value else sections["system"].enabled_strategies
        enabled = dict.fromkeys(str(name) for name in names) if isinstance(names, tuple | list) else {}
        keys = {name_key(name) for name in enabled}
        if not enabled:
            self.warnings.append("ENABLED_STRATEGIES names no strategy: nothing will trade")
        for key, item in self._known.items():  # settings of a strategy that does not run must be right as well
            if key not in keys and self._strategies[key]:
                self._build_strategy(item)
        for key, text in self._namesakes.items():  # which of two files runs would be chance
            (self.problems if key in keys else self.warnings).append(text)
        for name in enabled:
            known = self._known.get(name_key(name))
            if known is None:
                where = value.where if value else "ENABLED_STRATEGIES (default)"
                near = hint(name, [item.name for item in self._known.values()])
                self.problems.append(f"{where}: no file in strategies/ has a strategy {name!r}{near}")
                self._missing.append(name)
            elif (config := self._build_strategy(known)) is not None and config.enabled:
                built.append(config)
                if known.fault:
                    self._faults[known.name] = f"{known.name} cannot run: {known.fault}"
        running = [self._known[name_key(config.name)].file for config in built]
        faults = {item.file: item.fault for item in self._known.values() if item.fault}
        self.warnings += [fault for file, fault in sorted(faults.items()) if file not in running]
        return tuple(built)

    def _build_strategy(self, item: KnownStrategy) -> StrategyConfig | None:
        given = self._strategies[name_key(item.name)]
        own = {name: value for name, value in given.items() if name in FIELDS}
        trades = [own[key].raw for key in ("trade_long", "trade_short") if key in own]
        options = item.name in self._plans or any(names_option(trade) for trade in trades)
        before = len(self.problems)
        judge_percent_keys(item.name, own, self.problems, self.warnings, options=options)
        parameters: dict[str, Any] = {}
        for name, value in given.items():
            if name not in FIELDS:
                try:
                    parameters[name] = convert_parameter(item.parameters[name], value.raw)
                except ValueError as error:
                    self.problems.append(f"{value.where} = {value.raw!r}: expected {error} for {item.name}.{name}")
        idle: dict[str, Any] = {}
        if item.fault:  # it trades nothing, so that what it would trade need not be said
            idle = {name: "none" for name in ("trade_long", "trade_short") if name not in own}
        given_or_default = {**item.defaults, **parameters}
        wrong: set[str] = set()
        found = self._judged(own, lambda raw: strategy_config(item.name, {**raw, **idle}, given_or_default), wrong)
        self._note_wrong(item.name, wrong, before)
        return found

    def _judged(
        self, values: Mapping[str, Value], build: Callable[[dict[str, Any]], _T], left_out: set[str] | None = None
    ) -> _T | None:
        """The result of `build`; None if it refuses the values, with its reasons among the problems. With `left_out`
        it is that of the values which are right, and the others are named there."""
        raw = {name: tuple(value.raw) if isinstance(value.raw, list) else value.raw for name, value in values.items()}
        try:
            return build(raw)
        except ValidationError as error:
            self.problems.extend(describe_error(detail, values) for detail in error.errors())
            wrong = {str(detail["loc"][0]) if detail["loc"] else "" for detail in error.errors()}
        if left_out is None or not wrong <= raw.keys():
            return None
        left_out |= wrong
        return build({name: value for name, value in raw.items() if name not in wrong})


def _removed(path: str, value: Value) -> str:
    return f"{value.where}: this setting is gone, remove it: {REMOVED_KEYS[path]}"


def _plain_text(raw: object) -> str:
    return ",".join(map(str, raw)) if isinstance(raw, list) else str(raw)
