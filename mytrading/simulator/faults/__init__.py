"""Faults that a test or an operator asks for: registry, settings, command."""
