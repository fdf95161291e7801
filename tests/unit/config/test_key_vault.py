"""The key to the accounts' API keys: where it is found, what opens with it, and how it is changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mytrading.config.key_vault import Vault, find_key, key_environment, make_key, open_vault, rotated_keys, store_keys
from mytrading.config.problems import ConfigurationError

SECRET = "an-api-key-of-a-broker"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A key file of this test alone, and no keyring."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in [name for name in sys.modules if name.split(".")[0] == "keyring"]:
        monkeypatch.delitem(sys.modules, name)
    return {"MYTRADING_KEY_FILE": str(tmp_path / "folder" / "key")}


def test_secret_opens_with_its_key_and_the_token_does_not_show_it(environ: dict[str, str]) -> None:
    vault = Vault(make_key(environ, "file"))
    token = vault.seal(SECRET)
    assert SECRET not in token
    assert open_vault(environ).open(token, "main") == SECRET


def test_key_file_is_made_for_its_owner_alone(environ: dict[str, str]) -> None:
    material = make_key(environ, "file")
    path = Path(material.source)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert material.keys[0] not in repr(material)


def test_key_file_that_others_can_read_is_refused(environ: dict[str, str]) -> None:
    path = Path(make_key(environ, "file").source)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="found mode 640; chmod 600"):
        find_key(environ)


def test_variable_beats_the_file(environ: dict[str, str]) -> None:
    make_key(environ, "file")
    given = Fernet.generate_key().decode()
    found = find_key({**environ, "MYTRADING_KEY": given})
    assert found is not None
    assert (found.source, found.keys) == ("MYTRADING_KEY", (given,))


def test_no_key_at_all_names_every_place_it_was_looked_for(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"MYTRADING_KEY .* the file .*/folder/key, or .* keyring"):
        open_vault(environ)


def test_another_key_names_the_account_and_not_the_secret(environ: dict[str, str]) -> None:
    token = Vault(make_key(environ, "file")).seal(SECRET)
    other = {**environ, "MYTRADING_KEY": Fernet.generate_key().decode()}
    with pytest.raises(
        ConfigurationError, match="account main does not open with the key from MYTRADING_KEY"
    ) as caught:
        open_vault(other).open(token, "main")
    assert SECRET not in str(caught.value)
    assert token not in str(caught.value)


def test_what_is_no_fernet_key_says_how_to_make_one(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand -base64 32") as caught:
        open_vault({**environ, "MYTRADING_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_rotation_opens_with_old_and_new_until_the_old_one_is_dropped(environ: dict[str, str]) -> None:
    first = make_key(environ, "file")
    token = Vault(first).seal(SECRET)
    both = rotated_keys(first)
    store_keys(both)
    renewed = open_vault(environ).reseal(token, "main")
    store_keys(type(both)(both.source, both.keys[:1]))
    assert open_vault(environ).open(renewed, "main") == SECRET
    with pytest.raises(ConfigurationError):
        open_vault(environ).open(token, "main")
    with pytest.raises(ConfigurationError):
        Vault(first).open(renewed, "main")


def test_rotation_of_the_variable_needs_the_new_key_in_it(environ: dict[str, str]) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    alone, both = find_key({"MYTRADING_KEY": old}), find_key({"MYTRADING_KEY": f"{new}, {old}"})
    assert alone is not None
    assert both is not None
    with pytest.raises(ConfigurationError, match="MYTRADING_KEY=NEW,OLD"):
        rotated_keys(alone)
    assert rotated_keys(both).keys == (new, old)


def test_variable_of_the_env_file_counts_behind_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("MYTRADING_KEY=from-file\nOPENALGO_API_KEY=no-business-of-ours\n")
    monkeypatch.delenv("MYTRADING_KEY", raising=False)
    assert key_environment(tmp_path)["MYTRADING_KEY"] == "from-file"
    assert "OPENALGO_API_KEY" not in key_environment(tmp_path)
    monkeypatch.setenv("MYTRADING_KEY", "from-environment")
    assert key_environment(tmp_path)["MYTRADING_KEY"] == "from-environment"


KEYRING = """
from pathlib import Path
from keyring.backend import KeyringBackend

class Folder(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        path = Path(__file__).with_name(service + "-" + username)
        return path.read_text() if path.exists() else None
    def set_password(self, service, username, password):
        Path(__file__).with_name(service + "-" + username).write_text(password)
    def delete_password(self, service, username):
        Path(__file__).with_name(service + "-" + username).unlink()
"""


def test_key_lives_in_the_systems_keyring(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder_keyring.py").write_text(KEYRING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "folder_keyring.Folder")
    token = Vault(make_key(environ, "keyring")).seal(SECRET)
    found = find_key(environ)
    assert found is not None
    assert (found.source, open_vault(environ).open(token, "main")) == ("keyring", SECRET)
    assert not Path(environ["MYTRADING_KEY_FILE"]).exists()


def test_without_a_keyring_the_key_is_not_made_there(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with pytest.raises(ConfigurationError, match="use --key-store file"):
        make_key(environ, "keyring")
