"""Processes from outside: supervisor control, instance lock, hang check, kill file."""
