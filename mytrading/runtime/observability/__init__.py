"""Logs, metrics, alerts and the audit of operator commands."""
