"""Amounts of money as people in India read them."""

from __future__ import annotations


def rupees(amount: float) -> str:
    """Format rupees with Indian digit groups, as ₹1,62,500 or ₹99.50; paise only where there are some."""
    whole, paise = divmod(round(abs(amount) * 100), 100)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    while head:
        head, part = head[:-2], head[-2:]
        tail = f"{part},{tail}"
    return f"{'−' if amount < 0 else ''}₹{tail}" + (f".{paise:02d}" if paise else "")
