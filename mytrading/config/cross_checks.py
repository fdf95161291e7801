"""Checks across settings: contradictions, reasons not to start a stack, and warnings, which stop nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mytrading.config.brokers import load_brokers
from mytrading.config.key_vault import key_environment, open_vault
from mytrading.config.problems import ConfigurationError, hint, name_key, nearest
from mytrading.config.sections import MessagingSettings, OpenAlgoSettings
from mytrading.config.settings import SIMULATOR_ACCOUNT, TradingSettings
from mytrading.config.sources import Value, parse_toml
from mytrading.config.strategies import StrategyConfig, find_rule_conflicts
from mytrading.config.symbols import UnknownSymbol, exchange_of, kind_of
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.accounting.margin_tables import BY_RISK, FIXED, RiskTables, Source, sizing_key
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.calendar_file import CalendarError
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.orders.live_gate import confirmed_accounts
from mytrading.core.risk.pretrade.rules_order import product_refusal, short_lived_hedge
from mytrading.core.risk.protection.hedges import match_rule_covers
from mytrading.messages.brokers import SANDBOX, find_broker
from mytrading.messages.enums import Mode, Product, Side
from mytrading.messages.leg_plan import LegKind, LegPlan, LegRule
from mytrading.messages.run_config import AccountRole, ProcessRules, StopPlan, TradeKind, TradeRule
from mytrading.messages.streams import STREAMS, Pattern

_T = TypeVar("_T")
INDEX_ITSELF = "is an index, which cannot be bought"
"""Reasons that a strategy cannot trade the index that it watches."""

OPENALGO_PORT = 5555
_HIGHEST_PORT = 65_535
_JOURNALS = 5
"""Processes that reserve room for exits."""
_SERVER = ("openalgo.host", "openalgo.ws_host", "openalgo.ws_port", "openalgo.account")
_DERIVATIVES_OF = {"NSE": "NFO", "NSE_INDEX": "NFO", "BSE": "BFO", "BSE_INDEX": "BFO"}


def find_contradictions(settings: TradingSettings) -> list[str]:
    """Return a problem (text) for each contradiction among settings, in the settings' order; empty if none."""
    found: list[str] = []
    if (origin := settings.origin("data.symbols")) != "default":
        for symbol in settings.data.symbols:
            found += _judge_symbol(settings, origin, symbol)
    found += _r_problems(settings)
    for strategy in settings.strategies:
        if not settings.is_unusable(strategy.name):
            found += _strategy_problems(settings, strategy)
    return list(dict.fromkeys(found))


def _r_problems(settings: TradingSettings) -> Iterator[str]:
    """A limit in R counts by what entries risk at their stops; without these it needs the rupees of an R."""
    for strategy in settings.strategies:
        if settings.risk.r_value or strategy.stop is not StopPlan.NONE:
            continue
        for owner, holder in (("risk", settings.risk), (strategy.name, strategy)):
            for name in ("daily_stop_r", "daily_target_r"):
                if value := getattr(holder, name):
                    yield (
                        f'{owner}.{name} = {value:g}: {strategy.name} has stop = "none" and R_VALUE is 0, so nothing '
                        "says what it risks; set R_VALUE to the rupees of 1 R, or give it a stop"
                    )


# starting a stack


def start_problems(settings: TradingSettings) -> list[str]:
    """Return the reasons why a stack with these settings may not start; empty if it may."""
    problems: list[str] = []
    if settings.system.mode is Mode.LIVE:
        problems += _live_problems(settings)
    if settings.system.mode is Mode.BACKTEST:
        problems.append(
            f"TRADING_MODE = {settings.system.mode} ({settings.origin('system.mode')}): `mytrading backtest NAME "
            "--data FILE` runs one; expected paper, dry_run or live for a stack"
        )
    problems += _broker_problems(settings)
    problems += _port_problems(settings.messaging)
    if not settings.simulator.embedded:
        problems += _server_problems(settings)
    return problems


def _live_problems(settings: TradingSettings) -> Iterator[str]:
    """The two settings that confirm live money beside TRADING_MODE=live."""
    system, names = settings.system, settings.traded_accounts
    if not system.enable_trade_execution:
        yield (
            f"ENABLE_TRADE_EXECUTION = false ({settings.origin('system.enable_trade_execution')}): "
            "live trading needs true"
        )
    if set(confirmed_accounts(system.live_confirm)) != set(names):
        yield (
            f"LIVE_CONFIRM = {system.live_confirm or '(not set)'} ({settings.origin('system.live_confirm')}): live "
            f"trading needs the name of each account that takes orders, {','.join(names)}"
        )


def _broker_problems(settings: TradingSettings) -> Iterator[str]:
    """Names of accepted brokers that no row of the table has: a slip there must not pass for consent."""
    known = load_brokers()
    for word in settings.system.accepted_brokers:
        if find_broker(known, word).name in ("", SANDBOX):
            origin, names = settings.origin("system.accepted_brokers"), [name for name in known if name != SANDBOX]
            cure = hint(word, names) or "; `mytrading brokers` lists them"
            yield f"ACCEPTED_BROKERS ({origin}): expected names of brokers, found {word!r}{cure}"


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
    own = settings.primary is None
    sources = (settings.openalgo.account,) if own else tuple(account.id for account in settings.accounts)
    if settings.uses_live_quotes and SIMULATOR_ACCOUNT in sources:
        yield (
            f"{venue}: an account is called {SIMULATOR_ACCOUNT}, as the one at the simulator is; expected another "
            "name in OPENALGO_ACCOUNT and config/accounts.toml (remove it and `mytrading account add` it again)"
        )


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


# instruments and strategies


def watched_instruments(settings: TradingSettings) -> tuple[str, ...]:
    """Return ids to subscribe: of ENABLED_SYMBOLS (its default list less exchanges not enabled), then strategies."""
    own = [settings.symbols.resolve(symbol) for symbol in settings.data.symbols]
    if settings.origin("data.symbols") == "default":
        own = [instrument for instrument in own if exchange_of(instrument) in settings.data.exchanges]
    wanted = [
        settings.symbols.resolve(symbol) for strategy in settings.running_strategies for symbol in strategy.symbols
    ]
    return tuple(dict.fromkeys((*own, *wanted)))


def product_of(settings: TradingSettings, strategy: StrategyConfig) -> Product:
    """Return the strategy's own product, else the primary account's default, else the built-in default."""
    own = settings.origin(f"strategies.{strategy.name}.product") != "default"
    return settings.primary.product if settings.primary is not None and not own else strategy.product


def _label(settings: TradingSettings, strategy: StrategyConfig, name: str) -> str:
    return f"{strategy.name}.{name} ({settings.origin(f'strategies.{strategy.name}.{name}')})"


def _not_enabled(settings: TradingSettings, subject: str, exchange: str, *kinds: str) -> Iterator[str]:
    """Yield a problem for an exchange or a type of instrument that the section `data` does not enable."""
    named = [("exchanges", "on", exchange), *(("instrument_types", "type", kind) for kind in kinds)]
    for name, what, word in named:
        if word not in (allowed := getattr(settings.data, name)):
            enabled = f"ENABLED_{name.upper()} ({settings.origin(f'data.{name}')}: {','.join(allowed)})"
            yield f"{subject} trades {what} {word}, which is not in {enabled}; add {word} there"


def _judge_symbol(settings: TradingSettings, label: str, symbol: str) -> Iterator[str]:
    try:
        instrument = settings.symbols.resolve(symbol)
    except UnknownSymbol as error:
        yield f"{label}: {error}"
        return
    yield from _not_enabled(settings, f"{label}: {instrument}", exchange_of(instrument), kind_of(instrument))


def _strategy_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    product, plan = product_of(settings, strategy), settings.plan_of(strategy.name)
    for symbol in strategy.symbols:
        yield from _judge_symbol(settings, _label(settings, strategy, "symbols"), symbol)
        if not strategy.options:
            yield from _trade_problems(settings, strategy, symbol)
    if strategy.options:
        yield from _option_problems(settings, strategy)
    known = [account.id for account in settings.accounts if account.role is not AccountRole.BACKUP]
    for name in strategy.accounts:
        if name not in known and not settings.simulator.embedded:
            yield (
                f"{_label(settings, strategy, 'accounts')} names {name}: expected accounts that take orders "
                f"({', '.join(known) or 'there are none'}); see `mytrading account list`"
            )
    yield from _factor_problems(settings, strategy)
    yield from _sizing_problems(settings, strategy)
    products = [leg.product or product for leg in plan.legs] if plan is not None else [product]
    judged = Product.MIS if Product.MIS in products else product
    trailing = settings.risk.trailing_stop_enabled
    for name, problem in find_rule_conflicts(strategy, judged, strategy.intraday, len(strategy.symbols), trailing):
        yield f"{_label(settings, strategy, name)}: {problem}"
    if product not in settings.risk.enabled_products:
        yield (
            f"{_label(settings, strategy, 'product')}: {product} is not in ENABLED_PRODUCTS "
            f"({settings.origin('risk.enabled_products')}: {','.join(settings.risk.enabled_products)}); add it there"
        )
    if plan is not None:
        yield from _leg_problems(settings, strategy.name, plan, product)
    for frame in strategy.timeframes:
        if frame not in settings.data.timeframes:
            yield (
                f"{strategy.name}.timeframes: {frame} is not in ENABLED_TIMEFRAMES "
                f"({settings.origin('data.timeframes')}: {','.join(settings.data.timeframes)}); add it there"
            )


def _factor_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    """A factor of an account that does not trade the strategy would leave another account with the usual lots."""
    trading = strategy.accounts or settings.traded_accounts[:1]
    for name in strategy.sizing_rule.factors:
        if name not in trading and not settings.simulator.embedded:
            yield (
                f"{_label(settings, strategy, 'allocation_factors')} names {name}: expected accounts that trade this "
                f"strategy ({', '.join(trading)})"
            )


def _sizing_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    origin = settings.origin(f"strategies.{strategy.name}.sizing")
    rule = strategy.sizing_rule
    if rule.by == BY_RISK and not rule.risk_per_trade:
        yield f"{strategy.name}.risk_per_trade: sizing = risk ({origin}) needs rupees, say risk_per_trade = 6500"
    tables = _read(settings.home, "risk", RiskTables.from_dict, [])  # `market_file_problems` reports unreadable ones
    if tables is not None and (plan := settings.plan_of(strategy.name)) is not None:
        yield from _profile_problems(settings, strategy.name, plan, rule.by, tables)
    if tables is not None and rule.by not in (FIXED, BY_RISK):
        try:
            tables.margin_share_of(rule.by)
        except ValueError as error:
            yield f"{strategy.name}.sizing ({origin}): {error}"


def _option_problems(settings: TradingSettings, strategy: StrategyConfig) -> Iterator[str]:
    """Options watched by rule are traded themselves: of a listed underlying, on an exchange that is enabled."""
    label = _label(settings, strategy, "options")
    try:
        first = settings.symbols.resolve(strategy.symbols[0])
    except UnknownSymbol:
        return
    exchange = _DERIVATIVES_OF.get(exchange_of(first), "")
    if not exchange:
        yield f"{label}: the first of symbols says where the money is, an index or a share; found {first}"
        return
    yield from _not_enabled(settings, label, exchange, "CE", "PE")


def _trade_problems(settings: TradingSettings, strategy: StrategyConfig, symbol: str) -> Iterator[str]:
    try:
        instrument = settings.symbols.resolve(symbol)
    except UnknownSymbol:
        return
    origins = {settings.origin(f"strategies.{strategy.name}.trade_{side}") for side in ("long", "short")}
    both = strategy.direction == "both" and len(origins) == 1  # one line of the file: one problem, not two
    for side, rule in (("long", strategy.long), ("short", strategy.short)):
        if rule is None or strategy.direction not in (side, "both"):
            continue
        label = _label(settings, strategy, f"trade_{side}")
        if both:
            label = label.replace(f".trade_{side} ", ".trade ", 1)
        kind, name = rule.right, f"a {rule.right}"
        if rule.kind is TradeKind.SAME:
            kind, name = kind_of(instrument), instrument
        elif rule.kind is TradeKind.FUTURE:
            kind, name = "FUT", f"the future of {rule.underlying or instrument}"
        yield from _rule_problems(settings, strategy, label, instrument, rule)
        sold = rule.side is Side.SELL  # a denial that risk would repeat for every signal, in its words
        if kind != "INDEX" and (why := product_refusal(name, product_of(settings, strategy), kind != "EQ", sold=sold)):
            yield f"{_label(settings, strategy, 'product')}: {why}"
        expected = "CE" if side == "long" else "PE"
        if rule.kind is TradeKind.OPTION and not sold and rule.right != expected:
            moves = "rises" if rule.right == "CE" else "falls"
            yield (
                f"{label}: a {side} signal would buy a {rule.right}, which gains when the price {moves}; write "
                f"long and short each under [trade], with {expected} or 'none' for {side}, or set direction"
            )


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
    exchange = _DERIVATIVES_OF.get(exchange_of(base), exchange_of(base))
    kind = rule.right if rule.kind is TradeKind.OPTION else "FUT"
    yield from _not_enabled(settings, label, exchange, kind)


def _leg_problems(settings: TradingSettings, name: str, plan: LegPlan, product: Product) -> Iterator[str]:
    products = {f"legs[{number}]": leg.product or product for number, leg in enumerate(plan.legs, 1)}
    for cover in match_rule_covers(plan.legs):  # bought legs that would end before a sold one that they cover
        if products[cover.bought] is Product.MIS and products[cover.sold] is not Product.MIS:
            why = short_lived_hedge(cover.bought, cover.sold, products[cover.sold])
            yield f"{settings.file_of(name)}: {cover.bought}.product: {why}"
    for place, leg in zip(products, plan.legs, strict=True):
        label = f"{settings.file_of(name)}: {place}"
        if leg.product is not None and leg.product not in settings.risk.enabled_products:
            allowed = f"{settings.origin('risk.enabled_products')}: {','.join(settings.risk.enabled_products)}"
            yield f"{label}.product = {leg.product.value!r}: not in ENABLED_PRODUCTS ({allowed}); add it there"
        exchange, kind = exchange_of(leg.watch), kind_of(leg.watch)
        if leg.kind is not LegKind.EQUITY:
            exchange, kind = _DERIVATIVES_OF.get(exchange, exchange), leg.right or "FUT"
        if kind == "INDEX":
            yield f"{label}.kind: {leg.watch} is an index, which cannot be bought; expected kind option or future"
            continue
        yield from _not_enabled(settings, label, exchange, kind)
        if why := product_refusal(leg.watch, products[place], leg.kind is not LegKind.EQUITY, sold=leg.lots < 0):
            yield f"{label}.product: {why}"


def _profile_problems(
    settings: TradingSettings, name: str, plan: LegPlan, sizing: str, tables: RiskTables
) -> Iterator[str]:
    """Problems of the profiles that legs name instead of lots."""
    groups: dict[str, list[LegRule]] = {}
    for leg in plan.legs:
        groups.setdefault(sizing_key(leg.profile), []).append(leg)
    for number, leg in enumerate(plan.legs, 1):
        label = f"{settings.file_of(name)}: legs[{number}].profile = {leg.profile!r}"
        word = sizing_key(leg.profile)
        if not word:
            continue
        buys = all(other.kind is LegKind.OPTION and other.lots > 0 for other in groups[word])
        if word not in tables.profiles and word.upper() not in tables.grades:
            known = (*tables.profiles, *tables.grades)
            near = f"; did you mean {found}?" if (found := nearest(word, known)) else ""
            yield f"{label}: expected one of {', '.join(known)}{near}; add a grade to config/risk.toml"
        elif buys and tables.margin_share_of(word).source is Source.AVAILABLE:
            yield f"{label}: it is of available margin, which does not size what only buys options; use another"
        if sizing != FIXED:
            origin = settings.origin(f"strategies.{name}.sizing")
            yield f'{label}: all legs are sized by {sizing} ({origin}); expected sizing = "fixed" or lots'


# files about the market, judged by the readers of the daemons


def market_file_problems(home: Path, exchanges: Iterable[str]) -> list[str]:
    """Return problems of the calendar (which must list `exchanges`), instruments and risk files of `home`."""
    problems: list[str] = []
    calendar = _read(home, "calendar", Calendar.from_dict, problems)
    problems += [
        f"config/calendar.toml: expected a table [exchanges.{name}], since ENABLED_EXCHANGES names {name}; found none"
        for name in exchanges
        if calendar is not None and name not in calendar.exchanges
    ]
    _read(home, "instruments", ContractFacts.from_dict, problems)
    _read(home, "risk", RiskTables.from_dict, problems)
    return problems


def fee_file_problems(home: Path) -> list[str]:
    """Return problems of `config/fees.toml`, which only backtests read; empty if none."""
    problems: list[str] = []
    _read(home, "fees", FeeSchedule.from_dict, problems)
    return problems


def _read(home: Path, name: str, make: Callable[[dict[str, Any]], _T], problems: list[str]) -> _T | None:
    path = home / "config" / f"{name}.toml"
    if not path.exists():
        problems.append(
            f"{path.relative_to(home)}: expected the file that comes with the program, found none; restore it"
        )
    elif (found := parse_toml(path, home, problems)) is not None:
        try:
            return make(found[1])
        except CalendarError as error:
            problems += error.problems
        except ValueError as error:
            problems += str(error).splitlines()
    return None


def stream_ports(messaging: MessagingSettings) -> dict[str, int]:
    """Return TCP ports by `stream`, or `stream-writer` if several daemons write it; empty without TCP."""
    if messaging.transport != "tcp":
        return {}
    named = {
        "market": messaging.market_data_port,
        "signals": messaging.strategy_signals_port,
        "commands": messaging.trade_commands_port,
    }
    several = {row.name: row for row in STREAMS.values() if row.pattern is Pattern.FAN_OUT and len(row.writers) > 1}
    offsets = {stream: offset for offset, stream in enumerate((*STREAMS, "ops")) if stream not in several}
    ports = {stream: named.get(stream) or messaging.base_port + offset for stream, offset in offsets.items()}
    for row in several.values():
        first = messaging.system_status_port or messaging.base_port + 20
        ports.update({f"{row.name}-{writer}": first + n for n, writer in enumerate(row.writers)})
    return ports


def _port_problems(messaging: MessagingSettings) -> Iterator[str]:
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
    """Yield warnings of server settings overridden by accounts.toml, or of an API key that overrides it.
    `values` are the given settings by dotted path."""
    if key := values.get("openalgo.api_key"):
        yield f"{key.where} is set: the stack uses that account alone, config/accounts.toml not at all"
        return
    for path in _SERVER:
        if value := values.get(path):
            yield f"{value.where} has no effect: the primary account of config/accounts.toml counts"


def deadline_warnings(values: Mapping[str, Value]) -> Iterator[str]:
    """Yield a warning if the timeout of order calls is short: slow servers have placed orders after 12 s."""
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
    """Yield a warning if the free-disk minimum is below the space that journals reserve for exits."""
    kept = _JOURNALS * process.journal_reserve_bytes
    if value is not None and process.min_free_bytes < kept:
        yield (
            f"{value.where} is below the {kept // 1_000_000} MB that the journals keep aside for exits: entries go on "
            "until the disk is full; use ten times as much or more"
        )
