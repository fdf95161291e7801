"""Passwords and second factors: what a password must be, its argon2 hash, and codes of an authenticator."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

PUNCTUATION = "!@#$%^&*()_+-=[]{}|;:,.<>?"
SHORTEST, LONGEST = 8, 128
ENOUGH = 3
"""The least score of zxcvbn, of 0 to 4: 3 withstands a stolen file of hashes for a while."""
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""The parameters that OWASP names for 19 MiB: the process stays small."""
NOBODY = _hasher.hash("no user has this password")
"""Checked where no user has the name, so that the answer takes as long."""
_STEP_S = 30
_JUDGE = """import json, sys
from zxcvbn import zxcvbn
found = zxcvbn(**json.load(sys.stdin))
print(json.dumps([found["score"], found["feedback"]["warning"]]))"""
_JUDGE_S = 30.0


class WeakPassword(Exception):
    """A password that breaks a rule; the message names the rule."""


def check_password(password: str, name: str) -> None:
    """Raise `WeakPassword` with the rule that a new password breaks."""
    if len(password) < SHORTEST:
        raise WeakPassword(f"expected at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise WeakPassword(f"expected at most {LONGEST} characters")
    rules = (
        (str.isupper, "an upper-case letter"),
        (str.islower, "a lower-case letter"),
        (str.isdigit, "a digit"),
        (PUNCTUATION.__contains__, f"one of {PUNCTUATION}"),
    )
    for rule, what in rules:
        if not any(rule(character) for character in password):
            raise WeakPassword(f"expected {what} in it")
    if name and name.casefold() in password.casefold():
        raise WeakPassword("expected one that does not contain the name of its user")
    score, warning = _judged(password[:72], [name, "mytrading"])
    if score < ENOUGH:
        why = warning or "it is made of common words or patterns"
        raise WeakPassword(f"expected one that is harder to guess: {why}; a few unrelated words more will do")


def _judged(password: str, known: list[str]) -> tuple[int, str]:
    """Score and warning of zxcvbn, by a process that ends with its answer: its lists of words take 13 MB, for good.

    The password goes through a pipe: words of a command can be seen by others.
    """
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE], input=json.dumps({"password": password, "user_inputs": known}),
        capture_output=True, text=True, timeout=_JUDGE_S, check=True,
    )  # fmt: skip
    score, warning = json.loads(done.stdout)
    return score, warning or ""


def hash_password(password: str) -> str:
    """Return the argon2 hash of a password, with its salt and parameters."""
    return _hasher.hash(password)


def is_password(stored: str, password: str) -> bool:
    """Return true if a password is the one of the stored hash."""
    try:
        return _hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


def code_step(secret: str, code: str, last: int) -> int:
    """Return the time step of an authenticator's code that is right now, give or take one; 0 if it is wrong, or not
    later than step `last`, which was used before."""
    import pyotp

    now = int(time.time()) // _STEP_S
    totp = pyotp.TOTP(secret)
    wanted = code.replace(" ", "")
    right = [step for step in (now - 1, now, now + 1) if step > last and totp.verify(wanted, for_time=step * _STEP_S)]
    return right[0] if right else 0


def new_totp(name: str, system: str) -> tuple[str, str, str, int]:
    """Return a new secret, its address for authenticators, and the path and size of its QR code."""
    import pyotp
    import segno

    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=system)
    matrix = segno.make(uri, error="m").matrix
    path = "".join(f"M{x} {y}h1v1h-1z" for y, line in enumerate(matrix) for x, dark in enumerate(line) if dark)
    return secret, uri, path, len(matrix)
