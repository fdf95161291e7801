"""Options that several commands share, written once as a dataclass, whose fields become options of each command.

A field is annotated as typer wants an option, so that help, completion and checks of it come from the one place where
it is written.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes one dataclass of options, as typer needs it: with the fields in place of that value."""
    parameters = signature(command, eval_str=True).parameters.values()
    (bundled,) = [one for one in parameters if dataclasses.is_dataclass(one.annotation)]
    options = _options_of(bundled.annotation)
    names = [option.name for option in options]

    @functools.wraps(command)
    def taken(**given: Any) -> None:
        bundle = bundled.annotation(**{name: given.pop(name) for name in names})
        command(**{bundled.name: bundle}, **given)

    shown = [option for one in parameters for option in (options if one is bundled else [_by_name(one)])]
    taken.__dict__["__signature__"] = Signature(shown)
    taken.__annotations__ = {option.name: option.annotation for option in shown}
    return taken


def _options_of(kind: type) -> list[Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        Parameter(one.name, Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name])
        for one in dataclasses.fields(kind)
    ]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return Parameter.empty if field.default is dataclasses.MISSING else field.default


def _by_name(one: Parameter) -> Parameter:
    return one.replace(kind=Parameter.KEYWORD_ONLY)
