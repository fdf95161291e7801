"""Helpers for messages to people: spelling suggestions and unknown keys."""
