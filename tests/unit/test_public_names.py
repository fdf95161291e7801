"""The names of the README import from `mytrading`, and importing the package costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import mytrading


@pytest.mark.parametrize("name", [name for name in mytrading.__all__ if name != "__version__"])
def test_public_name_imports_and_is_documented(name):
    found = getattr(mytrading, name)
    assert found.__name__.rpartition(".")[2] == name
    assert found.__doc__


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mytrading.strategies.base_strategy", "BaseStrategy"),
        ("mytrading.utils.performance_monitor", "get_performance_monitor"),
    ],
)
def test_module_of_the_readme_offers_the_same_object(module, name):
    assert getattr(import_module(module), name) is getattr(mytrading, name)


def test_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="there is BaseStrategy"):
        _ = mytrading.NoSuchName  # type: ignore[attr-defined]


def test_package_import_loads_nothing_heavy():
    code = "import mytrading, sys; print([m for m in ('numpy', 'zmq', 'pydantic', 'msgspec') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
