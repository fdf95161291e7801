"""Options shared by commands: a dataclass in a command's signature becomes its fields on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from mytrading.cli.research.run_options import expand_options


@dataclass(frozen=True, kw_only=True)
class Meal:
    """Arguments of a command: a dish and its salt."""

    dish: Annotated[str, typer.Argument(help="Its name.")]
    salt: Annotated[int, typer.Option("--salt", "-s", help="Grains.")] = 3


@dataclass(frozen=True, kw_only=True)
class Feast(Meal):
    """A meal for guests."""

    guests: Annotated[int, typer.Option(help="How many.")]


@expand_options
def eat(meal: Meal, loud: bool = typer.Option(False, "--loud")) -> None:
    """Eat it."""
    print(meal, loud)


@expand_options
def feast(meal: Feast) -> None:
    """Eat it together."""
    print(meal)


def _said(command: str, *given: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(eat)
    app.command()(feast)
    result = CliRunner().invoke(app, [command, *given])
    return result.exit_code, result.output


def test_bundle_in_a_command_is_given_by_its_fields() -> None:
    assert _said("eat", "soup", "-s", "5", "--loud") == (0, "Meal(dish='soup', salt=5) True\n")


def test_bundle_field_left_out_has_its_default() -> None:
    assert _said("eat", "soup") == (0, "Meal(dish='soup', salt=3) False\n")


def test_bundle_of_a_bundle_asks_for_all_fields_and_wants_those_without_default() -> None:
    assert _said("feast", "soup", "--guests", "2") == (0, "Feast(dish='soup', salt=3, guests=2)\n")
    code, said = _said("feast", "soup")
    assert code == 2
    assert "--guests" in said


def test_bundle_help_shows_fields_and_the_commands_own_words() -> None:
    _, said = _said("eat", "--help")
    assert "Eat it." in said
    assert "--salt" in said
    assert "Grains." in said
