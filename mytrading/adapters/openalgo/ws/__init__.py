"""OpenAlgo over WebSocket: connection, subscriptions, market and order frames."""
