"""`mytrading strategies`: those that run, each with its own books, the switch of their entries, their parameters.

A switch or a removal touches entries alone; stops and exits of what is held go on.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from mytrading.cli.shell import failures
from mytrading.cli.shell.failures import CONFIGURATION, ERROR, ask_gateway, fail, find_stack, project_folder
from mytrading.cli.shell.options import AsJson, OwnerName, Profile, Reason, RequestId
from mytrading.cli.shell.output import print_json, print_result, print_rows
from mytrading.config.problems import hint, name_key
from mytrading.messages.ops import PositionsQuery, StrategiesQuery, StrategyQuery, SwitchCommand

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

app = typer.Typer(
    invoke_without_command=True,
    help="Strategies that run; `show`, `chart`, `enable`, `disable`, `save` and `remove` are about one of them.",
    rich_markup_mode=None,
)
_SETTLES_S = 1.0
"""Within this the last entry before the switch is on its way, and seen."""
_COLUMNS = ("name", "kind", "state", "enabled", "switched", "watches", "positions", "realised", "unrealised",
            "refused", "problem")  # fmt: skip


@app.callback()
def listed(context: typer.Context, as_json: AsJson = False, profile: Profile = "") -> None:
    """The strategies that run, and owners of positions that do not, with state and result."""
    if context.invoked_subcommand is None:
        list_(as_json, profile)


@app.command("list")
def list_(as_json: AsJson = False, profile: Profile = "") -> None:
    """The strategies that run, and owners of positions that do not, with state and result."""
    from mytrading.cli.stack.commands import refusal_line

    rows = ask_gateway(profile, StrategiesQuery())
    shown = (
        rows
        if as_json
        else [
            {**row, "switched": _switched_by(row["switched"]), "refused": refusal_line(row["refused"])} for row in rows
        ]
    )
    print_rows(shown, _COLUMNS, as_json, "no strategies")


def _switched_by(switched: dict[str, Any] | None) -> str:
    from mytrading.cli.stack.commands import describe_origin

    return describe_origin(switched, "reason", "at_ns")[2:-1] if switched else ""


@app.command()
def show(
    name: OwnerName,
    limit: int = typer.Option(20, "--limit", "-n", min=0, help="Number of newest rows in each table; 0: all."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Show a strategy's orders, positions, trades and result over all accounts, even if it was removed."""
    body = ask_gateway(profile, StrategyQuery(strategy=name, limit=limit))
    if as_json:
        print_json(body)
        return
    print(f"{body['name']}  {body['kind']}  {body['state']}  entries {'on' if body['enabled'] else 'off'}"
          + (f" ({switched})" if (switched := _switched_by(body["switched"])) else ""))  # fmt: skip
    if body["problem"]:
        print(body["problem"])
    if body["held"]:
        print(f"held: {body['held']}")
    if body["refused"]:
        from mytrading.cli.stack.commands import refusal_line

        print(f"refused {refusal_line(body['refused'])}: {body['refused']['message']}")
    tables: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("accounts", ("account", "positions", "units", "orders", "realised", "unrealised")),
        ("positions", ("account", "instrument", "product", "quantity", "average_price", "ltp", "unrealised", "realised",
                       "stop", "stop_state")),
        ("orders", ("created_ns", "account", "client_order_id", "purpose", "side", "quantity", "instrument", "state",
                    "filled", "average_price", "message")),
        ("trades", ("closed_ns", "account", "instrument", "side", "quantity", "entry_price", "exit_price", "realised")),
    )  # fmt: skip
    for title, columns in tables:
        print(f"\n{title}")
        print_rows(body[title], columns, False, "none")
    print(f"\nrealised ₹{body['realised']:,.2f}, unrealised ₹{body['unrealised']:,.2f}")


@app.command()
def enable(
    name: OwnerName, reason: Reason = "", request: RequestId = "", as_json: AsJson = False, profile: Profile = ""
) -> None:
    """Allow a strategy's entries again."""
    _switch(name, True, reason, request, as_json, profile)


@app.command()
def disable(
    name: OwnerName, reason: Reason = "", request: RequestId = "", as_json: AsJson = False, profile: Profile = ""
) -> None:
    """Stop a strategy's entries within a second. Its stops and exits go on; `flatten --strategy` closes."""
    _switch(name, False, reason, request, as_json, profile)


def _switch(name: str, enabled: bool, reason: str, request: str, as_json: bool, profile: str) -> None:
    command = SwitchCommand(request_id=request, strategy=name, enabled=enabled, reason=reason)
    with find_stack(profile) as found:
        home = Path(found.config.home)
        if enabled and (moved := _removed(home, name)) and not _known_files(home, name)[0]:
            places = ", ".join(str(file.relative_to(home)) for file in moved)
            fail(ERROR, f"{name} was removed: move {places} back to the folder above, then enable it")
        switch = found.ask(command).switch
    text = f"entries of {switch.strategy} are {'allowed' if enabled else 'off; stops and exits go on'}"
    print_result(msgspec.to_builtins(switch), as_json, text)


@app.command()
def save(
    name: OwnerName,
    version: Annotated[str, typer.Option("--version", help="Take this version of the file instead.")] = "",
    expected: Annotated[
        str, typer.Option("--expected", help="Digest of the file that was seen; refused if it changed since.")
    ] = "",
    only_check: Annotated[bool, typer.Option("--check", help="Show what would change, and write nothing.")] = False,
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Change a strategy's parameters by JSON on standard input; null takes one out. The rest of its file stays.

    A file with which the strategy would not start is not written. It counts from the next start on.
    """
    from mytrading.cli.shell.target import read_json_input
    from mytrading.cli.stack.strategy_parameters import save_parameters

    home = project_folder()
    values = {} if version else read_json_input("parameters")
    body = save_parameters(home, name, values, version, expected, profile, only_check=only_check)
    problems = [row["text"] for row in body["problems"]]
    said = "written; it counts from the next start on" if body["saved"] else "not written"
    print_result(body, as_json, *body["diff"], *body["notes"], *problems, f"{body['file']}: {said}")
    if problems and not only_check:
        raise typer.Exit(CONFIGURATION)


@app.command()
def remove(
    name: OwnerName,
    force: bool = typer.Option(False, "--force", help="Remove it even if it may hold positions."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Switch a strategy off and move its files to `removed/`. Refused while it holds positions; its history stays."""
    name, home, open_ = _let_go(name, force, profile)
    moved = [_move(home, file) for file in _files_of(home, name)]
    after = "take it out of ENABLED_STRATEGIES before the next start, if it is named there"
    lines = [*(f"moved to {place}" for place in moved), f"{name} enters nothing more; {after}"]
    if open_:
        cure = f"`mytrading flatten --strategy {name}`"
        lines.append(f"it still holds {'; '.join(open_)}: the stops stay, close it with {cure}")
    print_result({"name": name, "moved": moved, "open": open_}, as_json, *lines)


def _let_go(name: str, force: bool, profile: str) -> tuple[str, Path, list[str]]:
    """Switch a strategy off if that may be; its own name, the project folder, and what it still holds."""
    try:
        with find_stack(profile) as found:
            if found.is_running():
                known = _known(found)  # case, `_`, `-` and blanks of the typed name do not matter
                like = [one for one in known if name_key(one) == name_key(name)]
                own = like[0] if name not in known and len(like) == 1 else name
                return own, Path(found.config.home), _switch_off(found, own, force)
    except failures.Failure as failure:
        if failure.code != failures.NOT_RUNNING:
            raise
    if not force:
        fail(ERROR, f"no stack runs, so what {name} holds is not known; start it with `mytrading up`, or --force")
    return name, project_folder(), []


def _switch_off(found: TradingOrchestrator, name: str, force: bool) -> list[str]:
    """Entries off, unless something is open. What was entered meanwhile keeps the files where they are as well."""
    open_, cure = _open(found, name), f"`mytrading flatten --strategy {name}` closes it"
    if open_ and not force:
        fail(ERROR, f"{name} holds {'; '.join(open_)}. {cure}, --force removes anyway")
    _files_of(Path(found.config.home), name)
    if not any(run.name == name for run in found.config.strategies):
        return open_
    from mytrading.runtime.streams.ops_client import new_request_id

    found.ask(SwitchCommand(request_id=new_request_id(), strategy=name, enabled=False, reason="removed"))
    time.sleep(_SETTLES_S)
    late = _open(found, name)
    if late and not force:
        fail(ERROR, f"{name} has just entered {'; '.join(late)}; its entries are off now. {cure}, then remove it")
    return late


def _open(found: TradingOrchestrator, name: str) -> list[str]:
    """Return a strategy's positions and the orders that may still fill, as text."""
    if name not in _known(found):
        return []
    body = found.ask(StrategyQuery(strategy=name, limit=0))
    held = [
        f"{row['quantity'] or row['quantity_seen']:+d} {row['instrument']} in {row['account']}"
        for row in body["positions"]
        if row["quantity"] or row.get("quantity_seen", 0)
    ]
    return held + [
        f"order {row['client_order_id']} ({row['state']}) for {row['instrument']} in {row['account']}"
        for row in body["live"]
    ]


def _known(found: TradingOrchestrator) -> set[str]:
    traded = (row["strategy"] for row in found.ask(PositionsQuery(all=True)))
    return {*(row["name"] for row in found.ask(StrategiesQuery())), *traded}


def _files_of(home: Path, name: str) -> list[Path]:
    """Its TOML file, and the file of its class unless other strategies are in it as well."""
    found, shared, names = _known_files(home, name)
    if shared:
        fail(ERROR, f"{', '.join(sorted(shared))} holds other strategies too; take {name} out of it by hand")
    if not found:
        if moved := ", ".join(str(file.relative_to(home)) for file in _removed(home, name)):
            fail(ERROR, f"{name} was removed already: {moved}")
        fail(ERROR, f"no file of a strategy {name!r}{hint(name, names)}")
    return found


def _known_files(home: Path, name: str) -> tuple[list[Path], set[str], set[str]]:
    """The files of a strategy; those of them that hold others too; the names of all strategies there are."""
    from mytrading.cli.shell.target import settings_names
    from mytrading.config.strategy_files import discover_strategies

    named = settings_names(home / "config" / "strategies")
    known = discover_strategies(home / "strategies")
    mine = {item.file for item in known if name_key(item.name) == name_key(name)}
    shared = {item.file for item in known if item.file in mine and name_key(item.name) != name_key(name)}
    found = [file for file, own in named.items() if name_key(own) == name_key(name)]
    return found + [home / file for file in sorted(mine)], shared, {*named.values(), *(item.name for item in known)}


def _removed(home: Path, name: str) -> list[Path]:
    """Files of a strategy that was removed: of its settings, and of its class as far as they are called alike."""
    from mytrading.cli.shell.target import settings_names

    settings = settings_names(home / "config" / "strategies" / "removed")
    found = [file for file, own in settings.items() if name_key(own) == name_key(name)]
    stems = {name_key(file.stem) for file in found} | {name_key(name)}
    classes = sorted((home / "strategies" / "removed").glob("*.py"))
    return found + [file for file in classes if name_key(file.stem) in stems]


def _move(home: Path, file: Path) -> str:
    """Move a file to `removed/` beside it, under a name that is free there."""
    folder = file.parent / "removed"
    folder.mkdir(exist_ok=True)
    target, number = folder / file.name, 1
    while target.exists():
        number += 1
        target = folder / f"{file.stem}-{number}{file.suffix}"
    file.rename(target)
    return str(target.relative_to(home))
