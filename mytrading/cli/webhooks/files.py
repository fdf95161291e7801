"""The files of webhooks as commands read and write them, and rows of mappings from options and CSV files."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from mytrading.cli.shell.failures import CONFIGURATION, ERROR, USAGE, fail
from mytrading.cli.webhooks.rewriting import rewrite_webhook
from mytrading.config.key_vault import write_private
from mytrading.config.problems import hint
from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.definition import (
    SymbolMapping,
    WebhookDefinition,
    WebhookFile,
    WebhookFileError,
    line_of,
    mapping_problems,
    read_webhook,
    window_problems,
    write_webhook,
)
from mytrading.messages.enums import Product
from mytrading.messages.webhooks import Sender

FOLDER = Path("config") / "webhooks"
COLUMNS = ("symbol", "exchange", "quantity", "product", "instrument_symbol")
_MAP = (
    "expected SENDER=EXCHANGE:SYMBOL,PRODUCT,QUANTITY, say RELIANCE=NSE:RELIANCE,MIS,1, lots as 2L, a contract by rule "
    "as NSE_INDEX:NIFTY ATM CE weekly,NRML,1L and a template of legs as NSE_INDEX:NIFTY strangle,NRML,1L"
)


def new_secret() -> str:
    """Return a random secret of 256 bits, as 43 characters that fit in an address."""
    return secrets.token_urlsafe(32)


def webhook_path(home: Path, name: str) -> Path:
    """Return the path of a webhook's file."""
    return home / FOLDER / f"{name}.toml"


def webhook_names(home: Path) -> list[str]:
    """Return the names of all webhooks, also of those whose file is faulty."""
    return sorted(path.stem for path in (home / FOLDER).glob("*.toml") if not path.name.startswith("."))


def load_webhook(home: Path, name: str) -> WebhookDefinition:
    """Return a webhook; ends the command if there is none of this name, or its file is faulty."""
    path = webhook_path(home, name)
    if not path.exists():
        known = webhook_names(home)
        fail(ERROR, f"no webhook is called {name!r}{hint(name, known) or '; `mytrading webhook add` makes one'}")
    try:
        return read_webhook(name, path.read_text(encoding="utf-8"))
    except WebhookFileError as error:
        fail(CONFIGURATION, str(error))


def save_webhook(home: Path, name: str, file: WebhookFile, *, checks_hours: bool = True) -> WebhookDefinition:
    """Write a webhook's file, readable by its owner alone, with the comments of the one that is there; ends the command
    if it would be faulty."""
    path = webhook_path(home, name)
    text = changed_text(home, name, file)
    made = parse_webhook_text(home, name, text) if checks_hours else read_webhook(name, text)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, text)
    return made


def changed_text(home: Path, name: str, file: WebhookFile) -> str:
    """Return the text of a webhook's file once it says `file`."""
    path = webhook_path(home, name)
    return rewrite_webhook(name, path.read_text(encoding="utf-8"), file) if path.exists() else write_webhook(file)


def parse_webhook_text(home: Path, name: str, text: str) -> WebhookDefinition:
    """Return the webhook that a text describes; ends the command if it is faulty, or its window is outside the hours
    of its exchanges on the next trading day."""
    from mytrading.cli.shell.target import load_calendar, market_now
    from mytrading.core.time import ist_date

    try:
        made = read_webhook(name, text)
    except WebhookFileError as error:
        fail(CONFIGURATION, str(error))
    calendar = load_calendar(home)
    unknown = [one for one in made.instruments if not calendar.has_exchange(one.partition(":")[0])]
    if unknown:
        known = ", ".join(calendar.exchanges)
        fail(CONFIGURATION, f"{name}: expected exchanges of config/calendar.toml ({known}), found {', '.join(unknown)}")
    if problems := window_problems(made, calendar, ist_date(market_now(""))):
        file = f"config/webhooks/{name}.toml"
        lines = [f"{file}:{line_of(text, problem.partition(':')[0])}: {problem}" for problem in problems]
        fail(CONFIGURATION, "\n".join(lines))
    return made


def rewrite_webhook_file(home: Path, name: str, how: Callable[[WebhookFile], WebhookFile]) -> WebhookDefinition:
    """Rewrite a webhook's file and return what it says now; ends the command as `load_webhook` and `save_webhook` do.

    Hours are checked where they or the mapping change: a leaked token is locked or rotated on any day.
    """
    before = load_webhook(home, name).file
    after = how(before)
    return save_webhook(home, name, after, checks_hours=_hours(before) != _hours(after))


def _hours(file: WebhookFile) -> tuple[Any, ...]:
    return file.intraday, file.start, file.end, file.square_off, file.symbols


def refuse_unlisted(profile: str, mappings: Iterable[SymbolMapping]) -> None:
    """End the command if the server of the running stack does not list an instrument of these mappings. Without a
    stack, or if its server does not answer, nothing is known and nothing refused."""
    from mytrading.adapters.openalgo.instruments import ContractLookup
    from mytrading.adapters.openalgo.rest.client import TransportFailed
    from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, SymbolNotFound
    from mytrading.adapters.storage.instrument_store import InstrumentFile
    from mytrading.cli.shell.target import openalgo_client, running_or_configured_stack
    from mytrading.orchestrator import NotRunning, SeveralRun, TradingOrchestrator

    with suppress(NotRunning, SeveralRun, OpenAlgoError, TransportFailed):
        if not TradingOrchestrator.find(profile or None).is_running():
            return
        config = running_or_configured_stack(profile).config
        lookup = ContractLookup(openalgo_client(config), InstrumentFile(config.state).book())
        for instrument in dict.fromkeys(mapping.instrument for mapping in mappings):
            try:
                lookup.find(instrument)
            except SymbolNotFound:
                symbol = instrument.partition(":")[2]
                fail(
                    CONFIGURATION,
                    f"expected an instrument that the server lists, found {instrument}; "
                    f"`mytrading instruments search {symbol}` finds others",
                )


def schema() -> dict[str, Any]:
    """Return the JSON schema of a webhook's file, for completion in an editor."""
    made = msgspec.json.schema(WebhookFile)
    kinds = {
        name: {**kind, "additionalProperties": False} if "properties" in kind else kind
        for name, kind in made["$defs"].items()
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A webhook"}
    return dict(msgspec.json.decode(msgspec.json.encode({**head, **made, "$defs": kinds})))


def with_new_token(file: WebhookFile, token: str, overlap_minutes: float, wall_ns: int) -> WebhookFile:
    """Return the file with another token; the one before it holds for `overlap_minutes` more, 0 for not at all."""
    fresh = replace(file.token, digest=digest_of(token), made_ns=wall_ns, previous="", previous_until_ns=0)
    if overlap_minutes:
        until = wall_ns + round(overlap_minutes * 60e9)
        fresh = replace(fresh, previous=file.token.digest, previous_until_ns=until)
    return replace(file, token=fresh)


def parse_mapping(text: str) -> SymbolMapping:
    """Return the mapping of an option `--map`; `ValueError` says what was expected."""
    symbol, equals, rest = text.partition("=")
    parts = [part.strip() for part in rest.split(",")]
    if not equals or len(parts) != 3 or not symbol.strip():
        raise ValueError(f"{_MAP}; found {text!r}")
    traded, product, quantity = parts
    instrument, _, trade = traded.partition(" ")
    exchange, _, name = instrument.partition(":")
    made = _mapping(symbol.strip(), f"{exchange.upper()}:{name.upper()}", product, quantity)
    legs = _legs_of_template(trade)
    return replace(made, trade="" if legs else " ".join(trade.split()), legs=legs)


def _legs_of_template(name: str) -> tuple[str, ...]:
    """The legs of a template of `mytrading legs` as words of a mapping; () for any other text."""
    from mytrading.cli.legs.command import TEMPLATES

    if (template := TEMPLATES.get(name.strip().lower())) is None:
        return ()
    if by := [strike for _, _, strike, *_ in template.legs if strike.startswith(("DELTA", "PREMIUM"))]:
        raise ValueError(f"expected strikes that count from the price, as those of strangle; {name} has {by[0]}")
    return tuple(
        " ".join(part for part in (action, "FUTURE" if what == "future" else strike, right, expiry) if part)
        for action, what, strike, right, expiry, _ in template.legs
    )


def _mapping(symbol: str, instrument: str, product: str, quantity: str) -> SymbolMapping:
    try:
        chosen = Product(product.upper())
    except ValueError:
        raise ValueError(f"expected MIS, NRML or CNC as product, found {product!r}") from None
    lots = quantity.upper().endswith("L")
    number = quantity[:-1] if lots else quantity
    if not (number.isascii() and number.isdigit()) or not 0 < int(number[:12]) <= 10**9:
        raise ValueError(f"expected a quantity of at least 1, say 50, or 2L for two lots; found {quantity!r}")
    units = int(number)
    return SymbolMapping(
        symbol=symbol, instrument=instrument, product=chosen, quantity=0 if lots else units, lots=units if lots else 0
    )


class ImportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a CSV file of mappings, by its line: what it says, or its problem."""

    line: int
    text: str
    mapping: SymbolMapping | None = None
    problem: str = ""


def read_rows(text: str, known: Iterable[str], *, intraday: bool) -> list[ImportedRow]:
    """Return the rows of a CSV file `symbol,exchange,quantity,product[,instrument symbol]`, with or without a header,
    each judged by itself. `known` are symbols that are mapped already."""
    seen = {symbol.upper(): 0 for symbol in known}
    found: list[ImportedRow] = []
    for line, cells in enumerate(csv.reader(io.StringIO(text)), 1):
        cells = [cell.strip() for cell in cells]
        if not any(cells) or (not found and cells[0].lower() == "symbol"):
            continue
        row = _read_row(line, cells, intraday=intraday)
        if row.mapping is not None:
            key = row.mapping.symbol.upper()
            if key in seen:
                where = f"line {seen[key]}" if seen[key] else "the webhook"
                row = replace(row, mapping=None, problem=f"expected each symbol once; {key} is in {where} already")
            else:
                seen[key] = line
        found.append(row)
    return found


def _read_row(line: int, cells: list[str], *, intraday: bool) -> ImportedRow:
    shown = ",".join(cells)
    if len(cells) not in (4, 5):
        expected = f"expected 4 or 5 columns ({', '.join(COLUMNS)})"
        return ImportedRow(line=line, text=shown, problem=f"{expected}, found {len(cells)}")
    symbol, exchange, quantity, product = cells[:4]
    traded = cells[4] if len(cells) > 4 and cells[4] else symbol
    try:
        mapping = _mapping(symbol.upper(), f"{exchange.upper()}:{traded.upper()}", product, quantity)
    except ValueError as error:
        return ImportedRow(line=line, text=shown, problem=str(error))
    if problems := list(mapping_problems(mapping, intraday)):
        return ImportedRow(line=line, text=shown, problem="; ".join(f"{key}: {text}" for key, text in problems))
    return ImportedRow(line=line, text=shown, mapping=mapping)


def parse_window(text: str) -> tuple[str, str]:
    """Return start and end of an option `--window START-END`; ends the command for any other text."""
    start, dash, end = (part.strip() for part in text.partition("-"))
    if not (start and dash and end):
        fail(USAGE, f"--window: expected START-END, say 09:20-15:00; found {text!r}")
    return start, end


def parse_sender(text: str) -> Sender:
    """Return the sender of an option `--sender`; ends the command for an unknown one."""
    try:
        return Sender(text.lower())
    except ValueError:
        fail(USAGE, f"--sender: expected {', '.join(Sender)}; found {text!r}{hint(text, list(Sender))}")
