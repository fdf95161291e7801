"""Sizes of entries: lots, margin checks, profiles."""
