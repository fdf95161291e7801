"""WebSocket side: hub, client pool, quote and order senders."""
