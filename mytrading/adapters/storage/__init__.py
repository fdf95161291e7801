"""Stores on disk: bars, instruments, tape, warehouse, shared databases."""
