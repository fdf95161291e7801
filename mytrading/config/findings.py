"""What pydantic finds wrong with a value, in our words.

Used by `config/resolve`. The one rule: a sentence names the variable or key, what it has, and what may stand there, and
never shows a secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

from mytrading.config.problems import hint
from mytrading.config.sources import Value


def problem_of(detail: ErrorDetails, values: Mapping[str, Value]) -> str:
    """One of pydantic's findings in our words, naming variable or key, value, and what may stand there."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    value = values.get(name)
    if value is None:
        found = [value for value in values.values() if _mentions(detail, value)]
        value = found[0] if found else None
    shown = "***" if name == "api_key" else repr(value.raw) if value else ""
    return f"{value.where} = {shown}: {said(detail)}" if value else said(detail)


def _mentions(detail: ErrorDetails, value: Value) -> bool:
    parts = value.raw if isinstance(value.raw, list) else str(value.raw).split(",")
    return any(str(part).strip() and str(part).strip().upper() in detail["msg"].upper().split() for part in parts)


def said(detail: ErrorDetails) -> str:
    """What is wrong, with the nearest of the words that may stand there."""
    text = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    words = str(detail.get("ctx", {}).get("expected", "")).replace(" or ", ", ").split(", ")
    choices = [word.strip("'") for word in words if word]
    return text + (hint(str(detail["input"]), choices) if choices and isinstance(detail["input"], str) else "")
