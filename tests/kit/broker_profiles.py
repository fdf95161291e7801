"""Facts about brokers behind OpenAlgo, and the simulator's profiles that are generated from them.

`python -m tests.kit.broker_profiles` writes `broker_profiles.toml` of the simulator. The facts are two files under
`tests/data`: one line is a broker, a fact, its value and the file of OpenAlgo (with its commit) in which it was seen.
The program's own table of brokers is never read here: a wrong belief in it would hide itself. Used by the tests of the
simulator. Where no fact answers a question the profile has the usual form, and names the question under `silent`.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.kit.project import ROOT

FACTS = tuple(ROOT / "tests" / "data" / name for name in ("broker-words.csv", "broker-words-more.csv"))
PROFILES = ROOT / "mytrading" / "simulator" / "settings" / "broker_profiles.toml"

STATES = {
    "waiting": "waiting stop",
    "open": "open limit",
    "partly": "partly filled",
    "complete": "filled",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
"""State of an order in a profile, and its name in the facts."""
USUAL = {
    "waiting": "trigger pending",
    "open": "open",
    "partly": "open",
    "complete": "complete",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
BOOKS = {"orderbook": "order book", "tradebook": "trade book", "positionbook": "pos book"}
FAILURES = ("auth", "429", "502html", "timeout")
CALLS = {"placeorder": "place", "cancelorder": "cancel", "modifyorder": "modify"}
_BODIES = "with HTTP 200 and its error body (zerodha, dhan, fyers, upstox: 400)"
_REASONS = {
    "Session expired", "Invalid Session", "Could not authenticate the user", "Unauthorized", "unauthorized",
    "Insufficient funds", "jKey parameter is invalid",
}  # fmt: skip
"""Texts of the error bodies with which refusals were tried: an answer that has one hands the broker's reason on."""
_TRIED_ID = "240001"
"""The order id with which refusals were tried."""
_ON_ITS_WAY = ("pendingnew", "transit", "openpending", "putorderreqreceived", "pendingreplace", "modifypending")
_TEXT_FIELDS = ("price", "trigger_price", "quantity")

Body = dict[str, Any]


class Facts:
    """The facts of one broker by name, in the order of the files."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, fact: str) -> str:
        """Return the value of a fact; "" if there is none."""
        return self._values.get(fact, "")

    def beginning(self, start: str) -> Iterator[tuple[str, str]]:
        """Yield rest of the name and value of each fact whose name begins so."""
        for name, value in self._values.items():
            if name.startswith(start):
                yield name.removeprefix(start), value

    def word(self, state: str) -> str:
        """Return the order book's word for a state of `STATES`; "" if no fact tells."""
        return next((value for _, value in self.beginning(f"order_status, {STATES[state]} (raw")), "")

    def raw_words(self) -> dict[str, str]:
        """Return the order book's word by the broker's own, for states besides `STATES`."""
        found = {}
        for rest, value in self.beginning("order_status of raw "):
            found[rest.removesuffix(", below a filled order").strip("'")] = value
        return found

    def position(self, number: int = 1, *, missing: bool = False) -> Body | None:
        """Return a position row as OpenAlgo made it; `missing`: of a symbol that the master contract lacks."""
        rest = " (symbol not in master contract)" if missing else ""
        text = self.get(f"position row {number}{rest}")
        return dict(json.loads(text)) if text else None

    def refusal(self, route: str) -> str:
        """Return the answer to a refused call of a route of `CALLS`; "" if no fact tells."""
        call = CALLS[route]
        return self.get(f"{call} refused by the broker {_BODIES}") or self.get(
            f"{call} refused by the broker, read in its source"
        )

    def failed(self, route: str, failure: str) -> str:
        """Return the answer to a book read while the broker fails in a way of `FAILURES`; "" if no fact tells."""
        if route == "funds":
            return self.get(f"funds, {failure} failure") or self.get(f"funds, {failure}")
        return self.get(f"answer to the client, {BOOKS[route]}, broker failure {failure}")


def read_facts() -> dict[str, Facts]:
    """Return the facts by OpenAlgo's name of the broker, without those of all brokers."""
    found: dict[str, dict[str, str]] = {}
    for path in FACTS:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                # a fact that one file names twice is one for each file of OpenAlgo that shows it: the first is enough
                found.setdefault(row["broker"], {}).setdefault(row["fact"], row["value"])
    return {name: Facts(values) for name, values in sorted(found.items()) if name != "(all)"}


Silent = list[str]


def _orders(facts: Facts, silent: Silent) -> Body:
    words = {state: facts.word(state) or USUAL[state] for state in STATES}
    silent += [f"word of an order: {STATES[state]}" for state in STATES if not facts.word(state)]
    raw = facts.raw_words()
    follows = bool(facts.get("status word not in its five"))
    made: Body = {
        "row_above": list(raw) if follows else [],
        "refused_change": facts.get("refused modify or cancel of a live order"),
        "text": _text_fields(facts, silent),
        "extra": [
            name
            for name in ("filled_quantity", "average_price", "rejection_reason", "reason")
            if facts.get(f"order.{name} given") == "True"
        ],
        **_order_time(facts, silent),
        **_names_of_orders(facts, silent),
        "words": words | _triggered(facts, words, silent) | _changed(facts),
        "raw": {} if follows else raw,
    }
    made["passing"] = next((name for name in raw if _plain(name) in _ON_ITS_WAY), next(iter(raw), ""))
    if not raw:
        silent.append("words of orders on their way")
    return made


def _changed(facts: Facts) -> Body:
    """The word of an order that rests after a change, where a fact says that it stays in a word of its own."""
    raw, name = facts.raw_words(), "Replaced"
    return {"changed": raw[name]} if name in facts.get("cancel-all") else {}


def _plain(word: str) -> str:
    return re.sub(r"[^a-z]", "", word.lower())


def _triggered(facts: Facts, words: Body, silent: Silent) -> Body:
    if facts.get("stop that has triggered and rests"):
        return {"triggered": words["waiting"]}
    raw = facts.raw_words()
    for name in ("SL Triggered", "TRIGGERED"):
        if name in raw:
            return {"triggered": raw[name]}
    silent.append("word of a stop that has triggered")
    return {"triggered": words["open"]}


def _text_fields(facts: Facts, silent: Silent) -> list[str]:
    form = facts.get("order.price, trigger_price, quantity")
    if facts.get("order.price, trigger_price, quantity, raw form") == "text":
        return list(_TEXT_FIELDS)
    if "numbers" not in form:
        silent.append("form of numbers in order rows")
    return []


def _order_time(facts: Facts, silent: Silent) -> Body:
    form, _, which = facts.get("order.timestamp, raw form").partition(", ")
    if not form and "Y-m-d" not in facts.get("order.timestamp"):
        silent.append("form of order times")
    return {"stamp": form or "%Y-%m-%d %H:%M:%S", "last_update": which == "last change"}


def _names_of_orders(facts: Facts, silent: Silent) -> Body:
    products, types = {}, {}
    if (shown := facts.get("order.product of a stop-limit MIS order")) not in ("", "MIS"):
        products["MIS"] = shown
    if shown := facts.get("NRML order in F&O") or facts.get("NRML order"):
        products["NRML"] = shown.rpartition("shown as ")[2]
    if (kind := facts.get("order.pricetype of a stop-limit MIS order")) not in ("", "SL"):
        types["SL"] = kind
    elif not kind:
        silent.append("order type in order rows")
    by_letters = "orders: NFO if the name has" in facts.get("exchange of a symbol")
    return {"products": products, "types": types, "nfo_if": ["C", "P"] if by_letters else []}


def _trades(facts: Facts, silent: Silent) -> Body:
    quantities = facts.get("trade rows of an order of 100 filled 30 and 20: quantities")
    average, time = facts.get("trade.average_price type and form"), facts.get("trade.timestamp")
    if not average:
        silent.append("form of prices in trade rows")
    raw = facts.get("trade.timestamp, raw form")
    if time in ("as the broker gives it", "") and not raw:
        silent.append("form of trade times")
    identity = facts.get("trade.orderid is the order book id")
    if not identity:
        silent.append("order id of trade rows")
    text = ["quantity"] if "'" in quantities else []
    return {
        "counts": _counts(facts, quantities, silent),
        "text": [*text, "average_price"] if average.startswith("str") else text,
        "exchange_id": identity.startswith("no"),
        "stamp": raw or ("%H:%M:%S" if time == "time of day only" else "%Y-%m-%d %H:%M:%S"),
        "order_time": time.startswith("order"),
        "hundredth_above": 100.0 if "divided by 100 when above 100" in facts.get("trade price") else 0.0,
        "nfo_if": _contract_words(facts),
        "extra": ["trade_id"] if facts.get("trade.trade_id given") else [],
    }


def _counts(facts: Facts, quantities: str, silent: Silent) -> str:
    """What a trade row counts, by the rows that an order of 100 got whose fills were 30 and 20."""
    if (book := facts.get("trade book")).startswith("the order book"):
        return "order book"
    if "one row an order" in book:
        return "filled, one row"
    if not quantities:
        silent.append("quantity of trade rows")
        return "fill"
    units = [int(value) for value in ast.literal_eval(quantities)]
    # where one row alone was tried, it is that of the first fill
    forms = {(30, 20): "fill", (30,): "fill", (100, 100): "order", (50, 50): "filled", (0, 0): "nothing"}
    return forms[tuple(units)]


def _contract_words(facts: Facts) -> list[str]:
    return ["CE", "PE", "FUT"] if "if CE, PE or FUT" in facts.get("exchange of a symbol") else []


def _positions(facts: Facts, silent: Silent) -> Body:
    shown = facts.position() or {}
    if not shown:
        silent.append("position rows")
    made: Body = {
        "text": [
            name for name in _NUMBERS if isinstance(shown.get(name), str) and shown[name] not in ("(no key)", "NA")
        ],
        "missing": [name for name in ("ltp", "pnl") if shown.get(name) == "(no key)"],
        "average_decimals": len(str(shown.get("average_price", "0.00")).partition(".")[2]),
        "fixed": _fixed(facts, shown),
        "products": _position_products(facts),
        "day_only": "DAY only" in facts.get("position book"),
        "joins_day_list": "net_positions and day_positions" in facts.get("positions"),
        "odd_product_follows": "product of the row above" in facts.get("product not in its five, positions"),
        "average": _average(facts, silent),
        "nfo_if": _contract_words(facts),
    }
    if made["joins_day_list"]:
        silent.append("a position in net and day list at once")
    return made


_NUMBERS = ("quantity", "average_price", "ltp", "pnl")


def _fixed(facts: Facts, shown: Body) -> Body:
    """Values that stand there whatever the market does: no last price, and no profit where that is 0 for want of it."""
    fixed: Body = {}
    if shown.get("ltp") == "NA" or (shown.get("ltp") == 0.0 and not facts.get("position.ltp")):
        fixed["ltp"] = shown["ltp"]
        if shown.get("pnl") == 0.0:
            fixed["pnl"] = 0.0
    if facts.get("position average_price").startswith("always 0.0"):
        fixed["average_price"] = 0.0
    return fixed


def _position_products(facts: Facts) -> Body:
    if odd := facts.get("product of an F&O position"):
        return {"NRML": odd}
    return dict(_names_of_orders(facts, [])["products"])


def _average(facts: Facts, silent: Silent) -> str:
    """The average price of a position: net, of today's trades, of today's buys, or of buys where it is short."""
    if "average of the buys" in facts.get("position average of a short position"):
        return "buys if short"
    forms = {"": "net", "0.0": "today", "day buy price (0)": "buys today"}
    found = forms[facts.get("position average of carried units")]
    if found == "net" and not facts.get("position average_price"):
        silent.append("average price of carried units")
    return found


def _misses(facts: Facts, silent: Silent) -> Body:
    """How a row shows an instrument that the server's master contract lacks, by book."""
    shown, usual = facts.position(missing=True), facts.position() or {}
    symbols = {book: facts.get(f"symbol on a master-contract miss, {book}") for book in ("orders", "trades")}
    symbols["positions"] = (
        _miss_form(shown["symbol"]) if shown is not None else facts.get("symbol on a master-contract miss, positions")
    )
    silent += [f"symbol on a master-contract miss, {book}" for book, form in symbols.items() if not form]
    products, exchanges, ending = {}, {}, ""
    for number in (1, 2):
        if (row := facts.position(number, missing=True)) is None:
            continue
        if found := re.search(r"[- ]EQ$", str(row["symbol"])):
            ending = found.group()
        if row["product"] not in ("MIS", "NRML", "CNC", "MARGIN"):
            products["NRML" if row["exchange"] == "NFO" else "MIS"] = row["product"]
    if shown is not None and shown["exchange"] != usual.get("exchange"):
        exchanges[str(usual["exchange"])] = shown["exchange"]
    return {
        "ending": ending,
        "orders_keep_product": bool(
            facts.get("product in order rows when the symbol is not in the master contract") or not products
        ),
        "symbols": {book: form or "raw" for book, form in symbols.items()},
        "products": products,
        "exchanges": exchanges,
    }


def _miss_form(symbol: str | None) -> str:
    return "null" if symbol is None else "raw" if symbol else "blank"


def _stream(facts: Facts, silent: Silent) -> Body:
    found = facts.get("order-update stream")
    if found == "none":
        return {"on": False, "words": {}, "products": {}}
    silent.append("words of updates, but for a waiting stop's")
    products = {}
    if shown := re.match(r"(?:D|M \(NRML\)) becomes (\w+)", facts.get("product in order updates")):
        products["NRML"] = shown[1]
    words = {**USUAL, "triggered": USUAL["open"], "waiting": found.partition("waiting stop: ")[2]}
    if facts.get("stop that has triggered and rests"):
        words["triggered"] = words["waiting"]
    return {"on": True, "words": words, "products": products}


def _answer(value: str) -> Body:
    """A fact such as `200 success id=None`, `400 error id=- Unauthorized` or `EXC ReadTimeout` as status and text."""
    if not value or value.startswith("EXC"):
        return {"status": 500 if value else 400, "message": "An unexpected error occurred" if value else "{reason}"}
    status, _, rest = value.partition(" ")
    text = rest.partition("id=- ")[2]
    if status == "200":
        return {"status": 200, "message": ""}
    if text in _REASONS or not text:
        return {"status": int(status), "message": "{reason}"}
    text = text.replace("Client error '40", "Client error '{status}': {reason}").replace(_TRIED_ID, "{orderid}")
    return {"status": int(status), "message": text}


def _refusals(facts: Facts, silent: Silent) -> Body:
    silent += [f"answer to a refused {route}" for route in CALLS if not facts.refusal(route)]
    return {route: _answer(facts.refusal(route)) for route in CALLS}


def _failed_read(value: str) -> Body:
    if value == "200 success, one blank row":
        return {"status": 200, "shows": "blank row"}
    if value in ("200 success, empty", "200 success, data {}"):
        return {"status": 200, "shows": "empty"}
    if value.startswith("availablecash '0.00'"):
        return {"status": 200, "shows": "zeros"}
    return {"status": 500, "shows": value.removeprefix("500 ") or "An unexpected error occurred"}


def _failures(facts: Facts, silent: Silent) -> Body:
    made: Body = {}
    for failure in FAILURES:
        routes = {}
        for route in (*BOOKS, "funds"):
            if not (value := facts.failed(route, failure)):
                silent.append(f"{route} while the broker fails: {failure}")
                value = facts.failed(route, "auth") or "500 An unexpected error occurred"
            routes[route] = _failed_read(value)
        made[failure] = routes
    return made


def _sent(facts: Facts, silent: Silent) -> Body:
    shown = facts.get("market and stop-market orders as the order book shows them")
    if not shown:
        silent.append("market orders as they are sent")
    market, _, rest = (shown or "MARKET, SL-M").partition(", ")
    key = facts.get("modify of a stop: key of the new trigger")
    odd = facts.get("modify of SL").startswith("trigger under stoploss")
    moves = [] if key == "NOT SENT" or odd else ["trigger_price"]
    if facts.get("modify of a stop: key of the new limit price") != "NOT SENT":
        moves.append("price")
    if not key:
        silent.append("change of a stop")
    stop = re.match(r"[A-Z-]+", rest)
    assert stop is not None, shown
    return {
        "market": market.split(" ")[0],
        "stop_market": stop.group(),
        "stop": "MARKET" if "SL is MARKET too" in shown else "SL",
        "cancels_rest": "rest cancelled at once" in shown,
        "change_moves": moves,
        "cancel_all_misses": _missed_by_cancel_all(facts),
    }


def _missed_by_cancel_all(facts: Facts) -> list[str]:
    found = facts.get("cancel-all")
    partly = "PART" in found.upper() or found == "raw Pending, Modified only"
    return [*(["partly"] if partly else []), *_changed(facts)]


def _nothing(facts: Facts, silent: Silent) -> Body:
    made = {}
    for route, book in BOOKS.items():
        if not (value := facts.get(f"nothing to show, {book}")):
            silent.append(f"{route} with nothing to show")
        made[route] = "blank row" if "blank" in value else "empty"
    return made


_PARTS: dict[str, Callable[[Facts, Silent], Body]] = {
    "sent": _sent,
    "orders": _orders,
    "trades": _trades,
    "positions": _positions,
    "updates": _stream,
    "misses": _misses,
    "refused": _refusals,
    "nothing": _nothing,
    "failing": _failures,
}


def profile_of(facts: Facts) -> Body:
    """Return the profile of a broker's facts, `silent` included: the questions that no fact answers."""
    silent: Silent = []
    parts = {name: part(facts, silent) for name, part in _PARTS.items()}
    return {"silent": silent, **parts}


def profiles_text() -> str:
    """Return the simulator's profiles of all brokers as TOML."""
    lines = ["# Generated from the facts about brokers by `python -m tests.kit.broker_profiles`; not edited by hand."]
    for name, facts in read_facts().items():
        lines += toml_table((name,), profile_of(facts))
    return "\n".join(lines) + "\n"


def toml_table(path: tuple[str, ...], body: Body) -> list[str]:
    """Lines of a table and of those in it. What is empty, false or 0 is left out: the reader's defaults."""
    lines, tables = [f"[{'.'.join(map(_key, path))}]"], list[str]()
    for name, value in body.items():
        if isinstance(value, dict) and (len(path) == 1 or any(isinstance(item, dict) for item in value.values())):
            tables += toml_table((*path, name), value)
        elif value:
            lines.append(f"{_key(name)} = {_value(value)}")
    return [*(["", *lines] if len(lines) > 1 else []), *tables]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def broker_table() -> str:
    """Return what the facts say of each broker as the Markdown table of docs/simulator.md."""
    columns = (
        "`--broker`", "waiting stop: book, updates", "a trade row counts", "MARKET, SL-M, SL become",
        "refused place, cancel, change", "empty while the broker fails",
    )  # fmt: skip
    rows = (_line(name, profile_of(facts)) for name, facts in read_facts().items())
    return "\n".join((f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows))


def _line(name: str, made: Body) -> str:
    updates, sent, refused = made["updates"], made["sent"], made["refused"]
    cells = (
        f"`{name}`",
        f"{made['orders']['words']['waiting']}, {updates['words']['waiting'] if updates['on'] else 'no stream'}",
        str(made["trades"]["counts"]),
        ", ".join(sent[name] for name in ("market", "stop_market", "stop")),
        ", ".join("success" if refused[route]["status"] == 200 else str(refused[route]["status"]) for route in CALLS),
        _failing_cell(made["failing"]),
    )
    return f"| {' | '.join(cells)} |"


def _failing_cell(failing: Body) -> str:
    """The books (O, T, P) that look empty in each failure."""
    shown = []
    for failure in FAILURES:
        empty = [letter for letter, route in zip("OTP", BOOKS, strict=True) if failing[failure][route]["status"] == 200]
        shown.append("".join(empty) or "–")
    return " / ".join(shown)


def main() -> None:
    """Write the profiles."""
    Path(PROFILES).write_text(profiles_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
