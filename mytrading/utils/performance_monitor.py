"""The performance monitor under the module name of the user's README; it lives in
`mytrading.runtime.observability.metrics`."""

from __future__ import annotations

from mytrading.runtime.observability.metrics import PerformanceMonitor, get_performance_monitor, performance_timer

performance_context = performance_timer

__all__ = ["PerformanceMonitor", "get_performance_monitor", "performance_context", "performance_timer"]
