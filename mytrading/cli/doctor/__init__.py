"""The command doctor: what it looks at, where, and what it finds."""
