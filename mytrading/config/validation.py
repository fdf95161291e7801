"""From raw values to validated sections: pydantic judges by a model derived from the declared fields of a section."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from mytrading.config.problems import hint, nearest
from mytrading.messages.run_settings import Setting

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_S = TypeVar("_S", bound=msgspec.Struct)


@cache
def declarations(section: type[msgspec.Struct]) -> Mapping[str, Setting]:
    """Return the user-settable fields of a settings class with their declarations, in order."""
    kinds = get_type_hints(section, include_extras=True)
    annotated = {name: get_args(kind)[1] for name, kind in kinds.items() if get_origin(kind) is Annotated}
    return MappingProxyType({name: note for name, note in annotated.items() if isinstance(note, Setting)})


def setting_values(section: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    """Yield (field, value) of each user-settable field of a settings struct."""
    return ((name, getattr(section, name)) for name in declarations(type(section)))


def build_section(section: type[_S], values: Mapping[str, Any], **others: Any) -> _S:
    """Build a settings struct from raw `values`, validated, and `others`, taken as they are.
    Pydantic's `ValidationError` lists what is wrong."""
    return section(**dict(pydantic_model_of(section).model_validate(values)), **others)


@cache
def pydantic_model_of(section: type[msgspec.Struct]) -> type[BaseModel]:
    """Return the pydantic model that validates a settings class, derived from its declarations."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(section)}
    kinds = get_type_hints(section)
    fields: dict[str, Any] = {
        name: (_constrained(kinds[name], declared), defaults[name]) for name, declared in declarations(section).items()
    }
    config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    return create_model(section.__name__, __config__=config, **fields)


def _constrained(kind: Any, declared: Setting) -> Any:
    """A field's type with its bounds and readers. Of several readers pydantic calls the last one first."""
    about = dict(declared.bounds) | ({"description": declared.note} if declared.note else {})
    rules: list[Any] = [Field(**about)] if about else []
    if kind == tuple[str, ...]:
        rules.append(BeforeValidator(split_names))
    if declared.case:
        cased = str.lower if declared.case == "lower" else str.upper
        rules.append(BeforeValidator(lambda value: cased(value) if isinstance(value, str) else value))
    if declared.unit:
        rules.append(BeforeValidator(parse_size if declared.unit == "bytes" else parse_days))
    if declared.read is not None:
        rules.append(BeforeValidator(declared.read))
    if declared.among:
        rules.append(AfterValidator(lambda words: check_allowed_words(declared.among, words)))
    if (check := declared.check) is not None:

        def judge(value: Any) -> Any:
            check(value)
            return value

        rules.append(AfterValidator(judge))
    return Annotated[kind, *rules] if rules else kind


def split_names(value: object) -> object:
    """Convert a text `"a, b"` to a tuple of names; other values are returned unchanged."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def parse_size(value: object) -> object:
    """Convert a text such as `"100 MB"` to bytes (int); other types are returned unchanged, else `ValueError`."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([\d.]+)\s*([KMG]?B)?", value.strip().upper())
    if match is None:
        raise ValueError("expected a size such as 100 MB")
    try:
        return int(float(match[1]) * _UNITS[match[2] or ""])
    except (ValueError, OverflowError):
        raise ValueError("expected a size such as 100 MB") from None


def parse_days(value: object) -> object:
    """Convert a text such as `"30 days"` to `"30"`; other types are returned unchanged."""
    return re.sub(r"\s*days?\s*$", "", value) if isinstance(value, str) else value


def check_allowed_words(allowed: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """Return `words` unchanged; `ValueError` if `words` is empty or one of them is not in `allowed`."""
    unknown = [word for word in words if word not in allowed]
    if unknown or not words:
        raise ValueError(
            f"expected some of {', '.join(allowed)}; found {', '.join(unknown) or 'none'}"
            f"{hint(unknown[0], allowed) if unknown and nearest(unknown[0], allowed) else ''}"
        )
    return words
