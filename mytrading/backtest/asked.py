"""What is raised where an option of the command cannot be met.

Used by all that reads options. The one rule: the message says what was expected.
"""

from __future__ import annotations


class AskedWrongly(ValueError):
    """An option that cannot be met; the message says what was expected, what was found and what to do."""
