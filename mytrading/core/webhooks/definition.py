"""A webhook as its file says: `config/webhooks/NAME.toml`. The file's name is the name of its strategy.

Daemons read these files by themselves, so a new webhook needs no restart. What a file says of windows is held against
the hours of the exchanges by `window_problems`, at the command line, since hours are those of a day.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from enum import StrEnum
from math import isfinite
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from mytrading.core.calendar import Calendar, Session
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.options.leg_grammar import CONTRACT_PRODUCTS, parse_time_of_day, parse_trade
from mytrading.core.text.spelling import convert_parsed_file, nearest
from mytrading.core.time import ist_date, second_of_day
from mytrading.messages.enums import LimitAction, Product, Side
from mytrading.messages.run_config import Direction, StopPlan, StrategyRun, TradeKind, TradeRule
from mytrading.messages.webhooks import AlertAction, Sender

MOST_NAME = 50
MOST_LEGS = 20
ORDINARY_AMONG = 5
"""Ordinary trading days that are looked at for an exchange's hours."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,49}")
_WORDS: dict[str, type[StrEnum]] = {
    "sender": Sender,
    "stop": StopPlan,
    "limit_action": LimitAction,
    "product": Product,
}
_PLACE = re.compile(r" - at `\$\.?(?P<key>[^`]*)`")
"""Place in a parsed file at which its converter found something else than it expected."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PRESETS = ("tradingview",)
"""Names that `ips` may hold beside addresses and networks: lists of `config/webhook_senders.toml`."""
_CASH = ("NSE", "BSE")
_HOUSES = {"NFO": "NSE", "CDS": "NSE", "BFO": "BSE", "BCD": "BSE"}
DUPLICATE_SECONDS = {
    Sender.TRADINGVIEW: 30.0,
    Sender.CHARTINK: 5.0,
    Sender.AMIBROKER: 5.0,
    Sender.GENERIC: 5.0,
}
"""TradingView sends an alert again 5 to 24 s after an answer of 5xx."""


_GUARD_OPTIONS = {"ips": "--ip", "secret_digest": "--secret", "certificate": "--certificate", "hmac_key": "--hmac"}
_CANNOT: dict[Sender, dict[str, str]] = {
    Sender.TRADINGVIEW: {"hmac_key": "sign its alerts"},
    Sender.CHARTINK: {
        "hmac_key": "sign its alerts",
        "secret_digest": "put a secret in its body",
        "certificate": "present a certificate",
    },
    Sender.AMIBROKER: {"hmac_key": "sign its alerts", "certificate": "present a certificate"},
    Sender.GENERIC: {},
}
"""Guards that a sender has no means to meet: its alerts would all be refused."""


class WebhookFileError(ValueError):
    """A file of a webhook that cannot count; `problems` has a line for each, with line and key."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SymbolMapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Order terms of a sender's `symbol`: an instrument id, a product and a quantity, in units or in lots.

    With a `trade` such as `ATM CE weekly` or `FUTURE` that contract of the instrument is traded, chosen by its price
    when a position is opened; it needs lots. With `legs` such as `SELL OTM 3 CE weekly` all of them are opened and
    closed together, each with so many lots. With `max_quantity` (units; 0: never) an alert's own quantity counts
    instead, up to so many.
    """

    symbol: str
    instrument: str
    product: Product = Product.MIS
    quantity: int = 0
    lots: int = 0
    max_quantity: int = 0
    trade: str = ""
    legs: tuple[str, ...] = ()


class WebhookToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """SHA-256 digests (hex) of the token in the URL: the one that holds, and the one before it until
    `previous_until_ns` (ns since 1970 by the wall clock). `trial` is that of `mytrading webhook test`, as short-lived.
    `made_ns` is when the token was made, 0 if that is not known.
    """

    digest: str
    made_ns: int = 0
    previous: str = ""
    previous_until_ns: int = 0
    trial: str = ""
    trial_until_ns: int = 0


class WebhookGuards(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Guards of a request besides the token, each only if it is set.

    `secret_digest` is the SHA-256 (hex) of the field `secret` of the body, `hmac_key` the key of the header
    X-Signature, `ips` addresses, networks or "tradingview", `certificate` the common name of a client's certificate.
    """

    secret_digest: str = ""
    hmac_key: str = ""
    ips: tuple[str, ...] = ()
    certificate: str = ""


class WebhookFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The keys of a file in `config/webhooks`. Times are HH:MM in India, "" for none. Limits are those of every
    strategy: rupees held and ordered, rupees lost in a day, and the fall from the peak as a fraction; 0 for none.
    """

    sender: Sender
    token: WebhookToken
    symbols: tuple[SymbolMapping, ...]
    mode: str = "LONG"
    intraday: bool = True
    start: str = ""
    end: str = ""
    square_off: str = ""
    action: str = ""
    locked: bool = False
    live: bool = False
    duplicate_seconds: float = -1.0
    cooling_off_seconds: float = 30.0
    silence_days: int = 0
    stop: StopPlan = StopPlan.BROKER
    stop_loss_percent: float = 0.0
    take_profit_percent: float = 0.0
    max_position_size: float = 0.0
    max_daily_loss: float = 0.0
    max_drawdown: float = 0.0
    limit_action: LimitAction = LimitAction.NO_ENTRIES
    accounts: tuple[str, ...] = ()
    guards: WebhookGuards = WebhookGuards()


class WebhookDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that can count: its validated file, with times as seconds of the day (0: none)."""

    name: str
    file: WebhookFile
    mode: Direction
    action: AlertAction | None
    start: int
    end: int
    square_off: int
    duplicate_ns: int
    symbols: dict[str, SymbolMapping]
    """By the sender's symbol in capitals."""
    trades: dict[str, tuple[TradeRule, ...]] = {}
    """By the sender's symbol in capitals, of mappings with a `trade` or with `legs`; each rule names its underlying."""

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments that the webhook trades, in the order of its file."""
        return tuple(dict.fromkeys(mapping.instrument for mapping in self.file.symbols))

    def rules(self, mapping: SymbolMapping) -> tuple[TradeRule, ...]:
        """Return the rules by which a mapping's contracts are chosen; () if it trades its instrument itself."""
        return self.trades.get(mapping.symbol.upper(), ())

    def mapping(self, symbol: str) -> SymbolMapping | None:
        """Return the mapping of a sender's symbol in capitals; None for none.

        An exchange before a colon must be that of the mapping, as far as senders tell exchanges apart: NSE is that of
        NFO too, and NSE_DLY is NSE.
        """
        if (found := self.symbols.get(symbol)) is not None or ":" not in symbol:
            return found
        exchange, _, bare = symbol.rpartition(":")
        found = self.symbols.get(bare)
        return found if found is not None and _house(exchange) == _house(split_id(found.instrument)[0]) else None

    def strategy_run(self) -> StrategyRun:
        """Return the webhook as a strategy: what risk, the router and all views know of it."""
        file = self.file
        same = TradeRule(kind=TradeKind.SAME, side=Side.BUY)
        found = {self.rules(mapping) for mapping in file.symbols}
        rules = found.pop() if len(found) == 1 else ()
        traded = rules[0] if len(rules) == 1 else same
        rule = {side: replace(traded, side=side) for side in Side}
        return StrategyRun(
            name=self.name,
            file=f"config/webhooks/{self.name}.toml",
            symbols=self.instruments,
            long=None if self.mode is Direction.SHORT else rule[Side.BUY],
            short=None if self.mode is Direction.LONG else rule[Side.SELL],
            direction=self.mode,
            product=file.symbols[0].product,
            intraday=file.intraday,
            square_off=file.square_off,
            stop=file.stop,
            stop_loss_pct=round(file.stop_loss_percent / 100, 12),
            take_profit_pct=round(file.take_profit_percent / 100, 12),
            max_position_size=file.max_position_size,
            max_daily_loss=file.max_daily_loss,
            max_drawdown=file.max_drawdown,
            limit_action=file.limit_action,
            accounts=file.accounts,
        )


def _house(exchange: str) -> str:
    """The exchange whose segment an exchange is: NSE of NFO, CDS, NSE_INDEX and NSE_DLY; BSE of BFO."""
    return _HOUSES.get(exchange, exchange.partition("_")[0])


class FilePlace(NamedTuple):
    """A key of a file that something is wrong with, and what."""

    key: str
    problem: str


def read_webhook(name: str, text: str) -> WebhookDefinition:
    """Return the webhook that the text of its file describes; `WebhookFileError` lists every problem with its line."""
    source = f"config/webhooks/{name}.toml"
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WebhookFileError((f"{source}: expected TOML: {error}",)) from error
    try:
        file = convert_parsed_file(parsed, WebhookFile, source)
    except ValueError as error:
        raise WebhookFileError(tuple(_with_line(text, source, line) for line in str(error).splitlines())) from error
    found = [*_name_problems(name), *_problems(file)]
    if found:
        raise WebhookFileError(tuple(f"{source}:{line_of(text, key)}: {key}: {problem}" for key, problem in found))
    return _definition(name, file)


def _definition(name: str, file: WebhookFile) -> WebhookDefinition:
    own = file.duplicate_seconds
    return WebhookDefinition(
        name=name,
        file=file,
        mode=Direction(file.mode.lower()),
        action=AlertAction(file.action.upper()) if file.action else None,
        start=_seconds(file.start),
        end=_seconds(file.end),
        square_off=_seconds(file.square_off),
        duplicate_ns=round((DUPLICATE_SECONDS[file.sender] if own < 0 else own) * 1e9),
        symbols={mapping.symbol.upper(): mapping for mapping in file.symbols},
        trades={mapping.symbol.upper(): parse_rules(mapping) for mapping in file.symbols if is_by_rule(mapping)},
    )


def is_by_rule(mapping: SymbolMapping) -> bool:
    """True if a mapping's contracts are chosen by the price of its instrument, which is not traded itself."""
    return bool(mapping.trade or mapping.legs)


def parse_rules(mapping: SymbolMapping) -> tuple[TradeRule, ...]:
    """Return the rules of a mapping's `trade` or `legs`, with underlying and side; `ValueError` says what was
    expected."""
    return tuple(_parse_leg(mapping, leg) for leg in mapping.legs) or (parse_relative(mapping, mapping.trade),)


def _parse_leg(mapping: SymbolMapping, text: str) -> TradeRule:
    side, _, trade = text.strip().upper().partition(" ")
    if side not in list(Side):
        raise ValueError(f"expected BUY or SELL and a contract, say 'SELL OTM 3 CE weekly'; found {text!r}")
    return replace(parse_relative(mapping, trade), side=Side(side))


def parse_relative(mapping: SymbolMapping, trade: str) -> TradeRule:
    """Return the rule of `trade` about a mapping's instrument; `ValueError` says what was expected."""
    words = " ".join("NEAREST" if word == "WEEKLY" else word for word in trade.upper().split())
    rule = parse_trade(words, long=True)
    if rule is None or rule.kind is TradeKind.SAME or rule.side is not Side.BUY:
        raise ValueError(f"expected a future or an option, say 'ATM CE weekly' or FUTURE; found {trade!r}")
    exchange, symbol = split_id(mapping.instrument)
    return replace(rule, underlying=rule.underlying or parse_symbol(symbol, exchange).underlying)


def window_problems(webhook: WebhookDefinition, calendar: Calendar, day: date) -> list[str]:
    """Return what its window has against the ordinary hours of its exchanges: from the first opening to the last close
    of five trading days from `day` on, special sessions left out."""
    found = []
    for exchange in dict.fromkeys(split_id(name)[0] for name in webhook.instruments):
        sessions: list[Session] = []
        session = calendar.session(exchange, day) or calendar.next_session(exchange, day)
        while len(sessions) < ORDINARY_AMONG:
            sessions += [] if session.name else [session]
            session = calendar.next_session(exchange, ist_date(session.open_ns))
        opens = min(second_of_day(session.open_ns) for session in sessions)
        closes = max(second_of_day(session.close_ns) for session in sessions)
        hours = f"{exchange} trades from {_hhmm(opens)} to {_hhmm(closes)}"
        for key, at in (("start", webhook.start), ("end", webhook.end), ("square_off", webhook.square_off)):
            if at and not opens <= at <= closes:
                found.append(f"{key}: expected a time while {hours}; found {_hhmm(at)}")
    return found


def line_of(text: str, key: str) -> int:
    """Return the line (from 1) on which a key such as `start` or `symbols[2].lots` stands; 1 if it is not there."""
    number, table, wanted, seen = 1, "", key.replace(" ", ""), dict[str, int]()
    parent, _, last = wanted.rpartition(".")
    best = 1
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("[["):
            name = bare.strip("[] ")
            seen[name] = seen.get(name, 0) + 1
            table = f"{name}[{seen[name]}]"
        elif bare.startswith("["):
            table = bare.strip("[] ")
        if table in (parent, wanted):
            if bare.startswith("[") and best == 1:
                best = number
            if re.match(rf"{re.escape(last)}\s*=", bare):
                return number
    return best


def _with_line(text: str, source: str, problem: str) -> str:
    """A problem of a parsed file with the line and the key that it names."""
    said = problem.removeprefix(f"{source}: ").partition("; see the comments")[0]
    if (at := _PLACE.search(said)) is not None:
        key = re.sub(r"\[(\d+)\]", lambda number: f"[{int(number[1]) + 1}]", at["key"])
        said = f"{key}: {said[: at.start()]}".replace("Expected", "expected").replace(", got ", ", found ")
        if (words := _WORDS.get(key.rpartition(".")[2])) is not None:
            said = said.replace("Invalid enum value", f"expected {', '.join(words)}; found")
    return f"{source}:{line_of(text, said.partition(': ')[0])}: {said}"


def _name_problems(name: str) -> Iterator[FilePlace]:
    if not _NAME.fullmatch(name):
        yield FilePlace("name", f"expected 2 to {MOST_NAME} letters, digits, - and _, a letter first; found {name!r}")


def _problems(file: WebhookFile) -> Iterator[FilePlace]:
    yield from _word_problems(file)
    yield from _time_problems(file)
    yield from _symbol_problems(file)
    yield from _guard_problems(file)
    for key, least in (
        ("cooling_off_seconds", 0.0),
        ("stop_loss_percent", 0.0),
        ("take_profit_percent", 0.0),
        ("max_position_size", 0.0),
        ("max_daily_loss", 0.0),
        ("max_drawdown", 0.0),
        ("silence_days", 0),
    ):
        if not isfinite(getattr(file, key)):
            yield FilePlace(key, f"expected a number, found {getattr(file, key):g}")
        elif getattr(file, key) < least:
            yield FilePlace(key, f"expected at least {least:g}, found {getattr(file, key):g}")
    if file.stop_loss_percent >= 100:
        yield FilePlace("stop_loss_percent", f"expected per cent below 100, found {file.stop_loss_percent:g}")
    if file.max_drawdown >= 1:
        yield FilePlace("max_drawdown", f"expected a fraction below 1, say 0.05; found {file.max_drawdown:g}")
    if not file.duplicate_seconds <= 3600 or (file.duplicate_seconds < 0 and file.duplicate_seconds != -1):
        yield FilePlace("duplicate_seconds", f"expected 0 to 3600 seconds, found {file.duplicate_seconds:g}")


def _word_problems(file: WebhookFile) -> Iterator[FilePlace]:
    modes = [mode.upper() for mode in Direction]
    if file.mode.upper() not in modes:
        yield FilePlace("mode", f"expected {', '.join(modes)}; found {file.mode!r}")
    if file.action and file.action.upper() not in list(AlertAction):
        meant = nearest(file.action, list(AlertAction))
        yield FilePlace(
            "action",
            f"expected {', '.join(AlertAction)}; found {file.action!r}" + (f"; did you mean {meant}?" if meant else ""),
        )


def _time_problems(file: WebhookFile) -> Iterator[FilePlace]:
    times: dict[str, int] = {}
    for key in ("start", "end", "square_off"):
        text = getattr(file, key)
        try:
            times[key] = _seconds(text)
        except ValueError:
            yield FilePlace(key, f"expected a time such as 09:20, found {text!r}")
            return
        if not file.intraday and text:
            yield FilePlace(key, f"a positional webhook (intraday = false) has no window; found {text!r}, take it out")
    if file.intraday and bool(times["start"]) != bool(times["end"]):
        missing = "end" if times["start"] else "start"
        yield FilePlace(missing, "expected start and end together, or neither")
    if times["start"] and times["end"] and times["start"] >= times["end"]:
        yield FilePlace("end", f"expected a time after start {file.start}, found {file.end}")
    if times["end"] and times["square_off"] and times["end"] > times["square_off"]:
        yield FilePlace("square_off", f"expected end {file.end} or a later time, found {file.square_off}")


def _symbol_problems(file: WebhookFile) -> Iterator[FilePlace]:
    if not file.symbols:
        yield FilePlace("symbols", "expected at least one table [[symbols]] with symbol, instrument and quantity")
    seen: dict[str, int] = {}
    products: dict[str, tuple[Product, int]] = {}
    for number, mapping in enumerate(file.symbols, 1):
        place, key = f"symbols[{number}]", mapping.symbol.upper()
        if not mapping.symbol.strip() or len(mapping.symbol) > 64:
            yield FilePlace(f"{place}.symbol", f"expected the sender's symbol, found {mapping.symbol!r}")
        elif key in seen:
            yield FilePlace(f"{place}.symbol", f"expected each symbol once, but {key} is in symbols[{seen[key]}] too")
        seen.setdefault(key, number)
        for field, problem in mapping_problems(mapping, file.intraday):
            yield FilePlace(f"{place}.{field}", problem)
        if mapping.legs and file.mode.upper() != Direction.LONG.upper():
            yield FilePlace(f"{place}.legs", f"expected the mode LONG: legs say their sides; found {file.mode!r}")
        other = products.setdefault(mapping.instrument, (mapping.product, number))
        if other[0] is not mapping.product:
            yield FilePlace(
                f"{place}.product",
                f"expected {other[0]} as in symbols[{other[1]}]: one position of {mapping.instrument} has one product",
            )


def mapping_problems(mapping: SymbolMapping, intraday: bool) -> Iterator[FilePlace]:
    """Yield (field, problem) for what is wrong with a mapping by itself. `intraday`: its webhook is squared off."""
    try:
        exchange, _ = split_id(mapping.instrument)
    except ValueError as error:
        yield FilePlace("instrument", str(error))
        return
    cash = exchange in _CASH and not is_by_rule(mapping)
    if mapping.trade and mapping.legs:
        yield FilePlace("trade", "expected a trade or legs, found both")
    elif is_by_rule(mapping):
        try:
            rules = parse_rules(mapping)
        except ValueError as error:
            yield FilePlace("legs" if mapping.legs else "trade", str(error))
        else:
            if len(set(rules)) < len(rules) or len(rules) > MOST_LEGS:
                yield FilePlace("legs", f"expected up to {MOST_LEGS} legs, each another contract")
        if not mapping.lots or mapping.max_quantity:
            yield FilePlace("lots", "expected lots, and neither quantity nor max_quantity, beside a trade or legs")
    fits = (Product.MIS, Product.CNC) if cash else CONTRACT_PRODUCTS
    if mapping.product not in fits:
        yield FilePlace("product", f"expected {' or '.join(fits)} on {exchange}, found {mapping.product}")
    elif mapping.product is Product.MIS and not intraday:
        yield FilePlace("product", f"expected {fits[1]}: the broker squares MIS off, and this webhook is positional")
    if exchange.endswith("_INDEX") and not is_by_rule(mapping):
        yield FilePlace("instrument", f"expected something that can be traded, found the index {mapping.instrument}")
    if (mapping.quantity > 0) == (mapping.lots > 0) or mapping.quantity < 0 or mapping.lots < 0:
        yield FilePlace(
            "quantity",
            f"expected quantity or lots of at least 1, found quantity {mapping.quantity}, lots {mapping.lots}",
        )
    if mapping.max_quantity < 0:
        yield FilePlace("max_quantity", f"expected units of at least 0, found {mapping.max_quantity}")


def _guard_problems(file: WebhookFile) -> Iterator[FilePlace]:
    digests = (
        ("token.digest", file.token.digest),
        ("token.previous", file.token.previous),
        ("token.trial", file.token.trial),
        ("guards.secret_digest", file.guards.secret_digest),
    )
    for key, digest in digests:
        if (digest or key == "token.digest") and not _DIGEST.fullmatch(digest):
            yield FilePlace(key, "expected a SHA-256 digest of 64 hex digits; `mytrading webhook rotate` writes one")
    for key, does in _CANNOT[file.sender].items():
        if getattr(file.guards, key):
            fit = [option for name, option in _GUARD_OPTIONS.items() if name not in _CANNOT[file.sender]]
            yield FilePlace(f"guards.{key}", f"{file.sender} cannot {does}; choose {' or '.join(fit)}, or none")
    others = [name for name in _PRESETS if file.sender not in (Sender.GENERIC, name)]
    if file.guards.ips and all(text in others for text in file.guards.ips):
        found = ", ".join(file.guards.ips)
        yield FilePlace("guards.ips", f"expected addresses of {file.sender}, found those of {found} alone")
    if file.guards.hmac_key and len(file.guards.hmac_key) < 32:
        yield FilePlace("guards.hmac_key", f"expected at least 32 characters, found {len(file.guards.hmac_key)}")
    for text in file.guards.ips:
        if text not in _PRESETS and not _is_network(text):
            yield FilePlace("guards.ips", f"expected an address, a network or {_PRESETS[0]}, found {text!r}")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _seconds(text: str) -> int:
    return parse_time_of_day(text) if text else 0


def _hhmm(seconds: int) -> str:
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60).isoformat("minutes")


def write_webhook(file: WebhookFile) -> str:
    """Return the text of a file with these keys, those at their default left out."""
    lines: list[str] = []
    built: dict[str, Any] = msgspec.to_builtins(file)
    tables = {key: built.pop(key) for key in ("token", "guards", "symbols") if key in built}
    lines += [f"{key} = {_toml(value)}" for key, value in built.items()]
    for key in ("token", "guards"):
        if tables.get(key):
            lines += ["", f"[{key}]", *(f"{name} = {_toml(value)}" for name, value in tables[key].items())]
    for row in tables["symbols"]:
        lines += ["", "[[symbols]]", *(f"{name} = {_toml(value)}" for name, value in row.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, Mapping):
        raise TypeError("tables have lines of their own")
    return msgspec.json.encode(value).decode()


class SenderFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`config/webhook_senders.toml`: addresses of senders, by the name that `ips` of a webhook may hold."""

    addresses: dict[str, tuple[str, ...]]


def read_senders(parsed: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the addresses of senders by name from a parsed file; `ValueError` for one that cannot be read."""
    found = convert_parsed_file(parsed, SenderFile, "config/webhook_senders.toml")
    for name, addresses in found.addresses.items():
        if wrong := [text for text in addresses if not _is_network(text)]:
            raise ValueError(f"config/webhook_senders.toml: {name}: expected addresses, found {', '.join(wrong)}")
    return found.addresses
