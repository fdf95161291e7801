"""`mytrading strategies`: those that run, each with its own books, and the switch of their entries.

The one rule: a switch or a removal touches entries alone; stops and exits of what is held go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.complete import owner_names
from mytrading.cli.output import (
    ERROR,
    JSON_OPTION,
    NOT_RUNNING,
    PROFILE_OPTION,
    Failure,
    fail,
    failures,
    print_json,
    print_rows,
    stack,
)

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

app = typer.Typer(
    invoke_without_command=True,
    help="Strategies that run; `show`, `chart`, `enable`, `disable` and `remove` are about one of them.",
    rich_markup_mode=None,
)
_NAME = typer.Argument(..., help="The strategy.", autocompletion=owner_names)
_REASON = typer.Option("", "--reason", help="Why, for the journal.")
_COLUMNS = ("name", "kind", "state", "enabled", "switched", "watches", "positions", "realised", "unrealised",
            "problem")  # fmt: skip


@app.callback()
def listed(context: typer.Context, as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION) -> None:
    """The strategies that run, with their state and result."""
    if context.invoked_subcommand is None:
        _list(as_json, profile)


@app.command("list")
def list_(as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION) -> None:
    """The strategies that run, with their state and result."""
    _list(as_json, profile)


def _list(as_json: bool, profile: str) -> None:
    with stack(profile) as found:
        rows: list[dict[str, Any]] = found.ask("strategies")
    if not as_json:
        rows = [{**row, "switched": _who_why(row["switched"])} for row in rows]
    print_rows(rows, _COLUMNS, as_json, "no strategies")


def _who_why(switched: dict[str, Any] | None) -> str:
    """Who switched it, why and when, as far as that is known."""
    from mytrading.cli.running import who_when_why

    return who_when_why(switched, "reason", "at_ns")[2:-1] if switched else ""


@app.command()
def show(
    name: str = _NAME,
    limit: int = typer.Option(20, "--limit", "-n", min=0, help="At most this many rows of each, the newest; 0 is all."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Its orders, positions, round trips and result over all accounts, also of one that was removed."""
    with stack(profile) as found:
        body: dict[str, Any] = found.ask("strategy", strategy=name, limit=str(limit))
    if as_json:
        print_json(body)
        return
    print(f"{body['name']}  {body['kind']}  {body['state']}  entries {'on' if body['enabled'] else 'off'}"
          + (f" ({said})" if (said := _who_why(body["switched"])) else ""))  # fmt: skip
    if body["problem"]:
        print(body["problem"])
    _tables(body)
    print(f"\nrealised ₹{body['realised']:,.2f}, unrealised ₹{body['unrealised']:,.2f}")


def _tables(body: dict[str, Any]) -> None:
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


@app.command()
def enable(
    name: str = _NAME, reason: str = _REASON, as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION
) -> None:
    """Let it enter again."""
    _switch(name, True, reason, as_json, profile)


@app.command()
def disable(
    name: str = _NAME, reason: str = _REASON, as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION
) -> None:
    """Let it enter nothing more, within a second. Its stops and exits go on; `flatten --strategy` closes."""
    _switch(name, False, reason, as_json, profile)


def _switch(name: str, enabled: bool, reason: str, as_json: bool, profile: str) -> None:
    with stack(profile) as found:
        body = found.ask("switch", strategy=name, enabled=str(enabled).lower(), reason=reason)
    if as_json:
        print_json(body)
    else:
        print(f"entries of {name} are {'allowed' if enabled else 'off; stops and exits go on'}")


@app.command()
def remove(
    name: str = _NAME,
    force: bool = typer.Option(False, "--force", help="Also while it holds something, or no stack can say."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Switch it off and move its files to `removed/` beside them. Refused while it holds anything; history stays."""
    home, open_ = _let_go(name, force, profile)
    moved = [_move(home, file) for file in _files_of(home, name)]
    if as_json:
        print_json({"name": name, "moved": moved, "open": open_})
        return
    for place in moved:
        print(f"moved to {place}")
    print(f"{name} enters nothing more; take it out of ENABLED_STRATEGIES before the next start, if it is named there")
    if open_:
        print(f"it still holds {'; '.join(open_)}: the stops stay, close it with `mytrading flatten --strategy {name}`")


def _let_go(name: str, force: bool, profile: str) -> tuple[Path, list[str]]:
    """Switch a strategy off if that may be; the project folder, and what it still holds."""
    try:
        with stack(profile) as found:
            if found.is_running():
                return Path(found.config.home), _switch_off(found, name, force)
    except Failure as failure:
        if failure.code != NOT_RUNNING:
            raise
    if not force:
        fail(ERROR, f"no stack runs, so what {name} holds is not known; start it with `mytrading up`, or --force")
    with failures():
        from mytrading.runtime.places import project_home

        return project_home(), []


def _switch_off(found: TradingOrchestrator, name: str, force: bool) -> list[str]:
    open_ = _open_of(found.ask("strategy", strategy=name, limit="0")) if name in _known(found) else []
    if open_ and not force:
        held = "; ".join(open_)
        fail(ERROR, f"{name} holds {held}. `mytrading flatten --strategy {name}` closes it, --force removes anyway")
    _files_of(Path(found.config.home), name)
    if any(run.name == name for run in found.config.strategies):
        found.ask("switch", strategy=name, enabled="false", reason="removed")
    return open_


def _known(found: TradingOrchestrator) -> set[str]:
    """Names that run or have traded."""
    rows = [*found.ask("strategies"), *({"name": row["strategy"]} for row in found.ask("positions", all="true"))]
    return {row["name"] for row in rows}


def _open_of(body: dict[str, Any]) -> list[str]:
    """What a strategy holds and what may still fill, in words."""
    held = [
        f"{row['quantity'] or row['quantity_seen']:+d} {row['instrument']} in {row['account']}"
        for row in body["positions"]
        if row["quantity"] or row.get("quantity_seen", 0)
    ]
    return held + [
        f"order {row['client_order_id']} ({row['state']}) for {row['instrument']} in {row['account']}"
        for row in body["live"]
    ]


def _files_of(home: Path, name: str) -> list[Path]:
    """Its TOML file, and the file of its class unless other strategies are in it as well."""
    import tomllib

    from mytrading.config.discover import discover
    from mytrading.config.problems import hint, plain

    found = []
    names = set()
    for path in sorted((home / "config" / "strategies").glob("*.toml")):
        with failures():
            own = str(tomllib.loads(path.read_text(encoding="utf-8")).get("name", path.stem))
        names.add(own)
        if plain(own) == plain(name):
            found.append(path)
    known = discover(home / "strategies")
    mine = {item.file for item in known if plain(item.name) == plain(name)}
    shared = {item.file for item in known if item.file in mine and plain(item.name) != plain(name)}
    if shared:
        fail(ERROR, f"{', '.join(sorted(shared))} holds other strategies too; take {name} out of it by hand")
    found += [home / file for file in sorted(mine)]
    if not found:
        fail(ERROR, f"no file of a strategy {name!r}{hint(name, [*names, *(item.name for item in known)])}")
    return found


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
