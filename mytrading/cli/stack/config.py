"""`mytrading config show|check`: every setting, its value and where it came from, and whether a stack may start."""

from __future__ import annotations

from typing import Annotated

import typer

from mytrading.cli.shell.failures import CONFIGURATION, USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson
from mytrading.cli.shell.output import print_json, print_notes, print_rows
from mytrading.runtime.host.paths import project_home

app = typer.Typer(help="Settings: values, origins, problems.", no_args_is_help=True)
Profile = Annotated[str, typer.Option("--profile", help="paper and replay are those of the simulator.")]


@app.command()
def show(
    name: str = typer.Argument("", help="Show only settings whose name contains this text."),
    as_json: AsJson = False,
    profile: Profile = "default",
) -> None:
    """Print every value and where it came from, secrets masked."""
    with exit_on_errors():
        from mytrading.config.loading import load_settings

        settings = load_settings(project_home(), profile)
    rows = [
        {"name": key, "value": value, "origin": origin}
        for key, value, origin in settings.effective_rows()
        if name.lower() in key.lower()
    ]
    if not rows:
        fail(USAGE, f"no setting has {name!r} in its name; `mytrading config show` lists all")
    print_rows(rows, ("name", "value", "origin"), as_json, "")
    print_notes(settings.warnings)


@app.command()
def check(as_json: AsJson = False, profile: Profile = "default") -> None:
    """Say whether a stack with these settings may start with every strategy; exit 4 and all problems if not."""
    with exit_on_errors():
        from mytrading.cli.stack.strategy_trial import try_strategies
        from mytrading.config.cross_checks import fee_file_problems, start_problems
        from mytrading.config.loading import load_settings
        from mytrading.config.problems import ConfigurationError
        from mytrading.config.run_config import strategy_run

        home = project_home()
        try:
            settings = load_settings(home, profile)
            problems = [*start_problems(settings), *settings.strategy_faults]
            warnings = list(settings.warnings)
            if settings.unused:
                names = ", ".join(settings.unused)
                warnings.append(
                    f"ignored, since nothing here reads these environment variables: {names}; docs/configuration.md "
                    "says what to set instead"
                )
            if not problems:
                runs = [strategy_run(settings, strategy) for strategy in settings.running_strategies]
                problems += [str(found) for found in try_strategies(home, runs)]
        except ConfigurationError as error:
            problems, warnings = list(error.problems), []
        warnings += [f"{problem}; no backtest runs until then" for problem in fee_file_problems(home)]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "warnings": warnings})
    for warning in () if as_json else warnings:
        print(f"note: {warning}")
    if problems:
        fail(CONFIGURATION, "" if as_json else "\n".join(problems))
    if not as_json:
        print(f"profile {profile}: in order")
