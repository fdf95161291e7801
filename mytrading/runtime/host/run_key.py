"""API keys on their way from `up` to the daemons that call the server: sealed in the run file, opened in memory.

`up` makes a key for the run and hands it down in the environment of supervisor, so that neither the run file nor an
environment reveals an API key by itself. It is passed on only to a new supervisor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec

from mytrading.messages.run_config import RunConfig, RunConfigError

VARIABLE = "MYTRADING_RUN_KEY"
_SEALED = "sealed:"
OPENERS = ("feed", "router", "reconciler")
"""Daemons that call the server."""


def new_run_key() -> str:
    """Return a new Fernet key, to encrypt the API keys of one run."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def is_sealed(config: RunConfig) -> bool:
    """True if the API keys are encrypted, as in a run file."""
    return config.data_server.api_key.startswith(_SEALED)


def seal_keys(config: RunConfig, run_key: str) -> RunConfig:
    """Return the configuration for the disk: every API key encrypted with the run's key.

    The key of the stack's own simulator stays: the simulator and every command need it, and it opens nothing else.
    """
    from cryptography.fernet import Fernet

    fernet = Fernet(run_key)
    sealed = _with_keys(config, lambda key: _SEALED + fernet.encrypt(key.encode()).decode())
    return msgspec.structs.replace(sealed, venue=config.venue) if config.simulator.runs_simulator else sealed


def open_keys(config: RunConfig, run_key: str) -> RunConfig:
    """Return the configuration with readable API keys, for memory only; `RunConfigError` without the right key."""
    if not is_sealed(config):
        return config
    from cryptography.fernet import Fernet, InvalidToken

    def opened(key: str) -> str:
        return fernet.decrypt(key.removeprefix(_SEALED).encode()).decode() if key.startswith(_SEALED) else key

    try:
        fernet = Fernet(run_key)
        return _with_keys(config, opened)
    except (ValueError, InvalidToken):
        raise RunConfigError(
            f"expected in {VARIABLE} the key of this run, found {'another' if run_key else 'none'}: daemons are "
            "started by `mytrading up`, which hands it down; `mytrading down`, then `mytrading up`"
        ) from None


def _with_keys(config: RunConfig, change: Callable[[str], str]) -> RunConfig:
    """The same with every `api_key` changed, wherever a part of the run file, or a list of such, has one."""

    def changed(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(changed(item) for item in part)
        return msgspec.structs.replace(part, api_key=change(part.api_key)) if hasattr(part, "api_key") else part

    return msgspec.structs.replace(
        config, **{name: changed(getattr(config, name)) for name in config.__struct_fields__}
    )


def take_run_key(name: str) -> str:
    """Remove the run's key from the environment and return it; "" for programs that may not have it."""
    found = os.environ.pop(VARIABLE, "")
    return found if name in (*OPENERS, "watchdog") else ""
