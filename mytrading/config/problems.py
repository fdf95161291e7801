"""Problems of the configuration, reported all at once; a message never shows a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mytrading.core.text.spelling import hint, name_key, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from mytrading.config.sources import Value

__all__ = ["ConfigurationError", "describe_error", "describe_expected", "expectation", "hint", "name_key", "nearest"]


class ConfigurationError(Exception):
    """Settings that must be corrected before a start; `problems` lists all of them. `missing`: names of strategies that
    have settings and no file; they may hold positions."""

    def __init__(self, *problems: str, missing: Iterable[str] = ()) -> None:
        self.problems = tuple(dict.fromkeys(problems))  # one value may set two things
        self.missing = tuple(dict.fromkeys(missing))
        super().__init__("\n".join(self.problems))


def describe_error(detail: ErrorDetails, values: Mapping[str, Value]) -> str:
    """Return a pydantic error as one message: variable or key (raw `values` by field), value, expectation."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    value = values.get(name) or next((item for item in values.values() if _mentions(detail, item)), None)
    if value is None:
        return describe_expected(detail)
    return f"{value.where} = {'***' if name == 'api_key' else repr(value.raw)}: {describe_expected(detail)}"


def _mentions(detail: ErrorDetails, value: Value) -> bool:
    parts = value.raw if isinstance(value.raw, list) else str(value.raw).split(",")
    return any(str(part).strip() and str(part).strip().upper() in detail["msg"].upper().split() for part in parts)


def describe_expected(detail: ErrorDetails) -> str:
    """Return what pydantic expected instead of a value, with the nearest allowed word as a suggestion."""
    text = expectation(detail["msg"])
    words = str(detail.get("ctx", {}).get("expected", "")).replace(" or ", ", ").split(", ")
    choices = [word.strip("'") for word in words if word]
    return text + (hint(str(detail["input"]), choices) if choices and isinstance(detail["input"], str) else "")


def expectation(message: str) -> str:
    """Return the message of a pydantic error as what was expected, in plain words."""
    text = message.removeprefix("Value error, ").replace("Input should be a valid integer", "expected a whole number")
    return re.sub(
        r", (unable to parse|unable to interpret|got a number).*", "", text.replace("Input should be", "expected")
    )
