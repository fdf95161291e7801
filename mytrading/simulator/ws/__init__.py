"""The WebSocket side: the server that answers requests, and the hub that sends quotes and orders to subscribers."""
