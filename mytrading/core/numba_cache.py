"""Compiled functions that are kept on disk, and compiled again when anything that they call is another.

It loads numba. What is kept is found by what the kernel and all that it reaches say, never by when a file was written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.core.caching import FunctionCache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(**options: Any) -> Callable[[Kernel], Kernel]:
    """Return a decorator that compiles a function by numba (`options` are those of `njit`) and caches it on disk."""

    def compiled(function: Kernel) -> Kernel:
        made: Any = njit(**options)(function)
        if hasattr(made, "enable_caching"):  # else numba is switched off
            made.enable_caching()
            made._cache = _CachedKernel(function)  # type: ignore[no-untyped-call]
        return cast(Kernel, made)

    return compiled


def compiled_together(*functions: Any, **options: Any) -> dict[str, Any]:
    """Return the compiled forms, by name, of one module's functions that call each other; the originals stay plain."""
    names = dict(functions[0].__globals__)
    for function in functions:
        copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
        names[function.__name__] = kernel(**options)(copy)
    return {function.__name__: names[function.__name__] for function in functions}


def code_hash(function: Any) -> str:
    """Return a hash of the code of `function` and of all functions and constants that it uses by name; what is of numpy
    or math counts by its name alone."""
    found = hashlib.sha256()
    for part in _reached(function, set()):
        found.update(part.encode())
        found.update(b"\0")
    return found.hexdigest()


class _CachedKernel(FunctionCache):
    """Numba's cache of one function, whose keys carry the stamp. It is taken when first asked, with all names bound."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own: tuple[Any, ...] = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*own, code_hash(self._py_func))


def _reached(function: Any, seen: set[FunctionType]) -> list[str]:
    plain = getattr(function, "py_func", function)
    if plain in seen:
        return []
    seen.add(plain)
    parts = [plain.__qualname__, repr(plain.__defaults__), *_code_parts(plain.__code__)]
    inside = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True))
    values = [cell.cell_contents for cell in inside.values()]
    names = _names(plain.__code__)
    values += [plain.__globals__[name] for name in names if name in plain.__globals__]
    for value in values:
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in ("numpy", "math", "numba"):
            for name in names:
                parts += _value_parts(getattr(value, name, None), seen)
        else:
            parts += _value_parts(value, seen)
    return parts


def _value_parts(value: Any, seen: set[FunctionType]) -> list[str]:
    if isinstance(getattr(value, "py_func", value), FunctionType):
        return _reached(value, seen)
    if isinstance(value, np.ndarray):
        return [str(value.dtype), str(value.shape), value.tobytes().hex()]
    if isinstance(value, bool | int | float | complex | str | tuple | np.generic | None):
        return [repr(value)]
    return [getattr(value, "__name__", type(value).__name__)]


def _code_parts(code: CodeType) -> list[str]:
    """Return the content of code, without its place in a file."""
    parts = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames)]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            parts += _code_parts(constant)
        else:
            parts.append(repr(sorted(constant, key=repr) if isinstance(constant, frozenset) else constant))
    return parts


def _names(code: CodeType) -> list[str]:
    """Names that the code asks for, those of functions within it included; sorted, each once."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(_names(constant))
    return sorted(names)
