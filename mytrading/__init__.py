"""MyTrading: a self-hosted trading stack for Indian markets over OpenAlgo.

The public classes import lazily, so that a daemon pays only for what it uses.
"""

from __future__ import annotations

__version__ = "0.1.0"
