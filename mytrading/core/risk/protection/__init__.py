"""Stops and targets: levels that risk holds, coverage by broker stops."""
