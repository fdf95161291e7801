"""The Fernet key that encrypts the API keys of `config/accounts.toml`: where it is kept, and its use.

`cryptography` and `keyring` load when they are needed. Neither an API key nor the key to them is ever part of a
message, a `repr` or a file beside the key's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mytrading.config.problems import ConfigurationError

VARIABLE = "MYTRADING_KEY"
FILE_VARIABLE = "MYTRADING_KEY_FILE"
SERVICE, ENTRY = "mytrading", "accounts"
"""Service and user name of the entry in the operating system's keyring."""

_MAKE_ONE = "openssl rand -base64 32 | tr +/ -_"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """Fernet keys, the newest first, and where they were found: `MYTRADING_KEY`, `keyring`, or a file's path."""

    source: str
    keys: tuple[str, ...] = field(repr=False)


class Vault:
    """Encrypts API keys and opens them again; encrypts with the newest key, opens with any of them."""

    def __init__(self, material: KeyMaterial) -> None:
        from cryptography.fernet import Fernet, MultiFernet

        self._source = material.source
        try:
            self._fernet = MultiFernet([Fernet(key) for key in material.keys])
        except ValueError:
            raise ConfigurationError(
                f"{material.source}: expected Fernet keys (32 bytes in URL-safe base64, 44 characters), separated by "
                f"commas or lines, found something else; make one with `{_MAKE_ONE}`"
            ) from None

    def seal(self, secret: str) -> str:
        """Return the secret encrypted with the newest key, as a text token."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, token: str, account: str) -> str:
        """Return the secret of a token; `ConfigurationError`, naming `account`, if no key decrypts it."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise ConfigurationError(
                f"config/accounts.toml: the API key of account {account} does not open with the key from "
                f"{self._source}: it was encrypted with another one, or changed by hand; bring that key back, or "
                f"enter the API key again: mytrading account edit {account} --new-key"
            ) from None

    def reseal(self, token: str, account: str) -> str:
        """Return the token's secret encrypted anew with the newest key; `ConfigurationError` as for `open`."""
        return self.seal(self.open(token, account))


def key_environment(home: Path) -> dict[str, str]:
    """Return the environment, with the variables that name a key also taken from the project's `.env`."""
    from mytrading.config.sources import read_env_file

    written = read_env_file(home / ".env", [])
    found = {name: str(value.raw) for name, value in written.items() if name in (VARIABLE, FILE_VARIABLE)}
    return {**found, **os.environ}


def key_file(environ: Mapping[str, str]) -> Path:
    """Return the key's file: `MYTRADING_KEY_FILE`, else `mytrading/key` in the XDG configuration folder."""
    if named := environ.get(FILE_VARIABLE):
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "mytrading" / "key"


def find_key(environ: Mapping[str, str]) -> KeyMaterial | None:
    """Return the key from `MYTRADING_KEY`, its file (`ConfigurationError` unless private) or the keyring, or None."""
    if text := environ.get(VARIABLE, "").strip():
        return KeyMaterial(VARIABLE, _words(text))
    path = key_file(environ)
    if path.exists():
        if (mode := path.stat().st_mode & 0o777) & 0o077:
            raise ConfigurationError(
                f"{path}: expected a file that only you can read, found mode {mode:03o}; chmod 600"
            )
        return KeyMaterial(str(path), _words(path.read_text(encoding="utf-8")))
    text = _from_keyring()
    return KeyMaterial("keyring", _words(text)) if text else None


def open_vault(environ: Mapping[str, str]) -> Vault:
    """Return a vault with the key that `find_key` finds; `ConfigurationError` if there is none."""
    material = find_key(environ)
    if material is None:
        raise ConfigurationError(
            f"config/accounts.toml holds encrypted API keys, and there is no key to open them: expected {VARIABLE} "
            f"in the environment, the file {key_file(environ)}, or an entry {SERVICE!r} in the system's keyring; "
            "bring it back, or remove the accounts and add them again"
        )
    return Vault(material)


def make_key(environ: Mapping[str, str], store: str) -> KeyMaterial:
    """Generate a key and save it in `store`, file or keyring; `ConfigurationError` if it cannot be saved."""
    from cryptography.fernet import Fernet

    source = "keyring" if store == "keyring" else str(key_file(environ))
    material = KeyMaterial(source, (Fernet.generate_key().decode(),))
    store_keys(material)
    return material


def store_keys(material: KeyMaterial) -> None:
    """Save the keys in the file or keyring named by `source`; does nothing for keys of the environment."""
    text = "\n".join(material.keys) + "\n"
    if material.source == "keyring":
        _to_keyring(text)
    elif material.source != VARIABLE:
        path = Path(material.source)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, text)


def rotated_keys(material: KeyMaterial) -> KeyMaterial:
    """Return the keys with a newly generated one first; nothing is saved.
    Keys of `MYTRADING_KEY` are returned unchanged: the user must have set NEW,OLD there, else `ConfigurationError`."""
    from cryptography.fernet import Fernet

    if material.source != VARIABLE:
        return KeyMaterial(material.source, (Fernet.generate_key().decode(), *material.keys))
    if len(material.keys) < 2:
        raise ConfigurationError(
            f"{VARIABLE}: expected a new key, a comma and the old key, found one key; make one with "
            f"`{_MAKE_ONE}`, set {VARIABLE}=NEW,OLD, run this again, then drop the old one"
        )
    return material


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically with `text`, readable by its owner only from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _from_keyring() -> str:
    import keyring
    from keyring.errors import KeyringError, NoKeyringError

    try:
        return keyring.get_password(SERVICE, ENTRY) or ""
    except NoKeyringError:
        return ""
    except KeyringError as error:
        raise ConfigurationError(
            f"the system's keyring gives nothing: {error}; unlock it, or set {VARIABLE}"
        ) from error


def _to_keyring(text: str) -> None:
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(SERVICE, ENTRY, text)
    except KeyringError as error:
        raise ConfigurationError(
            f"the key cannot be kept in the system's keyring: {str(error).splitlines()[0]}; use --key-store file"
        ) from error
