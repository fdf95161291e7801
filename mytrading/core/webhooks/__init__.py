"""Webhooks: from the raw bytes of an alert to a verdict and a signal; the daemon adds HTTP, journal and clocks."""
