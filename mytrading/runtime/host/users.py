"""Names of the people behind processes and files.

An unknown user has a number, never no name.
"""

from __future__ import annotations

import pwd


def user_name(uid: int) -> str:
    """The login name of a user id."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
