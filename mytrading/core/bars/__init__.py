"""Bars: made of quotes or ticks, joined to fetched history, and how complete they are."""
