"""Checks across settings: whether they fit together, are unwise, or keep a stack from starting.

`contradictions` holds for every use; `start_problems` are reasons not to start a stack; warnings stop nothing. A
message says which setting to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mytrading.config.key_vault import key_environment, open_vault
from mytrading.config.leg_checks import leg_problems, profile_problems
from mytrading.config.market_files import risk_tables
from mytrading.config.problems import ConfigurationError, hint, name_key
from mytrading.config.sections import MessagingSettings, OpenAlgoSettings
from mytrading.config.settings import SIMULATOR_ACCOUNT, TradingSettings
from mytrading.config.sources import Value
from mytrading.config.strategies import StrategyConfig, risk_problems
from mytrading.config.symbols import UnknownSymbol, exchange_of, kind_of
from mytrading.core.accounting.margin_tables import BY_RISK, FIXED
from mytrading.core.orders.live_gate import confirmed
from mytrading.core.risk.pretrade.rules_order import product_refusal
from mytrading.messages.enums import Mode, Product, Side
from mytrading.messages.run_config import AccountRole, ProcessRules, StopPlan, TradeKind, TradeRule
from mytrading.messages.streams import STREAMS, Pattern

INDEX_ITSELF = "is an index, which cannot be bought"
"""Why a strategy cannot trade the index that it watches."""

OPENALGO_PORT = 5555
_HIGHEST_PORT = 65_535
_JOURNALS = 5
"""Processes that reserve room for exits."""
_SERVER = ("openalgo.host", "openalgo.ws_host", "openalgo.ws_port", "openalgo.account")

DERIVATIVES_OF = {"NSE": "NFO", "NSE_INDEX": "NFO", "BSE": "BFO", "BSE_INDEX": "BFO"}


def contradictions(settings: TradingSettings) -> list[str]:
    """Everything that contradicts, in the order of the settings."""
    judged = (strategy for strategy in settings.strategies if not settings.is_unusable(strategy.name))
    own = (problem for strategy in judged for problem in _strategy_problems(settings, strategy))
    return list(dict.fromkeys((*_symbol_problems(settings), *_r_problems(settings), *own)))


def _r_problems(settings: TradingSettings) -> Iterator[str]:
    """A limit in R counts by what entries risk at their stops; without these it needs the rupees of an R."""
    if settings.risk.r_value:
        return
    for strategy in settings.strategies:
        if strategy.stop is not StopPlan.NONE:
            continue
        for owner, holder in (("risk", settings.risk), (strategy.name, strategy)):
            for name in ("daily_stop_r", "daily_target_r"):
                if value := getattr(holder, name):
                    yield (
                        f'{owner}.{name} = {value:g}: {strategy.name} has stop = "none" and R_VALUE is 0, so nothing '
                        "says what it risks; set R_VALUE to the rupees of 1 R, or give it a stop"
                    )


def start_problems(settings: TradingSettings) -> list[str]:
    """Why a stack with these settings may not start."""
    return list(_start_problems(settings))


def _start_problems(settings: TradingSettings) -> Iterator[str]:
    system = settings.system
    mode = f"TRADING_MODE = {system.mode} ({settings.origin('system.mode')})"
    if system.mode is Mode.LIVE:
        yield from live_problems(settings)
    if system.mode is Mode.BACKTEST:
        yield f"{mode}: `mytrading backtest NAME --data FILE` runs one; expected paper, dry_run or live for a stack"
    yield from port_problems(settings.messaging)
    if not settings.simulator.embedded:
        yield from _server_problems(settings)


def live_problems(settings: TradingSettings) -> Iterator[str]:
    """What is missing of the two settings that confirm live money beside TRADING_MODE=live."""
    system, names = settings.system, settings.traded_accounts
    if not system.enable_trade_execution:
        yield (
            f"ENABLE_TRADE_EXECUTION = false ({settings.origin('system.enable_trade_execution')}): "
            "live trading needs true"
        )
    if set(confirmed(system.live_confirm)) != set(names):
        yield (
            f"LIVE_CONFIRM = {system.live_confirm or '(not set)'} ({settings.origin('system.live_confirm')}): live "
            f"trading needs the name of each account that takes orders, {','.join(names)}"
        )


def _server_problems(settings: TradingSettings) -> Iterator[str]:
    system = settings.system
    if settings.primary is not None:
        yield from _key_problems(settings)
    elif not settings.openalgo.api_key.get_secret_value():
        yield (
            "OPENALGO_API_KEY is not set: set it in .env (cp env_template.txt .env; the key is on your OpenAlgo "
            "server's API key page), add an encrypted one with `mytrading account add`, or start with --simulator, "
            "which needs none"
        )
    venue = f"PAPER_VENUE = simulator ({settings.origin('system.paper_venue')})"
    if system.mode is Mode.LIVE and system.paper_venue == "simulator":
        yield (
            f"{venue}: no order is to leave this machine, but TRADING_MODE = live "
            f"({settings.origin('system.mode')}) sends them; set PAPER_VENUE to openalgo, or TRADING_MODE to paper"
        )
    if settings.on_live_quotes and SIMULATOR_ACCOUNT in _names_of_sources(settings):
        yield (
            f"{venue}: an account is called {SIMULATOR_ACCOUNT}, as the one at the simulator is; expected another "
            "name in OPENALGO_ACCOUNT and config/accounts.toml (remove it and `mytrading account add` it again)"
        )


def _names_of_sources(settings: TradingSettings) -> tuple[str, ...]:
    """The accounts whose servers may give quotes."""
    if settings.primary is None:
        return (settings.openalgo.account,)
    return tuple(account.id for account in settings.accounts)


def _key_problems(settings: TradingSettings) -> Iterator[str]:
    try:
        vault = open_vault(key_environment(settings.home))
    except ConfigurationError as error:
        yield from error.problems
        return
    for account in settings.accounts:
        try:
            vault.open(account.key, account.id)
        except ConfigurationError as error:
            yield from error.problems


def watched_instruments(settings: TradingSettings) -> tuple[str, ...]:
    """The instrument ids to subscribe: ENABLED_SYMBOLS, then what strategies watch.

    A default list is bounded by ENABLED_EXCHANGES; one that was given is not, `contradictions` judges it.
    """
    own = [settings.symbols.resolve(symbol) for symbol in settings.data.symbols]
    if settings.origin("data.symbols") == "default":
        own = [instrument for instrument in own if exchange_of(instrument) in settings.data.exchanges]
    wanted = [settings.symbols.resolve(symbol) for strategy in settings.running for symbol in strategy.symbols]
    return tuple(dict.fromkeys((*own, *wanted)))


def _symbol_problems(settings: TradingSettings) -> Iterator[str]:
    if settings.origin("data.symbols") == "default":
        return
    for symbol in settings.data.symbols:
        yield from _judge_symbol(settings, settings.origin("data.symbols"), symbol)


def _account_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    known = [account.id for account in settings.accounts if account.role is not AccountRole.BACKUP]
    for name in strategy.accounts:
        if name not in known and not settings.simulator.embedded:
            label = f"{strategy.name}.accounts ({settings.origin(f'strategies.{strategy.name}.accounts')})"
            yield (
                f"{label} names {name}: expected accounts that take orders ({', '.join(known) or 'there are none'}); "
                "see `mytrading account list`"
            )


def _sizing_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    origin = settings.origin(f"strategies.{strategy.name}.sizing")
    rule = strategy.sizing_rule
    if rule.by == BY_RISK and not rule.risk_per_trade:
        yield f"{strategy.name}.risk_per_trade: sizing = risk ({origin}) needs rupees, say risk_per_trade = 6500"
    tables = risk_tables(settings.home)
    if tables is not None and (plan := settings.plan_of(strategy.name)) is not None:
        yield from profile_problems(settings, strategy.name, plan, rule.by, tables)
    if tables is not None and rule.by not in (FIXED, BY_RISK):
        try:
            tables.share_of(rule.by)
        except ValueError as error:
            yield f"{strategy.name}.sizing ({origin}): {error}"


def _strategy_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    for symbol in strategy.symbols:
        label = f"{strategy.name}.symbols ({settings.origin(f'strategies.{strategy.name}.symbols')})"
        yield from _judge_symbol(settings, label, symbol)
        if not strategy.options:
            yield from _trade_problems(settings, strategy, symbol)
    yield from _option_problems(settings, strategy)
    yield from _account_problems(settings, strategy)
    yield from _sizing_problems(settings, strategy)
    yield from _own_risk_problems(settings, strategy)
    product = product_of(settings, strategy)
    if product not in settings.risk.enabled_products:
        origin = settings.origin(f"strategies.{strategy.name}.product")
        yield (
            f"{strategy.name}.product ({origin}): {product} is not in ENABLED_PRODUCTS "
            f"({settings.origin('risk.enabled_products')}: {','.join(settings.risk.enabled_products)}); add it there"
        )
    if (plan := settings.plan_of(strategy.name)) is not None:
        yield from leg_problems(settings, strategy.name, plan, product_of(settings, strategy))
    for frame in strategy.timeframes:
        if frame not in settings.data.timeframes:
            yield (
                f"{strategy.name}.timeframes: {frame} is not in ENABLED_TIMEFRAMES "
                f"({settings.origin('data.timeframes')}: {','.join(settings.data.timeframes)}); add it there"
            )


def _option_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    """Options watched by rule are traded themselves: of a listed underlying, on an exchange that is enabled."""
    if not strategy.options:
        return
    label = f"{strategy.name}.options ({settings.origin(f'strategies.{strategy.name}.options')})"
    try:
        first = settings.symbols.resolve(strategy.symbols[0])
    except UnknownSymbol:
        return
    exchange = DERIVATIVES_OF.get(exchange_of(first), "")
    if not exchange:
        yield f"{label}: the first of symbols says where the money is, an index or a share; found {first}"
    elif exchange not in settings.data.exchanges:
        yield f"{label}: options of {first} trade on {exchange}, {_not_in(settings, 'exchanges', exchange)}"
    for kind in ("CE", "PE"):
        if kind not in settings.data.instrument_types:
            yield f"{label}: {_not_in(settings, 'instrument_types', kind)}"


def _own_risk_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    product, plan = product_of(settings, strategy), settings.plan_of(strategy.name)
    products = [leg.product or product for leg in plan.legs] if plan is not None else [product]
    found = risk_problems(
        strategy,
        Product.MIS if Product.MIS in products else product,
        strategy.intraday,
        len(strategy.symbols),
        settings.risk.trailing_stop_enabled,
    )
    for name, said in found:
        yield f"{strategy.name}.{name} ({settings.origin(f'strategies.{strategy.name}.{name}')}): {said}"


def _judge_symbol(settings: TradingSettings, label: str, symbol: str) -> Iterator[str]:
    try:
        instrument = settings.symbols.resolve(symbol)
    except UnknownSymbol as error:
        yield f"{label}: {error}"
        return
    exchange, kind = exchange_of(instrument), kind_of(instrument)
    if exchange not in settings.data.exchanges:
        yield f"{label}: {instrument} is on {exchange}, {_not_in(settings, 'exchanges', exchange)}"
    if kind not in settings.data.instrument_types:
        yield f"{label}: {instrument} is of type {kind}, {_not_in(settings, 'instrument_types', kind)}"


def _trade_problems(settings: TradingSettings, strategy: StrategyConfig, symbol: str) -> Iterator[str]:
    try:
        instrument = settings.symbols.resolve(symbol)
    except UnknownSymbol:
        return
    sides = {"long": ("long", strategy.long), "short": ("short", strategy.short)}
    wanted = ("long", "short") if strategy.direction == "both" else (strategy.direction.value,)
    for side, rule in (sides[name] for name in wanted):
        if rule is not None:
            label = f"{strategy.name}.trade_{side} ({settings.origin(f'strategies.{strategy.name}.trade_{side}')})"
            yield from _rule_problems(settings, strategy, label, instrument, rule)
            yield from _denial(settings, strategy, instrument, rule)
            yield from _wrong_way(label, side, rule)


def _rule_problems(
    settings: TradingSettings, strategy: StrategyConfig, label: str, instrument: str, rule: TradeRule
) -> Iterator[str]:
    if rule.kind is TradeKind.SAME:
        if kind_of(instrument) == "INDEX":
            stem = Path(settings.file_of(strategy.name)).stem
            own = stem if name_key(stem) == name_key(strategy.name) else strategy.name.lower()
            yield (
                f"{label}: {instrument} {INDEX_ITSELF}; write what to trade instead into "
                f'config/strategies/{own}.toml, say: trade = "NIFTY ATM CE nearest"'
            )
        return
    if rule.underlying and rule.underlying not in settings.symbols.names and rule.kind is TradeKind.OPTION:
        yield f"{label}: no short name {rule.underlying!r}{hint(rule.underlying, settings.symbols.names)}"
    base = settings.symbols.names.get(rule.underlying, instrument)
    exchange = DERIVATIVES_OF.get(exchange_of(base), exchange_of(base))
    kind = rule.right if rule.kind is TradeKind.OPTION else "FUT"
    if exchange not in settings.data.exchanges:
        yield f"{label}: trades on {exchange}, {_not_in(settings, 'exchanges', exchange)}"
    if kind not in settings.data.instrument_types:
        yield f"{label}: trades type {kind}, {_not_in(settings, 'instrument_types', kind)}"


def _denial(settings: TradingSettings, strategy: StrategyConfig, instrument: str, rule: TradeRule) -> Iterator[str]:
    """A denial that risk would repeat for every signal, in its own words."""
    kind, name = _traded(instrument, rule)
    sold = rule.side is Side.SELL
    if kind != "INDEX" and (why := product_refusal(name, product_of(settings, strategy), kind != "EQ", sold=sold)):
        yield f"{strategy.name}.product ({settings.origin(f'strategies.{strategy.name}.product')}): {why}"


def _traded(instrument: str, rule: TradeRule) -> tuple[str, str]:
    """Kind and name of what a rule trades for a watched instrument."""
    if rule.kind is TradeKind.SAME:
        return kind_of(instrument), instrument
    name = rule.underlying or instrument
    return ("FUT", f"the future of {name}") if rule.kind is TradeKind.FUTURE else (rule.right, f"a {rule.right}")


def _wrong_way(label: str, side: str, rule: TradeRule) -> Iterator[str]:
    """A bought call gains when the price rises and a bought put when it falls: one rule cannot serve both signals."""
    expected = "CE" if side == "long" else "PE"
    if rule.kind is TradeKind.OPTION and rule.side is Side.BUY and rule.right != expected:
        moves = "rises" if rule.right == "CE" else "falls"
        yield (
            f"{label}: a {side} signal would buy a {rule.right}, which gains when the price {moves}; write "
            f"long and short each under [trade], with {expected} or 'none' for {side}, or set direction"
        )


def _not_in(settings: TradingSettings, name: str, word: str) -> str:
    variable = f"ENABLED_{name.upper()}"
    allowed = ",".join(getattr(settings.data, name))
    return f"which is not in {variable} ({settings.origin(f'data.{name}')}: {allowed}); add {word} there"


def product_of(settings: TradingSettings, strategy: StrategyConfig) -> Product:
    """The strategy's own product, else the default of the primary account."""
    own = settings.origin(f"strategies.{strategy.name}.product") != "default"
    return settings.primary.product if settings.primary is not None and not own else strategy.product


def stream_ports(messaging: MessagingSettings) -> dict[str, int]:
    """A port for each stream, by `stream`, or by `stream-writer` where several daemons write it; none without TCP."""
    if messaging.transport != "tcp":
        return {}
    named = {
        "market": messaging.market_data_port,
        "signals": messaging.strategy_signals_port,
        "commands": messaging.trade_commands_port,
    }
    several = [row for row in STREAMS.values() if row.pattern is Pattern.FAN_OUT and len(row.writers) > 1]
    ports: dict[str, int] = {}
    for offset, stream in enumerate((*STREAMS, "ops")):
        if stream not in [row.name for row in several]:
            ports[stream] = named.get(stream) or messaging.base_port + offset
    for row in several:
        first = messaging.system_status_port or messaging.base_port + 20
        ports.update({f"{row.name}-{writer}": first + n for n, writer in enumerate(row.writers)})
    return ports


def port_problems(messaging: MessagingSettings) -> Iterator[str]:
    """Ports that cannot work, or must not, each with what to change."""
    if messaging.transport == "tcp" and not messaging.insecure:
        yield (
            "MYTRADING_TRANSPORT=tcp: expected ipc, found tcp: its ports check no user, so every user of this "
            "machine could read positions, halt and place orders; set ipc, or MYTRADING_TRANSPORT_INSECURE=yes where "
            "you are the only user"
        )
    taken: dict[int, str] = {}
    for stream, port in stream_ports(messaging).items():
        if port == OPENALGO_PORT:
            yield f"{stream} would use port {port}, which OpenAlgo binds itself; set ZMQ_BASE_PORT=5600"
        if port > _HIGHEST_PORT:
            yield f"{stream} would use port {port}, beyond {_HIGHEST_PORT}; choose a lower one"
        if port in taken:
            yield f"{taken[port]} and {stream} would both use port {port}; see the ZMQ_…_PORT variables"
        taken[port] = stream


def account_warnings(values: Mapping[str, Value]) -> Iterator[str]:
    """Beside accounts.toml: settings of a server that do not count, or a key that puts the file out of force."""
    if key := values.get("openalgo.api_key"):
        yield f"{key.where} is set: the stack uses that account alone, config/accounts.toml not at all"
        return
    for path in _SERVER:
        if value := values.get(path):
            yield f"{value.where} has no effect: the primary account of config/accounts.toml counts"


def deadline_warnings(values: Mapping[str, Value]) -> Iterator[str]:
    """A short deadline of order calls: servers have frozen for 12 s and placed the order then."""
    value = values.get("openalgo.timeout")
    usual = OpenAlgoSettings().timeout
    try:
        short = value is not None and float(str(value.raw)) < usual
    except ValueError:
        return
    if value is not None and short:
        yield (
            f"{value.where} is below {usual:g} s: an order call that takes longer leaves the fate of its order "
            f"unknown, which blocks entries; use {usual:g} or more"
        )


def free_space_warnings(value: Value | None, process: ProcessRules) -> Iterator[str]:
    """A bound on free disk below the reserves of the journals, which are released only when the disk is full."""
    kept = _JOURNALS * process.journal_reserve_bytes
    if value is not None and process.min_free_bytes < kept:
        yield (
            f"{value.where} is below the {kept // 1_000_000} MB that the journals keep aside for exits: entries go on "
            "until the disk is full; use ten times as much or more"
        )
