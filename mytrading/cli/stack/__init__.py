"""Commands on the stack itself: up, down, status, logs, configuration."""
