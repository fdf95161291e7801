"""Fixtures that most tests of settings start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.project import copy_project


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project folder that a test may change, with what is shipped of settings and strategies."""
    return copy_project(tmp_path)
