"""The strategy engine daemon."""
