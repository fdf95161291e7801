"""Routes of two files that a running stack follows: trading hours (`calendar`), margins, lots and grades (`risk`).

A text that the stack would refuse is not written; what was there before is kept as a version.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.risk.sizing.lots import unknown_sizings
from mytrading.daemons.console.accounts_api import ADMIN, CONFIRMED_ADMIN, ConsoleRequest
from mytrading.daemons.console.authentication import audit
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.messages import console_api as api
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host import file_versions


def _check_calendar(_: RunConfig, parsed: dict[str, Any]) -> None:
    Calendar.from_dict(parsed)


def _check_risk(config: RunConfig, parsed: dict[str, Any]) -> None:
    if missing := unknown_sizings(config.strategies, RiskTables.from_dict(parsed)):
        raise ValueError("; ".join(missing))


CHECKS: dict[str, Callable[[RunConfig, dict[str, Any]], None]] = {"calendar": _check_calendar, "risk": _check_risk}


def _path(state: State, name: str) -> Path:
    if name not in CHECKS:
        raise ApiRefused("NOT_FOUND", f"expected one of {', '.join(CHECKS)}; found {name[:40]!r}")
    return Path(state.config.calendar_path).with_name(f"{name}.toml")


@get("/api/config/{name:str}", opt=ADMIN, sync_to_thread=True)
def show_config_file(state: State, name: FromPath[str]) -> api.ConfigFile:
    """The text of one of them."""
    path = _path(state, name)
    text = path.read_text(encoding="utf-8")
    versions = file_versions.versions_of(path)
    return api.ConfigFile(name=name, text=text, digest=file_versions.digest_of_text(text), versions=versions)


@post("/api/config/{name:str}", opt=CONFIRMED_ADMIN | {"action": "config"}, sync_to_thread=True, status_code=200)
def check_or_save_config_file(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.ConfigDraft]
) -> api.ConfigDraftResult:
    """Return the changes that another text makes, and its mistakes; with `save` the file is written."""
    path = _path(state, name)
    before = path.read_text(encoding="utf-8")
    if data.expected != file_versions.digest_of_text(before):
        raise ApiRefused("MOVED", f"config/{path.name} was changed since it was shown; load it again")
    try:
        after = file_versions.version_text(path, data.version) if data.version else data.text
    except ValueError as error:
        raise ApiRefused("BAD_REQUEST", str(error), "version") from error
    problem = _problem(state.config, name, after)
    writes = data.save and not problem and after != before
    kept = file_versions.write_version(path, before, after) if writes else ""
    if data.save:
        result = "done" if not problem else "refused"
        audit(request, "config", path.name, result, problem or kept)
    return api.ConfigDraftResult(
        saved=writes, problem=problem, diff=file_versions.diff_of(before, after, f"config/{path.name}"),
        digest=file_versions.digest_of_text(after if writes else before), versions=file_versions.versions_of(path),
    )  # fmt: skip


def _problem(config: RunConfig, name: str, text: str) -> str:
    """Return the reason for which the stack would refuse this text; empty if it would not."""
    try:
        CHECKS[name](config, tomllib.loads(text))
    except Exception as error:  # noqa: BLE001 - what a file of a person may hold has no bounds
        return str(error) or type(error).__name__
    return ""


ROUTES = [show_config_file, check_or_save_config_file]
