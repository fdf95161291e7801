"""The settings of the whole system, validated: `TradingSettings`, with a section for each table of settings.toml.

Built by `resolve.load_settings`; read by the command line and by `build`, which turns it into the run file. The one
rule: a default stands in its section and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import PrivateAttr, SecretStr

from mytrading.config.accounts import AccountConfig
from mytrading.config.backtest import BacktestSettings
from mytrading.config.sections import (
    AlertSettings,
    DataSettings,
    LoggingSettings,
    MessagingSettings,
    OpenAlgoSettings,
    ProcessSettings,
    RateSettings,
    RiskSettings,
    Section,
    SimulatorSettings,
    SystemSettings,
)
from mytrading.config.strategies import StrategyConfig
from mytrading.config.symbols import SymbolConfig
from mytrading.messages.enums import Mode
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.runconfig import AccountRole

SIMULATOR_ACCOUNT = "simulator"
"""How the account of the stack's own simulator is called where quotes are those of an account."""


class TradingSettings(Section):
    """Everything resolved and valid. `effective_rows()` lists each value with its origin, secrets masked."""

    profile: str = "default"
    system: SystemSettings = SystemSettings()
    openalgo: OpenAlgoSettings = OpenAlgoSettings()
    messaging: MessagingSettings = MessagingSettings()
    data: DataSettings = DataSettings()
    risk: RiskSettings = RiskSettings()
    rates: RateSettings = RateSettings()
    logging: LoggingSettings = LoggingSettings()
    alerts: AlertSettings = AlertSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    backtest: BacktestSettings = BacktestSettings()
    process: ProcessSettings = ProcessSettings()
    symbols: SymbolConfig = SymbolConfig()
    accounts: tuple[AccountConfig, ...] = ()
    strategies: tuple[StrategyConfig, ...] = ()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())
    _foreign: tuple[str, ...] = PrivateAttr(default=())
    _faults: dict[str, str] = PrivateAttr(default_factory=dict)
    _files: dict[str, str] = PrivateAttr(default_factory=dict)
    _home: Path = PrivateAttr(default=Path())
    _plans: dict[str, LegPlan] = PrivateAttr(default_factory=dict)

    @property
    def home(self) -> Path:
        """The project folder whose files these settings were read from."""
        return self._home

    @property
    def warnings(self) -> tuple[str, ...]:
        """Settings that were given and have no effect yet, or none any more, each with why."""
        return self._warnings

    @property
    def foreign(self) -> tuple[str, ...]:
        """Variables of other programs that the environment has, and that have no effect here (`variables.FOREIGN`)."""
        return self._foreign

    @property
    def faults(self) -> tuple[str, ...]:
        """Why strategies that ENABLED_STRATEGIES names cannot run, with file and line; the others can."""
        return tuple(self._faults.values())

    def stands_idle(self, strategy: str) -> bool:
        """True of a strategy that cannot run and of which nothing is set: there is nothing to judge but its file."""
        own = f"strategies.{strategy}."
        return strategy in self._faults and not any(path.startswith(own) for path in self._origins)

    @property
    def running(self) -> tuple[StrategyConfig, ...]:
        """The strategies that ENABLED_STRATEGIES starts."""
        return self.strategies if self.system.enable_strategy_engine else ()

    @property
    def on_live_quotes(self) -> bool:
        """True where paper money trades at the stack's own simulator, priced by a real server's quotes."""
        wanted = self.system.mode is Mode.PAPER and self.system.paper_venue == "simulator"
        return wanted and not self.simulator.embedded

    @property
    def at_simulator(self) -> bool:
        """True where orders go to a simulator of the stack's own, which has one account."""
        return self.simulator.embedded or self.on_live_quotes

    @property
    def primary(self) -> AccountConfig | None:
        """The account of config/accounts.toml that is traded; None if OPENALGO_API_KEY names one, or there is none."""
        if self.simulator.embedded or self.openalgo.api_key.get_secret_value():
            return None
        return next((account for account in self.accounts if account.role is AccountRole.PRIMARY), None)

    @property
    def traded(self) -> tuple[str, ...]:
        """The names of the accounts that orders may go to, the primary first."""
        if self.primary is None:
            return (self.openalgo.account,)
        others = (account.id for account in self.accounts if account.role is AccountRole.TRADING)
        return (self.primary.id, *others)

    def origin(self, path: str) -> str:
        """Where the value of `risk.max_order_size` came from."""
        return self._origins.get(path, "default")

    def file_of(self, strategy: str) -> str:
        """The file that holds a strategy's class, below the project folder."""
        return self._files.get(strategy, "")

    def plan_of(self, strategy: str) -> LegPlan | None:
        """The legs of a strategy without code, None of any other."""
        return self._plans.get(strategy)

    def effective_rows(self) -> list[tuple[str, str, str]]:
        """(dotted name, value, origin) of every setting and every running strategy's."""
        rows = [(name, shown, self.origin(name)) for name, shown in _section_rows(self)]
        for account in self.accounts:
            shown = [(name, "***" if name == "key" else show(value)) for name, value in account if name != "id"]
            rows.extend((f"accounts.{account.id}.{name}", value, "config/accounts.toml") for name, value in shown)
        for strategy in self.strategies:
            for name, value in _strategy_values(strategy):
                path = f"strategies.{strategy.name}.{name}"
                rows.append((path, show(value), self.origin(path)))
        return rows


SECTIONS: tuple[str, ...] = (
    "system", "openalgo", "messaging", "data", "risk", "rates", "logging", "alerts", "simulator", "process",
    "backtest",
)  # fmt: skip


def show(value: object) -> str:
    """A value as a person would write it."""
    if isinstance(value, SecretStr):
        return "***" if value.get_secret_value() else "(not set)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "(not set)"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)


def _section_rows(settings: TradingSettings) -> list[tuple[str, str]]:
    rows = [("profile", settings.profile)]
    for section in SECTIONS:
        rows.extend((f"{section}.{name}", show(value)) for name, value in getattr(settings, section))
    return rows


def _strategy_values(strategy: StrategyConfig) -> list[tuple[str, object]]:
    own = [(name, value) for name, value in strategy if name not in ("name", "parameters")]
    return [*own, *strategy.parameters.items()]
