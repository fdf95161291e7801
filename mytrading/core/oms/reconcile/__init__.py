"""Reconciliation: broker books and order updates against our orders."""
