"""The error of a request to the gateway that cannot be answered as it stands.

Raised by the gateway's answers. The one rule: the message says what was expected, what was found, and what to do.
"""

from __future__ import annotations


class UsageError(Exception):
    """The request cannot be answered as it stands; the message says what would."""
