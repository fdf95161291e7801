"""`TradingSettings`: all settings, validated, with a section for each table of settings.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from mytrading.config.accounts import AccountConfig
from mytrading.config.sections import (
    SECTIONS,
    AlertSettings,
    BacktestSettings,
    DataSettings,
    LoggingSettings,
    MessagingSettings,
    OpenAlgoSettings,
    SystemSettings,
)
from mytrading.config.strategies import StrategyConfig
from mytrading.config.symbols import SymbolConfig
from mytrading.config.validation import setting_values
from mytrading.messages.enums import Mode
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.run_config import (
    AccountRole,
    ConsoleRules,
    ProcessRules,
    RateLimits,
    RiskLimits,
    SimulatorRules,
    WebhookRules,
)

SIMULATOR_ACCOUNT = "simulator"
"""Name of the account of the stack's own simulator where quotes are those of an account."""


class TradingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, resolved and valid. `effective_rows()` lists each value with its origin, secrets masked.

    `home` is the project folder, `warnings` are settings without effect or unwise, each with why, and `unused` the
    variables of the environment that nothing here reads. `origins` are by dotted path; `files`, `plans`, `written` and
    `faults_by_name` by strategy.
    """

    profile: str = "default"
    system: SystemSettings = SystemSettings()
    openalgo: OpenAlgoSettings = OpenAlgoSettings()
    messaging: MessagingSettings = MessagingSettings()
    data: DataSettings = DataSettings()
    risk: RiskLimits = RiskLimits()
    rates: RateLimits = RateLimits()
    logging: LoggingSettings = LoggingSettings()
    alerts: AlertSettings = AlertSettings()
    webhooks: WebhookRules = WebhookRules()
    console: ConsoleRules = ConsoleRules()
    simulator: SimulatorRules = SimulatorRules()
    process: ProcessRules = ProcessRules()
    backtest: BacktestSettings = BacktestSettings()
    symbols: SymbolConfig = SymbolConfig()
    accounts: tuple[AccountConfig, ...] = ()
    strategies: tuple[StrategyConfig, ...] = ()
    home: Path = Path()
    warnings: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    origins: Mapping[str, str] = {}
    files: Mapping[str, str] = {}
    plans: Mapping[str, LegPlan] = {}
    written: Mapping[str, dict[str, Any]] = {}
    faults_by_name: Mapping[str, str] = {}

    @property
    def strategy_faults(self) -> tuple[str, ...]:
        """Reasons, with file and line, why strategies in ENABLED_STRATEGIES cannot run; empty if all can."""
        return tuple(self.faults_by_name.values())

    def is_unusable(self, strategy: str) -> bool:
        """True for an enabled strategy that is faulty and has no settings, so only its file can be checked."""
        own = f"strategies.{strategy}."
        return strategy in self.faults_by_name and not any(path.startswith(own) for path in self.origins)

    @property
    def running_strategies(self) -> tuple[StrategyConfig, ...]:
        """Settings of the strategies in ENABLED_STRATEGIES; empty if the strategy engine is switched off."""
        return self.strategies if self.system.enable_strategy_engine else ()

    @property
    def uses_live_quotes(self) -> bool:
        """True if the stack's own simulator trades paper money on quotes of a real server."""
        wanted = self.system.mode is Mode.PAPER and self.system.paper_venue == "simulator"
        return wanted and not self.simulator.embedded

    @property
    def trades_at_simulator(self) -> bool:
        """True if orders go to the stack's own simulator, which has a single account."""
        return self.simulator.embedded or self.uses_live_quotes

    @property
    def primary(self) -> AccountConfig | None:
        """The primary account of config/accounts.toml; None if there is none, or OPENALGO_API_KEY replaces it."""
        if self.simulator.embedded or self.openalgo.api_key.get_secret_value():
            return None
        return next((account for account in self.accounts if account.role is AccountRole.PRIMARY), None)

    @property
    def traded_accounts(self) -> tuple[str, ...]:
        """The names of the accounts that orders may go to, the primary first."""
        if self.primary is None:
            return (self.openalgo.account,)
        return (self.primary.id, *(account.id for account in self.accounts if account.role is AccountRole.TRADING))

    def origin(self, path: str) -> str:
        """Return where the value of a dotted `path` such as `risk.max_order_size` came from, or `default`."""
        return self.origins.get(path, "default")

    def file_of(self, strategy: str) -> str:
        """Return the project-relative path of the file that defines a strategy; "" if it is unknown."""
        return self.files.get(strategy, "")

    def plan_of(self, strategy: str) -> LegPlan | None:
        """Return the legs of a strategy defined by `[[legs]]`; None for one with code."""
        return self.plans.get(strategy)

    def effective_rows(self) -> list[tuple[str, str, str]]:
        """Return (dotted name, value, origin) of every setting, account and strategy; secrets are masked."""
        values: list[tuple[str, object]] = [("profile", self.profile)]
        for section in SECTIONS:
            values += ((f"{section}.{name}", value) for name, value in setting_values(getattr(self, section)))
        rows = [(path, format_value(value), self.origin(path)) for path, value in values]
        for account in self.accounts:
            shown = [(name, "***" if name == "key" else format_value(value)) for name, value in account if name != "id"]
            rows += ((f"accounts.{account.id}.{name}", value, "config/accounts.toml") for name, value in shown)
        for strategy in self.strategies:
            for name, value in (*setting_values(strategy), *strategy.parameters.items()):
                path = f"strategies.{strategy.name}.{name}"
                rows.append((path, format_value(value), self.origin(path)))
        return rows


def format_value(value: object) -> str:
    """Format a value as a settings file writes it; a secret is masked, None is `(not set)`."""
    if isinstance(value, SecretStr):
        return "***" if value.get_secret_value() else "(not set)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "(not set)"
    return ",".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
