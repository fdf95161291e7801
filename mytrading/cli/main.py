"""The entry point: `mytrading …` and `python main.py …`.

The one rule: `mytrading --help` and `version` answer within 0.4 s, so modules of commands load only typer at their top.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from mytrading.cli import books, configuration, control, journal, logs, running, tools
from mytrading.cli.output import ERROR, OK, Failure

app = typer.Typer(
    name="mytrading",
    help="A self-hosted trading stack for Indian markets over OpenAlgo.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
running.add_to(app)
logs.add_to(app)
books.add_to(app)
control.add_to(app)
app.add_typer(configuration.app, name="config")
app.add_typer(journal.app, name="journal")
tools.add_to(app)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (`sys.argv` by default) and exit with its code: 0, or as in `cli.output`."""
    sys.exit(_code(arguments))


def _code(arguments: Sequence[str] | None) -> int:
    try:
        app(args=arguments, prog_name="mytrading")
        return OK
    except Failure as failure:
        if str(failure):
            print(f"mytrading: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return ERROR
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


if __name__ == "__main__":
    run()
