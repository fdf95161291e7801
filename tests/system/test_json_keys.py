"""Keys of `--json`, verbs, options and denial codes of 9f71261: each is there still.

A key that has a better name now stays beside it for a release. `tests/golden/json_commands.py` runs the commands.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer.main

from mytrading.cli.app import app
from tests.golden.json_commands import FILE, RARE, Keys, collect, missing_keys, paths, read, research
from tests.kit.in_process_command import asked
from tests.kit.project import ROOT
from tests.kit.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

CLI = json.loads(FILE.with_name("cli.json").read_text(encoding="utf-8"))
ELSEWHERE = {"up --for": "test_cli.py", "chaos": "test_chaos.py", "chaos --summary": "test_chaos.py",
             "day close": "test_state_upgrade.py", "instruments diff": "test_state_upgrade.py"}  # fmt: skip
"""Commands that another test runs anyway, and holds against the same file."""
MUST = {
    "up --for": {"daemons.*.restarts", "daemons.*.rss_mb", "orders.filled", "orders.unknown", "quotes", "bars",
                 "signals", "pnl"},
    "orders": {"[].instrument", "[].purpose", "[].state"},
    "chaos": {"must_be_zero", "kills", "unknowns"},
    "backtest trades.csv": {"entry_time", "exit_time", "side", "quantity", "gross", "costs"},
}  # fmt: skip


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Keys by command, as this tree prints them."""
    folder = tmp_path_factory.mktemp("keys")
    return collect(folder / "stack") | research(folder / "research") | bench(folder)


def bench(folder: Path) -> Keys:
    """The keys of one figure."""
    done = Stack(folder).run("bench", "hop", "--json")
    assert done.returncode == 0, done.stderr
    return {"bench": set(paths(json.loads(done.stdout.splitlines()[-1])))}


@pytest.mark.parametrize("command", [name for name in read(FILE) if name not in ELSEWHERE])
def test_command_prints_every_key_it_printed(printed: Keys, command: str) -> None:
    assert missing_keys(command, printed[command]) == []


def test_key_that_is_gone_is_found() -> None:
    body = [{"instrument": "NSE:SBIN", "purpose": "entry", "slices": [{"slice": 1}]}]
    assert set(paths(body)) == {"[].instrument", "[].purpose", "[].slices", "[].slices[].slice"}
    assert "[].state" in missing_keys("orders", set(paths(body)))
    assert list(paths({"daemons": {"risk": {"restarts": 0}}})) == ["daemons", "daemons.*", "daemons.*.restarts"]


@pytest.mark.parametrize("command", MUST)
def test_keys_that_programs_read_are_in_the_golden_file(command: str) -> None:
    assert MUST[command] <= set(read(FILE)[command])


def test_key_that_is_printed_now_and_then_is_a_word_of_the_program_still() -> None:
    """A key that no run can be made to print is at least named where it is written."""
    folders = [ROOT / "mytrading", ROOT / "lab"]
    source = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    words = set(re.findall(r"\w+", source))
    names = {path.rpartition(".")[2].replace("[]", "") for found in read(RARE).values() for path in found}
    assert names - words - {"*", ""} == set()


@pytest.mark.parametrize("verb", CLI["verbs"])
def test_verb_has_every_option_it_had(verb: str) -> None:
    if verb.startswith("simulator"):
        shown = asked({"MYTRADING_HOME": str(ROOT)}, *verb.split(), "--help").stdout
        has = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown))
    else:
        found = typer.main.get_command(app)
        for word in verb.split():
            found = found.commands[word]  # type: ignore[attr-defined]
        has = {name for option in found.params for name in (*option.opts, *option.secondary_opts)}
    assert set(CLI["verbs"][verb]) - has == set()


@pytest.mark.parametrize("code", CLI["denials"])
def test_denial_code_is_explained_and_known_to_the_program(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "denials.md").read_text(encoding="utf-8")
    assert any(f'"{code}"' in path.read_text(encoding="utf-8") for path in (ROOT / "mytrading").rglob("*.py"))


def test_bench_measures_what_releases_are_compared_by_and_exits_with_2_for_another(tmp_path: Path) -> None:
    done = asked(Stack(tmp_path).environment, "bench", "nosuch")
    assert done.returncode == 2
    assert [name for name in CLI["bench"] if not re.search(rf"\b{name}\b", done.stderr)] == []


@pytest.mark.parametrize(
    ("arguments", "code"), [(("--personality", "x"), 2), (("--stop", "x"), 2), (("--summary", "nowhere"), 1)]
)
def test_chaos_that_cannot_be_exits_with_the_code_it_had(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    assert asked(Stack(tmp_path).environment, "chaos", *arguments, "--json").returncode == code
