"""The OpenAlgo-compatible paper exchange: REST and WebSocket servers, one venue, generated or replayed markets."""
