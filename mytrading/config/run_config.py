"""From valid settings to the content of the run file."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from mytrading.config.brokers import accepted_brokers, load_brokers
from mytrading.config.cross_checks import product_of, start_problems, stream_ports, watched_instruments
from mytrading.config.key_vault import key_environment, open_vault
from mytrading.config.problems import ConfigurationError
from mytrading.config.settings import SIMULATOR_ACCOUNT, TradingSettings
from mytrading.config.strategies import StrategyConfig, exit_rules_of
from mytrading.core.options.leg_grammar import parse_option_range
from mytrading.messages import run_config
from mytrading.messages.enums import Mode, Product
from mytrading.messages.leg_plan import LegPlan

_S = TypeVar("_S", bound=msgspec.Struct)
# A quote is never called stale within this much machine time, however fast the market clock runs.
_STALE_FLOOR_SECONDS = 2.0


def build_run_config(
    settings: TradingSettings,
    home: Path,
    state_dir: Path,
    runtime_dir: Path,
    *,
    log_name: str = "",
    rest_url: str = "",
    ws_url: str = "",
    api_key: str = "",
) -> run_config.RunConfig:
    """Build the run configuration from settings; `ConfigurationError` when they may not be started.

    Logs go to a folder `log_name` (default: the profile). `rest_url`, `ws_url` and `api_key` are for the stack's own
    simulator; without a key a random one is generated for it.
    """
    if problems := start_problems(settings):
        raise ConfigurationError(*problems)
    venue, source, accounts = _servers(settings, rest_url, ws_url, api_key)
    return run_config.with_config_hash(
        run_config.RunConfig(
            profile=settings.profile,
            mode=settings.system.mode,
            system_name=settings.system.name,
            home=str(home),
            state_dir=str(state_dir),
            runtime_dir=str(runtime_dir),
            log_dir=str(home / settings.logging.directory / (log_name or settings.profile)),
            venue=venue,
            data=copy_shared_fields(run_config.DataRules, settings.data, watch=watched_instruments(settings)),
            strategies=tuple(strategy_run(settings, strategy) for strategy in settings.running_strategies),
            risk=risk_limits(settings),
            rates=settings.rates,
            messaging=copy_shared_fields(
                run_config.Messaging, settings.messaging, ports=stream_ports(settings.messaging)
            ),
            logging=copy_shared_fields(run_config.LogRules, settings.logging),
            simulator=replace(settings.simulator, followed=True, speed=1.0, replay="")
            if settings.uses_live_quotes
            else settings.simulator,
            process=settings.process,
            alert_command=settings.alerts.command,
            accounts=accounts,
            source=source,
            trade_execution=settings.system.enable_trade_execution,
            live_confirm=settings.system.live_confirm,
            rules=settings.system.enabled_rules,
            alert_rules=copy_shared_fields(run_config.AlertRules, settings.alerts),
            webhooks=settings.webhooks,
            console=settings.console,
            brokers=load_brokers(),
            accepted_brokers=accepted_brokers(settings.system.accepted_brokers),
            windows=run_config.Windows(orders_every=settings.openalgo.order_book_seconds),
        )
    )


def copy_shared_fields(kind: type[_S], section: msgspec.Struct, **own: object) -> _S:
    """Build a struct of class `kind` from the fields it shares with `section`; `own` gives the other fields."""
    shared = [name for name in kind.__struct_fields__ if name not in own]
    return kind(**{name: getattr(section, name) for name in shared}, **own)


def _servers(
    settings: TradingSettings, rest_url: str, ws_url: str, api_key: str
) -> tuple[run_config.VenueSettings, run_config.AccountRun | None, tuple[run_config.AccountRun, ...]]:
    """The venue, the account that gives it quotes if it has none of its own, and all accounts.

    The venue is the primary account. An embedded simulator is a venue without any; one on live quotes has the primary
    as its source, and of the others those that stand by for it: to none of them an order may go.
    """
    if settings.trades_at_simulator:
        name = settings.openalgo.account if settings.simulator.embedded else SIMULATOR_ACCOUNT
        venue = _venue(settings, name, rest_url, ws_url, api_key or secrets.token_hex(16))
        if settings.simulator.embedded:
            return venue, None, ()
        source, *others = _accounts(settings)
        return venue, source, tuple(one for one in others if one.role is run_config.AccountRole.BACKUP)
    accounts = _accounts(settings)
    first = accounts[0]
    url, stream = rest_url or first.rest_url, ws_url or first.ws_url
    return _venue(settings, first.id, url, stream, api_key or first.api_key), None, accounts


def _accounts(settings: TradingSettings) -> tuple[run_config.AccountRun, ...]:
    """The accounts at real servers, the primary first."""
    server = settings.openalgo
    if settings.primary is None:
        scheme = "wss" if server.host.startswith("https://") else "ws"  # the key never travels in clear beside HTTPS
        stream, key = f"{scheme}://{server.ws_host}:{server.ws_port}", server.api_key.get_secret_value()
        return (run_config.AccountRun(id=server.account, rest_url=server.host, ws_url=stream, api_key=key),)
    vault = open_vault(key_environment(settings.home))
    accounts = [
        run_config.AccountRun(
            id=account.id,
            rest_url=account.host,
            ws_url=account.ws_url,
            api_key=vault.open(account.key, account.id),
            role=account.role,
            broker=account.broker,
            product=account.product,
        )
        for account in settings.accounts
    ]
    return tuple(sorted(accounts, key=lambda account: account.role is not run_config.AccountRole.PRIMARY))


def _venue(
    settings: TradingSettings, account: str, rest_url: str, ws_url: str, api_key: str
) -> run_config.VenueSettings:
    server = settings.openalgo
    return run_config.VenueSettings(
        kind=run_config.VenueKind.DRY_RUN if settings.system.mode is Mode.DRY_RUN else run_config.VenueKind.OPENALGO,
        account=account,
        rest_url=rest_url,
        ws_url=ws_url,
        api_key=api_key,
        expected_mode=run_config.ServerMode.LIVE
        if settings.system.mode is Mode.LIVE
        else run_config.ServerMode.ANALYZE,
        order_workers=min(run_config.ORDER_WORKERS, server.max_concurrent_requests),
        **msgspec.structs.asdict(copy_shared_fields(run_config.ServerRules, server)),
    )


def strategy_run(settings: TradingSettings, strategy: StrategyConfig) -> run_config.StrategyRun:
    """Return the run configuration of one strategy, its symbols, product and accounts resolved by the settings."""
    return build_strategy_run(
        strategy,
        symbols=tuple(settings.symbols.resolve(symbol) for symbol in strategy.symbols),
        product=product_of(settings, strategy),
        file=settings.file_of(strategy.name),
        accounts=() if settings.trades_at_simulator else strategy.accounts,
        plan=settings.plan_of(strategy.name),
        written=settings.written.get(strategy.name),
    )


def build_strategy_run(
    strategy: StrategyConfig,
    symbols: tuple[str, ...],
    product: Product,
    file: str,
    accounts: tuple[str, ...],
    plan: LegPlan | None,
    written: dict[str, Any] | None = None,
) -> run_config.StrategyRun:
    """Build a strategy's run configuration from its own settings and values resolved from other settings."""
    return copy_shared_fields(
        run_config.StrategyRun,
        strategy,
        file=file,
        symbols=symbols,
        product=product,
        accounts=accounts,
        intraday=strategy.intraday if strategy.intraday is not None else is_intraday(product, plan),
        stop_loss_pct=strategy.stop_loss_share,
        take_profit_pct=strategy.take_profit_share,
        sizing=strategy.sizing_rule,
        roll=run_config.RollRule(days=strategy.roll_days, first=strategy.roll_first),
        square_off=strategy.own_square_off_time,
        rules=exit_rules_of(strategy, symbols[0]),
        plan=plan,
        written=written or {},
        options=parse_option_range(strategy.options),
    )


def is_intraday(product: Product, plan: LegPlan | None) -> bool:
    """True if all the strategy may enter is squared off daily (MIS); `product` is for legs that name none."""
    own = [leg.product for leg in plan.legs] if plan is not None else [None]
    return all((given or product) is Product.MIS for given in own)


def risk_limits(settings: TradingSettings) -> run_config.RiskLimits:
    """Return the risk limits, with enabled exchanges, kinds and timeframes; the quote age grows with market speed."""
    speed = settings.simulator.speed if settings.simulator.embedded else 1.0
    return replace(
        settings.risk,
        stale_quote_seconds=max(settings.risk.stale_quote_seconds, _STALE_FLOOR_SECONDS * speed),
        enabled_exchanges=settings.data.exchanges,
        enabled_kinds=tuple(kind for kind in settings.data.instrument_types if kind != "INDEX"),
        enabled_timeframes=settings.data.timeframes,
    )
