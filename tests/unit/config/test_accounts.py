"""The file of accounts: read and written whole, one primary always, and what a stack is built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.config.accounts import (
    BROKERS,
    AccountConfig,
    accounts_lock,
    canonical_broker_name,
    load_accounts,
    render_accounts,
    with_primary,
    without_account,
    write_accounts,
    ws_url_of,
)
from mytrading.config.cross_checks import start_problems
from mytrading.config.key_vault import Vault, find_key, make_key
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.messages.enums import Product
from mytrading.messages.run_config import AccountRole
from tests.kit.project import copy_project

SECRETS = {"main": "key-of-main", "spare": "key-of-spare", "third": "key-of-third"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MYTRADING_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("MYTRADING_KEY", raising=False)
    copy_project(tmp_path)
    return tmp_path


def an_account(name: str, role: AccountRole, key: str = "token", **fields: object) -> AccountConfig:
    given = {"host": f"http://{name}.example:5000", "ws_url": f"ws://{name}.example:8765", "broker": "zerodha"}
    return AccountConfig.model_validate({"id": name, "role": role, "key": key, **given, **fields})


def kept(home: Path) -> tuple[AccountConfig, ...]:
    """Three accounts in the file, their keys encrypted."""
    environ = {"MYTRADING_KEY_FILE": str(home / "key")}
    vault = Vault(find_key(environ) or make_key(environ, "file"))
    roles = (AccountRole.BACKUP, AccountRole.PRIMARY, AccountRole.TRADING)
    names = zip(("spare", "main", "third"), roles, strict=True)
    accounts = tuple(an_account(name, role, vault.seal(SECRETS[name])) for name, role in names)
    write_accounts(home, accounts)
    return accounts


def roles(accounts: tuple[AccountConfig, ...]) -> dict[str, str]:
    return {account.id: account.role.value for account in accounts}


def test_file_reads_back_what_was_written_and_only_its_owner_can(home: Path) -> None:
    accounts = kept(home)
    path = home / "config" / "accounts.toml"
    assert load_accounts(home) == accounts
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text == render_accounts(accounts)
    assert not any(secret in text for secret in SECRETS.values())


@pytest.mark.parametrize("primaries", [0, 2])
def test_file_without_exactly_one_primary_is_refused_when_read_and_when_written(home: Path, primaries: int) -> None:
    chosen = [AccountRole.PRIMARY] * primaries + [AccountRole.BACKUP] * (2 - primaries)
    accounts = tuple(an_account(name, role) for name, role in zip(("a", "b"), chosen, strict=True))
    with pytest.raises(ConfigurationError, match="exactly one account"):
        write_accounts(home, accounts)
    (home / "config" / "accounts.toml").write_text(render_accounts(accounts))
    with pytest.raises(ConfigurationError, match="exactly one account"):
        load_accounts(home)


def test_another_primary_makes_the_one_before_a_backup(home: Path) -> None:
    assert roles(with_primary(kept(home), "third")) == {"spare": "backup", "main": "backup", "third": "primary"}


def test_primary_that_is_removed_is_followed_by_a_backup(home: Path) -> None:
    left = without_account(kept(home), "main")
    assert roles(left) == {"spare": "primary", "third": "trading"}
    assert roles(without_account(left, "spare")) == {"third": "primary"}
    assert without_account(without_account(left, "spare"), "third") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[accounts.a]\nhost = "ftp://x"\nws_url = "ws://x"\nkey = "t"\nrole = "primary"\n', "accounts.a.host"),
        ('[accounts.a]\nhost = "http://x"\nws_url = "ws://x"\nkeyy = "t"\nrole = "primary"\n', "did you mean key"),
        ('[account.a]\nhost = "http://x"\n', "no such key 'account'"),
        ("[accounts\n", "expected TOML"),
    ],
)
def test_mistake_in_the_file_is_named(home: Path, text: str, said: str) -> None:
    (home / "config" / "accounts.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"config/accounts\.toml") as caught:
        load_settings(home, "default", {})
    assert said in str(caught.value)


def test_run_trades_the_primary_account_and_names_all(home: Path) -> None:
    kept(home)
    config = build_run_config(load_settings(home, "default", {}), home, home / "state", home / "run")
    assert (config.venue.account, config.venue.rest_url) == ("main", "http://main.example:5000")
    assert config.venue.api_key == SECRETS["main"]
    assert [(account.id, account.api_key) for account in config.accounts] == [
        (name, SECRETS[name]) for name in ("main", "spare", "third")
    ]


def test_variable_with_a_key_names_the_one_account_and_says_so(home: Path) -> None:
    kept(home)
    settings = load_settings(home, "default", {"OPENALGO_API_KEY": "from-env", "OPENALGO_ACCOUNT": "own"})
    config = build_run_config(settings, home, home / "state", home / "run")
    assert (config.venue.account, config.venue.api_key) == ("own", "from-env")
    assert [account.id for account in config.accounts] == ["own"]
    assert any("OPENALGO_API_KEY" in note and "accounts.toml not at all" in note for note in settings.warnings)


def test_variable_of_a_server_beside_the_file_is_said_to_do_nothing(home: Path) -> None:
    kept(home)
    (warning,) = load_settings(home, "default", {"OPENALGO_API_HOST": "http://elsewhere:1"}).warnings
    assert "OPENALGO_API_HOST" in warning
    assert "no effect" in warning


def test_lost_key_stops_the_start_with_what_to_do(home: Path) -> None:
    kept(home)
    (home / "key").unlink()
    (problem,) = start_problems(load_settings(home, "default", {}))
    assert "MYTRADING_KEY" in problem
    assert str(home / "key") in problem


def test_simulated_profile_reads_no_accounts(home: Path) -> None:
    kept(home)
    (home / "key").unlink()
    config = build_run_config(load_settings(home, "paper", {}), home, home / "state", home / "run")
    assert (config.venue.account, config.accounts) == ("paper", ())


def test_settings_are_shown_without_keys(home: Path) -> None:
    accounts = kept(home)
    rows = {name: value for name, value, _ in load_settings(home, "default", {}).effective_rows()}
    assert (rows["accounts.main.role"], rows["accounts.main.key"]) == ("primary", "***")
    assert not any(account.key in str(rows) for account in accounts)


def test_product_of_the_account_holds_where_a_strategy_names_none(home: Path) -> None:
    write_accounts(home, tuple(one.model_copy(update={"product": Product.NRML}) for one in kept(home)))
    file = home / "config" / "strategies" / "sma_crossover.toml"
    text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("product"))
    file.write_text(text + "\n")
    (run,) = build_run_config(load_settings(home, "default", {}), home, home / "s", home / "r").strategies
    assert run.product is Product.NRML
    own = {"STRATEGY_SMA_CROSSOVER_PRODUCT": "MIS"}
    (run,) = build_run_config(load_settings(home, "default", own), home, home / "s", home / "r").strategies
    assert run.product is Product.MIS


def test_every_seed_broker_can_be_named_however_it_is_spelt() -> None:
    spelt = (
        "5paisa, 5paisa XTS, Aliceblue, AngelOne, Compositedge XTS, Definedge, Dhan, Firstock, Flattrade, Fyers, Groww,"
        " IIFL XTS, IndiaBulls, IndMoney, Kotak, Motilal Oswal, Paytm, Pocketful, Shoonya, Samco, Tradejini, Upstox,"
        " Wisdom Capital XTS, Zebu, Zerodha"
    )
    named = {canonical_broker_name(word.strip()) for word in spelt.split(",")}
    assert len(named) == 25 and named < set(BROKERS)
    assert {"fivepaisa", "fivepaisaxts", "ibulls"} <= named and not {"5paisa", "5paisaxts", "indiabulls"} & set(BROKERS)
    with pytest.raises(ValueError, match="did you mean zerodha"):
        canonical_broker_name("zerodah")


@pytest.mark.parametrize(
    "name",
    [
        "fivepaisa", "fivepaisaxts", "ibulls", "arrow", "dhan_sandbox", "deltaexchange", "hdfcsecurities", "hdfcsky",
        "iiflcapital", "jainamxts", "mstock", "nubra", "rmoney", "tradesmart",
    ],
)  # fmt: skip
def test_openalgos_own_name_of_a_broker_is_taken(name: str) -> None:
    """These were refused when given by hand, although a server's ping reports them so."""
    assert canonical_broker_name(name) == name and len(BROKERS) == 36


@pytest.mark.parametrize(
    ("host", "stream"),
    [("http://127.0.0.1:5000", "ws://127.0.0.1:8765"), ("https://algo.example.in", "wss://algo.example.in:8765")],
)
def test_stream_is_expected_beside_the_server(host: str, stream: str) -> None:
    assert ws_url_of(host) == stream


def test_accounts_that_somebody_else_changes_for_too_long_are_said_to_be_held(home: Path) -> None:
    with (
        accounts_lock(home),
        pytest.raises(ConfigurationError, match="another `mytrading account` command"),
        accounts_lock(home, 0.1),
    ):
        pass
    with accounts_lock(home, 0.0):
        pass
