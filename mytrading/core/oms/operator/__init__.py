"""Requests of an operator: orders, claims, the test order."""
