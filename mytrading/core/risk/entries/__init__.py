"""Entries: intents into admitted, sized orders or denials."""
