"""Rupees: fees, margin, what positions earn, and what a series of returns says."""
