"""The logging functions under the module name of the user's README; they live in
`mytrading.runtime.observability.logging`."""

from __future__ import annotations

from mytrading.runtime.observability.logging import (
    configure_logging,
    get_logger,
    performance_logger,
    setup_logging,
    trade_logger,
)

__all__ = ["configure_logging", "get_logger", "performance_logger", "setup_logging", "trade_logger"]
