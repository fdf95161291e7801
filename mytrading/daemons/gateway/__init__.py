"""The gateway daemon: operator commands in, views and alerts out."""
