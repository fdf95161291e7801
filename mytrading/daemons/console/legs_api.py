"""Routes of files of strategies, of legs and parameters of code: checked, compared, saved, with their versions.

The command line does the work (`mytrading legs save`, `strategies save`), so a file means the same here and there.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.actions_api import TRADER
from mytrading.daemons.console.authentication import audit, check_confirmed
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.messages import console_api as api
from mytrading.messages.text import plain
from mytrading.runtime.host import file_versions


@get("/api/legs", sync_to_thread=True)
def show_leg_files(state: State) -> list[api.LegFileRow]:
    """The files of legs of the project; one that cannot be read has no legs."""
    return _leg_files(state)


def _leg_files(state: State) -> list[api.LegFileRow]:
    found = []
    home = Path(state.config.home)
    for path in sorted((home / "config" / "strategies").glob("*.toml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "[[legs]]" not in text:
            continue
        values = _values(text)
        name, legs = str(values.get("name", path.stem)), values.get("legs", ())
        found.append(api.LegFileRow(name=plain(name), file=str(path.relative_to(home)), legs=len(legs)))
    return found


def _values(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError:
        return {}


def _plain_values(text: str) -> dict[str, Any]:
    """Keys of a text of TOML as JSON has them, times as text."""
    found: dict[str, Any] = json.loads(json.dumps(_values(text), default=str))
    return found


@get("/api/legs/{name:str}", opt=TRADER, sync_to_thread=True)
def show_leg_file(state: State, name: FromPath[str]) -> api.LegFile:
    """Return a file of legs: text, keys, versions, and the digest that a change of it names."""
    row = next((row for row in _leg_files(state) if row.name == name), None)
    if row is None:
        raise ApiRefused("NOT_FOUND", f"expected a file of legs, found {plain(name)[:64]!r}; load the list again")
    path = Path(state.config.home) / row.file
    text = path.read_text(encoding="utf-8", errors="replace")
    return api.LegFile(
        name=row.name, file=row.file, digest=file_versions.digest_of_text(text), text=text, values=_plain_values(text),
        versions=file_versions.versions_of(path),
    )  # fmt: skip


@post("/api/legs/{name:str}", opt=TRADER | {"action": "legs save"}, sync_to_thread=True, status_code=200)
def write_leg_file(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.LegDraft]
) -> api.LegDraftResult:
    """Return a changed file of legs: its mistakes by field, and the difference; with `save` it is written."""
    words = ["legs", "save", *_options(data), *(["--from", data.source] if data.source else [])]
    words += [] if data.expected else ["--new"]
    return msgspec.convert(_saved(request, state, data, words, name), api.LegDraftResult)


@get("/api/strategies/{name:str}/legs", sync_to_thread=True)
def show_running_legs(state: State, name: FromPath[str]) -> api.RunningLegs:
    """Return the keys of the file of a strategy of legs as it runs, and those that the file has otherwise now."""
    run = next((run for run in state.config.strategies if run.name == name and run.plan is not None), None)
    if run is None:
        raise ApiRefused("NOT_FOUND", f"expected a strategy of legs that runs, found {plain(name)[:64]!r}")
    path = Path(state.config.home) / run.file
    if not path.is_file():
        return api.RunningLegs(file="", running=run.written, values={}, changed=[])
    values = _plain_values(path.read_text(encoding="utf-8", errors="replace"))
    names = {**run.written, **values}
    changed = [key for key in names if run.written.get(key) != values.get(key)]
    return api.RunningLegs(file=run.file, running=run.written, values=values, changed=changed)


@get("/api/strategies/{name:str}/parameters", opt=TRADER, sync_to_thread=True)
def show_parameters(state: State, name: FromPath[str]) -> api.ParameterFile:
    """Return the parameters in the file of a strategy of code."""
    home = Path(state.config.home)
    for path in sorted((home / "config" / "strategies").glob("*.toml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        values = _values(text)
        if str(values.get("name", path.stem)) == name:
            given = json.loads(json.dumps(values.get("parameters", {}), default=str))
            digest, own = file_versions.digest_of_text(text), str(path.relative_to(home))
            return api.ParameterFile(file=own, digest=digest, values=given, versions=file_versions.versions_of(path))
    return api.ParameterFile(file="", digest="", values={}, versions=[])


@post(
    "/api/strategies/{name:str}/parameters",
    opt=TRADER | {"action": "strategies save"},
    sync_to_thread=True,
    status_code=200,
)
def write_parameters(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.ParameterDraft]
) -> api.ParameterDraftResult:
    """Return that file changed: its mistakes by field, and the difference; with `save` it is written."""
    words = ["strategies", "save", *_options(data)]
    made = _saved(request, state, data, words, name)
    return msgspec.convert(made, api.ParameterDraftResult)


def _options(data: api.LegDraft | api.ParameterDraft) -> list[str]:
    words = [] if data.save else ["--check"]
    words += ["--version", data.version] if data.version else []
    return words + (["--expected", data.expected] if data.expected else [])


def _saved(
    request: ConsoleRequest, state: State, data: api.LegDraft | api.ParameterDraft, words: list[str], name: str
) -> Any:
    """Return the command line's answer; a save, done or refused, is in the audit under the command's name. It needs the
    password again: these files hold limits and accounts."""
    row = None
    if data.save:
        check_confirmed(request.user)
        action = " ".join(words[:2])
        row = audit(request, action, name[:64], "asked", data.version)
    try:
        made = ask_shell(state.config, *words, "--", name[:64], given=json.dumps(data.values))
    except ApiRefused as error:
        if row is not None:
            state.store.complete_audit_row(row, "refused", error.error)
        raise
    if row is not None:
        state.store.complete_audit_row(row, "done", made["kept_version"])
    return made


ROUTES = [show_leg_files, show_leg_file, write_leg_file, show_running_legs, show_parameters, write_parameters]
