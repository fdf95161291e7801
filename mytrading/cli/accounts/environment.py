"""The account that `.env` or the environment names, for moving its key into the encrypted file.

The line with the key leaves `.env` only when the account is kept, and every other line stays as it is.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import parse_stream

from mytrading.cli.shell.output import USAGE, fail
from mytrading.config.key_vault import write_private
from mytrading.config.sections import OpenAlgoSettings
from mytrading.config.sources import read_env_file

KEY = "OPENALGO_API_KEY"


class Written(NamedTuple):
    """API key, REST address and WebSocket address (empty: the host's own), and where the key stands."""

    key: str
    host: str
    ws_url: str
    where: str


def written_account(home: Path) -> Written:
    """What the environment says, and behind it `.env`; ends the command if neither has a key."""
    values = {name: str(value.raw) for name, value in read_env_file(home / ".env", []).items()}
    found = {**values, **{name: text.strip() for name, text in os.environ.items() if text.strip()}}
    if not found.get(KEY):
        fail(USAGE, f"--from-env: expected {KEY} in {home / '.env'} or the environment, found none; leave it out")
    ws = [found.get(f"OPENALGO_WS_{part}", "") for part in ("HOST", "PORT")]
    usual = OpenAlgoSettings()
    ws_url = f"ws://{ws[0] or usual.ws_host}:{ws[1] or usual.ws_port}" if any(ws) else ""
    where = "the environment" if os.environ.get(KEY, "").strip() else ".env"
    return Written(found[KEY], found.get("OPENALGO_API_HOST") or usual.host, ws_url, where)


def forget_key(home: Path) -> str:
    """Take the key's line out of `.env`, which only its owner can read from then on; returns what there is to say."""
    path = home / ".env"
    left = f"; {KEY} is still set in the environment: unset it" if os.environ.get(KEY, "").strip() else ""
    if not path.exists():
        return f"nothing was taken out of .env, there is none{left}"
    parts = list(parse_stream(io.StringIO(path.read_text(encoding="utf-8"))))
    kept = "".join(part.original.string for part in parts if part.key != KEY)
    write_private(path, kept)
    return f"{KEY} is taken out of .env{left}"
