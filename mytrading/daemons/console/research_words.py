"""From what a page asks to the command of the shell that does it: a run over history.

What a page gives becomes values of options, after a check of its own: no name of a strategy is a path, no data lies
outside the project's folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.messages import console_api as api

SEARCHES = ("optimize", "walk-forward")
SERVED = {"data": ("openalgo", "store"), "options": ("model", "store")}
"""Sources that are no file, by field."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_.]*=[A-Za-z0-9_.,:%+ -]+")


def check_strategy_name(name: str) -> str:
    """Return a text that may be the name of a strategy; raises `ApiRefused` for any other."""
    if not _NAME.fullmatch(name):
        raise ApiRefused("BAD_REQUEST", f"strategy: expected the name of one, found {name!r}", "strategy")
    return name


def research_words(asked: api.ResearchRequest, home: Path, report: str, profile: str) -> tuple[str, ...]:
    """Return the words of the command that a request stands for; raises `ApiRefused` with the field that is wrong."""
    check_strategy_name(asked.strategy)
    written = ("--report", str(home / "runs" / report), "--profile", profile, "--", asked.strategy)
    if asked.kind == "parity":
        return ("parity", *((f"--date={asked.first}",) if asked.first else ()), *written)
    for text in asked.parameters:
        if not _PARAMETER.fullmatch(text):
            raise ApiRefused("BAD_REQUEST", f"parameters: expected NAME=VALUE, found {text!r}", "parameters")
    if asked.kind in SEARCHES and not asked.parameters:
        raise ApiRefused("BAD_REQUEST", "parameters: expected values to try, say fast_period=5:30:5", "parameters")
    options: list[tuple[str, object]] = [("--data", _data(home, text, "data")) for text in asked.data]
    options += [("--options", _data(home, text, "options")) for text in asked.options]
    options += [("--param", text) for text in asked.parameters]
    options += [
        ("--from", asked.first), ("--to", asked.last), ("--instrument", asked.instrument),
        ("--timeframe", asked.timeframe), ("--iv", asked.volatility), ("--capital", asked.capital),
        ("--lots", asked.lots),
    ]  # fmt: skip
    if asked.kind in SEARCHES:
        options += [
            ("--objective", asked.objective), ("--method", asked.method), ("--trials", asked.trials),
            ("--workers", asked.workers),
        ]  # fmt: skip
    if asked.kind == "walk-forward":
        options += [("--train", asked.train_days), ("--test", asked.test_days)]
    given = [f"{name}={value}" for name, value in options if value]
    return (asked.kind, *given, *written)


def _data(home: Path, text: str, field: str) -> str:
    """A source of data: one that is served, or a file of the project, which may stand behind `INSTRUMENT=`."""
    instrument, equals, file = text.rpartition("=")
    path = (home / file).resolve()
    if text in SERVED[field]:
        return text
    if not path.is_relative_to(home.resolve()) or not path.exists() or instrument.startswith("-"):
        what = f"{field}: expected {', '.join(SERVED[field])}, or a file in the project's folder; found {text!r}"
        raise ApiRefused("BAD_REQUEST", what, field)
    return f"{instrument}{equals}{path}"
