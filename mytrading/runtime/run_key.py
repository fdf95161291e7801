"""API keys on their way from `up` to the daemons that need them: sealed in the run file, opened in memory.

`up` makes a key for the run alone and hands it down in the environment of supervisor, so that neither the run file nor
an environment reveals an API key by itself. The one rule: only who calls the server opens the keys, and no process
but the watchdog, which must start a lost supervisor again, passes the run's key on.
"""

from __future__ import annotations

import os

import msgspec

from mytrading.messages.runconfig import RunConfig, RunConfigError

VARIABLE = "MYTRADING_RUN_KEY"
OPENERS = ("feed", "router", "reconciler")
"""Daemons that call the server."""


def new_run_key() -> str:
    """A Fernet key for one run."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def needs_sealing(config: RunConfig) -> bool:
    """True unless the only key is that of an embedded simulator: made up for the run, it opens nothing else."""
    return not config.simulator.embedded


def seal_keys(config: RunConfig, run_key: str) -> RunConfig:
    """The configuration as it may lie on a disk: every API key encrypted with the run's key."""
    from cryptography.fernet import Fernet

    fernet = Fernet(run_key)

    def sealed(secret: str) -> dict[str, str]:
        return {"api_key": "", "sealed_key": fernet.encrypt(secret.encode()).decode()}

    venue = msgspec.structs.replace(config.venue, **sealed(config.venue.api_key))
    accounts = tuple(msgspec.structs.replace(account, **sealed(account.api_key)) for account in config.accounts)
    return msgspec.structs.replace(config, venue=venue, accounts=accounts)


def open_keys(config: RunConfig, run_key: str) -> RunConfig:
    """The configuration with its API keys readable, in memory only; `RunConfigError` without the right run key."""
    if not config.venue.sealed_key:
        return config
    from cryptography.fernet import Fernet, InvalidToken

    try:
        fernet = Fernet(run_key)

        def opened(token: str) -> str:
            return fernet.decrypt(token.encode()).decode()

        venue = msgspec.structs.replace(config.venue, api_key=opened(config.venue.sealed_key))
        accounts = tuple(
            msgspec.structs.replace(account, api_key=opened(account.sealed_key)) for account in config.accounts
        )
    except (ValueError, InvalidToken):
        raise RunConfigError(
            f"expected in {VARIABLE} the key of this run, found {'another' if run_key else 'none'}: daemons are "
            "started by `mytrading up`, which hands it down; `mytrading down`, then `mytrading up`"
        ) from None
    return msgspec.structs.replace(config, venue=venue, accounts=accounts)


def take_run_key(name: str) -> str:
    """The run's key from the environment, where it stays for the watchdog alone: children of others get none."""
    if name == "watchdog":
        return os.environ.get(VARIABLE, "")
    return os.environ.pop(VARIABLE, "")
