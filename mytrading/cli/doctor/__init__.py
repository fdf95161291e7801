"""The command doctor: its checks, their targets, and their findings."""
