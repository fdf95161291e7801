"""Files that people edit and break: each is refused with its name and what is wrong, never with a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mytrading.backtest.data.load import RequestError
from mytrading.backtest.setup.prepare import RunRequest, prepare, strategy_file
from mytrading.cli.main import run
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.messages.run_config import TradeKind
from tests.kit.project import ROOT


def problems(home: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(home, "paper", {})
    return caught.value.problems


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("calendar.toml", "[exchanges.NSE]", "[exchanges.NSE", "config/calendar.toml: expected TOML"),
        ("calendar.toml", "close = 15:40:00", "close = 08:40:00", "open before close"),
        ("calendar.toml", "[holidays.MCX]", "[holydays.MCX]", "holydays"),
        ("calendar.toml", "[exchanges.BFO]", "[exchanges.BFOO]", "expected a table [exchanges.BFO]"),
        ("instruments.toml", "[margin]", "[margin", "config/instruments.toml: expected TOML"),
        (
            "instruments.toml",
            "\nlot = [",
            "\nlots = [",
            "config/instruments.toml: underlyings.NIFTY.lots: no such key; did you mean lot? allowed: exchange,",
        ),
        (
            "instruments.toml",
            "option_sold = ",
            "option_solt = ",
            "config/instruments.toml: margin.option_solt: no such key; did you mean option_sold? "
            "allowed: equity_intraday, equity_delivery, future, option_sold",
        ),
        (
            "instruments.toml",
            "[square_off]",
            "[sqare_off]",
            "config/instruments.toml: sqare_off: no such key; did you mean square_off? "
            "allowed: underlyings, square_off, margin",
        ),
        (
            "instruments.toml",
            "freeze = [{ from = ",
            "freeze = [{ since = ",
            "config/instruments.toml: underlyings.NIFTY.freeze[1].since: no such key; allowed: from, value",
        ),
        (
            "risk.toml",
            "sold = { expiry",
            "sold = { expry",
            "config/risk.toml: margin[1].sold.expry: no such key; did you mean expiry? allowed: expiry, other",
        ),
        (
            "risk.toml",
            "max_lots_per_leg",
            "max_lot_per_leg",
            "config/risk.toml: max_lot_per_leg: no such key; did you mean max_lots_per_leg? allowed: margin,",
        ),
        (
            "symbols.toml",
            "[names]",
            "[nams]",
            "nams.NIFTY (config/symbols.toml:5): expected a short name below [names]",
        ),
        ("symbols.toml", '"NSE:SBIN"', "7", "names.SBIN (config/symbols.toml:11) = 7: expected an instrument as text"),
        ("instruments.toml", "\nfreeze = [", "\n# freeze = [", "has a lot; expected freeze too"),
        (
            "settings.toml",
            "[risk]",
            "[risk] # \udce9",
            "config/settings.toml:4: expected text in UTF-8, found byte 0xE9",
        ),
    ],
)
def test_edited_file_that_cannot_be_used_is_refused_with_its_name(
    home: Path, file: str, before: str, after: str, said: str
) -> None:
    path = home / "config" / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_bytes(text.replace(before, after, 1).encode("utf-8", "surrogateescape"))
    assert any(said in problem for problem in problems(home)), problems(home)


def test_shipped_files_are_in_order(home: Path) -> None:
    settings = load_settings(home, "paper", {})
    assert settings.origin("risk.max_order_size").startswith("risk.max_order_size (config/settings.toml:")


@pytest.mark.parametrize("file", ["calendar.toml", "instruments.toml", "risk.toml"])
def test_file_that_is_gone_is_refused(home: Path, file: str) -> None:
    (home / "config" / file).unlink()
    assert f"config/{file}: expected the file that comes with the program, found none; restore it" in problems(home)


def test_env_file_in_another_encoding_is_refused_with_its_line(home: Path) -> None:
    (home / ".env").write_bytes("SYSTEM_NAME=x\n# caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"\.env:2: expected text in UTF-8, found byte 0xE9"):
        load_settings(home, "default", {})


@pytest.mark.parametrize("hidden", ["\0", "\u200b", "\x1b"])
def test_env_value_with_an_invisible_character_is_refused_without_showing_it(home: Path, hidden: str) -> None:
    (home / ".env").write_text(f"SYSTEM_NAME=x\nOPENALGO_API_KEY=abc{hidden}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"\.env:2: expected text, found an invisible character") as caught:
        load_settings(home, "default", {})
    assert "abc" not in str(caught.value)


def test_every_unknown_key_of_a_file_is_reported_at_once(home: Path) -> None:
    path = home / "config" / "risk.toml"
    text = path.read_text(encoding="utf-8").replace("step = 0.02", "stp = 0.02\nleest = 0.1", 1)
    path.write_text(text, encoding="utf-8")
    reported = [problem for problem in problems(home) if "no such key" in problem]
    assert [problem.split(":")[1].strip() for problem in reported] == ["buffer.stp", "buffer.leest"]


def test_check_tells_a_fee_file_that_no_backtest_can_read(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "supervisord.conf").write_text("", encoding="utf-8")
    (home / "config" / "fees.toml").write_text("[segments", encoding="utf-8")
    monkeypatch.setenv("MYTRADING_HOME", str(home))
    with pytest.raises(SystemExit) as ended:
        run(["config", "check", "--profile", "paper"])
    assert ended.value.code == 0
    assert "note: config/fees.toml: expected TOML" in capsys.readouterr().out


def test_env_file_that_is_a_folder_is_refused(home: Path) -> None:
    (home / ".env").mkdir()
    with pytest.raises(ConfigurationError, match=r"\.env: cannot be read"):
        load_settings(home, "default", {})


def test_name_that_two_files_declare_stops_what_is_enabled_under_it(home: Path) -> None:
    text = (home / "strategies" / "sma_crossover.py").read_text(encoding="utf-8")
    (home / "strategies" / "another.py").write_text(text.replace('name = "SMA_Crossover"', ""), encoding="utf-8")
    said = "strategies/another.py and strategies/sma_crossover.py both declare a strategy SmaCrossover"
    with pytest.raises(ConfigurationError, match=said):
        load_settings(home, "default", {}, {"ENABLED_STRATEGIES": "SMA_Crossover"})
    warnings = load_settings(home, "default", {}, {"ENABLED_STRATEGIES": "RSI_MeanReversion"}).warnings
    assert any(said in text for text in warnings)
    with pytest.raises(RequestError, match=said):
        strategy_file(home, "sma_crossover")


def test_class_without_a_file_of_settings_is_tried_on_an_index(home: Path) -> None:
    (home / "config" / "strategies" / "sma_crossover.toml").unlink()
    data, day = str(ROOT / "tests" / "data" / "index-1m.csv.gz"), date(2024, 1, 29)
    spec = prepare(home, RunRequest("SMA_Crossover", (f"NIFTY={data}",), first=day, last=day)).spec
    assert (spec.run.symbols, spec.run.long and spec.run.long.kind) == (("NSE_INDEX:NIFTY",), TradeKind.SAME)
    with pytest.raises(ConfigurationError, match="is an index, which cannot be bought"):
        load_settings(home, "default", {}, {"ENABLED_STRATEGIES": "SMA_Crossover"})


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("a = " + "[" * 20_000 + "]" * 20_000), "of a few levels, found thousands"),
        (lambda path: path.write_text(".".join("a" * 6_000) + " = 1"), "of a few levels, found thousands"),
        (lambda path: path.write_text("a = " + "9" * 5_000), "config/settings.toml: expected TOML"),
        (lambda path: os.mkfifo(path), "expected a regular file, found a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "expected a regular file, found a pipe, a device"),
        (lambda path: path.write_text("# " + "x" * (5 << 20)), "expected at most 4,194,304 bytes"),
    ],
    ids=["arrays", "tables", "number", "pipe", "device", "large"],
)
def test_settings_file_that_no_person_wrote_is_named_and_never_read_for_ever(
    home: Path, make: Callable[[Path], object], said: str
) -> None:
    """Nesting gave a traceback; a pipe waited, and a device filled the memory."""
    path = home / "config" / "settings.toml"
    path.unlink(missing_ok=True)
    make(path)
    assert any(said in problem for problem in problems(home)), problems(home)
