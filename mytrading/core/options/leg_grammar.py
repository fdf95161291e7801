"""Leg grammar: texts for strikes, expiries, trades, stops, times and conditions, and what they parse into.

One grammar for settings, leg files, authors' code and commands. A text that cannot be parsed is a `ValueError` that
shows what may be written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Any

from mytrading.core.text.spelling import hint
from mytrading.core.time import hhmm
from mytrading.messages.enums import Product, Side
from mytrading.messages.leg_plan import (
    Breakout,
    Comparison,
    LegRule,
    LegStop,
    Operand,
    RangeRule,
    RollTrigger,
    StopKind,
)
from mytrading.messages.run_config import ExpiryRule, OptionRange, TradeKind, TradeRule

STRIKES = "ATM, ITM n, OTM n, STRIKE n, PREMIUM n or DELTA n"
MOST_OFFSET = 20
CONTRACT_PRODUCTS = (Product.MIS, Product.NRML)
"""Products of options and futures; CNC is for shares."""
COLUMNS = ("open", "high", "low", "close", "volume")
_OFFSET = re.compile(r"(ITM|OTM) (\d+)")
_STRIKE = re.compile(r"ATM|(?:ITM|OTM) (?:[1-9]|1\d|20)|(?:STRIKE|PREMIUM) \d+(?:\.\d+)?|DELTA 0?\.\d+")
_STOP = re.compile(r"(\d+(?:\.\d+)?)\s*(%|percent|points?)|price\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
_ROLL = re.compile(r"delta\s+(0?\.\d+)|(\d+(?:\.\d+)?)\s*points?", re.IGNORECASE)
_CLOCKS = re.compile(r"(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})")
_OPERAND = re.compile(r"([A-Za-z_][\w.]*)\s*(?:\(([^()]*)\))?")
_SIDES = re.compile(r"(.+?)(?:\s+(above|below)\s+|\s*([<>])\s*)(.+)", re.IGNORECASE)
_EXPECTED = "expected 'always', or comparisons such as 'close above SMA(20) and RSI(14) below 70'"
_EXPIRY = r"(?:\s+(?P<expiry>NEXT[ _]MONTHLY|NEAREST|NEXT|MONTHLY))?"
_TRADE_OPTION = re.compile(
    r"(?:(?P<side>BUY|SELL)\s+)?(?:(?P<underlying>(?!ATM|ITM|OTM|STRIKE)[A-Z][A-Z0-9&-]*)\s+)?"
    r"(?P<strike>ATM|(?:ITM|OTM)\s+\d+|STRIKE\s+[\d.]+)\s+(?P<right>CE|PE)" + _EXPIRY
)
_TRADE_FUTURE = re.compile("FUTURE" + _EXPIRY)
_RANGE = re.compile(r"ATM\s+(?P<strikes>\d{1,3})" + _EXPIRY)
MOST_STRIKES = 40
"""Of an option range, either side: 162 contracts, each with quotes, bars and history."""
_TRADES = (
    "expected same, future [nearest|next|monthly|next monthly], none, or an option such as 'NIFTY ATM CE nearest', "
    "'OTM 2 PE next', 'SELL NIFTY ATM PE monthly'"
)


def parse_strike(text: str) -> str:
    """Return a strike rule in its one spelling, as `OTM 2`; `ValueError` for anything else."""
    word = " ".join(str(text).upper().split())
    if not _STRIKE.fullmatch(word):
        raise ValueError(f"expected {STRIKES} (n strikes 1 to 20; a delta such as 0.3), found {text!r}")
    return word


def clamp_strike_offset(text: str) -> str:
    """Return a strike rule such as `OTM 25` with its number limited to 1 to 20; any other text unchanged."""
    found = _OFFSET.fullmatch(" ".join(str(text).upper().split()))
    return f"{found[1]} {min(max(int(found[2]), 1), MOST_OFFSET)}" if found else text


def parse_option(text: str) -> tuple[str, str]:
    """Split `OTM 2 PE` into strike rule and right (CE or PE); `ValueError` for anything else."""
    strike, _, right = text.strip().upper().rpartition(" ")
    if right not in ("CE", "PE"):
        raise ValueError(f"expected a strike and CE or PE, say 'ATM CE'; found {text!r}")
    return parse_strike(strike), right


def parse_expiry(text: str) -> ExpiryRule:
    """Parse `next monthly`, with blanks, hyphens or underscores; `ValueError` for no expiry rule."""
    word = normalize_word(text)
    if word not in set(ExpiryRule):
        raise ValueError(f"expiry: found {text!r}{hint(text, list(ExpiryRule))}")
    return ExpiryRule(word)


def parse_trade(text: str, long: bool) -> TradeRule | None:
    """Parse `SELL NIFTY ATM PE monthly`, `future next` or `same` as the rule of the long (else short) side; None for
    `none`, `ValueError` for any other text."""
    word = " ".join(text.upper().split())
    side = Side.BUY if long else Side.SELL
    if word == "NONE":
        return None
    if word == "SAME":
        return TradeRule(kind=TradeKind.SAME, side=side)
    if future := _TRADE_FUTURE.fullmatch(word):
        return TradeRule(kind=TradeKind.FUTURE, side=side, expiry=parse_expiry(future["expiry"] or "nearest"))
    option = _TRADE_OPTION.fullmatch(word)
    if option is None:
        raise ValueError(f"{_TRADES}; found {text!r}")
    return TradeRule(
        kind=TradeKind.OPTION,
        side=Side(option["side"] or "BUY"),
        underlying=option["underlying"] or "",
        expiry=parse_expiry(option["expiry"] or "nearest"),
        strike=option["strike"],
        right=option["right"],
    )


def parse_option_range(text: str) -> OptionRange | None:
    """Parse `ATM 20 nearest`: strikes each side of the money, expiry; None for empty text, else `ValueError`."""
    if not text.strip():
        return None
    found = _RANGE.fullmatch(" ".join(text.upper().split()))
    if found is None or int(found["strikes"]) > MOST_STRIKES:
        raise ValueError(
            f"expected ATM, strikes either side up to {MOST_STRIKES}, and an expiry, say 'ATM 20 nearest'; "
            f"found {text!r}"
        )
    return OptionRange(strikes=int(found["strikes"]), expiry=parse_expiry(found["expiry"] or "nearest"))


def parse_contract_product(text: str) -> Product | None:
    """Parse MIS or NRML, the products of options and futures; None for empty text, `ValueError` for other."""
    if not text:
        return None
    allowed = [product.value for product in CONTRACT_PRODUCTS]
    if (name := str(text).strip().upper()) not in allowed:
        raise ValueError(f"product: found {text!r}{hint(name, allowed)}")
    return Product(name)


def parse_lots(lots: int) -> int:
    """Return signed lots (above 0 bought, below 0 sold) unchanged; `ValueError` for 0 or no whole number."""
    if isinstance(lots, bool) or not isinstance(lots, int) or not lots:
        raise ValueError(f"lots: expected a whole number, above 0 bought and below 0 sold; found {lots!r}")
    return lots


def normalize_word(value: Any) -> Any:
    """A word of an enumeration in lower case with underscores; anything but text unchanged."""
    return value.strip().lower().replace(" ", "_").replace("-", "_") if isinstance(value, str) else value


def spell_stop(stop: LegStop) -> str:
    """Format a stop in words: `30 %`, `₹20 away`, `at ₹150`."""
    if stop.kind is StopKind.PERCENT:
        return f"{stop.value:g} %"
    return f"₹{stop.value:g} away" if stop.kind is StopKind.POINTS else f"at ₹{stop.value:g}"


def spell_changes(rule: LegRule) -> str:
    """Format in words how a leg is rolled and entered again while its plan is held; empty if it is neither."""
    parts = []
    if (roll := rule.roll) is not None:
        by_delta = roll.trigger is RollTrigger.DELTA
        tested = f"its delta is {roll.value:g}" if by_delta else f"{roll.value:g} points are left to its strike"
        parts.append(f"rolled to {roll.strike} once {tested}, at most {_times(roll.times)} a day")
    if rule.reentries:
        parts.append(f"entered again after its stop or target, at most {_times(rule.reentries)} a day")
    return "; ".join(parts)


def spell_range(ranged: RangeRule) -> str:
    """Format in words when a plan with a range is entered."""
    side = {Breakout.ABOVE: "above", Breakout.BELOW: "below", Breakout.EITHER: "above or below"}[ranged.breakout]
    return f"entered when a bar closes {side} the range of {hhmm(ranged.begins)} to {hhmm(ranged.ends)}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def parse_time_of_day(value: Any) -> int:
    """Parse a time of day (`09:20`, or a TOML time) to seconds after midnight; 0 for empty text, else `ValueError`."""
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second
    text = str(value).strip()
    if not text:
        return 0
    try:
        return parse_time_of_day(time.fromisoformat(text if ":" in text else "no time"))
    except ValueError:
        raise ValueError(f"expected a time of day in India, say 15:10; found {text!r}") from None


def parse_stop(text: str) -> LegStop:
    """Parse `30%`, `20 points` or `price 150`; empty text gives a stop of value 0, any other raises `ValueError`."""
    if not text.strip():
        return LegStop()
    found = _STOP.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected '30%', '20 points' or 'price 150', found {text!r}")
    if found[3]:
        return LegStop(kind=StopKind.PRICE, value=float(found[3]))
    points = found[2].lower().startswith("point")
    return LegStop(kind=StopKind.POINTS if points else StopKind.PERCENT, value=float(found[1]))


def parse_roll(text: str) -> tuple[RollTrigger, float] | None:
    """Parse `delta 0.45` or `50 points`, from which on a sold leg is rolled; None for empty text, else `ValueError`."""
    if not text.strip():
        return None
    found = _ROLL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected 'delta 0.45' or '50 points' (of the underlying from the strike), found {text!r}")
    return (RollTrigger.DELTA, float(found[1])) if found[1] else (RollTrigger.POINTS, float(found[2]))


def parse_range(text: str) -> tuple[int, int] | None:
    """Parse `09:15-09:45` to seconds of the day; None for empty text, `ValueError` for anything else."""
    if not text.strip():
        return None
    found = _CLOCKS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected two times of day in India, say 09:15-09:45; found {text!r}")
    begins, ends = (parse_time_of_day(part.zfill(5)) for part in found.groups())
    if ends <= begins:
        raise ValueError(f"expected a range that ends after it begins, found {text!r}")
    return begins, ends


def parse_conditions(text: str) -> tuple[Comparison, ...]:
    """Parse the text of a `when` to comparisons that must all hold; () for empty text or `always`."""
    if text.strip().lower() in ("", "always"):
        return ()
    return tuple(_comparison(part.strip()) for part in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE))


def _comparison(text: str) -> Comparison:
    found = _SIDES.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}; found {text!r}")
    above = (found[2] or found[3]).lower() in ("above", ">")
    return Comparison(left=_operand(found[1].strip()), above=above, right=_operand(found[4].strip()))


def _operand(text: str) -> Operand:
    try:
        return Operand(number=float(text))
    except ValueError:
        pass
    found = _OPERAND.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}; found {text!r}")
    word, given = found[1], found[2]
    return Operand(word=word.lower()) if word.lower() in COLUMNS else _indicator(word, given or "")


def _indicator(word: str, given: str) -> Operand:
    from mytrading.core.indicators import BUILT_IN  # talib loads only for a file that compares with an indicator

    function, dot, output = word.partition(".")
    indicator = BUILT_IN.get(word) or BUILT_IN.get(function.upper() + dot + output)
    if indicator is None:
        outputs = [f"{function.upper()}.{name}" for name in BUILT_IN.outputs(function.upper())]
        near = f"; expected one of {', '.join(outputs)}" if outputs else hint(word, [*BUILT_IN, *COLUMNS])
        raise ValueError(f"no indicator {word!r}{near}")
    return Operand(word=indicator.name, parameters=_parameters(indicator.name, indicator.parameters, given))


def _parameters(word: str, known: Mapping[str, float], given: str) -> dict[str, float]:
    """Numbers by name, or in the indicator's own order."""
    found: dict[str, float] = {}
    for place, part in enumerate(piece.strip() for piece in given.split(",") if piece.strip()):
        name, equals, number = (piece.strip() for piece in part.rpartition("="))
        if not equals:
            name = list(known)[place] if place < len(known) else ""
        if name not in known:
            listed = ", ".join(f"{key}={value:g}" for key, value in known.items()) or "none"
            raise ValueError(f"{word} has no parameter {part!r}{hint(name, known)}; it takes {listed}")
        try:
            found[name] = float(number)
        except ValueError:
            raise ValueError(f"{word}: expected a number for {name}, found {number!r}") from None
    return found
